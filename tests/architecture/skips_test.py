"""Tests of tests/steps/skips.py."""

import contextlib
import io
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "steps"))
import skips  # noqa: E402  (found through the path above)

_REPORT = """<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="(empty)" tests="1">
  <testcase name="{name}" classname="{name}" time="0.1" status="{status}">{inside}</testcase>
</testsuite>
"""


def report(status, inside=""):
    return _REPORT.format(name="core.example", status=status, inside=inside)


class SkipsTest(unittest.TestCase):
    def names(self, *report_arguments):
        return [name for name, _ in skips.skipped_tests(report(*report_arguments))]

    def test_a_test_that_ran_is_no_skip(self):
        self.assertEqual(self.names("run", "<system-out>[       OK ] Example.Runs\nOK\n</system-out>"), [])
        self.assertEqual(self.names("fail", "<failure message=''/><system-out>[  FAILED  ]</system-out>"), [])

    def test_ctest_s_own_skips(self):
        self.assertEqual(self.names("notrun", "<skipped message='SKIP_REGULAR_EXPRESSION_MATCHED'/>"), ["core.example"])
        self.assertEqual(self.names("notrun"), ["core.example"])
        self.assertEqual(self.names("disabled", "<skipped message='Disabled'/>"), ["core.example"])

    def test_skips_inside_a_passed_test(self):
        for output in ("[ RUN      ] A.B\n[  SKIPPED ] A.B (0 ms)", "  YOU HAVE 2 DISABLED TESTS", "Ran 3 tests\n\nOK (skipped=1)",
                       "==== 3 passed, 1 skipped in 0.1s ===="):
            self.assertEqual(self.names("run", f"<system-out>{output}</system-out>"), ["core.example"], output)

    def test_the_list_holds_for_its_machine_only(self):
        text = "# comment\n\ncore.example aarch64 no such unit there\n"
        self.assertEqual(skips.allowed_tests(text, "aarch64"), {"core.example"})
        self.assertEqual(skips.allowed_tests(text, "x86_64"), set())

    def test_a_line_without_a_reason_is_refused(self):
        with self.assertRaisesRegex(ValueError, "line 1"):
            skips.allowed_tests("core.example aarch64\n", "aarch64")

    def test_the_exit_status(self):
        machine = skips.platform.machine()
        with tempfile.TemporaryDirectory() as folder:
            report_path, list_path = pathlib.Path(folder, "report.xml"), pathlib.Path(folder, "list.txt")
            report_path.write_text(report("disabled"), encoding="utf-8")
            for text, status in (("", 1), (f"core.example {machine} a reason\n", 0), (f"core.other {machine} a reason\n", 1)):
                list_path.write_text(text, encoding="utf-8")
                with contextlib.redirect_stdout(io.StringIO()) as output:
                    self.assertEqual(skips.main([str(report_path), str(list_path)]), status)
                self.assertEqual("core.example" in output.getvalue(), status == 1)


if __name__ == "__main__":
    unittest.main()
