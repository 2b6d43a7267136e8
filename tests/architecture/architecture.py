"""Checks the rules that hold between the files of this repository, and prints what breaks them.

Usage: architecture.py REPOSITORY

The rules stand in the tables at the top; a rule that is to change changes there, with the reason in the commit.
"""

import pathlib
import re
import sys

# ---- The rules ---------------------------------------------------------------------------------------------------------------

# What the top level may hold beside files and folders whose names start with a dot, and the build's own folder.
TOP_LEVEL = {"CMakeLists.txt", "CMakePresets.json", "LICENSE", "CONTRIBUTING.md", "README.md",
             "proto", "server", "core", "client", "deploy", "tests", "build"}

# What each room of core/ may include of the others. The way of a request is problem, plan, tiles, execute, kernels: no room
# reaches back. A file that is not named here belongs to no room yet: give it one.
_VALUES = {"tensor", "tensors", "mask", "modifiers", "summaries", "limits", "problem"}
CORE_ROOMS = {
    "tensor": set(),
    "limits": set(),
    "observer": set(),
    "control_groups": set(),
    "machine": {"control_groups", "kernels"},
    "aligned_buffer": set(),
    "mask": {"tensor"},
    "modifiers": {"tensor"},
    "summaries": {"tensor"},
    "checks": {"tensor"},
    "problem": _VALUES | {"problem_parts"},
    "problem_parts": _VALUES | {"checks"},
    "problem_masks": {"problem_parts"},
    "problem_modifiers": {"problem_parts"},
    "problem_answer": {"problem_parts"},
    "kernels": {"tensor", "aligned_buffer"},
    "plan": _VALUES | {"kernels"},
    "tiles": _VALUES | {"plan", "kernels"},
    "scores": _VALUES | {"plan", "tiles", "kernels"},
    "packed_kv": _VALUES | {"aligned_buffer", "plan", "kernels"},
    "packed_keys_values": _VALUES | {"aligned_buffer", "plan", "packed_kv"},
    "scratch": _VALUES | {"aligned_buffer", "plan", "tiles", "kernels"},
    "worker_pool": {"scratch"},
    "tensors": set(),
    "values": _VALUES | {"plan", "kernels"},
    "report": set(),
    "call_options": set(),
    "operands": _VALUES | {"plan", "tiles", "scratch", "kernels"},
    "merge": {"tensor", "limits", "problem", "checks", "kernels"},
    "row_states": _VALUES | {"aligned_buffer"},
    "execute": _VALUES | {"values", "plan", "tiles", "scores", "operands", "packed_kv", "packed_keys_values", "row_states", "scratch",
                          "kernels"},
    "pack_work": {"execute", "packed_keys_values", "worker_pool"},
    "weight_tiles": _VALUES | {"plan", "tiles", "scores", "row_states", "scratch", "execute", "kernels"},
    "pooled_cells": _VALUES | {"plan", "kernels"},
    "top_keys": {"kernels"},
    "summary_layout": _VALUES | {"plan"},
    "summary_tasks": _VALUES | {"plan", "pooled_cells", "summary_layout"},
    "summary_scratch": _VALUES | {"aligned_buffer", "plan", "summary_tasks", "top_keys", "weight_tiles"},
    "summary_results": _VALUES | {"plan", "pooled_cells", "summary_layout", "summary_scratch", "top_keys", "kernels"},
    "summary_piece": _VALUES | {"plan", "packed_kv", "pooled_cells", "scratch", "execute", "weight_tiles", "summary_tasks",
                                "summary_scratch", "summary_results", "kernels"},
    "summary_pass": _VALUES | {"plan", "row_states", "scratch", "execute", "weight_tiles", "summary_tasks",
                               "summary_scratch", "summary_results", "summary_piece"},
    "call": _VALUES | {"tensors", "report", "call_options", "plan", "packed_kv", "packed_keys_values", "scratch", "worker_pool",
                       "execute", "summary_pass", "kernels", "observer"},
    "engine": _VALUES | {"tensors", "report", "call_options", "plan", "packed_kv", "packed_keys_values", "worker_pool", "execute",
                         "pack_work", "call", "summary_pass", "kernels", "observer", "machine"},
}

# The kernels' interface; what else lies in core/kernels/ is theirs alone.
KERNEL_INTERFACE = {"core/kernels/kernel_list.h", "core/kernels/products.h", "core/kernels/scores.h",
                    "core/kernels/softmax.h", "core/kernels/tile_products.h", "core/kernels/value_packing.h",
                    "core/kernels/weight_sums.h"}

# All that the server sees of core; aligned_buffer, since tensors go from the one to the other in such memory, and control_groups,
# since the same groups bound CPUs and memory.
CORE_FRONT = {f"core/{name}.h"
              for name in ("engine", "cache", "problem", "tensor", "tensors", "mask", "modifiers", "summaries", "limits",
                           "merge", "observer", "machine", "report", "call_options", "aligned_buffer", "control_groups")}

# Folders that must not see each other: whose files, what they must not include.
FORBIDDEN_INCLUDES = [
    ("core/", r"server/|client/|tests/"),
    ("core/", r"grpc|google/|attnd/v1/|prometheus/|spdlog/|fmt/|CLI/|nlohmann/"),
    ("server/", r"client/|tests/"),
    ("client/", r"core/|server/|tests/"),
]

# Foreign libraries behind a door: which includes, and the only files that may have them.
DOORS = [
    (r"oneapi/|dnnl", {"core/kernels/brgemm.cpp", "core/kernels/matmul.cpp", "core/machine.cpp"}),
    (r"hwy/", {"core/kernels/few_rows.cpp", "core/kernels/scores.cpp", "core/kernels/softmax.cpp", "core/kernels/transpose.cpp",
               "core/kernels/value_packing.cpp", "core/kernels/weight_sums.cpp", "core/machine.cpp"}),
    (r"omp\.h", {"core/kernels/matmul.cpp"}),
    (r"png\.h", {"client/cli/png.cpp"}),
    (r"zlib\.h", {"client/cli/deflate.cpp"}),
]

# What must stand in no text of this repository: what, and why not.
FORBIDDEN_TEXT = [
    (r"(?<![\w.~$}])/(?:work|root|home)/", "a path of somebody's machine"),
    (r"(?:deb|security|ftp)\.debian\.org|pypi\.org|npmjs\.(?:org|com)|proxy\.golang\.org|crates\.io",
     "a registry's address, which the host's configuration gives"),
    (r"\.\./shared\b", "a place outside of this repository"),
    (r"\b[Ii]ssue #?\d", "an issue's number, which only its tracker knows"),
    (r"\b(?:TO" r"DO|FIX" r"ME)\b", "a promise instead of the work"),
]

# ---- The repository ----------------------------------------------------------------------------------------------------------

_INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
_SOURCE_FOLDERS = ("core", "server", "client", "tests")


def _text_files(repository):
    """All text files as {path from the root: text}; without the build's, git's and caches' files."""
    texts = {}
    for path in sorted(repository.rglob("*")):
        name = path.relative_to(repository).as_posix()
        if name == ".git" or name.startswith(("build/", ".git/")) or "__pycache__/" in name or not path.is_file():
            continue
        data = path.read_bytes()
        if b"\0" not in data:
            texts[name] = data.decode("utf-8", errors="replace")
    return texts


def _includes(texts):
    """Yields (file, delimiter, included) for each include of our own C++ files."""
    for name, text in texts.items():
        if name.endswith((".h", ".cpp")) and name.split("/")[0] in _SOURCE_FOLDERS:
            for delimiter, included in _INCLUDE.findall(text):
                yield name, delimiter, included


def _room(name):
    """The room of core/ that a file lies in: core/plan.cpp in plan, all of core/kernels/ in kernels."""
    return name.split("/")[1].split(".")[0]


# ---- The checks: each yields what breaks its rule ----------------------------------------------------------------------------


def check_top_level(repository):
    for path in sorted(repository.iterdir()):
        if not path.name.startswith(".") and path.name not in TOP_LEVEL:
            yield f"{path.name}: the top level holds only {', '.join(sorted(TOP_LEVEL))}"


def check_include_paths(texts):
    for name, delimiter, included in _includes(texts):
        if delimiter == '"' and included not in texts:
            yield f'{name}: "{included}" is no file of this repository; includes of our own start at its root'
        if delimiter == "<" and included in texts:
            yield f"{name}: <{included}> is our own, so it is included with quotes"


def check_folders(texts):
    for name, _, included in _includes(texts):
        for folder, forbidden in FORBIDDEN_INCLUDES:
            if name.startswith(folder) and re.match(forbidden, included):
                yield f"{name}: {folder} must not see {included}"
        if name.startswith("server/") and included.startswith("core/") and included not in CORE_FRONT:
            yield f"{name}: the server sees only the front of core/, which {included} is not"


def check_core_rooms(texts):
    for name in texts:
        if name.startswith("core/") and name.endswith((".h", ".cpp")) and _room(name) not in CORE_ROOMS:
            yield f"{name}: belongs to no room of core/; say in CORE_ROOMS what it may include"
    for name, _, included in _includes(texts):
        if not (name.startswith("core/") and included.startswith("core/")):
            continue
        room, other = _room(name), _room(included)
        if room != other and room in CORE_ROOMS and other not in CORE_ROOMS[room]:
            yield f"{name}: {room} must not see {included}"
        if room != "kernels" and other == "kernels" and included not in KERNEL_INTERFACE:
            yield f"{name}: {included} is not of the kernels' interface"


def check_doors(texts):
    for name, _, included in _includes(texts):
        for pattern, allowed in DOORS:
            if re.match(pattern, included) and name not in allowed and not name.startswith("tests/"):
                yield f"{name}: {included} is included only in {', '.join(sorted(allowed))}"


def check_everything_is_used(texts):
    included_by = {}
    for name, _, included in _includes(texts):
        included_by.setdefault(included, set()).add(name)
    for name in texts:
        if name.split("/")[0] not in _SOURCE_FOLDERS:
            continue
        base = name.rpartition("/")[2]
        if name.endswith(".h") and not included_by.get(name, set()) - {name}:
            yield f"{name}: no file includes it"
        if name.endswith((".cpp", ".cc")):
            lists = [text for other, text in texts.items() if other.startswith("tests/steps/") or
                     other.startswith(name.split("/")[0] + "/") and other.endswith("/CMakeLists.txt")]
            if not any(re.search(rf"(?<![\w.]){re.escape(base)}(?![\w.])", text) for text in lists):
                yield f"{name}: no CMakeLists.txt and no step of the tests builds it"
        if name.endswith((".py", ".sh")):
            module = re.compile(rf"(?<![\w.]){re.escape(base)}(?![\w.])|\b(?:import|from) {re.escape(base[:-3])}\b")
            if not any(module.search(text) for other, text in texts.items() if other != name):
                yield f"{name}: no file names it"


def check_texts(texts):
    for name, text in texts.items():
        for number, line in enumerate(text.splitlines(), 1):
            for pattern, why in FORBIDDEN_TEXT:
                found = re.search(pattern, line)
                if found:
                    yield f"{name}:{number}: '{found.group()}' is {why}"


def violations(repository):
    """All that breaks a rule in the repository, as lines."""
    texts = _text_files(repository)
    found = list(check_top_level(repository))
    for check in (check_include_paths, check_folders, check_core_rooms, check_doors, check_everything_is_used, check_texts):
        found += check(texts)
    return found


def main(arguments):
    repository = pathlib.Path(arguments[0])
    found = violations(repository)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
