"""Each option of `attnctl attend` that changes scores does what its help says, judged by numpy."""

import math

import numpy

import attnctl
from attnctl import ProblemTest

ROWS, KEYS = ProblemTest.ROWS, ProblemTest.KEYS
SLOPES = numpy.array([0.5, 0.25, 0.125])
# At the top left, and for query 0 at key 2.
ALIBI, SHIFTED_ALIBI = (-SLOPES[:, None, None] * abs(ROWS + offset - KEYS) for offset in (0, 2))


class ScoresTest(ProblemTest):

    def setUp(self):
        super().setUp()
        self.bias = self.normal(self.B, 1, self.SQ, self.SK)
        self.bias[0, 0, 1, 3:] = -math.inf

    def test_bias(self):
        self.check(self.expect(added=self.bias), "--bias", "b", b=self.bias)
        self.check(self.expect(added=self.bias[0, 0]), "--bias", "b", b=self.bias[0, 0])

    def test_a_narrow_bias_hides_what_it_does_not_reach(self):
        narrow = self.bias[0, 0, :, :2]
        wide = numpy.pad(narrow, ((0, 0), (0, self.SK - 2)), constant_values=-math.inf)
        self.check(self.expect(added=wide), "--bias", "b", b=narrow)

    def test_alibi(self):
        self.check(self.expect(added=ALIBI), "--alibi-slopes", "0.5,0.25,0.125", "--positions", "top-left")
        self.check(self.expect(added=SHIFTED_ALIBI), "--alibi-slopes", "slopes", "--positions", "bottom-right", slopes=SLOPES)

    def test_soft_cap(self):
        self.check(self.expect(soft_cap=0.75), "--soft-cap", "0.75")

    def test_where_bias_and_alibi_are_added(self):
        added = self.bias + ALIBI
        arguments = ("--bias", "b", "--alibi-slopes", "slopes", "--positions", "top-left", "--soft-cap", "0.75")
        tensors = {"b": self.bias, "slopes": SLOPES}
        self.check(self.expect(added=added, soft_cap=0.75), *arguments, **tensors)
        self.check(self.expect(added=added, soft_cap=0.75), *arguments, "--bias-place", "after-soft-cap", **tensors)
        self.check(self.expect(added=added, soft_cap=0.75, added_first=True), *arguments, "--bias-place", "before-soft-cap",
                   **tensors)

    def test_sinks(self):
        self.check(self.expect(sinks=[1, -0.5, -math.inf]), "--sinks=1,-0.5,-inf")
        self.check(self.expect(sinks=[1, 2, 3]), "--sinks", "s", s=numpy.array([1.0, 2, 3]))

    def test_a_sink_counts_where_no_key_is_seen(self):
        visible = numpy.ones((self.SQ, self.SK), bool)
        visible[2] = False
        report = self.check(self.expect(visible=visible, sinks=[1, 2, 3]), "--mask", "m", "--sinks", "1,2,3", m=visible)
        self.assertEqual(report["report"]["empty_rows"], self.B * self.H)

    def test_all_together(self):
        self.check(self.expect(added=self.bias + SHIFTED_ALIBI, soft_cap=2, sinks=[1, 2, 3], scale=0.5, visible=KEYS <= ROWS + 2),
                   "--bias", "b", "--alibi-slopes", "slopes", "--soft-cap", "2", "--sinks", "1,2,3", "--scale", "0.5", "--causal",
                   "bottom-right", b=self.bias, slopes=SLOPES)


if __name__ == "__main__":
    attnctl.main()
