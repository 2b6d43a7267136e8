"""A server that shuts down answers what its streams have brought whole, and ends them."""

import signal
import unittest

import grpc
from attnd.v1 import attention_pb2 as pb

import attnd_process
from attend_calls import EndlessProblem, Problem, connect
from attend_streams import Stream, part, parts, start, whole
from attnd_process import Attnd, eventually

MIB = 1 << 20
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


class StreamDrainTest(unittest.TestCase):

    def test_an_idle_stream_ends_at_once(self):
        with Attnd() as server, connect(server.address) as channel:
            stream = Stream(channel)
            problem = Problem()
            stream.send(whole(1, problem.request))
            problem.check(stream.answers(1)[1][1])
            server.signal(signal.SIGTERM)
            self.assertEqual(stream.code(), UNAVAILABLE)
            self.assertEqual(stream.call.details(), "the server shuts down")
            # grpcio looks at a connection without calls only every five seconds, and the server waits for its goodbye.
            channel.close()
            self.assertEqual(server.wait(), 0)

    def test_what_has_arrived_is_answered_and_what_has_not_is_told(self):
        # Some seconds of work for one worker.
        problem = Problem(shape=(8, 1024, 128))
        with Attnd("--workers=1", "--grace-period-seconds=100") as server, connect(server.address) as channel:
            stream = Stream(channel)
            stream.send(*(message for number in range(1, 6)
                          for message in [start(number, problem.request), *parts(number, problem.request, MIB)]))
            stream.send(start(6, problem.request), part(6, pb.TENSOR_NAME_QUERY, 0, b"x"))
            eventually(lambda: server.metric("attnd_requests_in_flight") - server.metric(
                "attnd_stream_requests_total", grpc_code="OK") >= 1 and
                server.metric("attnd_received_bytes_total") > 5 * 3 * 4 * MIB, "all have come")
            server.signal(signal.SIGTERM)
            answers = {}
            try:
                while True:
                    answers |= stream.answers(1)
            except grpc.RpcError:
                pass
            self.assertEqual(stream.code(), UNAVAILABLE)
            self.assertEqual(sorted(answers), [1, 2, 3, 4, 5, 6])
            for number in range(1, 6):
                status, answer = answers[number]
                self.assertEqual(status.code, 0, status.message)
                problem.check(answer)
            self.assertEqual(answers[6][0].code, UNAVAILABLE.value[0])
            self.assertEqual(answers[6][0].message, "the server shuts down")
            channel.close()
            self.assertEqual(server.wait(), 0)

    def test_the_grace_period_bounds_it(self):
        endless = EndlessProblem()
        with Attnd("--workers=1", "--grace-period-seconds=0.5") as server, connect(server.address) as channel:
            stream = Stream(channel)
            stream.send(start(1, endless.request), *parts(1, endless.request, MIB))
            eventually(lambda: server.metric("attnd_phase_duration_seconds_count", phase="decode") == 1, "it is computed")
            server.stop()
            self.assertIn(stream.code(), (UNAVAILABLE, grpc.StatusCode.CANCELLED))


if __name__ == "__main__":
    attnd_process.main()
