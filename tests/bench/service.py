"""Measures what a call costs, against servers that it starts here, and prints what came out.

    service.py ATTND ATTND_ECHO_SERVER ATTND_SERVICE_BENCH [--json FILE] [--seconds S] [--no-peers]
"""

import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import tempfile

from attnd_process import Attnd
import service_measure
import service_report
from service_turns import Asker, Servers


class Echo:
    """A server that takes messages and answers as many bytes as it is asked for. To be used in a `with`."""

    def __init__(self, program, listen):
        self._process = subprocess.Popen([program, listen], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = self._process.stdout.readline().strip()
        self.process_id = self._process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait()


def parse():
    parser = argparse.ArgumentParser(description="Measures what a call to attnd costs.")
    parser.add_argument("attnd")
    parser.add_argument("echo_server", help="the program attnd_echo_server")
    parser.add_argument("bench", help="the program attnd_service_bench")
    parser.add_argument("--json", help="a file that the results are written to")
    parser.add_argument("--seconds", type=float, default=4, help="how long a row is measured, about")
    parser.add_argument("--no-peers", action="store_true", help="only what needs no packages of Python")
    return parser.parse_args()


def main():
    options = parse()
    Attnd.program = options.attnd
    cpus = len(os.sched_getaffinity(0))
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        servers = Servers(
            cpus=cpus,
            attnd={"loopback": stack.enter_context(Attnd("--workers=1")),
                   "unix": stack.enter_context(Attnd("--workers=1", listen=f"unix:{folder}/attnd"))},
            attnd_all_cpus=stack.enter_context(Attnd(f"--workers={cpus}")),
            echo={"loopback": stack.enter_context(Echo(options.echo_server, "127.0.0.1:0")),
                  "unix": stack.enter_context(Echo(options.echo_server, f"unix:{folder}/echo"))})
        asker = stack.enter_context(Asker(options.bench))
        results = service_measure.measure_all(servers, asker, options.seconds)
    print(service_report.tables(results, cpus))
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
