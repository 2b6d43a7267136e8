"""Tables of what service_measure.py measured, and whether goals are met."""

from report import number

# What a call may take, over a bare echo of the same bytes and the core's own time.
LARGEST_CALL_RATIO = 1.3
LARGEST_TINY_OVERHEAD_MICROSECONDS = 60
LEAST_PIPELINE_SHARE = 0.9
LEAST_FACTOR_OVER_TORCH = {"MiniLM": 3, "large": 1.5}
TILES_TO_WAIT = 3
# What the system counts of a process comes and goes by some pages of its allocator.
NOISE_OF_MEMORY_MIB = 1

TRANSPORTS = ("loopback", "unix")
# Who asks as attnd's client does, each for one of its ways.
ECHO_OF = {"call": "echo", "stream": "echo stream"}


def select(results, **key):
    """row → who → result, of those that have these values."""
    found = {}
    for result in results:
        if key.items() <= result.items():
            found.setdefault(result["row"], {})[result["who"]] = result
    return found


def call_share(found, way):
    """The time of the echo and the core, of that of a call."""
    return (found[ECHO_OF[way]]["milliseconds"] + found["here"]["milliseconds"]) / found[way]["milliseconds"]


def pipeline_share(found, cpus):
    """The rate of answers, of that which the echo and the core allow."""
    return found["stream"]["calls_per_second"] / pipeline_bound(found, cpus)


def add_limit_shares(results, cpus):
    """What compare goes by, as "limit_share"."""
    for transport in TRANSPORTS:
        for found in select(results, kind="calls", transport=transport).values():
            for way in ECHO_OF:
                found[way]["limit_share"] = call_share(found, way)
    for found in select(results, kind="pipeline").values():
        found["stream"]["limit_share"] = pipeline_share(found, cpus)


def table(head, lines):
    return "\n".join(["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *lines)])


def milliseconds(result):
    return "–" if result is None else f"{number(result['milliseconds'])} ±{result['spread'] * 50:.0f} %"


def rate(result):
    if result is None:
        return "–"
    per_second = result["calls_per_second"]
    return f"{per_second:.{1 if per_second < 100 else 0}f} ±{result['rate_spread'] * 50:.0f} %"


def calls_table(results, transport):
    whos = ("here", "echo", "bare call", "call", "echo stream", "stream", "flight")
    rows = select(results, kind="calls", transport=transport)
    lines = [[row, f"{found['here']['request_bytes'] / 1e6:.3g}", *(milliseconds(found.get(who)) for who in whos)]
             for row, found in rows.items()]
    return table(["row", "MB there", *whos], lines)


def rates_table(results):
    whos = ("here", "call", "stream")
    lines = [[row, *(rate(found[who]) for who in whos)]
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
        lines.append([row, *(number(found[who]["cpu_milliseconds"]) for who in ("here", "echo stream", "stream")),
                      f"{pipeline_bound(found, cpus):.0f}", rate(found["echo stream"]),
                      rate(found["stream"]), rate(found.get("flight"))])
    head = ["row", "CPU ms of the core", "of the echo", "of attnd", "CPUs / (core + echo), a second", "echoes a second",
            "answers of attnd", "exchanges of Flight"]
    return table(head, lines)


def torch_table(results):
    rows = select(results, kind="torch")
    whos = list(dict.fromkeys(who for found in rows.values() for who in found))
    return table(["row", *("attnd" if who == "bare call" else who for who in whos)],
                 [[row, *(rate(found[who]) for who in whos)] for row, found in rows.items()])


def fairness_table(results):
    lines = [[who, number(result["queue_p99_milliseconds"]), number(result["milliseconds"]), str(result["calls"]),
              number(result["tile_milliseconds"])]
             for found in select(results, kind="fairness").values() for who, result in found.items()]
    return table(["", "ms from decoded to first tile, p99", "ms a call, median", "calls", "ms a tile of the huge ones"], lines)


def growth_table(results):
    lines = []
    for found in select(results, kind="growth").values():
        for who, result in found.items():
            before, after = result["resident_bytes"]
            lines.append([who, str(result["calls"]), f"{before / 2**20:.1f}", f"{after / 2**20:.1f}"])
    return table(["", "calls", "MiB before", "MiB after"], lines)


def goal(what, text, reached, is_met):
    return [what, text, reached, "met" if is_met else "not met"]


def call_goals(results):
    lines = []
    for transport in TRANSPORTS:
        for row, found in select(results, kind="calls", transport=transport).items():
            for way, echo in ECHO_OF.items():
                ratio = 1 / call_share(found, way)
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
        share = pipeline_share(found, cpus)
        lines.append(goal(f"{row}, pipelined", f"{LEAST_PIPELINE_SHARE} of CPUs / (CPU time of the echo and the core)", f"{share:.2f}",
                          share >= LEAST_PIPELINE_SHARE))
    return lines


def flight_goals(results):
    """What attnd computes meanwhile is taken off a call, and hides itself in a pipeline."""
    lines = []
    for transport in TRANSPORTS:
        for row, found in select(results, kind="calls", transport=transport).items():
            if "flight" not in found or "MB" not in row:
                continue
            size_bytes = found["here"]["request_bytes"] + found["here"]["answer_bytes"]
            theirs = size_bytes / found["flight"]["milliseconds"] / 1e6
            for way in ECHO_OF:
                ours = size_bytes / (found[way]["milliseconds"] - found["here"]["milliseconds"]) / 1e6
                lines.append(goal(f"{row}, {way}, {transport}", f"Flight's {theirs:.2f} GB/s, computing taken off", f"{ours:.2f} GB/s",
                                  ours >= theirs))
    for row, found in select(results, kind="pipeline").items():
        if "flight" in found:
            share = found["stream"]["calls_per_second"] / found["flight"]["calls_per_second"]
            lines.append(goal(f"{row}, pipelined", "Flight's bytes a second", f"{share:.2f} ×", share >= 1))
    return lines


def torch_goals(results):
    lines = []
    for row, found in select(results, kind="torch").items():
        factor = LEAST_FACTOR_OVER_TORCH["MiniLM" if "MiniLM" in row else "large"]
        theirs = max(result["calls_per_second"] for who, result in found.items() if who.startswith("torch"))
        ratio = found["bare call"]["calls_per_second"] / theirs
        lines.append(goal(f"{row}, 8 callers", f"{factor} × gRPC for Python with PyTorch", f"{ratio:.2f}", ratio >= factor))
    return lines


def fairness_goals(results):
    lines = []
    for row, found in select(results, kind="fairness").items():
        alone, beside = (found[who]["queue_p99_milliseconds"] for who in ("alone", "beside"))
        most = alone + TILES_TO_WAIT * found["alone"]["tile_milliseconds"]
        lines.append(goal(f"{row} beside huge ones", f"waits at most {number(most)} ms: alone and {TILES_TO_WAIT} tiles",
                          f"{number(beside)} ms", beside <= most))
    return lines


def growth_goals(results):
    lines = []
    for found in select(results, kind="growth").values():
        for who, result in found.items():
            grown = (result["resident_bytes"][1] - result["resident_bytes"][0]) / 2**20
            lines.append(goal(f"{result['calls']} calls, {who}", f"no growth: at most {NOISE_OF_MEMORY_MIB} MiB", f"{grown:.1f} MiB",
                              grown <= NOISE_OF_MEMORY_MIB))
    return lines


def goals(results, cpus):
    return (call_goals(results) + flight_goals(results) + pipeline_goals(results, cpus) + torch_goals(results) +
            fairness_goals(results) + growth_goals(results))


def tables(results, cpus):
    parts = []
    for transport in TRANSPORTS:
        parts += [f"ms, one caller, one worker, {transport}:", calls_table(results, transport)]
    parts += ["Answers a second, 8 callers, one worker:", rates_table(results),
              "One caller, one worker:", lengths_table(results),
              f"8 requests at once on a stream, {cpus} workers:", pipelines_table(results, cpus),
              f"Answers a second, 8 callers, {cpus} workers, and a server in Python with PyTorch:", torch_table(results),
              f"A tiny request beside {cpus} workers that are busy with huge ones:", fairness_table(results),
              "Memory:", growth_table(results),
              "Goals:", table(["what", "goal", "reached", ""], goals(results, cpus))]
    return "\n\n".join(parts)
