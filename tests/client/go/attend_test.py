"""The example in Go does what it says, by the commands that its header gives.

Usage: attend_test.py ATTND COPY [UNITTEST ARGUMENT…], where COPY holds client/go and proto, and is written to.
"""

import pathlib
import re
import subprocess
import sys
import unittest

import numpy

import attnd_process
from attnctl import attention
from attnd_process import Attnd

# Where its header says that the server is.
DOCUMENTED_ADDRESS = "127.0.0.1:50051"
# Go may have to download and compile gRPC first.
PATIENCE_SECONDS = 600

FOLDER = None  # set below


def run(command):
    """(exit status, standard output, standard error)."""
    done = subprocess.run(["sh", "-ec", command], cwd=FOLDER, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=PATIENCE_SECONDS, check=False)
    return done.returncode, done.stdout, done.stderr


class AttendTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Attnd())
        header, _ = (FOLDER / "attend.go").read_text(encoding="utf-8").split("package main", 1)
        *prepare, cls.command = re.findall(r"^//\t(.*)$", header, re.MULTILINE)
        status, _, errors = run("\n".join(prepare))
        assert status == 0, errors

    def run_at(self, address):
        self.assertIn(DOCUMENTED_ADDRESS, self.command)
        return run(self.command.replace(DOCUMENTED_ADDRESS, address))

    def test_it_prints_the_attention(self):
        status, printed, errors = self.run_at(self.server.address)
        self.assertEqual((status, errors), (0, ""))
        weights, output, report, *scaled = printed.splitlines()
        self.assertRegex(report, r"\A\S+-float32 took \d+\.\d+ s\Z")

        tokens = numpy.array([[1, 0], [0, 1], [1, 1]], numpy.float32)
        values = numpy.array([[1, 10], [2, 20], [3, 30]], numpy.float32)
        causal = numpy.tril(numpy.ones((3, 3), bool))
        expected = attention(tokens, tokens, values, visible=causal)
        self.check(weights, "weights", expected[1])
        self.check(output, "output", expected[0])
        for line, scale in zip(scaled, (1, 4, 16), strict=True):
            last = attention(tokens, tokens, values, scale=scale, visible=causal)[0][2]
            self.check(line, f"the last token's output, scores times {scale}:", last)

    def check(self, line, beginning, expected):
        self.assertTrue(line.startswith(beginning), line)
        numbers = [float(number) for number in re.findall(r"[\d.e+-]+", line.removeprefix(beginning))]
        numpy.testing.assert_allclose(numbers, numpy.ravel(expected), rtol=0, atol=1e-4)

    def test_it_says_why_it_failed(self):
        status, printed, errors = self.run_at("unix:/nonexistent/attnd.sock")
        self.assertEqual((status, printed), (1, ""))
        first, *rest = errors.splitlines()
        self.assertRegex(first, r"\AUnavailable: .*")
        self.assertEqual(rest, ["exit status 1"])  # `go run` says that


if __name__ == "__main__":
    FOLDER = pathlib.Path(sys.argv.pop(2), "client/go")
    attnd_process.main()
