"""Who asks, whom, and in which turns."""

import dataclasses
import pathlib
import resource
import statistics
import time

from processes import Asker

# Of one who is measured, before the next one's.
TURN_SECONDS = 0.05
TURN_OF_MANY_CALLERS_SECONDS = 0.25


def cpu_seconds(process_ids):
    """What all threads of the processes have used, by the clock that Linux has for each process: clock_getcpuclockid(3)."""
    return sum(time.clock_gettime((~process_id << 3) | 2) for process_id in process_ids)


def resident_bytes(process_id):
    return int(pathlib.Path(f"/proc/{process_id}/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


@dataclasses.dataclass
class Servers:
    cpus: int
    attnd: dict  # transport → a server with one worker
    attnd_all_cpus: object  # a server with as many workers as there are CPUs
    echo: dict  # transport → a server that computes nothing
    flight: dict  # the same by Arrow Flight, or empty
    torch: dict  # threads a request → a server that computes by PyTorch, or empty


@dataclasses.dataclass
class Askers:
    """Processes of attnd_service_bench, or of what takes the same commands."""
    ours: Asker
    neighbour: Asker  # that loads a server while `ours` asks it, too
    flight: Asker  # or None


@dataclasses.dataclass
class Contender:
    """One who is measured: what the asker is told to run, and whose CPU time that takes beside the asker's."""
    who: str
    asker: Asker
    command: dict
    server_process_ids: tuple = ()

    def __post_init__(self):
        self.seconds = []  # of each call
        self.queue_seconds = []
        self.rates = []  # calls a second, of each turn
        self.cpu_seconds_per_call = []  # of each turn

    def turn(self, seconds, is_measured):
        process_ids = (self.asker.process_id, *self.server_process_ids)
        cpu_before = cpu_seconds(process_ids)
        answer = self.asker.ask(do="run", seconds=seconds, **self.command)
        cpu = cpu_seconds(process_ids) - cpu_before
        if not is_measured:
            return
        calls = len(answer["seconds"])
        self.seconds += answer["seconds"]
        self.queue_seconds += answer["queue_seconds"]
        self.rates.append(calls / answer["elapsed_seconds"])
        self.cpu_seconds_per_call.append(cpu / calls)

    def result(self, **key):
        low, median, high = quartiles(self.seconds)
        low_rate, rate, high_rate = quartiles(self.rates)
        return key | {
            "who": self.who, "milliseconds": median * 1e3, "spread": (high - low) / median, "calls": len(self.seconds),
            "calls_per_second": rate, "rate_spread": (high_rate - low_rate) / rate,
            "cpu_milliseconds": statistics.median(self.cpu_seconds_per_call) * 1e3}


def quartiles(numbers):
    return statistics.quantiles(numbers, n=4, method="inclusive") if len(numbers) > 1 else numbers * 3


def take_turns(contenders, seconds, turn_seconds):
    """A round that warms up, and then one at least that is measured, so that a busy neighbour slows all."""
    turn_seconds = min(turn_seconds, seconds)
    for contender in contenders:
        contender.turn(turn_seconds, is_measured=False)
    start = time.monotonic()
    while True:
        for contender in contenders:
            contender.turn(turn_seconds, is_measured=True)
        if time.monotonic() - start >= seconds:
            return
