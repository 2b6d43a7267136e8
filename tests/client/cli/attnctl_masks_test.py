"""Every option of `attnctl attend` changes the answer as its help says, judged by numpy and by --expect itself."""

import numpy

import attnctl
from attnctl import ProblemTest, attention

B, H, SQ, SK, D, DV = ProblemTest.B, ProblemTest.H, ProblemTest.SQ, ProblemTest.SK, ProblemTest.D, ProblemTest.DV
ROWS, KEYS = ProblemTest.ROWS, ProblemTest.KEYS
TOP_LEFT, BOTTOM_RIGHT = KEYS <= ROWS, KEYS <= ROWS + SK - SQ
LENGTHS = numpy.array([4, 7])


def per_entry(numbers):
    """[B, 1, 1, 1], to be compared with rows and keys."""
    return numpy.array(numbers)[:, None, None, None]


WITHIN_LENGTHS = KEYS < per_entry(LENGTHS)


class MasksTest(ProblemTest):

    def setUp(self):
        super().setUp()
        self.mask = self.random.random((B, 1, SQ, SK)) < 0.7
        self.mask[..., 0] = True  # no query without a key

    def check(self, expected, *options, **others):
        tensors = {"mask": self.mask, "byte_mask": self.mask.astype(numpy.uint8), "lengths": LENGTHS,
                   "lengths32": LENGTHS.astype(numpy.int32)}
        return super().check(expected, *options, **tensors, **others)

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

    def test_causal_by_offsets(self):
        self.check(self.expect(visible=KEYS <= ROWS + per_entry([2, -1])), "--causal=2,-1")

    def test_prefix_lengths(self):
        prefix = KEYS < per_entry([3, 6])
        self.check(self.expect(visible=TOP_LEFT | prefix), "--causal", "top-left", "--prefix-lengths", "3,6")
        self.check(self.expect(visible=(KEYS <= ROWS + 1) | prefix), "--prefix-lengths", "3,6", "--positions", "1,1")

    def test_windows(self):
        distance = KEYS - ROWS
        self.check(self.expect(visible=distance >= -1), "--window-left", "1", "--positions", "top-left")
        self.check(self.expect(visible=distance <= 4), "--window-right", "2", "--positions", "bottom-right")
        self.check(self.expect(visible=(distance <= 1) & (distance >= -1)), "--window-left", "2", "--window-right", "0",
                   "--positions=1,1")
        self.check(self.expect(visible=TOP_LEFT & (distance >= -2)), "--window-left", "2", "--causal", "top-left")

    def test_query_lengths(self):
        is_row = ROWS < per_entry([5, 3])
        output, weights, log_sum_exp = self.expect(visible=TOP_LEFT & is_row)
        report = self.check((output, weights, log_sum_exp), "--causal", "top-left", "--query-lengths", "5,3")
        self.assertEqual(report["report"]["empty_rows"], 0)

    def test_segments(self):
        queries, keys = self.random.integers(0, 2, (B, SQ)), self.random.integers(0, 2, (B, SK))
        same = queries[:, None, :, None] == keys[:, None, None, :]
        for kind in (numpy.int64, numpy.int32):
            self.check(self.expect(visible=same), "--query-segment-ids", "q", "--key-segment-ids", "k", q=queries.astype(kind),
                       k=keys.astype(kind))

    def test_block_mask(self):
        blocks = numpy.array([[True, False, True], [False, True, True], [True, True, False]])
        self.check(self.expect(visible=blocks[ROWS // 2, KEYS // 3]), "--block-mask", "blocks", "--block-rows", "2",
                   "--block-keys", "3", blocks=blocks)

    def test_a_narrow_mask_hides_what_it_does_not_reach(self):
        narrow = self.mask[0, 0, :, :4]
        wide = numpy.pad(narrow, ((0, 0), (0, SK - 4)))
        self.check(self.expect(visible=wide), "--mask", "narrow", narrow=narrow)

    def test_a_ragged_batch(self):
        offsets = (0, 3, 3, 8), (0, 2, 6, 11)
        self.query, self.key, self.value = self.normal(8, H, D), self.normal(11, H, D), self.normal(11, H, DV)
        output, log_sum_exp, weights = numpy.zeros((8, H, DV)), numpy.zeros((H, 8)), numpy.zeros((H, 8, 5))
        for rows, keys in ((slice(0, 3), slice(0, 2)), (slice(3, 8), slice(6, 11))):
            parts = (numpy.swapaxes(tensor[part], 0, 1) for tensor, part in ((self.query, rows), (self.key, keys), (self.value, keys)))
            count = keys.stop - keys.start
            causal = numpy.arange(count) <= numpy.arange(rows.stop - rows.start)[:, None]
            result, of_keys, log_sum_exp[:, rows] = attention(*parts, visible=causal)
            output[rows], weights[:, rows, :count] = numpy.swapaxes(result, 0, 1), of_keys
        file = attnctl.write_safetensors(self.folder / "in", {
            "query": self.query, "key": self.key, "value": self.value, "o": output, "w": weights, "l": log_sum_exp,
            "queries": numpy.array(offsets[0])})
        for queries in ("0,3,3,8", "queries"):
            self.attend("--input", file, "--query-offsets", queries, "--key-offsets", "0,2,6,11", "--causal", "top-left",
                        "--expect-output", "o", "--expect-weights", "w", "--expect-log-sum-exp", "l")

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
