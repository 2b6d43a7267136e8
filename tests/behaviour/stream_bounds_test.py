"""What a stream may hold, and for how long: requests, bytes, and time in which it stands still."""

import unittest

import grpc
from attnd.v1 import attention_pb2 as pb

import attnd_process
from attend_calls import EndlessProblem, Problem, check_answers, connect
from attend_streams import Stream, part, parts, start, whole
from attnd_process import Attnd, eventually

MIB = 1 << 20
MAX_REQUESTS = 128


def deadline_exceeded(status):
    return status.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]


class StreamBoundsTest(unittest.TestCase):

    def test_a_reader_that_stops_holds_no_more_than_its_bound(self):
        # Each holds 3 MiB while it is computed, and its answer of 1 MiB until that is sent.
        problem = Problem(shape=(4, 64, 1024))
        count = 60
        with Attnd("--workers=2", "--max-message-bytes=4MiB", "--max-in-flight-bytes=1GiB") as server, \
             connect(server.address) as channel:
            before = server.peak_memory_bytes()
            stream = Stream(channel)
            stream.send(*(whole(number, problem.request) for number in range(1, count + 1)))
            stream.close()

            def settled():
                counts = server.metric("attnd_phase_duration_seconds_count", phase="compute"), server.metric("attnd_received_bytes_total")
                settled.unchanged = settled.unchanged + 1 if counts == settled.last else 0
                settled.last = counts
                return settled.unchanged >= 30

            settled.last, settled.unchanged = None, 0
            eventually(settled, "nothing moves any more")
            computed = server.metric("attnd_phase_duration_seconds_count", phase="compute")
            held = server.metric("attnd_in_flight_bytes")
            peak = server.peak_memory_bytes() - before
            print(f"{computed:.0f} of {count} computed, {held / MIB:.1f} MiB held, {peak / MIB:.0f} MiB of memory at the most")
            # The bound of 8 MiB may be passed by one request. What gRPC's windows hold on both sides is beside it.
            self.assertLessEqual(held, 8 * MIB + 6 * MIB)
            self.assertLess(computed, count)
            # Once it is read, all is answered.
            answers = stream.answers()
            self.assertEqual(len(answers), count)
            for status, answer in answers.values():
                self.assertEqual(status.code, 0, status.message)
                problem.check(answer)
            self.assertEqual(stream.code(), grpc.StatusCode.OK)
            server.await_idle()

    def test_statuses_that_nobody_reads_are_bounded_too(self):
        with Attnd() as server, connect(server.address) as channel:
            stream = Stream(channel)
            # Each is refused with a text that is far longer than the request.
            refused = pb.AttendRequest(query_data=b"x")
            count = 50_000
            stream.send(*(whole(number, refused) for number in range(1, count + 1)))
            stream.close()
            self.assertEqual(len(stream.answers()), count)
            self.assertEqual(stream.code(), grpc.StatusCode.OK)
            server.await_idle()

    def test_only_so_many_may_be_arriving(self):
        request = Problem().request
        with Attnd() as server, connect(server.address) as channel:
            stream = Stream(channel)
            stream.send(*(start(number, request) for number in range(1, MAX_REQUESTS + 2)))
            answers = stream.answers(1)
            status, _ = answers[MAX_REQUESTS + 1]
            self.assertEqual(status.code, grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])
            self.assertEqual(status.message, "start: 128 requests of this stream are arriving in parts, at most 128 "
                             "(limits.max_stream_requests) expected; retry later")
            # Whole ones still come through, and so do the arriving ones.
            stream.send(whole(500, request), *parts(MAX_REQUESTS, request, 1000))
            self.assertEqual(sorted(stream.answers(2)), [MAX_REQUESTS, 500])
            stream.call.cancel()
            server.await_idle()

    def test_a_request_of_which_no_part_comes_is_ended(self):
        request = Problem().request
        with Attnd("--stream-stall-seconds=0.3") as server, connect(server.address) as channel:
            stream = Stream(channel)
            stream.send(start(1, request), start(2, request), part(2, pb.TENSOR_NAME_QUERY, 0, b"xyz"))
            answers = stream.answers(2)
            for status, _ in answers.values():
                self.assertTrue(deadline_exceeded(status))
                self.assertEqual(status.message, "part: none came for 0.3 seconds (limits.stream_stall_seconds)")
            eventually(lambda: server.metric("attnd_in_flight_bytes") == 0, "its memory is free")
            # What stands still without anything in flight may do so: the stream goes on.
            stream.send(whole(3, request))
            self.assertEqual(stream.answers(1)[3][0].code, 0)
            stream.close()
            self.assertEqual(stream.code(), grpc.StatusCode.OK)

    def test_a_stream_whose_answers_nobody_takes_is_ended(self):
        problem = Problem(shape=(8, 64, 1024))  # 2 MiB of answer
        with Attnd("--stream-stall-seconds=0.3", "--max-message-bytes=8MiB") as server, connect(server.address) as channel:
            stream = Stream(channel)
            stream.send(*(start(number, problem.request) for number in range(1, 9)))
            for number in range(1, 9):
                stream.send(*parts(number, problem.request, MIB))
            server.await_idle()
            self.assertEqual(server.metric("grpc_server_handled_total", grpc_method="StreamAttend"), 1)
            self.assertNotEqual(stream.code(), grpc.StatusCode.OK)
            check_answers(server.address)

    def test_a_request_has_a_time_of_its_own(self):
        endless, request = EndlessProblem(), Problem().request
        with Attnd("--workers=1") as server, connect(server.address) as channel:
            stream = Stream(channel)
            # While it arrives, while it is computed, and in time.
            stream.send(start(1, request, timeout_seconds=0.2), start(2, endless.request, timeout_seconds=2),
                        *parts(2, endless.request, MIB), whole(3, request, timeout_seconds=1e300))
            answers = stream.answers(3)
            self.assertEqual(list(answers)[-1], 2)
            self.assertTrue(deadline_exceeded(answers[1][0]))
            self.assertEqual(answers[1][0].message, "deadline: passed before the request had arrived whole")
            self.assertTrue(deadline_exceeded(answers[2][0]), answers[2][0])
            self.assertEqual(answers[3][0].code, 0)
            stream.close()
            self.assertEqual(stream.code(), grpc.StatusCode.OK)
            server.await_idle()

    def test_the_streams_own_deadline_ends_it(self):
        endless = EndlessProblem()
        with Attnd("--workers=1") as server, connect(server.address) as channel:
            stream = Stream(channel, timeout=2)
            stream.send(start(1, endless.request), *parts(1, endless.request, MIB))
            self.assertEqual(stream.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
            server.await_idle()


if __name__ == "__main__":
    attnd_process.main()
