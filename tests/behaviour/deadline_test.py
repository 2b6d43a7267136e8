"""A call ends when its deadline does, and what is left of its work is dropped."""

import unittest

import grpc

import attnd_process
from attend_calls import EndlessProblem, attend, check_answers, connect
from attnd_process import Attnd


class DeadlineTest(unittest.TestCase):

    def test_a_call_ends_with_its_deadline_and_its_other_tiles_are_dropped(self):
        with Attnd("--workers=1") as server, connect(server.address) as channel:
            with self.assertRaises(grpc.RpcError) as caught:
                attend(channel)(EndlessProblem().request, timeout=1)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
            server.await_idle()
            self.assertLess(server.metric("attnd_tiles_total"), EndlessProblem.TILES_AT_LEAST)
            check_answers(server.address)

    def test_a_deadline_that_has_passed_before_the_call_is_answered_too(self):
        with Attnd("--workers=1") as server, connect(server.address) as channel:
            with self.assertRaises(grpc.RpcError) as caught:
                attend(channel)(EndlessProblem().request, timeout=-1)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
            self.assertEqual(server.metric("attnd_tiles_total"), 0)
            check_answers(server.address)


if __name__ == "__main__":
    attnd_process.main()
