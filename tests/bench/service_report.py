"""Tables of what service_measure.py measured, and whether goals are met."""

from report import number

# What a call may take, over a bare echo of the same bytes and the core's own time.
LARGEST_CALL_RATIO = 1.3
LARGEST_TINY_OVERHEAD_MICROSECONDS = 60
LEAST_PIPELINE_SHARE = 0.9


def select(results, **key):
    """row → who → result, of those that have these values."""
    found = {}
    for result in results:
        if key.items() <= result.items():
            found.setdefault(result["row"], {})[result["who"]] = result
    return found


def table(head, lines):
    return "\n".join(["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *lines)])


def milliseconds(result):
    return f"{number(result['milliseconds'])} ±{result['spread'] * 50:.0f} %"


def calls_table(results, transport):
    whos = ("here", "echo", "bare call", "call", "echo stream", "stream")
    rows = select(results, kind="calls", transport=transport)
    lines = [[row, f"{found['here']['request_bytes'] / 1e6:.3g}", *(milliseconds(found[who]) for who in whos)]
             for row, found in rows.items()]
    return table(["row", "MB there", *whos], lines)


def rates_table(results):
    whos = ("here", "call", "stream")
    lines = [[row, *(f"{found[who]['calls_per_second']:.0f} ±{found[who]['rate_spread'] * 50:.0f} %" for who in whos)]
             for row, found in select(results, kind="rates").items()]
    return table(["row", *whos], lines)


def lengths_table(results):
    lines = []
    for row, found in select(results, kind="lengths").items():
        here, call = found["here"]["milliseconds"], found["call"]["milliseconds"]
        lines.append([row, f"{found['here']['tensor_bytes'] / 1e6:.2f}", number(here), number(call), f"{(call - here) / here:.0%}"])
    return table(["row", "MB there and back", "ms here", "ms by a call", "the call adds"], lines)


def pipeline_bound(found, cpus):
    """Requests a second, were every CPU busy with nothing but computing and gRPC's own work."""
    return cpus / (found["here"]["cpu_milliseconds"] + found["echo stream"]["cpu_milliseconds"]) * 1e3


def pipelines_table(results, cpus):
    lines = []
    for row, found in select(results, kind="pipeline").items():
        rate = found["stream"]["calls_per_second"]
        lines.append([row, *(number(found[who]["cpu_milliseconds"]) for who in ("here", "echo stream", "stream")),
                      f"{pipeline_bound(found, cpus):.0f}", f"{found['echo stream']['calls_per_second']:.0f}",
                      f"{rate:.0f} ±{found['stream']['rate_spread'] * 50:.0f} %"])
    head = ["row", "CPU ms of the core", "of the echo", "of attnd", "CPUs / (core + echo), a second", "echoes a second",
            "answers a second"]
    return table(head, lines)


def goal(what, text, reached, is_met):
    return [what, text, reached, "met" if is_met else "not met"]


def call_goals(results):
    lines = []
    for transport in ("loopback", "unix"):
        for row, found in select(results, kind="calls", transport=transport).items():
            for way, echo in (("call", "echo"), ("stream", "echo stream")):
                least = found[echo]["milliseconds"] + found["here"]["milliseconds"]
                ratio = found[way]["milliseconds"] / least
                lines.append(goal(f"{row}, {way}, {transport}", f"at most {LARGEST_CALL_RATIO} of the echo and the core",
                                  f"{ratio:.2f}", ratio <= LARGEST_CALL_RATIO))
                if "100 bytes" in row:
                    over = (found[way]["milliseconds"] - found[echo]["milliseconds"]) * 1e3
                    lines.append(goal(f"{row}, {way}, {transport}", f"at most {LARGEST_TINY_OVERHEAD_MICROSECONDS} µs over the echo",
                                      f"{over:.0f} µs", over <= LARGEST_TINY_OVERHEAD_MICROSECONDS))
    return lines


def pipeline_goals(results, cpus):
    lines = []
    for row, found in select(results, kind="pipeline").items():
        share = found["stream"]["calls_per_second"] / pipeline_bound(found, cpus)
        lines.append(goal(f"{row}, pipelined", f"{LEAST_PIPELINE_SHARE} of CPUs / (CPU time of the echo and the core)", f"{share:.2f}",
                          share >= LEAST_PIPELINE_SHARE))
    return lines


def tables(results, cpus):
    parts = []
    for transport in ("loopback", "unix"):
        parts += [f"ms, one caller, one worker, {transport}:", calls_table(results, transport)]
    parts += ["Answers a second, 8 callers, one worker:", rates_table(results),
              "One caller, one worker:", lengths_table(results),
              f"8 requests at once on a stream, {cpus} workers:", pipelines_table(results, cpus),
              "Goals:", table(["what", "goal", "reached", ""], call_goals(results) + pipeline_goals(results, cpus))]
    return "\n\n".join(parts)
