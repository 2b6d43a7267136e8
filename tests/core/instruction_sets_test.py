"""Runs the numeric tests of the core once for each instruction set that this machine has.

Usage: instruction_sets_test.py CORE_NUMERIC_TEST GTEST_FILTER

An older machine is an older oneDNN set (ONEDNN_MAX_CPU_ISA) together with an older Highway target (ATTND_TEST_VECTOR_TARGET), so the
two lists are walked together, the oldest first; where one is longer, the other stays at its best. The best of both is left out:
every other run of the tests uses it. Sets that the machine lacks are no skips: tests/run names them.
"""

import itertools
import os
import re
import subprocess
import sys

# oneDNN's names, the oldest first. Below avx2 it has no micro-kernels, and its matmul primitive makes the products.
_ONEDNN_SETS = ["sse41", "avx", "avx2", "avx2_vnni", "avx2_vnni_2", "avx512_core", "avx512_core_vnni", "avx512_core_bf16",
                "avx512_core_fp16", "avx512_core_amx", "avx512_core_amx_fp16"]


def environment(onednn_set, vector_target=None):
    changed = dict(os.environ, ONEDNN_MAX_CPU_ISA=onednn_set.upper())
    if vector_target is not None:
        changed["ATTND_TEST_VECTOR_TARGET"] = vector_target
    return changed


def instruction_sets(program):
    """What the machine has: oneDNN's sets and Highway's targets, each the oldest first."""
    onednn_sets = []
    for name in _ONEDNN_SETS:
        text = subprocess.run([program, "--list_instruction_sets"], env=environment(name), check=True, capture_output=True,
                              text=True).stdout
        used, targets = re.fullmatch(r"oneDNN: (\w+)\nHighway: ([\w ]+)\n", text).groups()
        # One that the machine lacks gives the best one below it.
        if used not in onednn_sets:
            onednn_sets.append(used)
    return onednn_sets, targets.split()


def pairs(onednn_sets, vector_targets):
    """Every set and every target at least once, older ones with older ones, without the best of both."""
    best = (onednn_sets[-1], vector_targets[-1])
    both = [(first or best[0], second or best[1]) for first, second in itertools.zip_longest(onednn_sets, vector_targets)]
    return [pair for pair in both if pair != best]


def passes(program, test_filter, onednn_set, vector_target):
    """Runs the tests on the pair, prints how they went, and says whether all passed."""
    done = subprocess.run([program, f"--gtest_filter={test_filter}"], env=environment(onednn_set, vector_target),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    ran = re.search(r"^\[=+\] (\d+) tests .* ran\. \((\d+) ms total\)$", done.stdout, re.MULTILINE)
    as_wanted = re.search(rf"^oneDNN \S+ on {onednn_set}, Highway on {vector_target}$", done.stdout, re.MULTILINE)
    passed = done.returncode == 0 and as_wanted and ran and int(ran.group(1)) > 0
    if not passed:
        print(done.stdout)
    worst = max(map(float, re.findall(r"^worst error/bound of .*: ([\d.]+)$", done.stdout, re.MULTILINE)), default=0)
    summary = f"exit status {done.returncode}"
    if ran:
        summary = f"{ran.group(1)} tests, {int(ran.group(2)) / 1000:.1f} s, worst error/bound {worst:.3f}"
    print(f"oneDNN {onednn_set}, Highway {vector_target}: {'passed' if passed else 'FAILED'} ({summary})", flush=True)
    return bool(passed)


def main(arguments):
    program, test_filter = arguments
    onednn_sets, vector_targets = instruction_sets(program)
    print(f"this machine has oneDNN's {', '.join(onednn_sets)} and Highway's {', '.join(vector_targets)}", flush=True)
    outcomes = [passes(program, test_filter, *pair) for pair in pairs(onednn_sets, vector_targets)]
    return 0 if all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
