"""attnctl as a user runs it, the files that it takes, and what attention is, by numpy in float64."""

import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy

from attnd_process import PATIENCE_SECONDS, Attnd

# Of the tests' small float32 problems, whose elements are about 1.
TOLERANCE = 5e-6

# What `attnctl --help` says of the exit status.
OK, CHECK_FAILED, BAD_INPUT, CALL_FAILED = range(4)


class Programs:
    """Where the programs are; main sets them."""
    attnctl = example = checkout = None


def run(program, *arguments, environment=None):
    """(exit status, standard output, standard error)."""
    variables = {name: text for name, text in os.environ.items() if name not in ("ATTND_SERVER", "COLUMNS", "NO_COLOR")}
    done = subprocess.run([program, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          encoding="utf-8", env=variables | (environment or {}), timeout=PATIENCE_SECONDS, check=False)
    return done.returncode, done.stdout, done.stderr


def attention(query, key, value, scale=None, visible=None, mean_of_all_values=False, added=0, soft_cap=None, added_first=False,
              sinks=None):
    """softmax(query·keyᵀ·scale)·value over the visible keys: (output, weights, log_sum_exp). `visible` and `added`, which is added
    to the scores after the soft cap or first, are broadcast; `sinks` are one a head."""
    query, key, value = (tensor.astype(numpy.float64) for tensor in (query, key, value))
    scores = query @ numpy.swapaxes(key, -1, -2) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    visible = numpy.broadcast_to(True if visible is None else visible, scores.shape) & (added != -math.inf)
    added = numpy.where(added == -math.inf, 0, added)
    scores = scores + added if added_first else scores
    scores = scores if soft_cap is None else soft_cap * numpy.tanh(scores / soft_cap)
    scores = scores if added_first else scores + added
    exponentials = numpy.where(visible, numpy.exp(scores), 0)
    empty = ~visible.any(-1, keepdims=True)
    sums = exponentials.sum(-1, keepdims=True)
    if sinks is not None:
        sums = sums + numpy.exp(numpy.array(sinks, numpy.float64))[:, None, None]
    with numpy.errstate(divide="ignore"):
        log_sum_exp = numpy.log(sums[..., 0])
    weights = numpy.where(empty, 1 / scores.shape[-1] if mean_of_all_values else 0, exponentials / numpy.where(sums == 0, 1, sums))
    return weights @ value, weights, log_sum_exp


_TYPES = {"F32": numpy.float32, "F16": numpy.float16, "I64": numpy.int64, "I32": numpy.int32, "BOOL": numpy.bool_,
          "U8": numpy.uint8}
_NAMES = {numpy.dtype(kind): name for name, kind in _TYPES.items()}


def write_safetensors(path, tensors, metadata=None):
    """The file's path. float64 is written as float32."""
    header, data = {"__metadata__": metadata} if metadata else {}, b""
    for name, tensor in tensors.items():
        tensor = numpy.ascontiguousarray(tensor, numpy.float32 if tensor.dtype == numpy.float64 else None)
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(numpy.shape(tensor)),
                        "data_offsets": [len(data), len(data) + tensor.nbytes]}
        data += tensor.tobytes()
    text = json.dumps(header).encode("utf-8")
    pathlib.Path(path).write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def read_safetensors(path):
    """({name: array}, metadata)."""
    content = pathlib.Path(path).read_bytes()
    size = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8:8 + size]), content[8 + size:]
    metadata = header.pop("__metadata__", {})
    return {name: numpy.frombuffer(data[slice(*entry["data_offsets"])], _TYPES[entry["dtype"]]).reshape(entry["shape"])
            for name, entry in header.items()}, metadata


class AttnctlTest(unittest.TestCase):
    """One server for all tests of a class, and a folder for each."""

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Attnd())

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="attnctl-")))
        self.random = numpy.random.default_rng(20261124)

    def normal(self, *shape):
        return self.random.standard_normal(shape).astype(numpy.float32)

    def attnctl(self, *arguments, status=OK):
        """Its standard output, and standard error where it fails; it must end with this status."""
        ended, output, errors = run(Programs.attnctl, *arguments, environment={"ATTND_SERVER": self.server.address})
        self.assertEqual(ended, status, f"{arguments}\n{output}{errors}")
        if status in (OK, CHECK_FAILED):
            self.assertEqual(errors, "")
            return output
        self.assertEqual(output, "")
        self.assertRegex(errors, r"\Aattnctl: [^\n]*\n\Z")
        return errors

    def attend(self, *arguments, status=OK):
        """What `attend --json` prints."""
        return json.loads(self.attnctl("attend", "--json", *arguments, status=status))


class ProblemTest(AttnctlTest):
    """One problem, asked for with any options."""
    B, H, SQ, SK, D, DV = 2, 3, 5, 7, 8, 4
    ROWS, KEYS = numpy.arange(SQ)[:, None], numpy.arange(SK)

    def setUp(self):
        super().setUp()
        self.query, self.key = self.normal(self.B, self.H, self.SQ, self.D), self.normal(self.B, self.H, self.SK, self.D)
        self.value = self.normal(self.B, self.H, self.SK, self.DV)

    def expect(self, **options):
        return attention(self.query, self.key, self.value, **options)

    def check(self, expected, *options, **others):
        """With the options, which may name tensors of `others`, the server gives what is expected, and not what it gives without
        them."""
        output, weights, log_sum_exp = expected
        tensors = {"query": self.query, "key": self.key, "value": self.value, "expected.output": output,
                   "expected.weights": weights, "expected.lse": log_sum_exp} | others
        file = write_safetensors(self.folder / "in.safetensors", tensors)
        arguments = ["--input", file, "--expect-output", "expected.output", "--expect-weights", "expected.weights",
                     "--expect-log-sum-exp", "expected.lse"]
        report = self.attend(*arguments, *options)
        self.assertTrue(report["within_tolerance"])
        self.assertLessEqual(max(report[f"{name}_max_abs_error"] for name in ("output", "weights", "log_sum_exp")), TOLERANCE)
        if options:
            self.assertFalse(self.attend(*arguments, status=CHECK_FAILED)["within_tolerance"])
        return report


def main():
    """Runs the tests of the calling file: FILE ATTND ATTNCTL EXAMPLE CHECKOUT [UNITTEST ARGUMENT…]."""
    Attnd.program, Programs.attnctl, Programs.example, Programs.checkout = map(os.path.abspath, sys.argv[1:5])
    del sys.argv[1:5]
    unittest.main(module="__main__")
