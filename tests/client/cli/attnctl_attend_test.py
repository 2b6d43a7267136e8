"""`attnctl attend`: files in and out, and what --expect compares."""

import json

import numpy

import attnctl
from attnctl import AttnctlTest, attention


class AttendTest(AttnctlTest):

    def setUp(self):
        super().setUp()
        self.query, self.key, self.value = (self.normal(2, 3, 6, 8) for _ in range(3))
        self.output, self.weights, self.log_sum_exp = attention(self.query, self.key, self.value)
        self.input = attnctl.write_safetensors(
            self.folder / "in.safetensors", {"query": self.query, "key": self.key, "value": self.value},
            {"tokens": '[["a \\u00e9 \\"b\\""]]', "model": "none"})

    def path(self, name):
        return self.folder / name

    def close(self, found, expected):
        numpy.testing.assert_allclose(found, expected, rtol=0, atol=attnctl.TOLERANCE)

    def test_writes_safetensors_with_the_inputs_metadata(self):
        self.attend("--input", self.input, "--weights", "--log-sum-exp", "--output", self.path("out.safetensors"))
        tensors, metadata = attnctl.read_safetensors(self.path("out.safetensors"))
        self.assertEqual(set(tensors), {"output", "weights", "log_sum_exp"})
        self.close(tensors["output"], self.output)
        self.close(tensors["weights"], self.weights)
        self.close(tensors["log_sum_exp"], self.log_sum_exp)
        self.assertEqual(metadata, attnctl.read_safetensors(self.input)[1])

    def test_writes_only_what_was_asked_for(self):
        self.attend("--input", self.input, "--output", self.path("out"))
        self.assertEqual(set(attnctl.read_safetensors(self.path("out"))[0]), {"output"})

    def test_reads_and_writes_npy(self):
        for name, tensor in (("q", self.query), ("k", self.key), ("v", self.value)):
            numpy.save(self.path(name), tensor)
        self.attend("--query", self.path("q.npy"), "--key", self.path("k.npy"), "--value", self.path("v.npy"), "--output",
                    self.path("out.npy"))
        output = numpy.load(self.path("out.npy"))
        self.assertEqual(output.dtype, numpy.float32)
        self.close(output, self.output)

    def test_mixes_npy_and_safetensors(self):
        numpy.save(self.path("q.npy"), self.query * 2)
        self.attend("--input", self.input, "--query", self.path("q.npy"), "--output", self.path("out.npy"))
        self.close(numpy.load(self.path("out.npy")), attention(self.query * 2, self.key, self.value)[0])

    def test_float16_stays_float16(self):
        names = ("query", "key", "value")
        halves = {name: tensor.astype(numpy.float16) for name, tensor in zip(names, (self.query, self.key, self.value))}
        file = attnctl.write_safetensors(self.path("half"), halves | {"expected": attention(*halves.values())[0]})
        report = self.attend("--input", file, "--expect-output", "expected", "--tolerance", "2e-3", "--output",
                             self.path("out.npy"))
        self.assertEqual(report["output_element_type"], "float16")
        self.assertEqual(numpy.load(self.path("out.npy")).dtype, numpy.float16)

    def test_expects_what_it_wrote(self):
        for name in ("out.safetensors", "out.npy"):
            self.attend("--input", self.input, "--output", self.path(name))
            report = self.attend("--input", self.input, "--expect", self.path(name), "--tolerance", "0")
            self.assertEqual(report["output_max_abs_error"], 0)
            self.assertIsNone(report["weights_max_abs_error"])

    def test_expects_all_that_a_file_holds(self):
        expected = {"output": self.output, "weights": self.weights, "log_sum_exp": self.log_sum_exp}
        for name, tensor in expected.items():
            file = attnctl.write_safetensors(self.path("expected"), expected)
            self.attend("--input", self.input, "--expect", file)
            wrong = attnctl.write_safetensors(self.path("wrong"), expected | {name: tensor + 1})
            report = self.attend("--input", self.input, "--expect", wrong, status=attnctl.CHECK_FAILED)
            self.assertAlmostEqual(report[f"{name}_max_abs_error"], 1, places=4)

    def test_expects_named_tensors_of_another_file(self):
        file = attnctl.write_safetensors(self.path("expected"), {"o": self.output, "output": self.output + 1})
        self.attend("--input", self.input, "--expect", file, "--expect-output", "o")
        self.attend("--input", self.input, "--expect", file, "--expect-output", "output", status=attnctl.CHECK_FAILED)

    def test_another_shape_is_infinitely_wrong(self):
        numpy.save(self.path("expected.npy"), self.output.astype(numpy.float32)[:1])
        report = self.attend("--input", self.input, "--expect", self.path("expected.npy"), "--tolerance", "1e30",
                             status=attnctl.CHECK_FAILED)
        self.assertEqual(report["output_max_abs_error"], "Infinity")
        self.assertIs(report["within_tolerance"], False)

    def test_tolerance_decides(self):
        numpy.save(self.path("expected.npy"), (self.output + 1e-3).astype(numpy.float32))
        arguments = ("attend", "--input", self.input, "--expect", self.path("expected.npy"))
        self.assertIn("(OUT OF TOLERANCE)", self.attnctl(*arguments, status=attnctl.CHECK_FAILED))
        self.assertIn("(ok)", self.attnctl(*arguments, "--tolerance", "1e-2"))

    def test_text_tells_what_was_done(self):
        text = self.attnctl("attend", "--input", self.input, "--weights", "--log-sum-exp")
        self.assertIn("output       float32 [2, 3, 6, 8]\n", text)
        self.assertIn("weights      float32 [2, 3, 6, 6]\n", text)
        self.assertIn("log-sum-exp  float32 [2, 3, 6]\n", text)
        self.assertRegex(text, r"(?m)^kernel       \S+, tiles of \d+ queries x \d+ keys$")
        self.assertRegex(text, r"(?m)^latency      [\d.]+ ms$")
        self.assertRegex(text, r"(?m)^in server    decode [\d.]+ ms, queue [\d.]+ ms, compute [\d.]+ ms, encode [\d.]+ ms$")
        self.assertRegex(text, r"(?m)^fingerprint  \S+")
        self.assertTrue(all(len(line) <= 100 for line in text.splitlines() if not line.startswith("fingerprint")), text)

    def test_json_is_one_object_of_these_names(self):
        report = json.loads(self.attnctl("attend", "--input", self.input, "--json"))
        self.assertEqual(list(report), ["output_shape", "output_element_type", "weights_shape", "log_sum_exp_shape",
                                        "output_max_abs_error", "weights_max_abs_error", "log_sum_exp_max_abs_error",
                                        "summaries", "tolerance", "within_tolerance", "latency_seconds", "report"])
        self.assertEqual(report["output_shape"], [2, 3, 6, 8])
        self.assertGreater(report["report"]["computed_tiles"], 0)
        self.assertEqual(report["summaries"], {})

    def test_the_output_may_replace_the_input(self):
        self.attend("--input", self.input, "--output", self.input)
        self.close(attnctl.read_safetensors(self.input)[0]["output"], self.output)


if __name__ == "__main__":
    attnctl.main()
