"""The thread sanitizer, set up as the tests have it, finds races and says nothing of what is well protected."""

import os
import subprocess
import sys
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
PATIENCE_SECONDS = 120
FOUND_EXIT_STATUS = 66  # the sanitizer's own


def run(case):
    return subprocess.run([PROGRAM, case], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_SECONDS,
                          check=False)


class ThreadSanitizerCheckTest(unittest.TestCase):

    def test_it_finds_a_race(self):
        for case in ("without_lock", "under_different_locks", "on_a_thread_of_grpc_without_lock"):
            with self.subTest(case):
                done = run(case)
                self.assertEqual(done.returncode, FOUND_EXIT_STATUS, done.stderr)
                self.assertIn("WARNING: ThreadSanitizer: data race", done.stderr)

    def test_it_sees_what_abseil_and_grpc_order(self):
        for case in ("under_the_lock", "after_a_condition", "after_a_notification", "on_a_thread_of_grpc_under_the_lock",
                     "when_a_slice_is_let_go"):
            with self.subTest(case):
                done = run(case)
                self.assertEqual((done.returncode, done.stdout), (0, "2\n"), done.stderr)
                self.assertEqual(done.stderr, "")


if __name__ == "__main__":
    unittest.main()
