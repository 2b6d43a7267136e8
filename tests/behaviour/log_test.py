"""What the log says: a line for each request at debug, one for each event of the server's life at info, none of a caller's making."""

import json
import re
import unittest

import attnd_process
from attend_calls import check_answers
from attnd_process import Attnd, run_attnd
from http2_connection import Http2Connection, framed

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
LINE = re.compile(rf"{TIME.pattern} (debug|info|warning|error) [a-z_]+( [\x20-\x7e]*)?")
FORGED = "2026-01-01T00:00:00.000Z info forged"


def lines_after(server):
    server.stop()
    return server.log().splitlines()


class Log(unittest.TestCase):
    log_format = None

    def log_of_calls(self, level):
        """The log's lines, of a server that was asked three times and then stopped."""
        with Attnd(f"--log-level={level}", f"--log-format={self.log_format}") as server:
            for _ in range(3):
                check_answers(server.address)
            return lines_after(server)

    def log_of_hostile_calls(self):
        """The log's lines, of a server whose callers tried to write into its log."""
        with Attnd("--log-level=debug", f"--log-format={self.log_format}") as server:
            with Http2Connection(server.address) as connection:
                stream = connection.start_call(path=f'/a"\x1b[31m\x7f\u00e9{"x" * 1000}', user_agent=FORGED)
                connection.send(stream, framed(FORGED.encode()), end_stream=True)
                self.assertNotEqual(connection.answer(stream).grpc_status, 0)
                stream = connection.start_call()
                connection.send(stream, framed(f'\n{FORGED}\n\x1b[31m"}}\n{{"level":"info"}}'.encode()), end_stream=True)
                self.assertNotEqual(connection.answer(stream).grpc_status, 0)
            lines = lines_after(server)
        for line in lines:
            self.assertRegex(line, re.compile(r"^[\x20-\x7e]*$"))
            self.assertLess(len(line), 1500)
        return lines


class TextLogTest(Log):
    log_format = "text"

    def test_at_info_a_line_for_each_event_of_its_life(self):
        lines = self.log_of_calls("info")
        for line in lines:
            self.assertRegex(line, LINE)
        self.assertEqual([line.split()[2] for line in lines], ["serving", "draining", "stopped"])

    def test_at_debug_a_line_for_each_request(self):
        calls = [line for line in self.log_of_calls("debug") if ' call method="' in line]
        self.assertEqual(len(calls), 3)
        for line in calls:
            self.assertRegex(line, r' debug call method="/attnd\.v1\.AttentionService/Attend" code=OK seconds=\d+\.\d{6} ')

    def test_what_a_caller_sends_cannot_make_a_line_of_its_own(self):
        for line in self.log_of_hostile_calls():
            self.assertRegex(line, re.compile(rf"^{LINE.pattern}$"))
            self.assertFalse(line.startswith(FORGED))


class JsonLogTest(Log):
    log_format = "json"

    def parse(self, lines):
        """The lines' objects; each has the keys that all have."""
        events = [json.loads(line) for line in lines]
        for event in events:
            self.assertEqual(list(event)[:3], ["time", "level", "event"])
            self.assertRegex(event["time"], re.compile(rf"^{TIME.pattern}$"))
            self.assertIn(event["level"], ("debug", "info", "warning", "error"))
        return events

    def test_at_info_an_object_for_each_event_of_its_life(self):
        serving, draining, stopped = self.parse(self.log_of_calls("info"))
        self.assertEqual(list(serving)[2:], ["event", "version", "grpc", "metrics", "workers", "kernels", "max_message_bytes",
                                             "max_in_flight_bytes"])
        self.assertEqual(serving["event"], "serving")
        self.assertIsInstance(serving["workers"], int)
        self.assertIsInstance(serving["max_message_bytes"], int)
        self.assertEqual({name: draining[name] for name in list(draining)[2:]},
                         {"event": "draining", "drain_delay_seconds": 0, "grace_period_seconds": 25})
        self.assertEqual({name: stopped[name] for name in list(stopped)[2:]}, {"event": "stopped", "calls": 3})

    def test_at_debug_an_object_for_each_request(self):
        calls = [event for event in self.parse(self.log_of_calls("debug")) if event["event"] == "call"]
        self.assertEqual(len(calls), 3)
        for call in calls:
            self.assertEqual(list(call)[3:], ["method", "code", "seconds", "message"])
            self.assertEqual((call["level"], call["method"], call["code"], call["message"]),
                             ("debug", "/attnd.v1.AttentionService/Attend", "OK", ""))
            self.assertGreaterEqual(call["seconds"], 0)

    def test_what_a_caller_sends_is_only_ever_a_value(self):
        events = self.parse(self.log_of_hostile_calls())
        for event in events:
            self.assertIn(event["event"], ("serving", "call", "grpc", "library", "draining", "stopped"))
        codes = [event["code"] for event in events if event["event"] == "call"]
        self.assertEqual(sorted(codes), ["INVALID_ARGUMENT", "UNIMPLEMENTED"])

    def test_that_it_cannot_serve_is_an_event(self):
        with Attnd() as server:
            status, _, error = run_attnd(f"--listen={server.address}", "--metrics-listen=127.0.0.1:0", "--log-format=json")
        self.assertEqual(status, 1)
        events = [event for event in self.parse(error.splitlines()) if event["event"] == "cannot_serve"]
        self.assertEqual(len(events), 1)
        self.assertEqual(events[0]["level"], "error")
        self.assertIn(server.address, events[0]["message"])


if __name__ == "__main__":
    attnd_process.main()
