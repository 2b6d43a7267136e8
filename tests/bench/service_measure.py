"""What is measured of a server: each part gives a list of objects, one for each row and who was measured."""

import dataclasses
import statistics
import time

from rows import ROWS, Row
from service_turns import TURN_OF_MANY_CALLERS_SECONDS, TURN_SECONDS, Contender, resident_bytes, take_turns

MINILM = next(row for row in ROWS if "MiniLM" in row.name)
LARGE = next(row for row in ROWS if row.name == "B8 H12 S512 D64")
TINY = Row("B1 H1 S1 D8 (100 bytes)", "small", 1, 1, 1, 1, 8)
# Requests of so many bytes, which take little computing.
ONE_MEGABYTE = Row("B1 H10 S128 D64 (1 MB)", "transfer", 1, 10, 128, 128, 64)
FOUR_MEGABYTES = Row("B4 H10 S128 D64 (4 MB)", "transfer", 4, 10, 128, 128, 64)
SIXTEEN_MEGABYTES = Row("B16 H10 S128 D64 (16 MB)", "transfer", 16, 10, 128, 128, 64)
LENGTHS = tuple(Row(f"B1 H12 S{length} D64", "length", 1, 12, length, length, 64) for length in (16, 32, 64, 128, 256, 512, 1024, 2048))
CALLERS = 8

# Keeps all workers busy: it is computed for much longer than it travels.
HUGE = Row("B1 H4 S8192 D64", "prefill", 1, 4, 8192, 8192, 64)
HUGE_CALLERS = 4
# Of core/plan.h.
QUERY_TILE_ROWS = 64

# Largest difference of outputs that are means of numbers from -1 to 1.
TOLERANCE = 1e-5

# Calls of the core that must not take more and more memory, where a row is measured for so long.
GROWTH_CALLS_HERE = 1_000_000
FULL_GROWTH_SECONDS = 4
GROWTH_CALLERS = 32


class Bench:
    """Everybody who takes part, and how long a row may take."""

    def __init__(self, servers, askers, seconds):
        self.servers = servers
        self.askers = askers
        self.seconds = seconds

    def prepare(self, row):
        """What the row's messages hold."""
        sizes = self.askers.ours.ask(do="prepare", row=dataclasses.asdict(row))
        sizes |= self.askers.ours.ask(do="answer_bytes", address=self.servers.attnd["loopback"].address)
        if self.askers.flight is not None:
            self.askers.flight.ask(do="prepare", request_bytes=sizes["request_bytes"], answer_bytes=sizes["answer_bytes"])
        return sizes

    def here(self, workers, callers=1):
        return Contender("here", self.askers.ours, {"way": "here", "workers": workers, "callers": callers})

    def asks(self, way, server, callers=1, who=None):
        command = {"way": way, "address": server.address, "callers": callers}
        return Contender(who or way, self.askers.ours, command, (server.process_id,))

    def flight(self, transport, callers=1):
        """A list of who exchanges the same bytes by Arrow Flight, if anybody does."""
        if not self.servers.flight:
            return []
        server = self.servers.flight[transport]
        return [Contender("flight", self.askers.flight, {"address": server.address, "callers": callers}, (server.process_id,))]

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
                      bench.asks("echo stream", echo), bench.asks("stream", attnd), *bench.flight(transport)]
        results += bench.run(contenders, TURN_SECONDS, kind="calls", row=row.name, transport=transport, threads=1, **sizes)
    return results


def measure_rates(bench):
    """Many callers, one worker."""
    results = []
    attnd = bench.servers.attnd["loopback"]
    for row in (MINILM, LARGE):
        bench.prepare(row)
        contenders = [bench.here(1, CALLERS), bench.asks("call", attnd, CALLERS), bench.asks("stream", attnd, CALLERS)]
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
                      bench.asks("stream", bench.servers.attnd_all_cpus, CALLERS), *bench.flight("loopback", CALLERS)]
        results += bench.run(contenders, TURN_OF_MANY_CALLERS_SECONDS, kind="pipeline", row=row.name, transport="loopback",
                             threads=cpus, **sizes)
    return results


def measure_torch(bench):
    """Many callers, and as many workers or threads as there are CPUs; PyTorch's threads at once for one request or one for each."""
    if not bench.servers.torch:
        return []
    results = []
    for row in (MINILM, LARGE):
        bench.prepare(row)
        contenders = [bench.asks("bare call", bench.servers.attnd_all_cpus, CALLERS)]
        for threads, server in bench.servers.torch.items():
            check(bench, row, server)
            contenders.append(bench.asks("bare call", server, CALLERS, who=f"torch, {threads} a request"))
        results += bench.run(contenders, TURN_OF_MANY_CALLERS_SECONDS, kind="torch", row=row.name, transport="loopback",
                             threads=bench.servers.cpus)
    return results


def check(bench, row, server):
    difference = bench.askers.ours.ask(do="difference", address=server.address, workers=1)["difference"]
    if not difference <= TOLERANCE:
        raise SystemExit(f"{server.address} computes something else: {row.name} is {difference} away")


def measure_fairness(bench):
    """How long a tiny request waits for a worker, alone and beside those that keep all workers busy."""
    ours, neighbour, server = bench.askers.ours, bench.askers.neighbour, bench.servers.attnd_all_cpus
    bench.prepare(TINY)
    neighbour.ask(do="prepare", row=dataclasses.asdict(HUGE))
    huge = Contender("here", neighbour, {"way": "here", "workers": 1, "callers": 1})
    alone, beside = (bench.asks("call", server, who=who) for who in ("alone", "beside"))
    for is_measured in (False, True, True, True):
        huge.turn(bench.seconds / 10, is_measured)
        alone.turn(bench.seconds / 4, is_measured)
        neighbour.tell(do="run", way="stream", address=server.address, callers=HUGE_CALLERS, seconds=bench.seconds / 2)
        time.sleep(bench.seconds / 10)  # until all workers are busy
        beside.turn(bench.seconds / 4, is_measured)
        neighbour.hear()
    tiles = HUGE.batch * HUGE.heads * -(-HUGE.queries // QUERY_TILE_ROWS)
    key = {"kind": "fairness", "row": TINY.name, "dtype": "float32", "transport": "loopback", "threads": bench.servers.cpus,
           "tile_milliseconds": statistics.median(huge.seconds) * 1e3 / tiles}
    return [contender.result(**key, queue_p99_milliseconds=percentile(contender.queue_seconds, 99) * 1e3)
            for contender in (alone, beside)]


def percentile(numbers, percent):
    ordered = sorted(numbers)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def measure_growth(bench):
    """The memory of the core in the asker's process, and of the server, before and after many calls."""
    ours, server = bench.askers.ours, bench.servers.attnd["loopback"]
    bench.prepare(TINY)
    key = {"kind": "growth", "row": TINY.name, "dtype": "float32", "threads": 1}
    calls = max(1, round(min(1, bench.seconds / FULL_GROWTH_SECONDS) * GROWTH_CALLS_HERE))
    before, after = ours.ask(do="repeat", workers=1, calls=calls)["resident_bytes"]
    results = [key | {"who": "here", "calls": calls, "resident_bytes": [before, after]}]
    streamed = bench.asks("stream", server, GROWTH_CALLERS)
    streamed.turn(bench.seconds / 2, is_measured=False)
    before = resident_bytes(server.process_id)
    streamed.turn(bench.seconds * 2, is_measured=True)
    return results + [key | {"who": "stream", "calls": len(streamed.seconds),
                             "resident_bytes": [before, resident_bytes(server.process_id)]}]


def measure_all(servers, askers, seconds):
    bench = Bench(servers, askers, seconds)
    results = []
    for transport in servers.attnd:
        results += measure_calls(bench, transport)
    for measure in (measure_rates, measure_lengths, measure_pipelines, measure_torch, measure_fairness, measure_growth):
        results += measure(bench)
    return results
