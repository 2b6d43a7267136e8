"""What is no gRPC, or no call that the server has: it is turned away, and the server goes on."""

import random
import socket
import unittest

import attnd_process
from attend_calls import ATTEND, Problem, check_answers
from attnd_process import PATIENCE_SECONDS, Attnd, eventually
from http2_connection import Http2Connection, framed, prefix

HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
UNIMPLEMENTED = 12
# As the server announces it.
MAX_STREAMS = 1024


def noise(size_bytes):
    return random.Random(1).randbytes(size_bytes)


class MalformedConnectionTest(unittest.TestCase):

    def setUp(self):
        self.server = self.enterContext(Attnd())

    def check_unharmed(self):
        self.server.await_idle()
        check_answers(self.server.address)

    def send_and_hang_up(self, data):
        """Sends data, waits until the server has closed its side as well, and returns what it said."""
        host, port = self.server.address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS) as connection:
            received = b""
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                while piece := connection.recv(1 << 16):
                    received += piece
            except OSError:
                pass  # closed before all was sent: a reset, a broken pipe, or no connection any more
        return received

    def test_bytes_of_other_protocols(self):
        for name, data in (("nothing", b""), ("HTTP/1", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
                           ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(512)),
                           ("zeros", bytes(100000)), ("noise", noise(100000)),
                           ("a preface and noise", HTTP2_PREFACE + noise(1000)),
                           ("a frame of the greatest size", HTTP2_PREFACE + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01"),
                           ("headers that cannot be read", HTTP2_PREFACE + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" +
                            b"\x00\x00\x05\x01\x04\x00\x00\x00\x01\xff\xff\xff\xff\xff")):
            with self.subTest(name):
                self.send_and_hang_up(data)
                self.check_unharmed()
        self.assertEqual(self.server.metric("grpc_server_handled_total", grpc_code="OK"),
                         self.server.metric("grpc_server_started_total", grpc_method="Attend"))

    def call(self, **headers):
        with Http2Connection(self.server.address) as connection:
            stream = connection.start_call(**headers)
            connection.send(stream, framed(Problem().request.SerializeToString()), end_stream=True)
            return connection.answer(stream)

    def test_requests_that_are_no_calls(self):
        for headers in ({"content_type": "text/html"}, {"content_type": "application/json"}, {":method": "GET"},
                        {":method": "DELETE"}, {":scheme": "ftp"}, {":path": "/"}, {":path": "Attend"},
                        {"grpc_timeout": "soon"}):
            with self.subTest(headers):
                answer = self.call(**headers)
                # Either nothing of a success, or all of it: gRPC overlooks some of these.
                if answer.grpc_status == 0:
                    self.assertEqual(len(answer.messages), 1)
                    self.assertTrue(answer.messages[0])
                else:
                    self.assertEqual(answer.data, b"")
                self.check_unharmed()

    def test_methods_that_do_not_exist(self):
        for path in (ATTEND + "2", "/attnd.v1.AttentionService/", "/attnd.v2.AttentionService/Attend", "//", "/" + "a" * 5000):
            with self.subTest(path):
                answer = self.call(**{":path": path})
                self.assertEqual(answer.grpc_status, UNIMPLEMENTED)
                self.assertEqual(answer.data, b"")
        self.assertEqual(self.server.metric("grpc_server_handled_total", grpc_method="unknown", grpc_code="Unimplemented"), 5)
        self.check_unharmed()

    def test_many_streams_that_stay_half_open(self):
        before_bytes = self.server.peak_memory_bytes()
        with Http2Connection(self.server.address) as connection:
            for _ in range(MAX_STREAMS):
                connection.send(connection.start_call(), prefix(1 << 20) + b"half a message")
            eventually(lambda: self.server.metric("grpc_server_started_total", grpc_method="Attend") == MAX_STREAMS,
                       "all calls have started")
            self.assertEqual(self.server.metric("attnd_requests_in_flight"), 0)
            check_answers(self.server.address)
        self.check_unharmed()
        self.assertLess(self.server.peak_memory_bytes() - before_bytes, 128 << 20)


if __name__ == "__main__":
    attnd_process.main()
