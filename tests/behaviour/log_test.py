"""What the log says: a line for each request at debug, one for each event of the server's life at info, none of a caller's making."""

import re
import unittest

import attnd_process
from attend_calls import check_answers
from attnd_process import Attnd
from http2_connection import Http2Connection, framed

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|warning|error) [\x20-\x7e]*")


class LogTest(unittest.TestCase):

    def log_of_calls(self, level):
        """The log's lines, of a server that was asked three times and then stopped."""
        with Attnd(f"--log-level={level}") as server:
            for _ in range(3):
                check_answers(server.address)
            server.stop()
            return server.log().splitlines()

    def test_at_info_a_line_for_each_event_of_its_life(self):
        lines = self.log_of_calls("info")
        for line in lines:
            self.assertRegex(line, LINE)
        self.assertEqual([line.split()[2] for line in lines], ["serving", "draining", "stopped"])

    def test_at_debug_a_line_for_each_request(self):
        calls = [line for line in self.log_of_calls("debug") if ' call method="' in line]
        self.assertEqual(len(calls), 3)
        for line in calls:
            self.assertRegex(line, r' debug call method="/attnd\.v1\.AttentionService/Attend" code=0 seconds=\d+\.\d{6} ')

    def test_what_a_caller_sends_cannot_make_a_line_of_its_own(self):
        forged = "2026-01-01T00:00:00.000Z info forged"
        with Attnd("--log-level=debug") as server:
            with Http2Connection(server.address) as connection:
                stream = connection.start_call(path=f'/a"\x1b[31m\x7f\u00e9{"x" * 1000}', user_agent=forged)
                connection.send(stream, framed(forged.encode()), end_stream=True)
                self.assertNotEqual(connection.answer(stream).grpc_status, 0)
                stream = connection.start_call()
                connection.send(stream, framed(f"\n{forged}\n\x1b[31m".encode()), end_stream=True)
                self.assertNotEqual(connection.answer(stream).grpc_status, 0)
            server.stop()
            lines = server.log().splitlines()
        for line in lines:
            self.assertRegex(line, re.compile(rf"^{LINE.pattern}$"))
            self.assertLess(len(line), 1000)
            self.assertFalse(line.startswith(forged))


if __name__ == "__main__":
    attnd_process.main()
