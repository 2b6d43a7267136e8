"""Every option of `attnctl attend` changes the answer as its help says, judged by numpy and by --expect itself."""

import numpy

import attnctl
from attnctl import AttnctlTest, attention

B, H, SQ, SK, D, DV = 2, 3, 5, 7, 8, 4
ROWS, KEYS = numpy.arange(SQ)[:, None], numpy.arange(SK)
TOP_LEFT, BOTTOM_RIGHT = KEYS <= ROWS, KEYS <= ROWS + SK - SQ
LENGTHS = numpy.array([4, 7])
WITHIN_LENGTHS = KEYS < LENGTHS[:, None, None, None]


class MasksTest(AttnctlTest):

    def setUp(self):
        super().setUp()
        self.query, self.key, self.value = self.normal(B, H, SQ, D), self.normal(B, H, SK, D), self.normal(B, H, SK, DV)
        self.mask = self.random.random((B, 1, SQ, SK)) < 0.7
        self.mask[..., 0] = True  # no query without a key

    def check(self, expected, *options, **others):
        """With the options, the server gives what is expected, and not what it gives without them."""
        output, weights, log_sum_exp = expected
        tensors = {"query": self.query, "key": self.key, "value": self.value, "mask": self.mask, "lengths": LENGTHS,
                   "byte_mask": self.mask.astype(numpy.uint8), "lengths32": LENGTHS.astype(numpy.int32),
                   "expected.output": output, "expected.weights": weights, "expected.lse": log_sum_exp} | others
        file = attnctl.write_safetensors(self.folder / "in.safetensors", tensors)
        arguments = ["--input", file, "--expect-output", "expected.output", "--expect-weights", "expected.weights",
                     "--expect-log-sum-exp", "expected.lse"]
        report = self.attend(*arguments, *options)
        self.assertTrue(report["within_tolerance"])
        self.assertLessEqual(max(report[f"{name}_max_abs_error"] for name in ("output", "weights", "log_sum_exp")),
                             attnctl.TOLERANCE)
        if options:
            self.assertFalse(self.attend(*arguments, status=attnctl.CHECK_FAILED)["within_tolerance"])
        return report

    def expect(self, **options):
        return attention(self.query, self.key, self.value, **options)

    def test_without_options_every_key_is_visible(self):
        self.check(self.expect())

    def test_scale(self):
        self.check(self.expect(scale=0.125), "--scale", "0.125")
        self.check(self.expect(scale=-1), "--scale=-1")

    def test_causal_top_left(self):
        self.check(self.expect(visible=TOP_LEFT), "--causal", "top-left")

    def test_causal_bottom_right(self):
        self.check(self.expect(visible=BOTTOM_RIGHT), "--causal", "bottom-right")

    def test_causal_without_alignment_where_there_are_as_many_queries_as_keys(self):
        self.query = self.normal(B, H, SK, D)
        self.check(self.expect(visible=KEYS <= KEYS[:, None]), "--causal")

    def test_causal_without_alignment_is_refused_elsewhere(self):
        file = attnctl.write_safetensors(self.folder / "in", {"query": self.query, "key": self.key, "value": self.value})
        errors = self.attnctl("attend", "--input", file, "--causal", status=attnctl.CALL_FAILED)
        self.assertIn("problem.mask.causal.alignment", errors)

    def test_key_lengths_as_a_list(self):
        self.check(self.expect(visible=WITHIN_LENGTHS), "--key-lengths", "4,7")

    def test_key_lengths_as_a_tensor(self):
        for name in ("lengths", "lengths32"):
            self.check(self.expect(visible=WITHIN_LENGTHS), "--key-lengths", name)

    def test_key_lengths_as_a_file(self):
        numpy.save(self.folder / "lengths.npy", LENGTHS)
        self.check(self.expect(visible=WITHIN_LENGTHS), "--key-lengths", self.folder / "lengths.npy")

    def test_mask(self):
        for name in ("mask", "byte_mask"):
            self.check(self.expect(visible=self.mask), "--mask", name)

    def test_mask_as_a_file(self):
        numpy.save(self.folder / "mask.npy", self.mask[0, 0])
        self.check(self.expect(visible=self.mask[0, 0]), "--mask", self.folder / "mask.npy")

    def test_all_masks_apply_together(self):
        self.check(self.expect(visible=BOTTOM_RIGHT & WITHIN_LENGTHS & self.mask), "--causal", "bottom-right", "--key-lengths",
                   "4,7", "--mask", "mask")

    def test_a_query_without_a_key_gives_zeros(self):
        self.mask[0, 0, 2] = False
        report = self.check(self.expect(visible=self.mask), "--mask", "mask")
        self.assertEqual(report["report"]["empty_rows"], H)
        self.check(self.expect(visible=self.mask), "--mask", "mask", "--empty-row", "zero")

    def test_a_query_without_a_key_gives_the_mean(self):
        self.mask[0, 0, 2] = False
        report = self.check(self.expect(visible=self.mask, mean_of_all_values=True), "--mask", "mask", "--empty-row",
                            "mean-of-all-values")
        self.assertEqual(report["report"]["empty_rows"], H)

    def test_layout(self):
        output, weights, log_sum_exp = self.expect()
        self.query, self.key, self.value = (numpy.swapaxes(tensor, 1, 2) for tensor in (self.query, self.key, self.value))
        file = {"query": self.query, "key": self.key, "value": self.value, "o": numpy.swapaxes(output, 1, 2), "w": weights,
                "l": log_sum_exp}
        self.attend("--layout", "bshd", "--input", attnctl.write_safetensors(self.folder / "in", file), "--expect-output", "o",
                    "--expect-weights", "w", "--expect-log-sum-exp", "l")

    def test_lower_ranks_and_grouped_heads(self):
        for query, key, value, repeated in (
                (self.normal(SQ, D), self.normal(SK, D), self.normal(SK, DV), 1),
                (self.normal(B, SQ, D), self.normal(B, SK, D), self.normal(B, SK, DV), 1),
                (self.normal(B, 4, SQ, D), self.normal(B, 2, SK, D), self.normal(B, 2, SK, DV), 2)):
            self.query, self.key, self.value = query, key, value
            grouped = (tensor if repeated == 1 else numpy.repeat(tensor, repeated, 1) for tensor in (key, value))
            self.check(attention(query, *grouped))

    def test_a_nan_is_expected_only_where_it_comes(self):
        self.value[0, 0, 0, 0] = numpy.nan
        self.check(self.expect())


if __name__ == "__main__":
    attnctl.main()
