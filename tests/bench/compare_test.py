"""tests/bench/compare finds the rows that became slower, and no others."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

COMPARE = pathlib.Path(__file__).parent / "compare"


def result(share, spread=0.01, who="attnd", row="B1"):
    return {"row": row, "who": who, "dtype": "float32", "threads": 1, "milliseconds": 1 / share, "limit_share": share, "spread": spread}


class CompareTest(unittest.TestCase):

    def compare(self, old, new, *options):
        with tempfile.TemporaryDirectory() as folder:
            files = [os.path.join(folder, name) for name in ("old", "new")]
            for file, results in zip(files, (old, new)):
                pathlib.Path(file).write_text(json.dumps(results), encoding="utf-8")
            return subprocess.run([sys.executable, COMPARE, *files, *options], capture_output=True, text=True, check=False)

    def test_a_row_that_lost_more_than_is_allowed_is_slower(self):
        done = self.compare([result(0.8), result(0.5, row="B2")], [result(0.6), result(0.5, row="B2")])
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(done.stdout.count("SLOWER"), 1)
        self.assertIn("x 0.75  SLOWER", done.stdout)

    def test_a_row_within_what_is_allowed_is_not(self):
        self.assertEqual(self.compare([result(0.8)], [result(0.75)]).returncode, 0)
        self.assertEqual(self.compare([result(0.8)], [result(0.75)], "--allow", "0.02").returncode, 1)

    def test_a_row_within_its_spread_is_not(self):
        self.assertEqual(self.compare([result(0.8, spread=0.3)], [result(0.6)]).returncode, 0)

    def test_peers_do_not_count(self):
        self.assertEqual(self.compare([result(0.8, who="torch")], [result(0.1, who="torch")]).returncode, 0)

    def test_calls_are_compared_by_way_and_transport(self):

        def call(share, transport):
            return {**result(share, who="call"), "kind": "calls", "transport": transport}

        done = self.compare([call(0.8, "loopback"), call(0.8, "unix")], [call(0.8, "loopback"), call(0.4, "unix")])
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("call, loopback: 1.250 ms -> 1.250 ms, share of the limit x 1.00\n", done.stdout)
        self.assertIn("call, unix: 1.250 ms -> 2.500 ms, share of the limit x 0.50  SLOWER", done.stdout)

    def test_a_row_that_is_gone_is_told(self):
        self.assertIn("not in", self.compare([result(0.8)], []).stdout)


if __name__ == "__main__":
    unittest.main()
