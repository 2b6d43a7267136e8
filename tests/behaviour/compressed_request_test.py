"""Compressed requests are refused before they are inflated."""

import gzip
import unittest
import zlib

import grpc
from attnd.v1 import attention_pb2

import attnd_process
from attend_calls import Problem, attend, attend_bytes, check_answers, connect
from attnd_process import PATIENCE_SECONDS, Attnd
from http2_connection import Http2Connection, framed

MIB = 1 << 20
INVALID_ARGUMENT, UNIMPLEMENTED = 3, 12


def zip_bomb(size_bytes):
    """So many zeros, compressed by gzip in pieces."""
    compressor = zlib.compressobj(wbits=31)
    piece = bytes(MIB)
    return b"".join(compressor.compress(piece) for _ in range(size_bytes // MIB)) + compressor.flush()


class CompressedRequestTest(unittest.TestCase):

    def setUp(self):
        self.server = self.enterContext(Attnd("--max-message-bytes=4MiB"))

    def send_compressed(self, message, encoding):
        with Http2Connection(self.server.address) as connection:
            headers = {"grpc_encoding": encoding} if encoding else {}
            stream = connection.start_call(**headers)
            connection.send(stream, framed(message, flags=1), end_stream=True)
            return connection.answer(stream)

    def check_refused(self, answer):
        self.assertIn("grpc-status", answer.headers)
        self.assertNotEqual(answer.grpc_status, 0)
        self.assertEqual(answer.data, b"")
        self.server.await_idle()
        self.assertEqual(self.server.metric("attnd_received_bytes_total"), 0)
        check_answers(self.server.address)

    def test_a_good_request_in_gzip_is_refused(self):
        answer = self.send_compressed(gzip.compress(Problem().request.SerializeToString()), "gzip")
        self.assertEqual(answer.grpc_status, UNIMPLEMENTED)
        self.check_refused(answer)

    def test_the_same_from_an_ordinary_client(self):
        with connect(self.server.address) as channel, self.assertRaises(grpc.RpcError) as caught:
            attend(channel)(Problem().request, timeout=PATIENCE_SECONDS, compression=grpc.Compression.Gzip)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNIMPLEMENTED)

    def test_a_zip_bomb_takes_no_memory(self):
        before_bytes = self.server.peak_memory_bytes()
        answer = self.send_compressed(zip_bomb(512 * MIB), "gzip")
        self.assertEqual(answer.grpc_status, UNIMPLEMENTED)
        self.assertLess(self.server.peak_memory_bytes() - before_bytes, 64 * MIB)
        self.check_refused(answer)

    def test_the_flag_of_compression_with_no_encoding_that_the_server_knows(self):
        # gRPC takes such a message as it is, so a plain one is answered and a compressed one is no request.
        problem = Problem()
        plain = problem.request.SerializeToString()
        for encoding in None, "identity", "attnd":
            with self.subTest(encoding):
                answer = self.send_compressed(plain, encoding)
                self.assertEqual(answer.grpc_status, 0)
                problem.check(attention_pb2.AttendResponse.FromString(*answer.messages))
                answer = self.send_compressed(gzip.compress(plain), encoding)
                self.assertEqual(answer.grpc_status, INVALID_ARGUMENT)
                self.assertEqual(answer.data, b"")
        self.server.await_idle()

    def test_an_answer_is_not_compressed_whatever_the_client_accepts(self):
        with connect(self.server.address) as channel:
            self.assertTrue(attend_bytes(channel)(Problem().request.SerializeToString(), timeout=PATIENCE_SECONDS,
                                                  metadata=[("grpc-accept-encoding", "gzip")]))


if __name__ == "__main__":
    attnd_process.main()
