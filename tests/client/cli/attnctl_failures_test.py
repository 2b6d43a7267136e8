"""What attnctl says, in one line, and with which exit status, when something is wrong."""

import numpy

import attnctl
from attnctl import BAD_INPUT, CALL_FAILED, AttnctlTest, Programs

# Where nothing can listen.
NOBODY = "unix:/nonexistent/attnd.sock"


class FailuresTest(AttnctlTest):

    def setUp(self):
        super().setUp()
        tensors = {name: self.normal(4, 8) for name in ("query", "key", "value")} | {"integers": numpy.arange(4)}
        self.input = attnctl.write_safetensors(self.folder / "in.safetensors", tensors)

    def refused(self, status, expected, *arguments):
        errors = self.attnctl(*arguments, status=status)
        for text in expected:
            self.assertIn(text, errors)

    def attend_refused(self, status, expected, *arguments):
        self.refused(status, expected, "attend", "--input", self.input, *arguments)

    def test_command_lines(self):
        self.refused(BAD_INPUT, ["subcommand"])
        self.refused(BAD_INPUT, ["--bogus", "--help"], "attend", "--bogus")
        self.refused(BAD_INPUT, ["--input"], "list")
        self.attend_refused(BAD_INPUT, ["--causal", "diagonal", "top-left"], "--causal", "diagonal")
        self.attend_refused(BAD_INPUT, ["--layout"], "--layout", "sbhd")
        self.attend_refused(BAD_INPUT, ["--empty-row"], "--empty-row", "nan")
        self.attend_refused(BAD_INPUT, ["--scale"], "--scale", "much")
        self.attend_refused(BAD_INPUT, ["--tolerance"], "--tolerance", "-1")
        self.attend_refused(BAD_INPUT, ["--timeout-seconds"], "--timeout-seconds", "0")
        self.attend_refused(BAD_INPUT, ["--key-lengths", "expected a list"], "--key-lengths", "1,,2")

    def test_options_that_would_be_ignored(self):
        self.attend_refused(BAD_INPUT, ["--output", "out.npy", "--weights"], "--weights", "--output", self.folder / "out.npy")
        self.attend_refused(BAD_INPUT, ["--expect", "x.npy"], "--expect", "x.npy", "--expect-output", "output")

    def test_files(self):
        missing = self.folder / "missing"
        self.refused(BAD_INPUT, [str(missing), "No such file"], "attend", "--input", missing)
        self.refused(BAD_INPUT, [str(missing), "No such file"], "list", "--input", missing)
        self.refused(BAD_INPUT, ["--input", ".npy"], "attend")
        self.refused(BAD_INPUT, ["no valid safetensors file"], "show", "--input", __file__)
        self.attend_refused(BAD_INPUT, [str(missing)], "--expect", missing)
        self.attend_refused(BAD_INPUT, ["missing.npy"], "--mask", self.folder / "missing.npy")
        self.attend_refused(BAD_INPUT, ["cannot be written"], "--output", missing / "out")

    def test_tensors(self):
        self.attend_refused(BAD_INPUT, ["no tensor \"nope\"", "integers, key, query, value"], "--query", "nope")
        self.attend_refused(BAD_INPUT, ["integers", "int64"], "--value", "integers")
        self.attend_refused(BAD_INPUT, ["--mask", "float32", "bool or uint8"], "--mask", "query")
        self.attend_refused(BAD_INPUT, ["float32", "int64 or int32"], "--key-lengths", "query")
        self.attend_refused(BAD_INPUT, ["output, weights and log_sum_exp"], "--expect", self.input)
        numpy.save(self.folder / "fortran.npy", numpy.asfortranarray(self.normal(4, 8)))
        self.attend_refused(BAD_INPUT, ["Fortran order"], "--query", self.folder / "fortran.npy")
        numpy.save(self.folder / "double.npy", self.random.standard_normal((4, 8)))
        self.attend_refused(BAD_INPUT, ["<f8", "<f4"], "--query", self.folder / "double.npy")

    def test_what_the_server_refuses(self):
        address = self.server.address
        self.attend_refused(CALL_FAILED, [address, "INVALID_ARGUMENT", "key_lengths"], "--key-lengths", "1,2")
        numpy.save(self.folder / "other.npy", self.normal(4, 9))
        self.attend_refused(CALL_FAILED, ["INVALID_ARGUMENT", "key"], "--key", self.folder / "other.npy")
        self.attend_refused(CALL_FAILED, ["INVALID_ARGUMENT", "scale"], "--scale", "inf")

    def test_no_server(self):
        for arguments in (("attend", "--input", self.input), ("info",), ("health",)):
            self.refused(CALL_FAILED, [NOBODY, "UNAVAILABLE"], "--server", NOBODY, *arguments)

    def test_a_deadline(self):
        status, _, errors = attnctl.run(Programs.attnctl, "--server", self.server.address, "attend", "--input", self.input,
                                        "--timeout-seconds", "1e-9")
        self.assertEqual(status, CALL_FAILED)
        self.assertIn("DEADLINE_EXCEEDED", errors)

    def test_nothing_in_a_file_steers_the_terminal(self):
        file = attnctl.write_safetensors(self.folder / "evil", {"\x1b[31mred": self.normal(2, 2)},
                                         {"tokens": '[["\\u001b[2J", "b"]]', "\x1b]0;": "\x1b[5m"})
        shown = self.attnctl("list", "--input", file)
        shown += self.attnctl("attend", "--input", file, status=BAD_INPUT)
        numpy.save(self.folder / "w.npy", numpy.full((2, 2), 0.5, numpy.float32))
        shown += self.attnctl("show", "--input", file, "--weights", self.folder / "w.npy")
        self.assertNotIn("\x1b", shown)


if __name__ == "__main__":
    attnctl.main()
