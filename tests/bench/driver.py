"""Measures attnd's core beside its peers, in turns, and prints what came out.

    driver.py WORKER [--json FILE] [--rows PATTERN] [--threads N …] [--budget SECONDS] [--all] [--no-peers]
"""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import sys
import tempfile

import numpy as np

from processes import Asker
import report
import rows

HERE = pathlib.Path(__file__).parent
PEERS = ("torch", "onnxruntime", "openvino")
ROUNDS = 3
# Largest difference to our output, relative to its largest element: what the type allows peers that add up in another
# order, or round weights and scores on the way.
TOLERANCES = {"float32": 1e-4, "bfloat16": 4e-2, "float16": 2e-2}
# Inputs repeat a block of so many random numbers, which takes less time to make.
BLOCK = 1 << 20
SEED = 1


class Worker(Asker):
    """A process that measures one of those who are compared."""

    def __init__(self, who, *command):
        super().__init__(*command)
        self.who = who


def to_bits(numbers, dtype):
    """Random numbers as the type's elements; of bfloat16, rounded to nearest even, the bits."""
    if dtype == "float32":
        return numbers
    if dtype == "float16":
        return numbers.astype(np.float16)
    bits = numbers.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def write_inputs(file, row, dtype):
    block = to_bits(np.random.default_rng(SEED).standard_normal(BLOCK, np.float32), dtype)
    count = row.head_size * row.batch * (row.heads * row.queries + 2 * row.key_value_heads * row.keys)
    with open(file, "wb") as out:
        while count > 0:
            block[:count].tofile(out)
            count -= BLOCK


class Cell:
    """A row, a type and a number of threads."""

    def __init__(self, row, dtype, threads, cpus, folder):
        self.row, self.dtype, self.threads = row, dtype, threads
        self.cpus = cpus[:1] if threads == 1 else cpus
        self.inputs = os.path.join(folder, "inputs")
        self.output = os.path.join(folder, "output")
        self.seconds = {}  # who → of each call
        self.marks = {}  # who → what is to be said of it
        self.limits = []

    def prepare(self, worker):
        """Whether the worker can do it."""
        answer = worker.ask(do="prepare", row=dataclasses.asdict(self.row), type=self.dtype, inputs=self.inputs,
                            threads=self.threads, cpus=self.cpus)
        if "cannot" in answer:
            self.marks[worker.who] = answer["cannot"]
        return "cannot" not in answer

    def output_of(self, worker):
        worker.ask(do="output", file=self.output)
        return np.fromfile(self.output, np.float32)

    def run(self, workers, budget, is_all):
        write_inputs(self.inputs, self.row, self.dtype)
        ours = workers[0]
        able = [worker for worker in workers if self.prepare(worker)]
        slice_seconds = budget / ROUNDS / max(1, len(able))
        for worker in list(able):
            warming = worker.ask(do="run", seconds=0)["seconds"]
            self.check(worker, ours)
            if warming[0] > slice_seconds * ROUNDS and worker is not ours and not is_all:
                self.run_once(worker, slice_seconds * ROUNDS, able)
        for _ in range(ROUNDS):
            self.limits.append(ours.ask(do="limits", type=self.dtype, threads=self.threads))
            for worker in able:
                self.seconds.setdefault(worker.who, []).extend(worker.ask(do="run", seconds=slice_seconds)["seconds"])

    def run_once(self, worker, seconds, able):
        """Takes a warm call of one whose first took longer than all its rounds; is this no faster, it is not asked again."""
        taken = worker.ask(do="run", seconds=0)["seconds"]
        if taken[0] > seconds:
            self.seconds[worker.who] = taken
            self.marks[worker.who] = "once"
            able.remove(worker)

    def check(self, worker, ours):
        """Everybody must compute the same."""
        if worker is ours:
            self.expected = self.output_of(ours)
            return
        found = self.output_of(worker)
        worst = float(np.abs(found - self.expected).max() / np.abs(self.expected).max())
        if not worst <= TOLERANCES[self.dtype]:
            raise SystemExit(f"{worker.who} computes something else: {self.row.name} {self.dtype} is {worst:.2g} away")

    def results(self):
        """A list of objects, one for each of those who were measured or cannot be."""
        return self.measured() + [self.key(who) | {"cannot": why} for who, why in self.marks.items() if why != "once"]

    def key(self, who):
        return {"row": self.row.name, "kind": self.row.kind, "source": self.row.source, "who": who, "dtype": self.dtype,
                "threads": self.threads}

    def measured(self):
        if not self.limits:
            return []
        limits = {name: float(np.median([limit[name] for limit in self.limits])) for name in self.limits[0]}
        element_size_bytes = 4 if self.dtype == "float32" else 2
        results = []
        for who, seconds in self.seconds.items():
            median = float(np.median(seconds))
            low, high = np.percentile(seconds, (25, 75))
            if self.row.kind == "decode":
                rate, limit = self.row.key_value_bytes(element_size_bytes) / median, limits["read_bytes"]
            else:
                rate, limit = self.row.operations() / median, limits["operations"]
            results.append(self.key(who) | {
                "milliseconds": median * 1e3, "spread": float(high - low) / median, "calls": len(seconds), "rate": rate,
                "limit_share": rate / limit, "limits": limits, "visible_pairs": self.row.visible_pairs(),
                "weights_bytes": self.row.weights_bytes(),
                "once": self.marks.get(who) == "once"})
        return results


def measure_rows(options, threads, cpus, folder):
    """In processes of their own for each number of threads: libraries' threads stay on the CPUs on which they began."""
    commands = {"attnd": [options.worker]}
    if not options.no_peers:
        commands |= {peer: [sys.executable, str(HERE / "measure.py"), peer] for peer in PEERS}
    results = []
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(Worker(who, *command)) for who, command in commands.items()]
        for row in rows.ROWS:
            for dtype in row.types:
                if re.search(options.rows, f"{row.name} {dtype}"):
                    cell = Cell(row, dtype, threads, cpus, folder)
                    cell.run(workers, options.budget, options.all)
                    results += cell.results()
                    print(report.line(results, row.name, dtype, threads), file=sys.stderr, flush=True)
    return results


def measure_two_threads(workers, folder, cpus, seconds):
    """Calls a second of two processes with a thread each, and of one with two, for a large row and one of many tiny groups."""
    results = []
    for name in ("B8 H12 S512 D64", "B64 H1 S16 D64"):
        row = next(row for row in rows.ROWS if row.name == name)
        rates = {"two processes": [], "two threads": []}
        cell = Cell(row, "float32", 2, cpus, folder)
        write_inputs(cell.inputs, row, "float32")
        for _ in range(ROUNDS):
            for worker, cpu in zip(workers, cpus):
                worker.ask(do="prepare", row=dataclasses.asdict(row), type="float32", inputs=cell.inputs, threads=1, cpus=[cpu])
            for worker in workers:  # both run at once
                worker.tell(do="run", seconds=seconds)
            taken = [worker.hear()["seconds"] for worker in workers]
            rates["two processes"].append(sum(len(each) / sum(each) for each in taken))
            cell.prepare(workers[0])
            each = workers[0].ask(do="run", seconds=seconds)["seconds"]
            rates["two threads"].append(len(each) / sum(each))
        for who, each in rates.items():
            results.append({"row": name, "kind": "two threads", "who": who, "dtype": "float32", "threads": 2,
                            "milliseconds": 1e3 / float(np.median(each)), "calls_per_second": float(np.median(each))})
    return results


def measure_memory(ours, folder, cpus):
    """Bytes that a call takes beyond its inputs and outputs."""
    cell = Cell(rows.MEMORY_ROW, "float32", 1, cpus, folder)
    write_inputs(cell.inputs, cell.row, "float32")
    cell.prepare(ours)
    return [cell.key("attnd") | {"grown_bytes": ours.ask(do="memory")["grown_bytes"]}]


def parse():
    parser = argparse.ArgumentParser(description="Measures attnd's core beside its peers.")
    parser.add_argument("worker", help="the program attnd_bench")
    parser.add_argument("--json", help="a file that the results are written to")
    parser.add_argument("--rows", default="", help="a regular expression that names of rows match, with the type after them")
    parser.add_argument("--threads", type=int, nargs="+", help="numbers of threads; default 1 and all CPUs")
    parser.add_argument("--budget", type=float, default=5, help="seconds that the rounds of a cell take, about")
    parser.add_argument("--all", action="store_true", help="also what does not fit the budget gets all rounds")
    parser.add_argument("--no-peers", action="store_true", help="attnd alone")
    return parser.parse_args()


def main():
    options = parse()
    cpus = sorted(os.sched_getaffinity(0))
    threads = options.threads or sorted({1, len(cpus)})
    results = []
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        ours = [stack.enter_context(Worker("attnd", options.worker)) for _ in range(2)]
        if not options.rows:
            results += measure_memory(ours[0], folder, cpus)
        for count in threads:
            results += measure_rows(options, count, cpus, folder)
        if len(cpus) > 1 and not options.rows:
            results += measure_two_threads(ours, folder, cpus[:2], options.budget / 10)
        print(report.tables(results, ours[0].ask(do="machine")))
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
