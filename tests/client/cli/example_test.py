"""The C++ client's example does what it says."""

import re

import numpy

import attnctl
from attnctl import AttnctlTest, Programs, attention


class ExampleTest(AttnctlTest):

    def test_it_prints_the_attention(self):
        status, output, errors = attnctl.run(Programs.example, self.server.address)
        self.assertEqual((status, errors), (0, ""))
        tokens = numpy.array([[1, 0], [0, 1], [1, 1]], numpy.float32)
        value = numpy.array([[1, 10], [2, 20], [3, 30]], numpy.float32)
        causal = numpy.tril(numpy.ones((3, 3), bool))
        expected = [attention(tokens, tokens, value, scale=scale, visible=causal) for scale in (None, 1, 4)]
        numbers = numpy.array([float(number) for number in re.findall(r"-?\d+\.\d+", output)])
        first = numpy.concatenate([expected[0][1].ravel(), expected[0][0].ravel()])
        rest = [e[0][2] for e in expected[1:]]
        numpy.testing.assert_allclose(numbers, numpy.concatenate([first, *rest]), rtol=0, atol=1e-4)

    def test_it_says_why_it_failed(self):
        status, _, errors = attnctl.run(Programs.example, "unix:/nonexistent/attnd.sock")
        self.assertEqual(status, 1)
        self.assertIn("UNAVAILABLE", errors)


if __name__ == "__main__":
    attnctl.main()
