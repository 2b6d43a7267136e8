"""A caller that gives up, or is gone, leaves no work and no memory behind."""

import unittest

import grpc

import attnd_process
from attend_calls import EndlessProblem, attend, check_answers, connect
from attnd_process import Attnd, eventually


def start_endless_call(server, channel):
    """A call whose problem is with the workers."""
    decoded = server.metric("attnd_phase_duration_seconds_count", phase="decode")
    call = attend(channel).future(EndlessProblem().request)
    eventually(lambda: server.metric("attnd_phase_duration_seconds_count", phase="decode") == decoded + 1,
               "the request is decoded")
    return call


class CancelTest(unittest.TestCase):

    def setUp(self):
        self.server = self.enterContext(Attnd("--workers=1"))
        self.channel = self.enterContext(connect(self.server.address))

    def check_dropped(self):
        self.server.await_idle()
        self.assertLess(self.server.metric("attnd_tiles_total"), EndlessProblem.TILES_AT_LEAST)
        self.assertEqual(self.server.metric("grpc_server_handled_total", grpc_method="Attend", grpc_code="Canceled"), 1)
        check_answers(self.server.address)

    def test_a_cancelled_call_gives_up_its_tiles_and_its_bytes(self):
        call = start_endless_call(self.server, self.channel)
        self.assertEqual(self.server.metric("attnd_requests_in_flight"), 1)
        self.assertGreater(self.server.metric("attnd_in_flight_bytes"), len(EndlessProblem().request.query_data))
        call.cancel()
        self.assertEqual(call.code(), grpc.StatusCode.CANCELLED)
        self.check_dropped()

    def test_a_caller_whose_connection_is_gone_counts_as_one_that_cancelled(self):
        start_endless_call(self.server, self.channel)
        self.channel.close()
        self.check_dropped()

    def test_a_small_call_is_answered_beside_one_that_has_the_only_worker(self):
        call = start_endless_call(self.server, self.channel)
        check_answers(self.server.address)
        self.assertFalse(call.done())
        call.cancel()
        self.check_dropped()


if __name__ == "__main__":
    attnd_process.main()
