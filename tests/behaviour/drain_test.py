"""From SIGTERM to the exit: health turns, calls are still accepted, those under way finish, and no answer is lost."""

import collections
import concurrent.futures
import json
import operator
import random
import re
import signal
import threading
import unittest

import grpc
import numpy as np
from attnd.v1 import attention_pb2

import attnd_process
from attend_calls import (ATTEND, EndlessProblem, Problem, attend, attend_bytes, check_answers, connect, health,
                          make_request, watch_health)
from attnd_process import PATIENCE_SECONDS, Attnd, eventually
from http2_connection import Http2Connection, framed

SEED = 20
OK = grpc.StatusCode.OK.name  # as the log names it
# Seconds that no test waits for.
NEVER = 3600


class LongProblem:
    """A request that takes one worker about a second, and whose answer is known: all keys are equal, so each row is the
    mean of all values."""

    def __init__(self):
        shape = (1, 4, 16384, 1)
        query, value = (np.random.default_rng(seed).standard_normal(shape, dtype=np.float32) for seed in (1, 2))
        self.request = make_request(query, np.zeros(shape, dtype=np.float32), value)
        self._expected = np.broadcast_to(value.mean(axis=2, keepdims=True, dtype=np.float64), shape)

    def check(self, response):
        output = np.frombuffer(response.output_data, dtype="<f4").reshape(response.result.output.shape)
        np.testing.assert_allclose(output, self._expected, rtol=0, atol=1e-4)


def start(server, channel, request):
    """A call whose problem is with the workers."""
    call = attend(channel).future(request)
    eventually(lambda: server.metric("attnd_phase_duration_seconds_count", phase="decode") == 1, "it is decoded")
    return call


class ShutdownTest(unittest.TestCase):

    def serve(self, *flags):
        server = self.enterContext(Attnd("--workers=1", "--log-level=debug", *flags))
        return server, self.enterContext(connect(server.address))

    def check_watch_ends(self, watch):
        """The server ends the stream, after saying NOT_SERVING as often as it likes."""
        with self.assertRaises(grpc.RpcError) as caught:
            for status in watch:
                self.assertEqual(status, "NOT_SERVING")
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)

    def check_drains(self, number):
        server, channel = self.serve(f"--drain-delay-seconds={NEVER}")
        watch = watch_health(channel)
        self.assertEqual(next(watch), "SERVING")
        self.assertEqual(health(channel), "SERVING")
        server.signal(number)
        self.assertEqual(next(watch), "NOT_SERVING")
        self.assertEqual(health(channel), "NOT_SERVING")
        check_answers(server.address)
        self.assertTrue(server.is_running())
        server.signal(number)
        self.check_watch_ends(watch)
        self.assertEqual(server.wait(), 0)

    def test_after_sigterm_health_has_turned_and_calls_are_accepted_until_a_second_one(self):
        self.check_drains(signal.SIGTERM)

    def test_sigint_does_the_same(self):
        self.check_drains(signal.SIGINT)

    def test_the_drain_delay_ends_by_itself(self):
        server, channel = self.serve("--drain-delay-seconds=0.2")
        watch = watch_health(channel)
        self.assertEqual(next(watch), "SERVING")
        server.signal(signal.SIGTERM)
        self.check_watch_ends(watch)
        self.assertEqual(server.wait(), 0)

    def test_a_call_under_way_finishes_within_the_grace_period(self):
        server, channel = self.serve(f"--grace-period-seconds={NEVER}")
        problem = LongProblem()
        call = start(server, channel, problem.request)
        server.signal(signal.SIGTERM)
        problem.check(call.result(PATIENCE_SECONDS))
        self.assertEqual(server.wait(), 0)
        self.assertRegex(server.log(), rf'(?s) draining .* call method="{ATTEND}" code={OK} ')

    def test_an_answer_that_its_caller_reads_slowly_arrives_whole(self):
        server, _ = self.serve(f"--grace-period-seconds={NEVER}")
        problem = LongProblem()
        with Http2Connection(server.address, receive_buffer_bytes=4096) as connection:
            stream = connection.start_call()
            connection.send(stream, framed(problem.request.SerializeToString()), end_stream=True)
            eventually(lambda: server.metric("attnd_phase_duration_seconds_count", phase="decode") == 1, "it is decoded")
            server.signal(signal.SIGTERM)
            message, = connection.answer_while_talking(stream).messages
        problem.check(attention_pb2.AttendResponse.FromString(message))
        self.assertEqual(server.wait(), 0)

    def test_a_call_that_takes_longer_than_the_grace_period_ends_and_so_does_the_server(self):
        server, channel = self.serve("--grace-period-seconds=0.2")
        call = start(server, channel, EndlessProblem().request)
        server.signal(signal.SIGTERM)
        self.assertEqual(call.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(server.wait(), 0)

    def test_a_second_signal_ends_the_grace_period(self):
        server, channel = self.serve(f"--grace-period-seconds={NEVER}")
        call = start(server, channel, EndlessProblem().request)
        watch = watch_health(channel)
        self.assertEqual(next(watch), "SERVING")
        server.signal(signal.SIGTERM)
        self.check_watch_ends(watch)  # in the grace period
        self.assertFalse(call.done())
        server.signal(signal.SIGTERM)
        self.assertEqual(call.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(server.wait(), 0)


class Load:
    """Callers in threads of their own, each of which calls again and again until a call fails. To be used in a `with`,
    at whose end all have made their last call."""

    SHAPES = (1, 3, 4), (4, 64, 32), (8, 160, 64)  # microseconds, and up to milliseconds
    MAX_CALLS_EACH = 100000

    def __init__(self, channels, callers_each):
        self._channels = channels * callers_each
        self._answered = [0] * len(self._channels)
        self._failures = []
        self._stop = threading.Event()
        self._pool = concurrent.futures.ThreadPoolExecutor(len(self._channels))
        self._callers = []

    def __enter__(self):
        self._callers = [self._pool.submit(self._call_repeatedly, index) for index in range(len(self._channels))]
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._pool.shutdown()
        for caller in self._callers:
            caller.result()

    def _call_repeatedly(self, index):
        # A problem of its own, so that an answer to another's call would be noticed.
        problem = Problem(shape=self.SHAPES[index % len(self.SHAPES)], seed=index)
        request = problem.request.SerializeToString()
        method = attend_bytes(self._channels[index])
        output = None
        while not self._stop.is_set() and self._answered[index] < self.MAX_CALLS_EACH:
            try:
                response = attention_pb2.AttendResponse.FromString(method(request, timeout=PATIENCE_SECONDS))
            except grpc.RpcError as error:
                self._failures.append(error)
                return
            if output is None:
                problem.check(response)
                output = response.output_data
            if response.output_data != output:
                raise AssertionError(f"caller {index} was given other bytes for the same request")
            self._answered[index] += 1

    def await_answers(self, count):
        """Waits until every caller has been given `count` more, or a call has failed."""
        goals = [answered + count for answered in self._answered]
        eventually(lambda: self._failures or all(map(operator.ge, self._answered, goals)), f"{count} more answers each")

    def answered(self):
        return sum(self._answered)

    def failures(self):
        return [f"{error.code().name}: {error.details()}" for error in self._failures]


def handled(server):
    """How many Attend calls the server's handlers have ended with each code, by its log."""
    return collections.Counter(re.findall(rf' call method="{ATTEND}" code=(\w+) ', server.log()))


class LoadTest(unittest.TestCase):

    def check_no_answer_is_lost(self, drain_delay_seconds):
        moment = random.Random(SEED + drain_delay_seconds)
        for _ in range(4):
            with Attnd("--log-level=debug", f"--drain-delay-seconds={drain_delay_seconds}") as server, \
                 connect(server.address) as first, connect(server.address) as second:
                with Load([first, second], callers_each=3) as load:
                    load.await_answers(moment.randrange(1, 50))
                    self.assertEqual(load.failures(), [])
                    server.signal(signal.SIGTERM)
                    self.assertEqual(server.wait(), 0)
                print(f"seed {SEED}, delay {drain_delay_seconds} s: {load.answered()} answers, then {load.failures()}")
                # So no handler ran for those that failed.
                self.assertEqual(handled(server), {OK: load.answered()})
                # CANCELLED is what gRPC makes of a call that arrives when it has just begun to shut down. This is why
                # clients look at health, and why there is a drain delay.
                for failure in load.failures():
                    self.assertRegex(failure, "^(UNAVAILABLE|CANCELLED): ")

    def test_every_answer_arrives(self):
        self.check_no_answer_is_lost(drain_delay_seconds=0)

    def test_every_answer_arrives_after_a_drain_delay_too(self):
        self.check_no_answer_is_lost(drain_delay_seconds=0.2)


class BalancingTest(unittest.TestCase):

    # Of a client that looks at health.
    SERVICE_CONFIG = json.dumps({
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": ""},
        "methodConfig": [{
            "name": [{}],
            "retryPolicy": {"maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 2,
                            "retryableStatusCodes": ["UNAVAILABLE"]},
        }],
    })

    def connect(self, *servers):
        addresses = ",".join(server.address for server in servers)
        return grpc.insecure_channel(f"ipv4:{addresses}", options=[
            ("grpc.service_config", self.SERVICE_CONFIG), ("grpc.use_local_subchannel_pool", 1),
            ("grpc.enable_http_proxy", 0)])

    def await_no_calls(self, server, load):
        """Waits until the callers no longer call this server: enough answers have come, and all from the other one."""

        def no_calls():
            before = handled(server)
            load.await_answers(10)
            return handled(server) == before

        eventually(no_calls, "the callers leave the server alone")

    def test_one_of_two_servers_leaves_and_no_call_fails(self):
        moment = random.Random(SEED)
        for _ in range(3):
            with Attnd("--log-level=debug", f"--drain-delay-seconds={NEVER}") as leaving, \
                 Attnd("--log-level=debug") as staying, self.connect(leaving, staying) as channel:
                with Load([channel], callers_each=6) as load:
                    for server in leaving, staying:
                        eventually(lambda server=server: handled(server)[OK] > 0, "both servers are in use")
                    load.await_answers(moment.randrange(1, 50))
                    leaving.signal(signal.SIGTERM)
                    # In place of a drain delay that is long enough on any machine.
                    self.await_no_calls(leaving, load)
                    leaving.signal(signal.SIGTERM)
                    self.assertEqual(leaving.wait(), 0)
                    load.await_answers(10)
                print(f"seed {SEED}: {load.answered()} answers, {handled(leaving)[OK]} from the server that left")
                self.assertEqual(load.failures(), [])
                self.assertEqual(handled(leaving) + handled(staying), {OK: load.answered()})


if __name__ == "__main__":
    attnd_process.main()
