"""Requests that do not arrive as one whole message: none is decoded, none is answered as if it were fine, all are forgotten."""

import gzip
import socket
import unittest

from attnd.v1 import attention_pb2

import attnd_process
from attend_calls import Problem, check_answers
from attnd_process import PATIENCE_SECONDS, Attnd, eventually
from http2_connection import Http2Connection, framed, prefix

# The numbers of gRPC's codes.
OK, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNIMPLEMENTED = 0, 3, 8, 12


class MalformedUploadTest(unittest.TestCase):

    LIMIT_BYTES = 1 << 20
    IN_FLIGHT_BYTES = 16 << 20

    def setUp(self):
        self.server = self.enterContext(Attnd(f"--max-message-bytes={self.LIMIT_BYTES}",
                                              f"--max-in-flight-bytes={self.IN_FLIGHT_BYTES}"))
        self.connection = self.enterContext(Http2Connection(self.server.address))
        self.problem = Problem()
        self.message = self.problem.request.SerializeToString()

    def check_unharmed(self, messages_received=0):
        """That the server holds nothing any more, took in only so many messages, decoded none and answers the next request."""
        self.server.await_idle()
        self.assertEqual(self.server.metric("attnd_received_bytes_total"), messages_received * len(self.message))
        self.assertEqual(self.server.metric("grpc_server_handled_total", grpc_method="Attend", grpc_code="OK"), 0)
        check_answers(self.server.address)
        self.server.await_idle()

    def check_refused(self, answer, codes=None):
        """That a call ended with an error, and no answer."""
        self.assertNotEqual(answer.grpc_status, OK)
        if codes is not None:
            self.assertIn(answer.grpc_status, codes)
        self.assertEqual(answer.data, b"")

    def send_whole(self, *pieces, **headers):
        stream = self.connection.start_call(**headers)
        self.connection.send(stream, b"".join(pieces), end_stream=True)
        return self.connection.answer(stream)

    def start_half_a_message(self):
        """A call that the server knows of, and that waits for the rest of its message."""
        stream = self.connection.start_call()
        self.connection.send(stream, framed(self.message)[:len(self.message) // 2])
        self.connection.ping()
        eventually(lambda: self.server.metric("grpc_server_started_total", grpc_method="Attend") == 1, "the call has started")
        return stream

    def test_a_good_message_is_answered(self):
        answer = self.send_whole(framed(self.message))
        self.assertEqual(answer.grpc_status, OK)
        self.problem.check(attention_pb2.AttendResponse.FromString(*answer.messages))

    def test_a_reset_within_the_message(self):
        self.connection.reset(self.start_half_a_message())
        self.check_unharmed()

    def test_a_connection_closed_within_the_message(self):
        self.start_half_a_message()
        self.connection.close()
        self.check_unharmed()

    def test_a_stream_that_ends_before_the_announced_length(self):
        stream = self.start_half_a_message()
        self.connection.end(stream)
        self.check_refused(self.connection.answer(stream))
        self.check_unharmed()

    def test_a_stream_that_ends_within_the_length(self):
        self.check_refused(self.send_whole(prefix(len(self.message))[:3]))
        self.check_unharmed()

    def test_no_message_at_all(self):
        answer = self.send_whole()
        self.check_refused(answer, {UNIMPLEMENTED})
        self.assertIn("no whole request message", answer.grpc_message)
        self.check_unharmed()

    def test_an_empty_message(self):
        answer = self.send_whole(prefix(0))
        self.check_refused(answer, {INVALID_ARGUMENT})
        self.assertIn("problem: not given", answer.grpc_message)
        self.check_unharmed()

    def test_a_message_over_the_limit(self):
        answer = self.send_whole(framed(bytes(self.LIMIT_BYTES + 1)))
        self.check_refused(answer, {RESOURCE_EXHAUSTED})
        self.check_unharmed()

    def test_the_greatest_length_that_can_be_written_and_then_a_reset(self):
        stream = self.connection.start_call()
        self.connection.send(stream, prefix(0xffffffff) + bytes(1000))
        self.connection.ping()
        self.connection.reset(stream)
        self.check_unharmed()

    def test_an_endless_message_is_cut_off_by_the_limit_of_bytes_in_flight(self):
        stream = self.connection.start_call()
        self.connection.send(stream, prefix(0xffffffff))
        sent_bytes = 0
        while self.connection.is_open and not self.connection.has_ended(stream) and sent_bytes < 8 * self.IN_FLIGHT_BYTES:
            self.connection.send(stream, bytes(1 << 20))
            sent_bytes += 1 << 20
        self.assertLess(sent_bytes, 4 * self.IN_FLIGHT_BYTES)
        self.check_refused(self.connection.answer(stream))
        self.connection.close()
        self.check_unharmed()

    def test_a_stream_that_ends_after_a_length_over_the_limit(self):
        self.check_refused(self.send_whole(prefix(0xffffffff)))
        self.check_unharmed()

    def test_two_messages(self):
        answer = self.send_whole(framed(self.message), framed(self.message))
        self.check_refused(answer, {UNIMPLEMENTED})
        self.assertIn("exactly one", answer.grpc_message)
        self.check_unharmed(messages_received=1)

    def test_half_a_message_after_a_whole_one(self):
        # Of which gRPC does not tell: the whole one is answered.
        answer = self.send_whole(framed(self.message), framed(self.message)[:-1])
        self.assertEqual(answer.grpc_status, OK)
        self.problem.check(attention_pb2.AttendResponse.FromString(*answer.messages))
        self.server.await_idle()

    def test_a_flag_that_does_not_exist(self):
        self.check_refused(self.send_whole(framed(self.message, flags=0x42)))
        self.check_unharmed()

    def test_a_compressed_message(self):
        bomb = gzip.compress(bytes(64 * self.LIMIT_BYTES))
        self.check_refused(self.send_whole(framed(bomb, flags=1), grpc_encoding="gzip"), {UNIMPLEMENTED})
        self.check_unharmed()

    def test_what_is_not_http2(self):
        host, port = self.server.address.rsplit(":", 1)
        for data in (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", bytes(range(256)) * 64):
            with socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS) as connection:
                connection.sendall(data)
        self.check_unharmed()

    def test_a_reset_while_the_answer_waits_for_the_end_of_the_stream(self):
        stream = self.connection.start_call()
        self.connection.send(stream, framed(self.message))
        eventually(lambda: self.server.metric("attnd_phase_duration_seconds_count", phase="compute") == 1, "it is computed")
        self.connection.reset(stream)
        self.check_unharmed(messages_received=1)


if __name__ == "__main__":
    attnd_process.main()
