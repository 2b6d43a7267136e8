"""`attnctl bench` against a running server."""

import json
import os
import signal
import subprocess
import unittest

import attnctl
from attnctl import CALL_FAILED, AttnctlTest, Programs
from attnd_process import PATIENCE_SECONDS, Attnd, eventually

SMALL = "--batch=2", "--heads=4", "--key-value-heads=2", "--queries=3", "--keys=5", "--head-size=8"


class BenchTest(AttnctlTest):

    def bench(self, *arguments, status=attnctl.OK):
        """What `bench --json` prints."""
        ended, output, errors = attnctl.run(Programs.attnctl, "--server", self.server.address, "bench", "--json",
                                            "--warm-up-seconds=0", *arguments)
        self.assertEqual((ended, errors), (status, ""), output)
        return json.loads(output)

    def attend_calls(self):
        return self.server.metric("grpc_server_handled_total", grpc_method="Attend", grpc_code="OK")

    def test_every_request_is_answered_and_measured(self):
        before = self.attend_calls()
        found = self.bench(*SMALL, "--requests=50", "--concurrency=4")
        self.assertEqual((found["answered"], found["failed"], found["failures"]), (50, 0, {}))
        self.assertEqual(self.attend_calls(), before + 50)
        latency = found["latency_seconds"]
        self.assertLessEqual(sorted(latency.values())[-1], latency["max"])
        self.assertLessEqual(0, latency["p50"])
        self.assertLessEqual(latency["p50"], latency["p90"])
        self.assertLessEqual(latency["p90"], latency["p99"])
        self.assertLess(found["server"]["mean_compute_seconds"], latency["mean"])
        self.assertGreater(found["answers_per_second"], 0)

    def test_presets_element_types_and_masks(self):
        for arguments in (["--preset=minilm-layer"], ["--preset=minilm-layer", "--causal", "--element-type=bfloat16"],
                          [*SMALL, "--key-lengths=5,0", "--causal=bottom-right", "--element-type=float16",
                           "--value-head-size=16"]):
            found = self.bench("--requests=2", *arguments)
            self.assertEqual(found["answered"], 2)
        self.assertEqual(found["problem"], {
            "batch": 2, "heads": 4, "key_value_heads": 2, "queries": 3, "keys": 5, "head_size": 8, "value_head_size": 16,
            "element_type": "float16", "causal": True, "key_lengths": [5, 0]})

    def test_open_loop(self):
        for flags in [], ["--stream"]:
            found = self.bench(*SMALL, "--rate=1000", "--seconds=0.1", *flags)
            self.assertEqual((found["answered"], found["failed"]), (100, 0))

    def test_a_stream_is_one_call(self):
        found = self.bench(*SMALL, "--requests=50", "--concurrency=4", "--stream")
        self.assertEqual((found["answered"], found["failed"], found["load"]["stream"]), (50, 0, True))
        eventually(lambda: self.server.metric("grpc_server_handled_total", grpc_method="StreamAttend", grpc_code="OK") == 1,
                   "the stream has ended")

    def test_what_the_server_refuses_is_counted_by_status(self):
        for flags in [], ["--stream"]:
            found = self.bench(*SMALL, "--causal", "--requests=3", *flags, status=CALL_FAILED)
            self.assertEqual((found["answered"], found["failed"], found["latency_seconds"]), (0, 3, None))
            failure = found["failures"].pop("INVALID_ARGUMENT")
            self.assertEqual(failure["count"], 3)
            self.assertIn("problem.mask.causal", failure["first_text"])
            self.assertEqual(found["failures"], {})

    def test_as_text(self):
        text = self.attnctl("bench", *SMALL, "--requests=3", "--warm-up-seconds=0")
        self.assertRegex(text, r"\Aproblem +float32 B2 H4 KV2 S3 Skv5 D8\nload .*\nanswered +3, 0 failed\nlatency .* p99 ")

    def test_what_contradicts_itself(self):
        for arguments, words in ((["--preset=minilm-layer", "--batch=2"], "excludes"), (["--preset=none"], "--preset"),
                                 (["--heads=0"], "--heads: 0 found"), (["--rate=0"], "--rate"),
                                 (["--element-type=int8"], "--element-type")):
            self.assertIn(words, self.attnctl("bench", *arguments, status=attnctl.BAD_INPUT))


class TerminalTest(unittest.TestCase):

    def test_a_terminal_shows_how_it_goes_in_one_line_that_goes_away(self):
        terminal, its_end = os.openpty()
        with Attnd() as server, open(terminal, "rb", buffering=0) as shown, subprocess.Popen(
                [Programs.attnctl, "--server", server.address, "bench", "--json", "--seconds=3600", *SMALL],
                stdout=subprocess.PIPE, stderr=its_end, text=True) as bench:
            os.close(its_end)
            text = b""
            while text.count(b"\r") < 2:  # else the test's time limit ends it
                text += shown.read(1000)
            bench.send_signal(signal.SIGINT)
            output, _ = bench.communicate(timeout=PATIENCE_SECONDS)
            text += shown.read(1000)
        self.assertRegex(text, rb"\A(\r\d+ s: \d+ answered, [^\r\n]* \d+ failed\x1b\[K)+\r\x1b\[K\Z")
        self.assertTrue(json.loads(output)["interrupted"])


class InterruptedTest(unittest.TestCase):

    def interrupted(self, address, number, *arguments):
        """The report of a load without end that a signal ends."""
        with subprocess.Popen([Programs.attnctl, "--server", address, "bench", "--json", "--warm-up-seconds=0",
                               "--seconds=3600", "--timeout-seconds=3600", *arguments], stdout=subprocess.PIPE,
                              text=True) as bench:
            yield
            bench.send_signal(number)
            output, _ = bench.communicate(timeout=PATIENCE_SECONDS)
        self.assertEqual(bench.returncode, attnctl.OK)
        self.report = json.loads(output)
        self.assertTrue(self.report["interrupted"])

    def test_a_signal_ends_the_load_with_a_report(self):
        for number in signal.SIGINT, signal.SIGTERM:
            with Attnd() as server:
                for _ in self.interrupted(server.address, number, *SMALL):
                    eventually(lambda: server.metric("grpc_server_handled_total", grpc_method="Attend") > 10, "calls")
                self.assertGreater(self.report["answered"], 10)

    def test_also_where_the_server_computes_without_end(self):
        self.check_endless()

    def test_also_on_a_stream(self):
        self.check_endless("--stream")

    def check_endless(self, *flags):
        with Attnd("--workers=1") as server:
            for _ in self.interrupted(server.address, signal.SIGINT, "--heads=64", "--key-value-heads=1",
                                      "--queries=131072", "--head-size=1", *flags):
                eventually(lambda: server.metric("attnd_phase_duration_seconds_count", phase="decode") > 0, "a call")
            self.assertEqual((self.report["answered"], self.report["failed"]), (0, 0))


if __name__ == "__main__":
    attnctl.main()
