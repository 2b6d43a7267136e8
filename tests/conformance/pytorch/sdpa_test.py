"""The service answers what PyTorch's scaled_dot_product_attention does, over its whole argument list."""

import itertools
import os
import unittest

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention as pytorch

from attend_calls import connect
from attnd_process import Attnd, main
from sdpa import scaled_dot_product_attention as service

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
RANDOM_CASES = 300

# Those that PyTorch has for CPUs; it takes the fastest that a problem suits.
BACKENDS = [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]

# What one rounding to the type changes at most, relatively.
ROUNDOFF = {torch.float32: 2.0**-24, torch.bfloat16: 2.0**-8, torch.float16: 2.0**-11}


def tolerance(query, key, value, rounds_scores, **options):
    """How far two right answers may be apart, for each element. Both are sums of w·v, so all of it is relative to Σ w·|v|.

    Each side may round the weights and the output to the type, once each. Beside that it computes in float32: a score is
    a sum of E products, whose error is at most E roundings of L = Σ|q·k|·scale, and the weight's is relative to it, in numerator
    and denominator; a sum over S keys, twice; and an exponential, good to 2⁻²². PyTorch may round scores to the type too.
    """
    wide = [tensor.float() for tensor in (query, key, value)]
    with sdpa_kernel(SDPBackend.MATH):
        magnitude = pytorch(wide[0], wide[1], wide[2].abs(), **options)
    heads = query.shape[1] // key.shape[1] if query.dim() == 4 else 1
    keys = wide[1].repeat_interleave(heads, 1) if heads > 1 else wide[1]
    scale = options.get("scale") or query.shape[-1]**-0.5
    largest = (wide[0].abs() @ keys.abs().transpose(-1, -2) * abs(scale)).max().item()
    single, own = ROUNDOFF[torch.float32], ROUNDOFF[query.dtype]
    of_one_side = 2 * own + 2 * (query.shape[-1] * largest + key.shape[-2]) * single + 2**-22
    of_pytorch = 2 * largest * own if rounds_scores else 0
    # A 16-bit number may be too small to have all its bits.
    return (2 * of_one_side + of_pytorch) * magnitude + torch.finfo(query.dtype).smallest_normal


class SdpaTest(unittest.TestCase):
    # The largest difference so far, in parts of what is allowed.
    worst = 0

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Attnd())
        cls.channel = cls.enterClassContext(connect(cls.server.address))
        cls.seed = int(os.environ.get("ATTND_TEST_SEED", 20261125))
        print(f"PyTorch {torch.__version__}, seed {cls.seed}", flush=True)

    @classmethod
    def tearDownClass(cls):
        print(f"largest difference: {cls.worst:.2f} of what is allowed")

    def setUp(self):
        torch.manual_seed(self.seed)
        torch.set_num_threads(1)  # The problems are small.

    def check(self, query, key, value, attn_mask=None, **arguments):
        """Against the kernel that PyTorch chooses, and against its plain one, which rounds 16-bit scores to float32 only."""
        found = service(self.channel, query, key, value, attn_mask=attn_mask, **arguments)
        wide_mask = attn_mask.float() if attn_mask is not None and attn_mask.is_floating_point() else attn_mask
        for backends in (BACKENDS, [SDPBackend.MATH]):
            if backends is BACKENDS and attn_mask is not None and attn_mask.dim() < 2:
                continue  # PyTorch 2.6 cannot choose one for such a mask: "Dimension specified as -2"
            with sdpa_kernel(backends):
                expected = pytorch(query, key, value, attn_mask=attn_mask, **arguments)
            allowed = tolerance(query, key, value, rounds_scores=backends is BACKENDS, attn_mask=wide_mask, **arguments)
            self.assertEqual((found.shape, found.dtype), (expected.shape, expected.dtype))
            difference = (found.float() - expected.float()).abs()
            SdpaTest.worst = max(SdpaTest.worst, (difference / allowed).max().item())
            mask = None if attn_mask is None else (attn_mask.dtype, tuple(attn_mask.shape))
            self.assertTrue(
                bool((difference <= allowed).all()),
                f"{(difference / allowed).max()} of what is allowed: {backends}: {query.dtype} q{list(query.shape)} "
                f"k{list(key.shape)} v{list(value.shape)} mask {mask} {arguments}")

    def problem(self, dtype, query_shape, keys, key_value_heads=None, value_size=None):
        key_shape = [*query_shape[:-2], keys, query_shape[-1]]
        if key_value_heads is not None:
            key_shape[1] = key_value_heads
        value_shape = [*key_shape[:-1], value_size or query_shape[-1]]
        return [torch.randn(shape).to(dtype) for shape in (query_shape, key_shape, value_shape)]

    def test_two_three_and_four_dimensions(self):
        for dtype, shape in itertools.product(DTYPES, ((7, 16), (3, 7, 16), (3, 4, 7, 16), (1, 1, 1, 1), (2, 3, 70, 64))):
            for keys in (1, 7, 600):
                self.check(*self.problem(dtype, shape, keys))

    def test_another_value_size(self):
        for dtype in DTYPES:
            self.check(*self.problem(dtype, (2, 3, 7, 16), 9, value_size=5))

    def test_scale(self):
        for dtype, scale in itertools.product(DTYPES, (None, 1.0, 0.01, -0.3)):
            self.check(*self.problem(dtype, (2, 3, 7, 16), 9), scale=scale)

    def test_causal_begins_at_the_top_left(self):
        for dtype, (rows, keys) in itertools.product(DTYPES, ((9, 9), (4, 9), (9, 4), (70, 600), (300, 70), (1, 5))):
            self.check(*self.problem(dtype, (2, 3, rows, 16), keys), is_causal=True)
            self.check(*self.problem(dtype, (2, rows, 16), keys), is_causal=True)

    MASK_SHAPES = [(), (1, ), (9, ), (7, 1), (1, 9), (7, 9), (3, 1, 1), (3, 7, 9), (1, 7, 9), (2, 1, 1, 1), (2, 1, 1, 9),
                   (2, 1, 7, 9), (2, 3, 7, 1), (1, 3, 1, 9), (2, 3, 7, 9)]

    def test_boolean_masks_of_every_broadcast_shape(self):
        for dtype, shape in itertools.product(DTYPES, self.MASK_SHAPES):
            self.check(*self.problem(dtype, (2, 3, 7, 16), 9), attn_mask=torch.rand(shape) < 0.6)
        for dtype, shape in itertools.product(DTYPES, ((2, 7, 9), (1, 7, 9), (7, 9), (2, 1, 9))):
            self.check(*self.problem(dtype, (2, 7, 16), 9), attn_mask=torch.rand(shape) < 0.6)

    def test_added_masks_of_every_broadcast_shape(self):
        for dtype, shape in itertools.product(DTYPES, self.MASK_SHAPES):
            self.check(*self.problem(dtype, (2, 3, 7, 16), 9), attn_mask=torch.randn(shape).to(dtype))
        for dtype, shape in itertools.product(DTYPES, ((2, 7, 9), (1, 7, 9), (7, 9), (2, 1, 9))):
            self.check(*self.problem(dtype, (2, 7, 16), 9), attn_mask=torch.randn(shape).to(dtype))

    def test_minus_infinity_hides(self):
        for dtype in DTYPES:
            mask = torch.randn(2, 3, 7, 9).to(dtype)
            mask[torch.rand(mask.shape) < 0.5] = -torch.inf
            self.check(*self.problem(dtype, (2, 3, 7, 16), 9), attn_mask=mask)

    def test_rows_that_see_nothing_are_zero(self):
        mask = torch.rand(2, 3, 7, 9) < 0.5
        mask[:, :, 2] = False
        added = torch.zeros(mask.shape).masked_fill(~mask, -torch.inf)
        for dtype in DTYPES:
            problem = self.problem(dtype, (2, 3, 7, 16), 9)
            self.check(*problem, attn_mask=mask)
            self.check(*problem, attn_mask=added.to(dtype))
            self.assertFalse(service(self.channel, *problem, attn_mask=mask)[:, :, 2].any())

    def test_grouped_heads(self):
        for dtype, heads in itertools.product(DTYPES, (1, 2, 3, 6)):
            self.check(*self.problem(dtype, (2, 6, 7, 16), 9, key_value_heads=heads), enable_gqa=True)
            self.check(*self.problem(dtype, (2, 6, 7, 16), 9, key_value_heads=heads), enable_gqa=True, is_causal=True)

    def test_what_it_does_not_do_is_refused(self):
        problem = self.problem(torch.float32, (2, 4, 7, 16), 9)
        with self.assertRaisesRegex(ValueError, "dropout_p"):
            service(self.channel, *problem, dropout_p=0.1)
        with self.assertRaisesRegex(ValueError, "attn_mask"):
            service(self.channel, *problem, attn_mask=torch.ones(7, 9, dtype=torch.bool), is_causal=True)
        with self.assertRaisesRegex(ValueError, "enable_gqa"):
            service(self.channel, problem[0], problem[1][:, :2], problem[2][:, :2])

    def test_random_arguments(self):

        def draw(*choices):
            return choices[torch.randint(len(choices), ()).item()]

        for _ in range(RANDOM_CASES):
            dtype, rows, keys, size = draw(*DTYPES), draw(1, 5, 64, 130), draw(1, 6, 33, 513, 600), draw(1, 8, 33, 64, 96)
            heads, key_value_heads = draw((1, 1), (3, 3), (4, 2), (6, 1))
            problem = self.problem(dtype, (draw(1, 2, 3), heads, rows, size), keys, key_value_heads, draw(1, size, 40))
            arguments = {"scale": draw(None, 0.05, 0.7), "enable_gqa": heads != key_value_heads or draw(True, False)}
            shape = [draw(1, full) for full in (problem[0].shape[0], heads, rows, keys)][draw(0, 1, 2, 3):]
            kind = draw("none", "causal", "boolean", "added", "hiding")
            if kind == "causal":
                arguments["is_causal"] = True
            elif kind == "boolean":
                arguments["attn_mask"] = torch.rand(shape) < draw(0.1, 0.5, 0.9)
            elif kind != "none":
                arguments["attn_mask"] = torch.randn(shape).to(dtype)
                if kind == "hiding":
                    arguments["attn_mask"][torch.rand(shape) < 0.4] = -torch.inf
            self.check(*problem, **arguments)


if __name__ == "__main__":
    main()
