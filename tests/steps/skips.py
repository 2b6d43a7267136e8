"""Fails on tests that were skipped without leave.

Usage: skips.py CTEST_JUNIT_REPORT LIST

A test is skipped when ctest says so (skipped, not run, disabled) and when it passed but a test framework inside it says that it
left something out. LIST is tests/skips.txt, which explains itself.
"""

import platform
import re
import sys
import xml.etree.ElementTree

# What test frameworks print when they leave something out: GoogleTest's skips and disabled tests, unittest's, pytest's.
_SKIP_IN_OUTPUT = re.compile(
    r"^\[  SKIPPED \]|^ *YOU HAVE \d+ DISABLED TESTS?|^OK \(.*skipped=\d+|^=.*\b\d+ (?:skipped|deselected)\b", re.MULTILINE)


def skipped_tests(report):
    """Yields (name, why) of each skipped test in ctest's JUnit report, given as text."""
    for case in xml.etree.ElementTree.fromstring(report).iter("testcase"):
        name, status = case.get("name"), case.get("status")
        if status in ("notrun", "disabled"):
            skip = case.find("skipped")
            message = (skip.get("message") if skip is not None else None) or status
            yield name, f"ctest: {message}"
        elif status == "run":
            found = _SKIP_IN_OUTPUT.search(case.findtext("system-out") or "")
            if found:
                yield name, f"its output: {found.group().strip()}"


def allowed_tests(text, machine):
    """The names that LIST, given as text, allows to be skipped on the machine."""
    allowed = set()
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        fields = line.split(None, 2)
        if len(fields) < 3:
            raise ValueError(f"line {number}: found '{line}', expected NAME MACHINE REASON")
        if fields[1] == machine:
            allowed.add(fields[0])
    return allowed


def main(arguments):
    report_path, list_path = arguments
    with open(report_path, encoding="utf-8", errors="replace") as file:
        skipped = list(skipped_tests(file.read()))
    with open(list_path, encoding="utf-8") as file:
        allowed = allowed_tests(file.read(), platform.machine())
    refused = [(name, why) for name, why in skipped if name not in allowed]
    for name, why in refused:
        print(f"skipped without leave in {list_path}: {name} ({why})")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
