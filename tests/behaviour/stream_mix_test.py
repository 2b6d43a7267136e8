"""Many requests of all sizes on one stream, some given up and some bad: each has one status, and nothing stays."""

import os
import random
import unittest

import grpc

import attnd_process
from attend_calls import EndlessProblem, Problem, connect
from attend_streams import Stream, cancel, parts, start, whole
from attnd_process import Attnd

COUNT = 64
SEED = int(os.environ.get("ATTND_TEST_SEED", "20261125"))


class StreamMixTest(unittest.TestCase):

    def test_64_requests_a_third_cancelled_and_a_few_bad(self):
        print(f"ATTND_TEST_SEED={SEED}")
        choose = random.Random(SEED)
        problems = [Problem(shape=shape, seed=seed) for seed, shape in
                    enumerate([(1, 1, 1), (2, 7, 16), (3, 100, 64), (2, 600, 32), (8, 256, 128)])]
        endless = EndlessProblem()
        numbers = sorted(choose.sample(range(1, 10_000), COUNT))
        kinds = ["cancelled"] * (COUNT // 3) + ["bad"] * 5
        kinds += ["good"] * (COUNT - len(kinds))
        choose.shuffle(kinds)
        expected, schedule = {}, []
        for number, kind in zip(numbers, kinds, strict=True):
            problem = choose.choice(problems)
            request = problem.request
            if kind == "cancelled" and choose.random() < 0.2:
                request = endless.request
            messages = [whole(number, request)]
            if choose.random() < 0.5:
                messages = [start(number, request), *parts(number, request, choose.choice([5_000, 100_000, 1 << 20]))]
            if kind == "bad" and len(messages) > 2:
                del messages[choose.randrange(1, len(messages))]  # a part that is missing, noticed now or at the end
            elif kind == "bad":
                messages = [cancel(number)]
            if kind == "cancelled":
                messages.insert(choose.randrange(1, len(messages) + 1), cancel(number))
            expected[number] = kind, problem
            schedule.append(messages)

        with Attnd("--workers=2") as server, connect(server.address) as channel:
            stream = Stream(channel)
            # They begin in order; what follows of each comes in any order among the others.
            arriving = []
            while schedule or arriving:
                if schedule and (not arriving or choose.random() < 0.3):
                    arriving.append(schedule.pop(0))
                    messages = arriving[-1]
                else:
                    messages = choose.choice(arriving)
                stream.send(messages.pop(0))
                arriving = [left for left in arriving if left]
            stream.close()
            answers = stream.answers()
            self.assertEqual(stream.code(), grpc.StatusCode.OK)
            self.assertEqual(sorted(answers), numbers)
            codes = []
            for number, (status, answer) in answers.items():
                kind, problem = expected[number]
                code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
                codes.append((kind, code.name))
                if kind == "bad":
                    self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT, status.message)
                elif kind == "good" or code == grpc.StatusCode.OK:  # a cancellation may come too late
                    self.assertEqual(code, grpc.StatusCode.OK, status.message)
                    problem.check(answer)
                else:
                    self.assertEqual(code, grpc.StatusCode.CANCELLED, status.message)
            print({pair: codes.count(pair) for pair in sorted(set(codes))})
            server.await_idle()
            handled = sum(server.metric("attnd_stream_requests_total", grpc_code=code)
                          for code in ("OK", "Canceled", "InvalidArgument"))
            self.assertEqual(handled, COUNT)


if __name__ == "__main__":
    attnd_process.main()
