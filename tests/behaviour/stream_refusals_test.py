"""What is wrong with one request of a stream ends that request, once and with a reason, and no other."""

import math
import struct
import unittest

import grpc
from attnd.v1 import attention_pb2 as pb

import attnd_process
from attend_calls import EndlessProblem, Problem, connect
from attend_streams import Stream, cancel, part, parts, start, whole
from attnd_process import Attnd, eventually

INVALID = grpc.StatusCode.INVALID_ARGUMENT.value[0]
QUERY, KEY = pb.TENSOR_NAME_QUERY, pb.TENSOR_NAME_KEY
PROBLEM = Problem()  # tensors of 896 bytes
REQUEST = PROBLEM.request


def unknown_field(message):
    """The message with a field that its type does not have, number 99."""
    return message.SerializeToString() + b"\x9a\x06\x00"


def starting(number, **sizes):
    """A start that says other sizes than its problem's."""
    message = start(number, REQUEST)
    for name, size in sizes.items():
        setattr(message.start, name, size)
    return message


def start_of_shape(number, shape):
    """A start for float32 tensors that are all of one shape, which need not exist."""
    message = starting(number, **{f"{name}_size_bytes": 4 * math.prod(shape) for name in ("query", "key", "value")})
    problem = message.start.problem
    for tensor in (problem.query, problem.tensors.key, problem.tensors.value):
        tensor.shape[:] = shape
    return message


# What is sent for request 7, and what its status says.
REFUSALS = [
    ([pb.StreamAttendRequest(id=7)], r"content: not given, one of its members expected"),
    ([whole(7, pb.AttendRequest())], r"problem: not given, an AttentionProblem expected"),
    ([starting(7, key_size_bytes=3)], r"key_data: 3 bytes found, 896 expected for problem.tensors.key"),
    ([starting(7, key_size_bytes=-896)], r"key_data: -896 bytes found, 896 expected"),
    ([starting(7, mask_size_bytes=1)], r"mask_data: 1 bytes found, none expected"),
    ([whole(7, REQUEST, timeout_seconds=0)], r"timeout_seconds: 0 found, more than 0 expected"),
    ([start(7, REQUEST, timeout_seconds=-1.5)], r"timeout_seconds: -1.5 found, more than 0 expected"),
    ([whole(7, REQUEST, timeout_seconds=float("nan"))], r"timeout_seconds: nan found, more than 0 expected"),
    ([start(7, REQUEST), pb.StreamAttendRequest(id=7, cancel=pb.StreamCancel(), timeout_seconds=1)],
     r"timeout_seconds: found, none expected beside a part or a cancellation"),
    ([part(7, QUERY, 0, b"x")], r"part: found before the request's start"),
    ([cancel(7)], r"id: 7 found, which has not begun, in a cancellation"),
    ([start(7, REQUEST), part(7, QUERY, 1, b"x")], r"part.offset_bytes: 1 found, 0 expected, where the next part of query"),
    ([start(7, REQUEST), part(7, KEY, 0, b"xyz"), part(7, KEY, 2, b"z")], r"part.offset_bytes: 2 found, 3 expected, .* of key"),
    ([start(7, REQUEST), part(7, QUERY, -1, b"x")], r"part.offset_bytes: -1 found, 0 expected"),
    ([start(7, REQUEST), part(7, QUERY, 0, b"")], r"part.data: 0 bytes found, at least 1 expected"),
    ([start(7, REQUEST), part(7, QUERY, 0, bytes(897))], r"part.data: 897 bytes found, at most 896 expected, .* 896 of query"),
    ([start(7, REQUEST), part(7, QUERY, 0, bytes(896)), part(7, QUERY, 896, b"x")], r"part.data: 1 bytes found, at most 0 expected"),
    ([start(7, REQUEST), part(7, pb.TENSOR_NAME_MASK, 0, b"x")], r"part.data: 1 bytes found, at most 0 expected, .* 0 of mask"),
    ([start(7, REQUEST), part(7, pb.TENSOR_NAME_OUTPUT, 0, b"x")], r"part.tensor: TENSOR_NAME_OUTPUT found, a tensor of the request"),
    ([start(7, REQUEST), part(7, pb.TENSOR_NAME_UNSPECIFIED, 0, b"x")], r"part.tensor: TENSOR_NAME_UNSPECIFIED found"),
    ([start(7, REQUEST), start(7, REQUEST)], r"id: 7 found, more than 7, the largest one so far, expected"),
    ([start(7, REQUEST), unknown_field(part(7, QUERY, 0, b"x"))], r"request: field 99 of attnd.v1.StreamAttendRequest found"),
    ([unknown_field(whole(7, REQUEST))], r"request: field 99 of attnd.v1.StreamAttendRequest found"),
    # An unknown field within the request: its length goes with it.
    ([b"\x08\x07\x12\x03\x9a\x06\x00"], r"request: field 99 of attnd.v1.AttendRequest found"),
    ([b"\x08\x07\x12\x7f"], r"not a valid StreamAttendRequest: a length of field 2 that goes past the end of the message"),
    ([b"\x08\x07\x22\x05\x08\x01\x10\x80\x80"], r"not a valid StreamAttendRequest"),
    ([b"\x08\x07\x22\x04\x08\x01\x10\x80\x80\x01"], r"not a valid StreamAttendRequest: a field goes past its message's end"),
    ([start(7, REQUEST), b"\x08\x07\x22\x82\x01" + b"\x08\x01" * 65], r"request: 135 bytes found outside of part.data, at most 128"),
]


class StreamRefusalsTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Attnd("--workers=2"))

    def setUp(self):
        self.channel = self.enterContext(connect(self.server.address))

    def check_code(self, answer, code):
        self.assertEqual(answer[0].code, code.value[0], answer[0].message)

    def test_each_wrong_request_ends_alone(self):
        for messages, expected in REFUSALS:
            with self.subTest(expected):
                stream = Stream(self.channel)
                # One arrives around it.
                first, *rest = parts(5, REQUEST, 100)
                stream.send(start(5, REQUEST), first, *messages, *rest, whole(9, REQUEST))
                answers = stream.answers(3)
                stream.close()
                self.assertEqual(sorted(answers), [5, 7, 9])
                self.assertEqual(stream.answers(), {}, "a second status")
                self.assertEqual(answers[7][0].code, INVALID)
                self.assertRegex(answers[7][0].message, expected)
                PROBLEM.check(answers[5][1])
                PROBLEM.check(answers[9][1])
                self.assertEqual(stream.code(), grpc.StatusCode.OK)
        self.server.await_idle()

    def test_what_comes_for_a_request_that_has_ended_is_ignored(self):
        stream = Stream(self.channel)
        stream.send(start(1, REQUEST), part(1, QUERY, 5, b"x"))
        self.assertEqual(list(stream.answers(1)), [1])
        stream.send(*parts(1, REQUEST, 100), cancel(1), whole(2, REQUEST))
        stream.close()
        answers = stream.answers()
        self.assertEqual(list(answers), [2])
        self.check_code(answers[2], grpc.StatusCode.OK)

    def test_a_part_too_many_of_a_complete_request(self):
        endless = EndlessProblem()
        stream = Stream(self.channel)
        stream.send(start(1, endless.request), *parts(1, endless.request, 1 << 20), part(1, QUERY, 0, b"x"))
        status, answer = stream.answers(1)[1]
        self.assertEqual((status.code, status.message), (INVALID, "part: found after the request was complete"))
        self.assertEqual(answer.output_data, b"")
        stream.close()
        self.assertEqual(stream.code(), grpc.StatusCode.OK)
        self.server.await_idle()

    def test_an_id_that_is_being_computed_is_not_begun_again(self):
        endless = EndlessProblem()
        stream = Stream(self.channel)
        stream.send(start(3, endless.request), *parts(3, endless.request, 1 << 20), whole(3, REQUEST), whole(4, REQUEST))
        answers = stream.answers(2)
        self.check_code(answers[3], grpc.StatusCode.INVALID_ARGUMENT)
        self.check_code(answers[4], grpc.StatusCode.OK)
        # One that has ended, and one that never was: each begins, and ends, once more.
        for number in (3, 2):
            stream.send(whole(number, REQUEST))
            status, _ = stream.answers(1)[number]
            self.assertEqual((status.code, status.message),
                             (INVALID, f"id: {number} found, more than 4, the largest one so far, expected"))
        stream.close()
        self.assertEqual(stream.code(), grpc.StatusCode.OK)

    def test_bytes_that_are_missing_at_the_end(self):
        stream = Stream(self.channel)
        stream.send(start(1, REQUEST), part(1, QUERY, 0, bytes(896)), part(1, KEY, 0, bytes(100)), whole(2, REQUEST))
        stream.close()
        answers = stream.answers()
        self.assertEqual(answers[1][0].code, INVALID)
        self.assertEqual(answers[1][0].message,
                         "part: 100 bytes of key found, 896 expected before the stream is half-closed")
        PROBLEM.check(answers[2][1])
        self.assertEqual(stream.code(), grpc.StatusCode.OK)
        self.server.await_idle()

    def test_a_message_without_an_id_ends_the_stream(self):
        for message in (b"", b"\x08\x00", b"\xff", whole(0, REQUEST), b"\x12\x00\x08\x01", struct.pack("<q", -1)):
            with self.subTest(message):
                stream = Stream(self.channel)
                stream.send(start(1, REQUEST), message)
                self.assertEqual(stream.code(), grpc.StatusCode.INVALID_ARGUMENT)
                self.assertEqual(stream.call.details(), "id: not found before other fields, a number of at least 1 expected")
        self.server.await_idle()

    def test_too_much_memory_is_refused_at_the_start(self):
        with Attnd("--max-in-flight-bytes=16MiB", "--max-message-bytes=1MiB") as server, connect(server.address) as channel:
            stream = Stream(channel)
            # Larger than the limit, and larger than any memory.
            for number, rows in ((1, 1 << 20), (2, 1 << 52)):
                stream.send(start_of_shape(number, [rows, 16]))
                status, _ = stream.answers(1)[number]
                self.assertEqual(status.code, grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])
                self.assertRegex(status.message, "bytes in flight: .* it is never accepted")
            stream.send(start(3, Problem(shape=(2, 16, 1024)).request), whole(4, REQUEST))
            PROBLEM.check(stream.answers(1)[4][1])
            eventually(lambda: server.metric("attnd_in_flight_bytes") > 0, "the started one holds its memory")
            stream.call.cancel()
            server.await_idle()


if __name__ == "__main__":
    attnd_process.main()
