"""Prints the tests that failed, each with the end of its output: what ctest printed at the time is far above by the end of a run.

Usage: failures.py CTEST_JUNIT_REPORT
"""

import sys
import xml.etree.ElementTree

_LAST_LINES = 40


def failed_tests(report):
    """Yields (name, output) of each failed test in ctest's JUnit report, given as text."""
    for case in xml.etree.ElementTree.fromstring(report).iter("testcase"):
        if case.get("status") == "fail":
            yield case.get("name"), case.findtext("system-out") or ""


def main(arguments):
    (report_path,) = arguments
    with open(report_path, encoding="utf-8", errors="replace") as file:
        report = file.read()
    for name, output in failed_tests(report):
        print(f"failed: {name}; the end of its output:")
        for line in output.splitlines()[-_LAST_LINES:]:
            print(f"  {line}")


if __name__ == "__main__":
    main(sys.argv[1:])
