"""Messages over the limit are refused, in both directions; those up to it are not."""

import unittest

import grpc
import numpy as np

import attnd_process
from attend_calls import Problem, attend, attend_bytes, check_answers, connect, make_request, server_info
from attnd_process import PATIENCE_SECONDS, Attnd


def message_of(size_bytes):
    """A request of exactly this many bytes: a field that comes twice counts only the second time."""
    request = Problem().request.SerializeToString()
    padding_field = b"\xc2\x3e"  # query_data, 1000 << 3 | 2
    rest = size_bytes - len(request) - len(padding_field) - 4
    length = bytes([rest & 0x7f | 0x80, rest >> 7 & 0x7f | 0x80, rest >> 14 & 0x7f | 0x80, rest >> 21])
    return padding_field + length + bytes(rest) + request


class MessageLimitsTest(unittest.TestCase):

    LIMIT_BYTES = 1 << 20

    def setUp(self):
        self.server = self.enterContext(Attnd(f"--max-message-bytes={self.LIMIT_BYTES}", "--max-in-flight-bytes=64MiB"))
        self.channel = self.enterContext(connect(self.server.address))

    def check_refused(self, call, *texts):
        self.assertEqual(call.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
        for text in texts:
            self.assertIn(text, call.details())
        self.server.await_idle()
        check_answers(self.server.address)

    def test_a_request_as_large_as_the_limit_is_answered(self):
        self.assertTrue(attend_bytes(self.channel)(message_of(self.LIMIT_BYTES), timeout=PATIENCE_SECONDS))

    def test_a_request_one_byte_larger_is_refused(self):
        call = attend_bytes(self.channel).future(message_of(self.LIMIT_BYTES + 1))
        self.check_refused(call, str(self.LIMIT_BYTES + 1), str(self.LIMIT_BYTES))
        self.assertEqual(self.server.metric("attnd_phase_duration_seconds_count", phase="decode"),
                         self.server.metric("grpc_server_handled_total", grpc_method="Attend", grpc_code="OK"))

    def test_an_answer_that_would_be_larger_is_refused(self):
        rows = 1024  # whose weights take four times the limit
        tensor = np.zeros((rows, 4), dtype=np.float32)
        request = make_request(tensor, tensor, tensor)
        request.problem.return_weights = True
        self.check_refused(attend(self.channel).future(request), str(self.LIMIT_BYTES))

    def test_the_server_says_what_its_limits_are(self):
        limits = server_info(self.channel).limits
        self.assertEqual((limits.max_message_bytes, limits.max_in_flight_bytes), (self.LIMIT_BYTES, 64 << 20))


if __name__ == "__main__":
    attnd_process.main()
