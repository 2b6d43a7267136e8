"""The processes that take part in a benchmark. Each ends with its standard input; to be used in a `with`."""

import json
import subprocess


class Process:

    def __init__(self, *command):
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process_id = self._process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait()

    def read_line(self):
        line = self._process.stdout.readline().strip()
        if not line:
            raise SystemExit(f"{self._process.args} ended")
        return line

    def write_line(self, line):
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


class Program(Process):
    """A server that prints its address."""

    def __init__(self, *command):
        super().__init__(*command)
        self.address = self.read_line()


class Asker(Process):
    """Takes commands of JSON, a line each, and answers each with a line."""

    def tell(self, **command):
        self.write_line(json.dumps(command))

    def hear(self):
        return json.loads(self.read_line())

    def ask(self, **command):
        self.tell(**command)
        return self.hear()
