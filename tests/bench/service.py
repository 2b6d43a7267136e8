"""Measures what a call costs, against servers that it starts here, and prints what came out.

    service.py ATTND ATTND_ECHO_SERVER ATTND_SERVICE_BENCH [--json FILE] [--seconds S] [--no-peers]
"""

import argparse
import contextlib
import json
import os
import pathlib
import sys
import tempfile

from attnd_process import Attnd
from processes import Asker, Program
import service_measure
import service_report
from service_turns import Askers, Servers


HERE = pathlib.Path(__file__).parent


def parse():
    parser = argparse.ArgumentParser(description="Measures what a call to attnd costs.")
    parser.add_argument("attnd")
    parser.add_argument("echo_server", help="the program attnd_echo_server")
    parser.add_argument("bench", help="the program attnd_service_bench")
    parser.add_argument("--json", help="a file that the results are written to")
    parser.add_argument("--seconds", type=float, default=4, help="how long a row is measured, about")
    parser.add_argument("--no-peers", action="store_true", help="only what needs no packages of Python")
    return parser.parse_args()


def start_servers(options, stack, folder, cpus):
    """With one worker or thread each, but where it is named otherwise."""

    def start(*command):
        return stack.enter_context(Program(*command))

    def start_here(file, *arguments):
        return start(sys.executable, str(HERE / file), *arguments)

    servers = Servers(
        cpus=cpus,
        attnd={"loopback": stack.enter_context(Attnd("--workers=1")),
               "unix": stack.enter_context(Attnd("--workers=1", listen=f"unix:{folder}/attnd"))},
        attnd_all_cpus=stack.enter_context(Attnd(f"--workers={cpus}")),
        echo={"loopback": start(options.echo_server, "127.0.0.1:0"), "unix": start(options.echo_server, f"unix:{folder}/echo")},
        flight={}, torch={})
    if not options.no_peers:
        servers.flight = {"loopback": start_here("flight_server.py", "grpc://127.0.0.1:0"),
                          "unix": start_here("flight_server.py", f"grpc+unix://{folder}/flight")}
        servers.torch = {threads: start_here("torch_server.py", "127.0.0.1:0", str(threads)) for threads in sorted({1, cpus})}
    return servers


def main():
    options = parse()
    Attnd.program = options.attnd
    cpus = len(os.sched_getaffinity(0))
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        servers = start_servers(options, stack, folder, cpus)
        ours, neighbour = (stack.enter_context(Asker(options.bench)) for _ in range(2))
        flight = stack.enter_context(Asker(sys.executable, str(HERE / "flight_client.py"))) if servers.flight else None
        results = service_measure.measure_all(servers, Askers(ours, neighbour, flight), options.seconds)
    print(service_report.tables(results, cpus))
    if options.json:
        service_report.add_limit_shares(results, cpus)
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
