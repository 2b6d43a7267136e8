"""The server as its users see it: a process with flags, an exit status, a log, metrics and health."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

# Far longer than anything here takes: a machine may be slow, and a sanitizer slower.
PATIENCE_SECONDS = 120

# How much more memory a server may take than it does by itself: the thread sanitizer notes what happened to each byte.
MEMORY_FACTOR = 4 if "TSAN_OPTIONS" in os.environ else 1


def eventually(condition, what):
    """Waits until `condition` returns something true, and returns that; fails with `what` where it does not."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"this did not come to be within {PATIENCE_SECONDS} s: {what}")
        time.sleep(0.01)
    return result


def environment(settings=None):
    """The environment for a server: no settings of whoever runs the tests, but those given as {name: text}."""
    variables = {name: text for name, text in os.environ.items() if not name.startswith("ATTND_")}
    # Memory that a sanitizer keeps back after its release would count as the server's.
    variables["ASAN_OPTIONS"] = variables.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=8"
    return variables | (settings or {})


class Attnd:
    """A server on loopback, with ports of its own, that serves when the constructor returns. To be used in a `with`, at whose end
    it is stopped and must leave cleanly."""

    program = None  # main sets it

    def __init__(self, *flags, settings=None, listen="127.0.0.1:0", max_open_files=None):
        self._folder = tempfile.TemporaryDirectory(prefix="attnd-")
        folder = pathlib.Path(self._folder.name)
        self._log_file = folder / "log"
        port_file = folder / "ports.json"
        command = [self.program, f"--listen={listen}", "--metrics-listen=127.0.0.1:0", f"--port-file={port_file}", *flags]
        if max_open_files is not None:
            command = ["prlimit", f"--nofile={max_open_files}:{max_open_files}", "--", *command]
        with open(self._log_file, "wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(settings))
        try:
            eventually(lambda: port_file.exists() or self._process.poll() is not None, "the server is up")
            if self._process.poll() is not None:
                raise AssertionError(f"the server ended with exit status {self._process.returncode} instead of serving")
            ports = json.loads(port_file.read_text(encoding="utf-8"))
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        self.address, self.metrics_address = ports["grpc"], ports["metrics"]

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None and self._process.poll() is None:
                self.stop()
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            if kind is not None:
                print(f"the server's log:\n{self.log()}", file=sys.stderr)
            self._folder.cleanup()

    def signal(self, number):
        self._process.send_signal(number)

    @property
    def process_id(self):
        return self._process.pid

    def is_running(self):
        return self._process.poll() is None

    def wait(self):
        """Its exit status."""
        return self._process.wait(PATIENCE_SECONDS)

    def stop(self):
        """Has it end in the way that it should always end."""
        self.signal(signal.SIGTERM)
        status = self.wait()
        if status != 0:
            raise AssertionError(f"the server stopped with exit status {status}; its log:\n{self.log()}")

    def log(self):
        return self._log_file.read_text(encoding="utf-8", errors="replace")

    def metric(self, name, **labels):
        """The sum of the metric's samples that have these labels. KeyError without any."""
        with urllib.request.urlopen(f"http://{self.metrics_address}/metrics", timeout=PATIENCE_SECONDS) as answer:
            text = answer.read().decode("utf-8")
        found = []
        for sample_labels, value in re.findall(rf"^{re.escape(name)}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE):
            if labels.items() <= dict(re.findall(r'(\w+)="([^"]*)"', sample_labels)).items():
                found.append(float(value))
        if not found:
            raise KeyError(f"{name} {labels}")
        return sum(found)

    def peak_memory_bytes(self):
        """The most resident memory that it has had."""
        status = pathlib.Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) * 1024

    def await_idle(self):
        """Waits until it holds nothing of any request, and has ended every call of Attend and StreamAttend that it started."""
        eventually(lambda: self.metric("attnd_requests_in_flight") == 0, "no request is in flight")
        eventually(lambda: self.metric("attnd_in_flight_bytes") == 0, "no bytes are in flight")
        for method in ("Attend", "StreamAttend"):
            eventually(lambda name=method: self.metric("grpc_server_started_total", grpc_method=name) ==
                       self.metric("grpc_server_handled_total", grpc_method=name), f"every {method} that started has ended")


def run_attnd(*arguments, settings=None):
    """Runs the program where it is not to serve; (exit status, standard output, standard error)."""
    done = subprocess.run([Attnd.program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env=environment(settings), timeout=PATIENCE_SECONDS, check=False)
    return done.returncode, done.stdout, done.stderr


def main():
    """Runs the tests of the calling file: FILE PROGRAM [UNITTEST ARGUMENT…]."""
    Attnd.program = os.path.abspath(sys.argv.pop(1))
    unittest.main(module="__main__")
