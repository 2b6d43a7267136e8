"""Two servers behind one address, one after the other restarted under load: no call of `attnctl bench` fails.

Usage: restarts_test.py ATTND ATTNCTL RESTARTS [UNITTEST ARGUMENT…]
"""

import json
import signal
import subprocess
import sys
import unittest

import attnd_process
from attnd_process import PATIENCE_SECONDS, Attnd, environment, eventually

# Time for clients to see NOT_SERVING and go elsewhere: milliseconds, but machines may be slow.
DRAIN_DELAY_SECONDS = 2
# Of which all are in use before the next restart.
CALLERS = 4
# No load outlives a test for longer.
LOAD_SECONDS = 900


class Load:
    """`attnctl bench` in closed loop. To be used in a `with`, at whose end it is stopped."""

    program = None  # main sets it

    def __init__(self, servers, *flags):
        addresses = ",".join(server.address for server in servers)
        # A proxy of the machine must not see it: this address is not plainly a loopback one.
        self._process = subprocess.Popen(
            [self.program, f"--server=ipv4:{addresses}", "bench", "--json", f"--seconds={LOAD_SECONDS}", "--warm-up-seconds=0",
             f"--timeout-seconds={PATIENCE_SECONDS}", f"--concurrency={CALLERS}", "--preset=minilm-layer", *flags],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
            env=environment({"no_proxy": "127.0.0.1", "no_grpc_proxy": "127.0.0.1"}))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def end(self):
        """(exit status, report)."""
        self._process.send_signal(signal.SIGINT)
        output, _ = self._process.communicate(timeout=PATIENCE_SECONDS)
        return self._process.returncode, json.loads(output)


class Restartable:
    """A server that may be restarted at its address. To be used in a `with`."""

    def __init__(self):
        self._server = Attnd(f"--drain-delay-seconds={DRAIN_DELAY_SECONDS}")
        self.address = self._server.address

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._server.__exit__(*exception)

    def await_calls(self):
        """Waits until it is in use."""
        eventually(lambda: self._server.metric("grpc_server_handled_total", grpc_method="Attend", grpc_code="OK") > CALLERS,
                   f"{self.address} is in use")

    def restart(self):
        self._server.stop()
        self._server.__exit__(None, None, None)
        self._server = Attnd(f"--drain-delay-seconds={DRAIN_DELAY_SECONDS}", listen=self.address)


class RestartsTest(unittest.TestCase):

    RESTARTS = None  # main sets it

    def test_no_call_fails(self):
        servers = [self.enterContext(Restartable()) for _ in range(2)]
        loads = {name: self.enterContext(Load(servers, *flags)) for name, flags in {"calls": [], "a stream": ["--stream"]}.items()}
        for number in range(self.RESTARTS):
            for server in servers:
                server.await_calls()
            servers[number % 2].restart()
        for name, load in loads.items():
            status, report = load.end()
            print(f"{self.RESTARTS} restarts, {name}: {report['answered']} answered, {report['failed']} failed, "
                  f"p99 {report['latency_seconds']['p99'] * 1e3:.1f} ms, largest {report['latency_seconds']['max'] * 1e3:.1f} ms")
            self.assertEqual((report["failures"], report["failed"], status), ({}, 0, 0), name)


if __name__ == "__main__":
    Load.program = sys.argv.pop(2)
    RestartsTest.RESTARTS = int(sys.argv.pop(2))
    attnd_process.main()
