"""Many short sequences, together larger than any message: through attnctl they have the core's own bits, and the server's memory
stays within what it has reserved.

Usage: short_sequences_test.py ATTND ATTNCTL SHORT_SEQUENCES BATCH LIMIT_MIB
"""

import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import attnd_process
from attnd_process import Attnd

MIB = 1 << 20
# Beside what is reserved: what gRPC has read and not yet delivered or written, the workers' scratch, what the allocator keeps; and
# one piece, which can come and go without being seen.
ALLOWANCE_BYTES = 128 * MIB


class Highest(threading.Thread):
    """The highest value that a gauge of the server is seen at, in a `with`."""

    def __init__(self, server, name):
        super().__init__()
        self._server, self._name = server, name
        self._ended = threading.Event()
        self.value = 0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self.join()

    def run(self):
        while not self._ended.wait(0.005):
            self.value = max(self.value, self._server.metric(self._name))


class ShortSequencesTest(unittest.TestCase):

    attnctl = short_sequences = batch = limit_mib = None  # main sets them

    def run_program(self, *command):
        """For as long as it takes: there may be gigabytes to go through."""
        started = time.monotonic()
        done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout}{done.stderr}")
        print(f"{time.monotonic() - started:6.1f} s  {pathlib.Path(command[0]).name} {" ".join(map(str, command[1:]))[:60]}", flush=True)

    def test_have_the_cores_bits_and_bounded_memory(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="attnd-")))
        problem, output = folder / "problem.safetensors", folder / "output.npy"
        self.run_program(self.short_sequences, "write", problem, self.batch)
        with Attnd(f"--max-message-bytes={self.limit_mib}MiB") as server:
            idle_bytes = server.peak_memory_bytes()
            with Highest(server, "attnd_in_flight_bytes") as in_flight:
                self.run_program(self.attnctl, "--server", server.address, "attend", "--timeout-seconds", 600, "--input", problem,
                                 "--output", output)
            grown_bytes = server.peak_memory_bytes() - idle_bytes
            server.await_idle()
        self.run_program(self.short_sequences, "check", problem, output)
        print(f"a problem of {problem.stat().st_size / MIB:.0f} MiB under a limit of {self.limit_mib} MiB: the server reserved up to "
              f"{in_flight.value / MIB:.0f} MiB, and its memory grew by {grown_bytes / MIB:.0f} MiB at the most")
        self.assertGreater(in_flight.value, 0)
        self.assertLess(grown_bytes, in_flight.value + ALLOWANCE_BYTES)


if __name__ == "__main__":
    ShortSequencesTest.limit_mib = int(sys.argv.pop())
    ShortSequencesTest.batch = int(sys.argv.pop())
    ShortSequencesTest.short_sequences = sys.argv.pop()
    ShortSequencesTest.attnctl = sys.argv.pop()
    attnd_process.main()
