"""`attnctl attend` of problems that are larger than the server's messages: cut, sent in pieces, and put together again."""

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

    def attend_at(self, server, file, *arguments):
        """(the tensors of the answer, the report)."""
        self.server = server
        output = self.folder / "out"
        computed = server.metric("attnd_phase_duration_seconds_count", phase="compute")
        report = self.attend("--input", file, "--output", output, *arguments)
        pieces = server.metric("attnd_phase_duration_seconds_count", phase="compute") - computed
        (self.assertEqual if server is self.large_messages else self.assertGreater)(pieces, 1)
        return attnctl.read_safetensors(output)[0], report

    def expect_same_bits(self, file, *arguments):
        whole, whole_report = self.attend_at(self.large_messages, file, *arguments)
        cut, report = self.attend_at(self.small_messages, file, *arguments)
        self.assertEqual(set(cut), set(whole))
        for name, tensor in whole.items():
            self.assertEqual(cut[name].tobytes(), tensor.tobytes(), name)
        for number in ("kernel", "empty_rows"):
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
