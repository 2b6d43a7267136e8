"""`attnctl info`, `health`, and where it looks for the server."""

import json
import signal
import subprocess
import time
import unittest

import attnctl
from attnctl import AttnctlTest, Programs
from attnd_process import PATIENCE_SECONDS, Attnd


class ServerTest(AttnctlTest):

    def test_info(self):
        text = self.attnctl("info")
        self.assertRegex(text, r"(?m)^version +\d+\.\d+\.\d+$")
        self.assertRegex(text, r"(?m)^largest message +256 MiB \(268435456 bytes\)$")
        self.assertRegex(text, r"(?m)^kernel for float32 +\S+-float32$")
        self.assertTrue(all(len(line) <= 100 for line in text.splitlines()), text)

    def test_info_as_json(self):
        info = json.loads(self.attnctl("info", "--json"))
        self.assertEqual(info["limits"]["max_message_bytes"], 268435456)
        self.assertEqual([kernel["element_type"] for kernel in info["kernels"]], ["float32", "bfloat16", "float16"])
        self.assertIn("mask.causal", info["options"])
        self.assertGreaterEqual(info["worker_count"], 1)

    def test_health(self):
        self.assertEqual(self.attnctl("health"), "SERVING\n")
        self.assertEqual(self.attnctl("health", "--wait-seconds", "60"), "SERVING\n")

    def test_the_address_may_come_from_the_environment(self):
        status, output, _ = attnctl.run(Programs.attnctl, "health", environment={"ATTND_SERVER": self.server.address})
        self.assertEqual((status, output), (attnctl.OK, "SERVING\n"))

    def test_loopback_is_not_reached_through_a_proxy(self):
        proxy = dict.fromkeys(("http_proxy", "https_proxy", "grpc_proxy"), "http://127.0.0.1:9")
        status, output, _ = attnctl.run(Programs.attnctl, "--server", self.server.address, "health", environment=proxy)
        self.assertEqual((status, output), (attnctl.OK, "SERVING\n"))

    def test_help_and_version(self):
        for arguments in (["--help"], ["attend", "--help"], ["bench", "--help"], ["show", "--help"], ["--version"]):
            status, output, errors = attnctl.run(Programs.attnctl, *arguments)
            self.assertEqual((status, errors), (attnctl.OK, ""))
            self.assertTrue(all(len(line) <= 120 for line in output.splitlines()), output)
        self.assertIn(json.loads(self.attnctl("info", "--json"))["version"], output)


class LifeTest(unittest.TestCase):

    def test_a_draining_server_is_not_serving(self):
        with Attnd("--drain-delay-seconds=120") as server:
            server.signal(signal.SIGTERM)
            deadline = time.monotonic() + PATIENCE_SECONDS
            result = None
            while result != (attnctl.CHECK_FAILED, "NOT_SERVING\n", "") and time.monotonic() < deadline:
                result = attnctl.run(Programs.attnctl, "--server", server.address, "health")
            self.assertEqual(result, (attnctl.CHECK_FAILED, "NOT_SERVING\n", ""))
            server.signal(signal.SIGTERM)  # skips the rest of the delay
            self.assertEqual(server.wait(), 0)

    def test_health_waits_for_a_server_that_comes_later(self):
        with Attnd() as server:
            address = server.address
        waiting = subprocess.Popen([Programs.attnctl, "--server", address, "health", "--wait-seconds", str(PATIENCE_SECONDS)],
                                   stdout=subprocess.PIPE, text=True)
        with Attnd(listen=address):
            output, _ = waiting.communicate(timeout=PATIENCE_SECONDS)
        self.assertEqual((waiting.returncode, output), (attnctl.OK, "SERVING\n"))

    def test_a_unix_socket(self):
        with attnctl.tempfile.TemporaryDirectory(prefix="attnctl-") as folder, Attnd(listen=f"unix:{folder}/socket") as server:
            status, output, _ = attnctl.run(Programs.attnctl, "--server", server.address, "health")
            self.assertEqual((status, output), (attnctl.OK, "SERVING\n"))


if __name__ == "__main__":
    attnctl.main()
