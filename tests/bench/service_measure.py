"""What is measured of a server: each part gives a list of objects, one for each row and who was measured."""

import dataclasses

from rows import ROWS, Row
from service_turns import TURN_OF_MANY_CALLERS_SECONDS, TURN_SECONDS, Contender, take_turns

MINILM = next(row for row in ROWS if "MiniLM" in row.name)
LARGE = next(row for row in ROWS if row.name == "B8 H12 S512 D64")
TINY = Row("B1 H1 S1 D8 (100 bytes)", "small", 1, 1, 1, 1, 8)
# Requests of so many bytes, which take little computing.
ONE_MEGABYTE = Row("B1 H10 S128 D64 (1 MB)", "transfer", 1, 10, 128, 128, 64)
FOUR_MEGABYTES = Row("B4 H10 S128 D64 (4 MB)", "transfer", 4, 10, 128, 128, 64)
SIXTEEN_MEGABYTES = Row("B16 H10 S128 D64 (16 MB)", "transfer", 16, 10, 128, 128, 64)
LENGTHS = tuple(Row(f"B1 H12 S{length} D64", "length", 1, 12, length, length, 64) for length in (16, 32, 64, 128, 256, 512, 1024, 2048))
CALLERS = 8


class Bench:
    """Everybody who takes part, and how long a row may take."""

    def __init__(self, servers, asker, seconds):
        self.servers = servers
        self.asker = asker
        self.seconds = seconds

    def prepare(self, row):
        """What the row's messages hold."""
        sizes = self.asker.ask(do="prepare", row=dataclasses.asdict(row))
        return sizes | self.asker.ask(do="answer_bytes", address=self.servers.attnd["loopback"].address)

    def here(self, workers):
        return Contender("here", self.asker, {"way": "here", "workers": workers, "callers": 1})

    def asks(self, way, server, callers=1):
        command = {"way": way, "address": server.address, "callers": callers}
        return Contender(way, self.asker, command, (server.process_id,))

    def run(self, contenders, turn_seconds, **key):
        take_turns(contenders, self.seconds, turn_seconds)
        return [contender.result(dtype="float32", **key) for contender in contenders]


def measure_calls(bench, transport):
    """One caller, one worker: by calls and on a stream, beside the same bytes without computing and computing without a server."""
    results = []
    attnd, echo = bench.servers.attnd[transport], bench.servers.echo[transport]
    for row in (TINY, MINILM, LARGE, ONE_MEGABYTE, SIXTEEN_MEGABYTES):
        sizes = bench.prepare(row)
        contenders = [bench.here(1), bench.asks("echo", echo), bench.asks("bare call", attnd), bench.asks("call", attnd),
                      bench.asks("echo stream", echo), bench.asks("stream", attnd)]
        results += bench.run(contenders, TURN_SECONDS, kind="calls", row=row.name, transport=transport, threads=1, **sizes)
    return results


def measure_rates(bench):
    """Many callers, one worker."""
    results = []
    attnd = bench.servers.attnd["loopback"]
    for row in (MINILM, LARGE):
        bench.prepare(row)
        here = bench.here(1)
        here.command["callers"] = CALLERS
        contenders = [here, bench.asks("call", attnd, CALLERS), bench.asks("stream", attnd, CALLERS)]
        results += bench.run(contenders, TURN_OF_MANY_CALLERS_SECONDS, kind="rates", row=row.name, transport="loopback", threads=1)
    return results


def measure_lengths(bench):
    """How what a call adds shrinks beside what is computed, which grows with the square of the length."""
    results = []
    for row in LENGTHS:
        sizes = bench.prepare(row)
        contenders = [bench.here(1), bench.asks("call", bench.servers.attnd["loopback"])]
        results += bench.run(contenders, TURN_SECONDS, kind="lengths", row=row.name, transport="loopback", threads=1, **sizes)
    return results


def measure_pipelines(bench):
    """Requests side by side on a stream, with a worker for each CPU: transfer should hide behind computing."""
    results = []
    cpus = bench.servers.cpus
    for row in (ONE_MEGABYTE, FOUR_MEGABYTES, SIXTEEN_MEGABYTES):
        sizes = bench.prepare(row)
        contenders = [bench.here(cpus), bench.asks("echo stream", bench.servers.echo["loopback"], CALLERS),
                      bench.asks("stream", bench.servers.attnd_all_cpus, CALLERS)]
        results += bench.run(contenders, TURN_OF_MANY_CALLERS_SECONDS, kind="pipeline", row=row.name, transport="loopback",
                             threads=cpus, **sizes)
    return results


def measure_all(servers, asker, seconds):
    bench = Bench(servers, asker, seconds)
    results = []
    for transport in servers.attnd:
        results += measure_calls(bench, transport)
    return results + measure_rates(bench) + measure_lengths(bench) + measure_pipelines(bench)
