"""Settings as an operator gives them: flags, environment, a file; and what a wrong one is told."""

import pathlib
import tempfile
import unittest
import urllib.error
import urllib.request

import grpc

import attnd_process
from attend_calls import check_answers, connect, server_info
from attnd_process import PATIENCE_SECONDS, Attnd, run_attnd

MIB = 1 << 20


def workers_and_limit(server):
    with connect(server.address) as channel:
        info = server_info(channel)
    return info.worker_count, info.limits.max_message_bytes


class SettingsTest(unittest.TestCase):

    def test_flags_go_before_the_environment_and_that_before_the_file(self):
        with tempfile.TemporaryDirectory(prefix="attnd-") as folder:
            file = pathlib.Path(folder) / "attnd.toml"
            file.write_text('workers = 1\nmax-message-bytes = "1MiB"\n', encoding="utf-8")
            with Attnd(f"--config={file}") as server:
                self.assertEqual(workers_and_limit(server), (1, MIB))
            settings = {"ATTND_CONFIG": str(file), "ATTND_MAX_MESSAGE_BYTES": "2MiB"}
            with Attnd(settings=settings) as server:
                self.assertEqual(workers_and_limit(server), (1, 2 * MIB))
            with Attnd("--max-message-bytes=3MiB", settings=settings) as server:
                self.assertEqual(workers_and_limit(server), (1, 3 * MIB))

    def test_help_names_every_setting(self):
        status, output, _ = run_attnd("--help")
        self.assertEqual(status, 0)
        for flag in ("--listen", "--metrics-listen", "--port-file", "--workers", "--max-message-bytes", "--max-in-flight-bytes",
                     "--drain-delay-seconds", "--grace-period-seconds", "--log-level", "--log-format", "--config"):
            self.assertIn(flag, output)

    def test_a_wrong_setting_is_named_in_one_line(self):
        for arguments, settings, name in ((["--no-such-flag"], {}, "--no-such-flag"),
                                          (["--workers=many"], {}, "--workers"),
                                          ([], {"ATTND_WORKERS": "many"}, "ATTND_WORKERS"),
                                          (["--config=/nonexistent/file"], {}, "/nonexistent/file")):
            with self.subTest(arguments=arguments, settings=settings):
                status, output, error = run_attnd(*arguments, settings=settings)
                self.assertEqual((status, output), (2, ""))
                self.assertIn(name, error)
                self.assertEqual(error.count("\n"), 1)

    def test_an_address_in_use_is_named(self):
        with Attnd() as server:
            for flag, address in (("--listen", server.address), ("--metrics-listen", server.metrics_address)):
                other = {"--listen": "--metrics-listen", "--metrics-listen": "--listen"}[flag]
                status, _, error = run_attnd(f"{flag}={address}", f"{other}=127.0.0.1:0")
                self.assertEqual(status, 1)
                self.assertIn(address, error)
            check_answers(server.address)

    def test_a_unix_socket(self):
        with tempfile.TemporaryDirectory(prefix="attnd-") as folder:
            address = f"unix:{folder}/socket"
            with Attnd(listen=address) as server:
                self.assertEqual(server.address, address)
                check_answers(address)
                status, _, error = run_attnd(f"--listen={address}", "--metrics-listen=127.0.0.1:0")
                self.assertEqual(status, 1)
                self.assertIn(address, error)
            with self.assertRaises(grpc.RpcError), connect(address) as channel:
                server_info(channel)

    def test_only_metrics_are_at_the_metrics_address(self):
        with Attnd() as server, self.assertRaises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(f"http://{server.metrics_address}/other", timeout=PATIENCE_SECONDS)
        self.assertEqual(raised.exception.code, 404)
        raised.exception.close()


if __name__ == "__main__":
    attnd_process.main()
