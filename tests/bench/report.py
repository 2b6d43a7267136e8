"""Tables of what driver.py measured, and whether goals are met."""

import statistics

PEERS = ("torch", "onnxruntime", "openvino")


def find(results, row, dtype, threads, who):
    for result in results:
        key = (result["row"], result["dtype"], result["threads"], result["who"])
        if key == (row, dtype, threads, who) and result["kind"] != "two threads":
            return result
    return None


def milliseconds(result):
    return result.get("milliseconds") if result else None


def fastest_peer(results, row, dtype, threads):
    """Milliseconds of the fastest of those who can do it, or None."""
    times = [milliseconds(find(results, row, dtype, threads, peer)) for peer in PEERS]
    return min((time for time in times if time is not None), default=None)


def number(value):
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def line(results, row, dtype, threads):
    """A row of the table."""
    ours = find(results, row, dtype, threads, "attnd")
    unit = "GB/s" if ours["kind"] == "decode" else "GF/s"
    cells = [row, dtype, number(ours["milliseconds"]), f"±{ours['spread'] * 50:.0f} %", f"{ours['rate'] / 1e9:.0f} {unit}",
             f"{ours['limit_share']:.0%}"]
    for peer in PEERS:
        result = find(results, row, dtype, threads, peer)
        time = milliseconds(result)
        if time is None:
            cells.append("–")
        else:
            cells.append(f"{number(time)} ({time / ours['milliseconds']:.2f}×){' once' if result['once'] else ''}")
    return "| " + " | ".join(cells) + " |"


def table(results, threads):
    cells = dict.fromkeys((result["row"], result["dtype"]) for result in results
                          if result["threads"] == threads and result["kind"] not in ("two threads", "memory"))
    if not cells:
        return ""
    head = "| row | type | attnd ms | spread | rate | of the limit | " + " | ".join(f"{peer} ms (× attnd)" for peer in PEERS) + " |"
    lines = [head, "|---" * 9 + "|"] + [line(results, row, dtype, threads) for row, dtype in cells]
    return f"\n{threads} thread{'s' if threads > 1 else ''}:\n\n" + "\n".join(lines) + "\n"


def limits_table(results):
    """What the machine could do, in the median of all cells."""
    lines = ["| threads | type | products | reading | writing | exponentials |", "|---" * 6 + "|"]
    cells = [result for result in results if result["who"] == "attnd" and "limits" in result]
    for threads, dtype in dict.fromkeys((cell["threads"], cell["dtype"]) for cell in cells):
        limits = [cell["limits"] for cell in cells if (cell["threads"], cell["dtype"]) == (threads, dtype)]
        rates = [statistics.median(limit[name] for limit in limits) / 1e9
                 for name in ("operations", "read_bytes", "write_bytes", "exponentials")]
        lines.append(f"| {threads} | {dtype} | {rates[0]:.0f} GF/s | {rates[1]:.1f} GB/s | {rates[2]:.1f} GB/s | {rates[3]:.2f} G/s |")
    return "\n".join(lines)


def factor_over_peers(kind, dtype, machine):
    """How many times as fast as the fastest peer a row should be; None for bfloat16 where the machine does not multiply it."""
    if kind != "prefill" or dtype == "float32":
        return 1.2
    if dtype == "float16":
        return 1.3
    if "amx" in machine["instruction_set"]:
        return 1.5
    return 1.3 if "bfloat16" in machine["multiplies"] else None


def goals_of(results, ours, dense, machine):
    """(text, what is reached, whether it is met) for each goal of one of our results."""
    kind, dtype = ours["kind"], ours["dtype"]
    goals = []
    factor = factor_over_peers(kind, dtype, machine)
    peer = fastest_peer(results, ours["row"], ours["dtype"], ours["threads"])
    ratio = None if peer is None else peer / ours["milliseconds"]
    if ours["source"] == "packed":
        goals.append(("0.85 of the rate of reading", f"{ours['limit_share']:.2f}", ours["limit_share"] >= 0.85))
    elif factor is None:
        float32 = find(results, ours["row"], "float32", ours["threads"], "attnd")
        if float32 is not None:
            share = float32["milliseconds"] / ours["milliseconds"]
            goals.append(("never slower than float32", f"{share:.2f}", share >= 1))
    elif kind == "prefill" and dtype == "float32":
        text = f"{factor} × the fastest peer or 0.85 of the matrix product's rate"
        reached = f"{'–' if ratio is None else f'{ratio:.2f}'} or {ours['limit_share']:.2f}"
        goals.append((text, reached, (ratio or 0) >= factor or ours["limit_share"] >= 0.85))
    elif kind in ("prefill", "small", "decode") and ratio is not None:
        goals.append((f"{factor} × the fastest peer", f"{ratio:.2f}", ratio >= factor))
    if dense is not None:
        share = dense["milliseconds"] / dense["visible_pairs"] * ours["visible_pairs"] / ours["milliseconds"]
        goals.append((f"0.90 of the speed of {dense['row']}, a visible pair", f"{share:.2f}", share >= 0.9))
    return goals


# Rows whose cost a visible pair is held against that of a row without masks and with as large heads.
DENSE_ROWS = {"B16 H12 S512 D64 lengths 16-512": "B8 H12 S512 D64", "B1 H8 S8192 D64 window 1024": "B8 H12 S512 D64"}


def goals_table(results, machine):
    lines = ["| row | type | threads | goal | reached | |", "|---" * 6 + "|"]
    for ours in results:
        if ours["who"] != "attnd" or "limit_share" not in ours:
            continue
        dense_name = DENSE_ROWS.get(ours["row"])
        dense = find(results, dense_name, ours["dtype"], ours["threads"], "attnd") if dense_name else None
        for text, reached, is_met in goals_of(results, ours, dense, machine):
            met = "met" if is_met else "not met"
            lines.append(f"| {ours['row']} | {ours['dtype']} | {ours['threads']} | {text} | {reached} | {met} |")
    lines += two_threads(results) + weights(results) + memory(results)
    return "\n".join(lines)


def two_threads(results):
    lines = []
    rates = {(result["row"], result["who"]): result["calls_per_second"] for result in results if result["kind"] == "two threads"}
    for row in dict.fromkeys(row for row, _ in rates):
        ratio = rates[row, "two threads"] / rates[row, "two processes"]
        met = "met" if ratio >= 0.95 else "not met"
        lines.append(f"| {row} | float32 | 2 | 0.95 of two processes with a thread each | {ratio:.2f} | {met} |")
    return lines


def weights(results):
    """Weights may take 1.3 times as long as the output alone and one write of them."""
    lines = []
    for with_weights in results:
        if with_weights["kind"] != "weights" or with_weights["who"] != "attnd":
            continue
        alone = find(results, with_weights["row"].removesuffix(" weights"), with_weights["dtype"], with_weights["threads"], "attnd")
        if alone is None:
            continue
        write_milliseconds = 1e3 * with_weights["weights_bytes"] / with_weights["limits"]["write_bytes"]
        ratio = with_weights["milliseconds"] / (alone["milliseconds"] + write_milliseconds)
        lines.append(f"| {with_weights['row']} | {with_weights['dtype']} | {with_weights['threads']} | at most 1.30 of the time without "
                     f"weights and of one write of them | {ratio:.2f} | {'met' if ratio <= 1.3 else 'not met'} |")
    return lines


def memory(results):
    lines = []
    for result in results:
        if result["kind"] == "memory":
            mebibytes = result["grown_bytes"] / 2**20
            lines.append(f"| {result['row']} | {result['dtype']} | {result['threads']} | below 64 MiB beyond inputs and outputs | "
                         f"{mebibytes:.0f} MiB | {'met' if mebibytes < 64 else 'not met'} |")
    return lines


def tables(results, machine):
    threads = dict.fromkeys(result["threads"] for result in results)
    text = f"Instruction set: {machine['instruction_set']}\n"
    text += "".join(table(results, count) for count in threads)
    return text + "\nWhat the machine can do:\n\n" + limits_table(results) + "\n\nGoals:\n\n" + goals_table(results, machine)
