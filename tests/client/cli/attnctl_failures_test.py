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
        tensors |= {"few": numpy.arange(3), "flags": numpy.array([[True, False]])}
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

    def test_values(self):
        self.attend_refused(BAD_INPUT, ["--causal", "1,b", "list of offsets"], "--causal", "1,b")
        self.attend_refused(BAD_INPUT, ["--positions", "middle", "bottom-right"], "--positions", "middle")
        for option in ("--window-left", "--window-right"):
            self.attend_refused(BAD_INPUT, [option], option, "-1")
        for option in ("--prefix-lengths", "--query-lengths"):
            self.attend_refused(BAD_INPUT, [option, "1-2", "expected a list"], option, "1-2")
            self.attend_refused(BAD_INPUT, [option, "nope"], option, "nope")
        for option in ("--alibi-slopes", "--sinks"):
            self.attend_refused(BAD_INPUT, [option, "1,,2", "list of numbers"], option, "1,,2")
            self.attend_refused(BAD_INPUT, [option, "nope"], option, "nope")
        for option in ("--batch-entries", "--heads", "--query-rows"):
            for text in ("3-1", "-1", "1,", "0-x"):
                self.attend_refused(BAD_INPUT, [option, text, "0-3,7"], option + "=" + text)
            self.attend_refused(BAD_INPUT, [option, "at most"], option, "0-99999999999")
        self.attend_refused(BAD_INPUT, ["--block-mask", "float32", "bool or uint8"], "--block-mask", "query", "--block-rows", "1",
                            "--block-keys", "1")
        self.attend_refused(BAD_INPUT, ["--block-rows"], "--block-mask", "query", "--block-rows", "0", "--block-keys", "1")
        self.attend_refused(BAD_INPUT, ["--query-segment-ids", "float32"], "--query-segment-ids", "query", "--key-segment-ids",
                            "integers")
        self.attend_refused(BAD_INPUT, ["--bias-place", "first"], "--bias-place", "first")
        self.attend_refused(BAD_INPUT, ["nope"], "--bias", "nope")
        self.attend_refused(BAD_INPUT, ["--soft-cap"], "--soft-cap", "much")
        self.attend_refused(BAD_INPUT, ["--head-reduction"], "--head-reduction", "median")
        self.attend_refused(BAD_INPUT, ["--matrix"], "--matrix", "raw")
        self.attend_refused(BAD_INPUT, ["--matrix-type"], "--matrix", "masked", "--matrix-type", "int32")
        for option in ("--top-keys", "--first-keys"):
            self.attend_refused(BAD_INPUT, [option], option, "0")
        self.attend_refused(BAD_INPUT, ["--pooled-map", "3 by 4", "32x64"], "--pooled-map", "3 by 4")
        self.attend_refused(BAD_INPUT, ["--pooling"], "--pooled-map", "3x4", "--pooling", "sum")

    def test_segments_beyond_32_bits(self):
        tensors = {name: self.normal(4, 8) for name in ("query", "key", "value")}
        file = attnctl.write_safetensors(self.folder / "wide", tensors | {"ids": numpy.array([0, 1, 2, 2**31])})
        self.refused(BAD_INPUT, ["--query-segment-ids", "2147483648", "32 bits"], "attend", "--input", file, "--query-segment-ids",
                     "ids", "--key-segment-ids", "ids")

    def test_options_that_need_others(self):
        for options in (("--query-offsets", "0,4"), ("--key-offsets", "0,4"), ("--query-segment-ids", "integers"),
                        ("--key-segment-ids", "integers"), ("--block-mask", "query"), ("--block-rows", "1"),
                        ("--matrix-type", "float32"), ("--pooling", "mean")):
            self.attend_refused(BAD_INPUT, [options[0], "requires"], *options)

    def test_options_that_would_be_ignored(self):
        self.attend_refused(BAD_INPUT, ["--output", "out.npy", "summaries"], "--entropy", "--output", self.folder / "out.npy")
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
        self.attend_refused(BAD_INPUT, ["no tensor \"nope\"", "few, flags, integers, key, query, value"], "--query", "nope")
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
        for options, field in (
                (("--scale", "inf"), "problem.scale"),
                (("--causal=1,2",), "problem.mask.causal.offsets"),
                (("--causal", "--prefix-lengths", "5"), "problem.mask.causal.prefix_lengths"),
                (("--query-lengths", "5"), "problem.mask.query_lengths"),
                (("--causal", "top-left", "--positions", "top-left"), "problem.positions"),
                (("--query-segment-ids", "integers", "--key-segment-ids", "few"), "problem.mask.segments.key"),
                (("--block-mask", "flags", "--block-rows", "1", "--block-keys", "1"), "problem.mask.blocks.tensor"),
                (("--bias", "query"), "problem.bias.tensor"), (("--alibi-slopes", "1,2"), "problem.alibi.slopes"),
                (("--soft-cap", "0"), "problem.soft_cap"), (("--sinks", "inf"), "problem.sinks"),
                (("--query-offsets", "0,4", "--key-offsets", "0,4"), "problem"),
                (("--entropy", "--query-rows", "4"), "problem.summaries.query_rows"),
                (("--entropy", "--heads", "1"), "problem.summaries.heads"),
                (("--entropy", "--batch-entries", "1"), "problem.summaries.batch_entries"),
                (("--top-keys", "257"), "problem.summaries.top_keys"),
                (("--matrix", "masked", "--matrix-type", "float16"), "problem.summaries.matrix.element_type"),
                (("--pooled-map", "0x4"), "problem.summaries.pooled_map.rows"),
                (("--pooled-map", "4x1025"), "problem.summaries.pooled_map.columns")):
            with self.subTest(options=options):
                self.attend_refused(CALL_FAILED, ["INVALID_ARGUMENT", field], *options)

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
