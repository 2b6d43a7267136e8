"""Has a server compute the attention of a captured model, and checks it against what the model computed.

Usage: demonstrate.py BUILD_FOLDER FILE TITLE

FILE holds, for each layer N, tensors layerN.query, layerN.key, layerN.value, layerN.output and layerN.weights, one tensor
key_lengths for all, and the tokens as metadata; TITLE is what to call it. Everything is done as a user would do it: through the
server's port, the command-line client and the metrics endpoint. Exits with 0 only if every check held.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

# Against the model's own float32 outputs; its rounding and ours differ by a few 1e-7.
TOLERANCE = 5e-6
START_SECONDS = 30
STOP_SECONDS = 30
CALL_SECONDS = 120


class CheckFailed(Exception):
    """Something that a user would see go wrong."""


def say(text):
    print(text, flush=True)


def run(command, accepted=(0,)):
    """What the command prints; its exit status must be one of `accepted`. It has our descriptors: FILE may be one."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=CALL_SECONDS, close_fds=False, check=False)
    if done.returncode not in accepted:
        raise CheckFailed(f"{' '.join(map(str, command))}\n  exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Server:
    """The server, running; stopped at the end of a `with`."""

    def __init__(self, program, client, folder):
        port_file = folder / "ports.json"
        self._log = folder / "attnd.log"
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                [program, "--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0", f"--port-file={port_file}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=True)
        try:
            deadline = time.monotonic() + START_SECONDS
            while not port_file.exists():
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise CheckFailed(f"the server did not start; its log:\n{self.log()}")
                time.sleep(0.02)
            ports = json.loads(port_file.read_text(encoding="utf-8"))
            self.address, self.metrics_address = ports["grpc"], ports["metrics"]
            run([client, "--server", self.address, "health", "--wait-seconds", str(START_SECONDS)])
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def log(self):
        return self._log.read_text(encoding="utf-8", errors="replace")

    def stop(self):
        """Asks it to end, as an operator would."""
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise CheckFailed(f"the server did not stop within {STOP_SECONDS} s; its log:\n{self.log()}") from None
        if status != 0:
            raise CheckFailed(f"the server stopped with exit status {status}; its log:\n{self.log()}")


def layers_of(client, file):
    """The numbers of the file's layers, ascending."""
    listed = json.loads(run([client, "list", "--input", file, "--json"]))
    names = list(listed["tensors"])
    layers = sorted(int(found.group(1)) for found in (re.fullmatch(r"layer(\d+)\.query", name) for name in names) if found)
    if not layers:
        raise CheckFailed(f"the file has no tensor layer0.query; it has {', '.join(names) or 'none'}")
    return layers


def send_layer(client, address, file, layer, result_file):
    """Has the server compute a layer; returns its largest errors (of the output, of the weights)."""
    name = f"layer{layer}"
    compared = json.loads(run([
        client, "--server", address, "attend", "--json", "--input", file, "--query", f"{name}.query", "--key", f"{name}.key",
        "--value", f"{name}.value", "--key-lengths", "key_lengths", "--weights", "--expect-output", f"{name}.output",
        "--expect-weights", f"{name}.weights", "--tolerance", str(TOLERANCE), "--output", result_file],
        accepted=(0, 1)))  # 1: out of tolerance, which is judged when all layers are known
    return float(compared["output_max_abs_error"]), float(compared["weights_max_abs_error"])


def latency(metrics_text):
    """(count, mean, {quantile: upper bound of its bucket}) in seconds, of the Attend calls in the text of /metrics."""
    name = "grpc_server_handling_seconds"
    buckets, count, total = [], 0, 0.0
    for line in metrics_text.splitlines():
        found = re.fullmatch(name + r"_(bucket|sum|count)\{([^}]*)\} (\S+)", line)
        if not found:
            continue
        kind, labels, value = found.group(1), dict(re.findall(r'(\w+)="([^"]*)"', found.group(2))), float(found.group(3))
        if labels.get("grpc_method") != "Attend" or labels.get("grpc_code", "OK") != "OK":
            continue
        if kind == "bucket":
            buckets.append((float(labels["le"]), value))
        elif kind == "count":
            count = int(value)
        else:
            total = value
    if count == 0:
        raise CheckFailed("/metrics knows of no Attend call")
    bounds = {quantile: next(bound for bound, below in sorted(buckets) if below >= quantile * count)
              for quantile in (0.5, 0.99)}
    return count, total / count, bounds


def demonstrate(build, file, title, folder):
    client = build / "client/cli/attnctl"
    say("==> starting the server on loopback")
    started = time.monotonic()
    with Server(build / "server/attnd", client, folder) as server:
        say(f"    SERVING on {server.address}, metrics on {server.metrics_address}, after {time.monotonic() - started:.1f} s")

        layers = layers_of(client, file)
        say(f"==> sending {len(layers)} layers of {title} through attnctl; largest difference from the model's own")
        errors = []
        for layer in layers:
            errors.append(send_layer(client, server.address, file, layer, folder / f"layer{layer}.safetensors"))
            say(f"    layer {layer}: output {errors[-1][0]:.2e}, weights {errors[-1][1]:.2e}")
        say(f"largest error: output {max(e[0] for e in errors):.2e}, weights {max(e[1] for e in errors):.2e}")
        # Not a number fails.
        if not all(error < TOLERANCE for pair in errors for error in pair):
            raise CheckFailed(f"an error is not below {TOLERANCE:g}")

        say(f"==> what head 0 of layer {layers[0]} attends to, by the server's weights: each row is a token, its columns what it looks at")
        say(run([client, "show", "--input", folder / f"layer{layers[0]}.safetensors", "--weights", "weights", "--batch", "0",
                 "--head", "0", "--tokens-metadata", "tokens"]))

        with urllib.request.urlopen(f"http://{server.metrics_address}/metrics", timeout=CALL_SECONDS) as answer:
            count, mean, bounds = latency(answer.read().decode("utf-8"))
        say("==> latency that /metrics reports, from the first byte of a request to the last of its answer")
        say(f"    {count} Attend calls: mean {mean * 1e3:.2f} ms, p50 at most {bounds[0.5] * 1e3:g} ms, "
            f"p99 at most {bounds[0.99] * 1e3:g} ms")

        say("==> stopping the server")
        server.stop()
        say("    stopped with exit status 0")


def main(arguments):
    build, file, title = pathlib.Path(arguments[0]).resolve(), arguments[1], arguments[2]
    # The server runs with its built-in defaults, and nothing on loopback goes through a proxy.
    for name in list(os.environ):
        if name.startswith("ATTND_") or name.lower().endswith("_proxy"):
            del os.environ[name]
    try:
        with tempfile.TemporaryDirectory(prefix="attnd-") as folder:
            demonstrate(build, file, title, pathlib.Path(folder))
    except (CheckFailed, OSError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
        say(f"quickstart: a check failed: {error}")
        return 1
    say("Every check held.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
