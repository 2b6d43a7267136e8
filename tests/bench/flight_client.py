"""Asks flight_server.py: reads a command of JSON a line, and answers each with a line, as service_bench.cpp does.

    {"do": "prepare", "request_bytes": N, "answer_bytes": N}  →  {}
    {"do": "run", "address": A, "callers": N, "seconds": S}
        →  {"seconds": [… of each exchange], "queue_seconds": [], "elapsed_seconds": …}: with up to so many under way on one stream
"""

import json
import sys
import threading
import time

import pyarrow.flight

from flight_server import make_batch


class Client:

    def __init__(self):
        self.exchanges = {}  # address → (client, writer, reader)

    def prepare(self, request_bytes, answer_bytes):
        self.close()
        self.batch = make_batch(request_bytes)
        self.command = str(answer_bytes).encode()
        return {}

    def close(self):
        for client, writer, _ in self.exchanges.values():
            writer.close()
            client.close()
        self.exchanges = {}

    def exchange(self, address):
        if address not in self.exchanges:
            client = pyarrow.flight.connect(address)
            writer, reader = client.do_exchange(pyarrow.flight.FlightDescriptor.for_command(self.command))
            writer.begin(self.batch.schema)
            self.exchanges[address] = client, writer, reader
        return self.exchanges[address][1:]

    def run(self, address, callers, seconds):
        writer, reader = self.exchange(address)
        start = time.perf_counter()
        taken = (self.one_by_one if callers == 1 else self.side_by_side)(writer, reader, start + seconds, callers)
        return {"seconds": taken, "queue_seconds": [], "elapsed_seconds": time.perf_counter() - start}

    def one_by_one(self, writer, reader, end, _):
        taken = []
        asked_at = 0
        while asked_at < end:
            asked_at = time.perf_counter()
            writer.write_batch(self.batch)
            reader.read_chunk()
            taken.append(time.perf_counter() - asked_at)
        return taken

    def side_by_side(self, writer, reader, end, callers):
        free = threading.Semaphore(callers)
        asked_at, taken = [], []
        asked = threading.Semaphore(0)
        is_over = threading.Event()

        def write():
            while time.perf_counter() < end or not asked_at:
                free.acquire()
                asked_at.append(time.perf_counter())
                asked.release()
                writer.write_batch(self.batch)
            is_over.set()
            asked.release()

        writing = threading.Thread(target=write)
        writing.start()
        while True:
            asked.acquire()
            if is_over.is_set() and len(taken) == len(asked_at):
                break
            reader.read_chunk()
            taken.append(time.perf_counter() - asked_at[len(taken)])
            free.release()
        writing.join()
        return taken


def main():
    client = Client()
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(getattr(client, command.pop("do"))(**command)), flush=True)
    client.close()


if __name__ == "__main__":
    main()
