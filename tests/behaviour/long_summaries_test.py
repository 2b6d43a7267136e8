"""What the weights of a long sequence say, in memory that does not grow with their number.

Usage: long_summaries_test.py ATTND ROWS [UNITTEST ARGUMENT…]
"""

import math
import sys
import unittest

import numpy as np
from attnd.v1 import attention_pb2

import attnd_process
from attend_calls import attend, connect, make_request
from attnd_process import MEMORY_FACTOR, PATIENCE_SECONDS, Attnd

HEAD_SIZE = 64
TOP_KEYS = 16
# Above the message and its outputs, for all that the server is.
ALLOWED_BYTES = 256 << 20
# Rows that are held against the definition.
CHECKED_ROWS = 20


def array(response, name, dtype="<f4"):
    """A tensor of the answer."""
    return np.frombuffer(getattr(response, f"{name}_data"), dtype).reshape(getattr(response.result, name).shape)


class LongSummariesTest(unittest.TestCase):

    ROWS = None  # main sets it

    def setUp(self):
        random = np.random.default_rng(7)
        self.query, self.key, self.value = (random.standard_normal((self.ROWS, HEAD_SIZE), dtype=np.float32) for _ in range(3))
        self.request = make_request(self.query, self.key, self.value)
        self.request.problem.summaries.CopyFrom(attention_pb2.Summaries(
            top_keys=TOP_KEYS, entropy=True, received_sum=True, received_maximum=True))

    def check(self, response):
        """The rows against the definition in float64; and what all keys receive against what all rows give."""
        top_keys, top_weights = array(response, "top_keys", "<i4"), array(response, "top_weights")
        entropy, received = array(response, "entropy"), array(response, "received_sum")
        rows = np.unique(np.linspace(0, self.ROWS - 1, CHECKED_ROWS).astype(int))
        scores = self.query[rows].astype(np.float64) @ self.key.T / math.sqrt(HEAD_SIZE)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        np.testing.assert_allclose(entropy[rows], -(weights * np.log(weights)).sum(axis=-1), rtol=1e-5)
        np.testing.assert_array_equal(top_keys[rows], np.argsort(-weights, axis=-1)[:, :TOP_KEYS])
        np.testing.assert_allclose(top_weights[rows], -np.sort(-weights, axis=-1)[:, :TOP_KEYS], rtol=1e-4)
        self.assertEqual(received.shape, (self.ROWS,))
        self.assertAlmostEqual(received.sum(dtype=np.float64) / self.ROWS, 1, places=5)
        # Each row gives its largest weight to a key that received no less.
        largest_received = array(response, "received_maximum")
        self.assertTrue((largest_received[top_keys[:, 0]] >= top_weights[:, 0]).all())
        self.assertEqual(largest_received.max(), top_weights.max())

    def test_take_little_memory(self):
        with Attnd() as server, connect(server.address) as channel:
            response = attend(channel)(self.request, timeout=20 * PATIENCE_SECONDS)
            peak_bytes = server.peak_memory_bytes()
        message_bytes, answer_bytes = self.request.ByteSize(), response.ByteSize()
        print(f"{self.ROWS} rows and keys: peak {peak_bytes / 2**20:.1f} MiB, message {message_bytes / 2**20:.1f}, "
              f"answer {answer_bytes / 2**20:.1f}; computed in {response.result.report.compute_seconds:.1f} s")
        self.assertLessEqual(peak_bytes, message_bytes + answer_bytes + MEMORY_FACTOR * ALLOWED_BYTES)
        self.check(response)


if __name__ == "__main__":
    LongSummariesTest.ROWS = int(sys.argv.pop(2))
    attnd_process.main()
