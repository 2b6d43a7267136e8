"""EMPTY_ROW_MEAN_OF_ALL_VALUES is what the usual source computes: softmax(masked_fill(QKᵀ/√d, mask == 0, −1e9))·V, in rows
that see something as in those that see nothing, where every score is −1e9 and so every weight the same."""

import os
import unittest

import numpy as np
from attnd.v1 import attention_pb2 as pb

from attend_calls import attend, connect, make_request
from attnd_process import PATIENCE_SECONDS, Attnd, main

# Both sides compute in float32 and sum at most 600 numbers of about 1.
TOLERANCE = 5e-6


def attention(query, key, value, mask):
    """The source's own lines, in float32: (output, weights)."""
    scores = query @ np.swapaxes(key, -1, -2) / np.float32(np.sqrt(query.shape[-1]))
    scores = np.where(mask == 0, np.float32(-1e9), scores)
    exponentials = np.exp(scores - scores.max(-1, keepdims=True))
    weights = exponentials / exponentials.sum(-1, keepdims=True)
    return weights @ value, weights


class MaskedFillTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Attnd())
        cls.channel = cls.enterClassContext(connect(cls.server.address))

    def setUp(self):
        seed = int(os.environ.get("ATTND_TEST_SEED", 20261125))
        print(f"seed {seed}", flush=True)
        self.random = np.random.default_rng(seed)

    def problem(self, rows, keys, batch=3, heads=2, size=16):
        return [self.random.standard_normal((batch, heads, length, size), dtype=np.float32) for length in (rows, keys, keys)]

    def check(self, request, expected):
        """Sends it; output and weights must be these. Returns the report."""
        request.problem.empty_row = pb.EMPTY_ROW_MEAN_OF_ALL_VALUES
        request.problem.return_weights = True
        response = attend(self.channel)(request, timeout=PATIENCE_SECONDS)
        for data, array in zip((response.output_data, response.weights_data), expected):
            np.testing.assert_allclose(np.frombuffer(data, "<f4").reshape(array.shape), array, rtol=0, atol=TOLERANCE)
        return response.result.report

    def test_boolean_mask(self):
        for rows, keys in ((1, 1), (5, 7), (70, 600)):
            query, key, value = self.problem(rows, keys)
            mask = self.random.random((3, 1, rows, keys)) < 0.5
            mask[1, :, rows // 2] = False  # a row that sees nothing
            mask[2] = False  # and nothing but such rows
            request = make_request(query, key, value)
            request.problem.mask.boolean.tensor.element_type = pb.ELEMENT_TYPE_BOOL
            request.problem.mask.boolean.tensor.shape.extend(mask.shape)
            request.mask_data = mask.tobytes()
            report = self.check(request, attention(query, key, value, mask))
            self.assertEqual(report.empty_rows, 2 * (~mask.any(-1)).sum())

    # Padding and a causal mask, which such sources make into one tensor.
    def test_closed_forms(self):
        for rows, keys in ((7, 7), (70, 600), (300, 70)):
            query, key, value = self.problem(rows, keys)
            lengths = [keys, keys // 2, 0]
            padding = np.arange(keys) < np.reshape(lengths, (3, 1, 1, 1))
            request = make_request(query, key, value)
            request.problem.mask.key_lengths.lengths.extend(lengths)
            self.check(request, attention(query, key, value, padding))
            # The first rows of a mask at the bottom right see nothing where there are fewer keys.
            request.problem.mask.causal.alignment = pb.CausalMask.ALIGNMENT_BOTTOM_RIGHT
            self.check(request, attention(query, key, value, padding & np.tri(rows, keys, keys - rows, dtype=bool)))

    def test_without_that_option_empty_rows_are_zero(self):
        query, key, value = self.problem(5, 7)
        request = make_request(query, key, value)
        request.problem.mask.key_lengths.lengths.extend([7, 3, 0])
        response = attend(self.channel)(request, timeout=PATIENCE_SECONDS)
        output = np.frombuffer(response.output_data, "<f4").reshape(query.shape)
        expected, _ = attention(query, key, value, np.arange(7) < np.reshape([7, 3, 0], (3, 1, 1, 1)))
        np.testing.assert_allclose(output[:2], expected[:2], rtol=0, atol=TOLERANCE)
        self.assertFalse(output[2].any())
        self.assertTrue(expected[2].any())


if __name__ == "__main__":
    main()
