"""Measures what a call costs, against a server that it starts on loopback.

Usage: service.py ATTND ATTND_SERVICE_BENCH [SECONDS A ROW] [FLAG FOR ATTND…]
"""

import subprocess
import sys

from attnd_process import Attnd


def main(program, bench, seconds="0", *flags):
    Attnd.program = program
    with Attnd(*flags) as server:
        subprocess.run([bench, server.address, seconds], stdin=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
