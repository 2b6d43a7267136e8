"""Tests of tests/steps/failures.py."""

import contextlib
import io
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "steps"))
import failures  # noqa: E402  (found through the path above)

_REPORT = """<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="(empty)" tests="3">
  <testcase name="core.good" time="0.1" status="run"><system-out>all is well</system-out></testcase>
  <testcase name="core.bad" time="0.1" status="fail"><failure message="Failed"/><system-out>{output}</system-out></testcase>
  <testcase name="core.silent" time="0.1" status="fail"><failure message="Timeout"/></testcase>
</testsuite>
"""


class FailuresTest(unittest.TestCase):
    def test_names_failed_tests_only(self):
        self.assertEqual(list(failures.failed_tests(_REPORT.format(output="a &lt; b"))), [("core.bad", "a < b"), ("core.silent", "")])

    def test_prints_the_end_of_the_output(self):
        lines = [f"line {number}." for number in range(1000)]
        with tempfile.TemporaryDirectory() as folder:
            report_path = pathlib.Path(folder, "report.xml")
            report_path.write_text(_REPORT.format(output="\n".join(lines)), encoding="utf-8")
            with contextlib.redirect_stdout(io.StringIO()) as output:
                failures.main([str(report_path)])
        self.assertIn("failed: core.bad", output.getvalue())
        self.assertIn("failed: core.silent", output.getvalue())
        self.assertIn("line 999.", output.getvalue())
        self.assertNotIn("line 9.", output.getvalue())
        self.assertNotIn("all is well", output.getvalue())


if __name__ == "__main__":
    unittest.main()
