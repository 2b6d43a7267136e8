"""`attnctl merge`: what attend gave for ranges of the keys, put together."""

import numpy

import attnctl
from attnctl import BAD_INPUT, CALL_FAILED, ProblemTest


class MergeTest(ProblemTest):

    def part(self, name, keys, **changes):
        """The file of the result over some of the keys."""
        tensors = {"query": self.query, "key": self.key[:, :, keys], "value": self.value[:, :, keys]} | changes
        file = attnctl.write_safetensors(self.folder / f"{name}.in", tensors, {"tokens": "[]"})
        self.attend("--input", file, "--log-sum-exp", "--output", self.folder / name)
        return self.folder / name

    def test_parts_give_the_whole(self):
        parts = [self.part("a", slice(0, 2)), self.part("b", slice(2, 3)), self.part("c", slice(3, None))]
        text = self.attnctl("merge", *parts, "--output", self.folder / "merged")
        self.assertEqual(text, "output       float32 [2, 3, 5, 4]\nlog-sum-exp  float32 [2, 3, 5]\n")
        tensors, metadata = attnctl.read_safetensors(self.folder / "merged")
        output, _, log_sum_exp = self.expect()
        numpy.testing.assert_allclose(tensors["output"], output, rtol=0, atol=attnctl.TOLERANCE)
        numpy.testing.assert_allclose(tensors["log_sum_exp"], log_sum_exp, rtol=0, atol=attnctl.TOLERANCE)
        self.assertEqual(metadata, {"tokens": "[]"})

    def test_what_is_wrong(self):
        part = self.part("a", slice(0, 2))
        out = ("--output", self.folder / "merged")
        self.assertIn("FILES", self.attnctl("merge", *out, status=BAD_INPUT))
        self.assertIn("--output", self.attnctl("merge", part, status=BAD_INPUT))
        self.assertIn("no tensor \"output\"", self.attnctl("merge", part, self.folder / "a.in", *out, status=BAD_INPUT))
        other = self.part("b", slice(2, 4), query=self.query[:, :, :2])
        self.assertIn("parts[1].output", self.attnctl("merge", part, other, *out, status=CALL_FAILED))


if __name__ == "__main__":
    attnctl.main()
