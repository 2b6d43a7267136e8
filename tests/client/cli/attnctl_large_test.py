"""`attnctl attend` of problems that are larger than the server's messages: cut, sent in pieces, and put together again; or sent
in parts where they are not to be cut."""

import numpy

import attnctl
from attnctl import AttnctlTest, attention
from attnd_process import Attnd

LIMIT_BYTES = 1 << 20


class LargeTest(AttnctlTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.large_messages = cls.server
        cls.small_messages = cls.enterClassContext(Attnd(f"--max-message-bytes={LIMIT_BYTES}"))

    def write(self, query, key, value, **others):
        tensors = {"query": query, "key": key, "value": value} | others
        self.assertGreater(sum(tensor.nbytes for tensor in tensors.values()), LIMIT_BYTES)
        return attnctl.write_safetensors(self.folder / "in", tensors)

    def attend_at(self, server, file, *arguments, is_cut=True):
        """(the tensors of the answer, the report)."""
        self.server = server
        output = self.folder / "out"
        computed = server.metric("attnd_phase_duration_seconds_count", phase="compute")
        report = self.attend("--input", file, "--output", output, *arguments)
        pieces = server.metric("attnd_phase_duration_seconds_count", phase="compute") - computed
        (self.assertGreater if is_cut and server is self.small_messages else self.assertEqual)(pieces, 1)
        return attnctl.read_safetensors(output)[0], report

    def expect_same_bits(self, file, *arguments, is_cut=True):
        whole, whole_report = self.attend_at(self.large_messages, file, *arguments)
        cut, report = self.attend_at(self.small_messages, file, *arguments, is_cut=is_cut)
        self.assertEqual(set(cut), set(whole))
        for name, tensor in whole.items():
            self.assertEqual(cut[name].tobytes(), tensor.tobytes(), name)
        for number in ("kernel", "empty_rows", "fingerprint"):
            self.assertEqual(report["report"][number], whole_report["report"][number])

    def test_many_short_sequences(self):
        self.expect_same_bits(self.write(*(self.normal(64, 4, 64, 32) for _ in range(3))))

    def test_heads_of_a_long_sequence_with_masks(self):
        query, key, value = self.normal(2, 6, 700, 32), self.normal(2, 3, 700, 32), self.normal(2, 3, 700, 32)
        mask = self.random.random((700, 700)) < 0.9
        self.expect_same_bits(self.write(query, key, value, mask=mask), "--causal", "top-left", "--key-lengths", "700,0",
                              "--mask", "mask", "--log-sum-exp")

    def test_rows_of_a_head_whose_weights_are_large(self):
        self.expect_same_bits(self.write(self.normal(2000, 64), self.normal(1700, 64), self.normal(1700, 64)), "--causal",
                              "bottom-right", "--weights")

    def test_heads_between_others(self):
        self.expect_same_bits(self.write(*(self.normal(2, 500, 8, 64) for _ in range(3))), "--layout", "bshd")

    def test_float16(self):
        self.expect_same_bits(self.write(*(self.normal(8, 4, 512, 64).astype(numpy.float16) for _ in range(3))))

    def test_every_mask_and_modifier(self):
        query, key, value = self.normal(2, 4, 700, 32), self.normal(2, 2, 900, 32), self.normal(2, 2, 900, 32)
        others = {"mask": self.random.random((700, 850)) < 0.9, "bias": self.normal(4, 1, 900),
                  "blocks": self.random.random((2, 1, 7, 9)) < 0.8, "slopes": numpy.full(4, 0.01), "sinks": numpy.arange(4.0),
                  "queries": self.random.integers(0, 2, (2, 700)), "keys": self.random.integers(0, 2, (2, 900))}
        self.expect_same_bits(
            self.write(query, key, value, **others), "--causal=150,-20", "--prefix-lengths", "100,20", "--window-left", "500",
            "--key-lengths", "900,800", "--query-lengths", "650,700", "--mask", "mask", "--bias", "bias", "--block-mask", "blocks",
            "--block-rows", "100", "--block-keys", "100", "--alibi-slopes", "slopes", "--sinks", "sinks", "--soft-cap", "3",
            "--query-segment-ids", "queries", "--key-segment-ids", "keys", "--empty-row", "mean-of-all-values", "--log-sum-exp")

    def test_a_sink_and_a_bias_of_keys_that_are_cut(self):
        query, key, value, bias = self.normal(100, 64), self.normal(9000, 64), self.normal(9000, 64), self.normal(1, 9000)
        tensors, _ = self.attend_at(self.small_messages, self.write(query, key, value, bias=bias), "--log-sum-exp", "--bias",
                                    "bias", "--sinks", "6")
        output, _, log_sum_exp = attention(query[None], key[None], value[None], added=bias, sinks=[6])
        numpy.testing.assert_allclose(tensors["output"], output[0], rtol=1e-6, atol=attnctl.TOLERANCE)
        numpy.testing.assert_allclose(tensors["log_sum_exp"], log_sum_exp[0], rtol=1e-6, atol=attnctl.TOLERANCE)

    def test_summaries_are_not_cut(self):
        self.expect_same_bits(self.write(*(self.normal(2, 4, 600, 64) for _ in range(3))), "--causal", "top-left", "--top-keys", "16",
                              "--entropy", "--received-sum", "--pooled-map", "64x64", is_cut=False)

    def test_answers_that_are_large_come_in_parts(self):
        query, key, value = (self.normal(4, 300, 16) for _ in range(3))
        file = attnctl.write_safetensors(self.folder / "in", {"query": query, "key": key, "value": value})
        self.expect_same_bits(file, "--matrix", "masked", is_cut=False)

    def test_a_ragged_batch_is_not_cut(self):
        self.expect_same_bits(self.write(*(self.normal(2500, 4, 32) for _ in range(3))), "--query-offsets", "0,700,700,2500",
                              "--key-offsets", "0,100,1500,2500", "--causal", "bottom-right", "--log-sum-exp", is_cut=False)

    def test_keys_of_one_head(self):
        query, key, value = self.normal(100, 64), self.normal(9000, 64), self.normal(9000, 64)
        tensors, report = self.attend_at(self.small_messages, self.write(query, key, value), "--log-sum-exp", "--weights",
                                         "--key-lengths", "8500")
        expected = attention(query, key, value, visible=numpy.arange(9000) < 8500)
        for name, tensor in zip(("output", "weights", "log_sum_exp"), expected):
            numpy.testing.assert_allclose(tensors[name], tensor, rtol=1e-6, atol=attnctl.TOLERANCE)
        self.assertEqual(report["report"]["empty_rows"], 0)


if __name__ == "__main__":
    attnctl.main()
