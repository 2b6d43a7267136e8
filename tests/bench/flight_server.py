"""Arrow Flight's DoExchange as an echo: takes record batches, drops them, and answers each with one of as many bytes as the exchange's
descriptor says.

    flight_server.py ADDRESS

Prints the address at which it serves, and ends with its standard input.
"""

import sys

import numpy as np
import pyarrow as pa
import pyarrow.flight


def make_batch(size_bytes):
    return pa.record_batch([pa.array(np.ones(size_bytes, np.uint8))], names=["bytes"])


class Server(pyarrow.flight.FlightServerBase):

    def do_exchange(self, context, descriptor, reader, writer):
        answer = make_batch(int(descriptor.command))
        writer.begin(answer.schema)
        for _ in reader:
            writer.write_batch(answer)


def main(address):
    with Server(address) as server:
        print(address if address.startswith("grpc+unix:") else f"grpc://127.0.0.1:{server.port}", flush=True)
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
