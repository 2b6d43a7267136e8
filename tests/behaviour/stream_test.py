"""StreamAttend answers what Attend answers, bit for bit, however the request and its answer travel."""

import unittest

import grpc
import numpy as np
from attnd.v1 import attention_pb2 as pb

import attnd_process
from attend_calls import EndlessProblem, Problem, attend, connect, describe, make_request, server_info
from attend_streams import Stream, cancel, parts, start, whole
from attnd_process import PATIENCE_SECONDS, Attnd, eventually

MIB = 1 << 20


def requests_of_all_kinds():
    """Requests that differ in what they ask for, in masks and in size."""
    random = np.random.default_rng(3)

    def arrays(*shape):
        return [random.standard_normal(shape, dtype=np.float32) for _ in range(3)]

    plain = make_request(*arrays(2, 3, 5, 8))
    everything = make_request(*arrays(2, 3, 70, 8))
    everything.problem.return_weights = everything.problem.return_log_sum_exp = True
    everything.problem.scale = 0.25
    everything.problem.mask.causal.offsets.extend([-3, 40])
    everything.problem.mask.key_lengths.lengths.extend([70, 33])
    everything.problem.mask.boolean.tensor.element_type = pb.ELEMENT_TYPE_BOOL
    everything.problem.mask.boolean.tensor.shape.extend([70, 70])
    everything.mask_data = (random.random((70, 70)) < 0.7).tobytes()
    large_answer = make_request(*arrays(1, 4, 400, 16))  # weights of 2.4 MiB
    large_answer.problem.return_weights = True
    return [plain, everything, large_answer]


def bits(answer):
    return answer.output_data, answer.weights_data, answer.log_sum_exp_data


class StreamTest(unittest.TestCase):

    def test_whole_and_in_parts_have_the_bits_of_unary_calls(self):
        with Attnd("--workers=2") as server, connect(server.address) as channel:
            stream = Stream(channel)
            expected, number = {}, 0
            for request in requests_of_all_kinds():
                answer = attend(channel)(request, timeout=PATIENCE_SECONDS)
                for part_bytes in (None, 4001, 100_000_000):
                    number += 10
                    expected[number] = answer
                    if part_bytes is None:
                        stream.send(whole(number, request))
                    else:
                        stream.send(start(number, request), *parts(number, request, part_bytes))
            stream.close()
            answers = stream.answers()
            self.assertEqual(sorted(answers), sorted(expected))
            for number, (status, answer) in answers.items():
                self.assertEqual((status.code, status.message), (0, ""))
                self.assertEqual(bits(answer), bits(expected[number]))
                self.assertEqual(answer.result.output, expected[number].result.output)
                self.assertGreater(answer.result.report.computed_tiles, 0)
            self.assertEqual(stream.code(), grpc.StatusCode.OK)
            server.await_idle()
            self.assertEqual(server.metric("attnd_stream_requests_total", grpc_code="OK"), len(expected))

    def test_parts_of_several_requests_alternate(self):
        problems = {number: Problem(shape=(3, 40, 16), seed=number) for number in (1, 2, 3)}
        with Attnd("--workers=2") as server, connect(server.address) as channel:
            stream = Stream(channel)
            stream.send(*(start(number, problem.request) for number, problem in problems.items()))
            streams = [parts(number, problem.request, 1000) for number, problem in problems.items()]
            for messages in zip(*streams, strict=True):
                stream.send(*messages)
            for number, (status, answer) in stream.answers(3).items():
                self.assertEqual(status.code, 0, status.message)
                problems[number].check(answer)
            stream.close()
            self.assertEqual(stream.code(), grpc.StatusCode.OK)

    def test_each_is_answered_when_it_is_ready(self):
        endless, small = EndlessProblem(), Problem()
        with Attnd("--workers=1") as server, connect(server.address) as channel:
            stream = Stream(channel)
            stream.send(start(1, endless.request), *parts(1, endless.request, MIB), whole(2, small.request))
            answers = stream.answers(1)
            self.assertEqual(list(answers), [2])
            small.check(answers[2][1])
            stream.send(cancel(1))
            self.assertEqual(stream.answers(1)[1][0].code, grpc.StatusCode.CANCELLED.value[0])
            # The stream goes on.
            stream.send(whole(3, small.request))
            small.check(stream.answers(1)[3][1])
            stream.close()
            self.assertEqual(stream.code(), grpc.StatusCode.OK)
            server.await_idle()

    def test_a_problem_in_parts_may_be_larger_than_a_message(self):
        with Attnd("--max-message-bytes=1MiB", "--max-in-flight-bytes=64MiB") as server, connect(server.address) as channel:
            problem = Problem(shape=(8, 512, 128))  # 3 × 2 MiB, and as much answer as one of them
            stream = Stream(channel)
            stream.send(start(1, problem.request), *parts(1, problem.request, MIB // 2))
            status, answer = stream.answers(1)[1]
            self.assertEqual(status.code, 0, status.message)
            problem.check(answer)
            # The whole of it would not even fit a message: that ends the stream, for nobody could say whose it was.
            stream.send(whole(2, problem.request))
            self.assertEqual(stream.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
            server.await_idle()

    def test_the_server_tells_its_limits(self):
        with Attnd("--max-message-bytes=3MiB", "--stream-stall-seconds=7.5") as server, connect(server.address) as channel:
            limits = server_info(channel).limits
            self.assertEqual(limits.max_stream_bytes, 6 * MIB)
            self.assertEqual(limits.stream_stall_seconds, 7.5)
            self.assertEqual(limits.max_stream_requests, 128)

    def test_a_caller_that_goes_away_leaves_nothing(self):
        endless = EndlessProblem()
        with Attnd("--workers=1") as server, connect(server.address) as channel:
            stream = Stream(channel)
            stream.send(start(1, endless.request), *parts(1, endless.request, MIB), start(2, endless.request),
                        whole(3, Problem().request))
            self.assertEqual(list(stream.answers(1)), [3])
            eventually(lambda: server.metric("attnd_requests_in_flight") == 2, "both are in flight")
            stream.call.cancel()
            server.await_idle()
            self.assertLess(server.metric("attnd_tiles_total", state="computed"), EndlessProblem.TILES_AT_LEAST)


if __name__ == "__main__":
    attnd_process.main()
