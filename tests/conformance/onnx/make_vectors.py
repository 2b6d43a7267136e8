#!/usr/bin/env python3
"""Write the Attention cases that ONNX generates for its backends as one safetensors file.

They are the node cases of the PyPI package onnx (Apache-2.0): what a backend is given, and what ONNX's reference
implementation answers. The expanded cases, the same data as graphs of simpler operators, are left out.

  tensors               inputs and expected outputs, named CASE.TENSOR after the first case that has them: cases with
                        the same bytes share them
  metadata.source       the package and its version
  metadata.cases        JSON, a list of {name, opset, rtol, atol, attributes, inputs, outputs}; the last two say for each
                        name of the operator's inputs and outputs which tensor it is

  python3 -m venv VENV && VENV/bin/pip install onnx==1.23.2
  VENV/bin/python make_vectors.py attention.safetensors

Two runs write the same bytes: ONNX seeds its random numbers.
"""
import json
import struct
import sys

import numpy as np
import onnx
from onnx.backend.test.case.node import collect_testcases

OPERATOR = "Attention"
TYPE_NAMES = {"float32": "F32", "bfloat16": "BF16", "float16": "F16", "int64": "I64", "bool": "BOOL"}


def to_array(value) -> np.ndarray:
    return value if isinstance(value, np.ndarray) else onnx.numpy_helper.to_array(value)


class Tensors:
    """Arrays by name, each distinct one once."""

    def __init__(self) -> None:
        self.by_name: dict[str, np.ndarray] = {}
        self._names: dict[tuple, str] = {}

    def add(self, name: str, value) -> str:
        array = np.ascontiguousarray(to_array(value))
        name = self._names.setdefault((array.dtype.name, array.shape, array.tobytes()), name)
        self.by_name.setdefault(name, array)
        return name

    def add_all(self, case: str, names, values) -> dict[str, str]:
        # ONNX names an input or output that is left out "", and gives no value for it.
        given = [name for name in names if name]
        assert len(given) == len(values), case
        return {name: self.add(f"{case}.{name}", value) for name, value in zip(given, values)}


def describe(case, tensors: Tensors) -> dict:
    (node,) = case.model.graph.node
    (opset,) = [entry.version for entry in case.model.opset_import if entry.domain == ""]
    ((inputs, outputs),) = case.data_sets
    name = case.name.removeprefix("test_")
    return {
        "name": name,
        "opset": opset,
        "rtol": case.rtol,
        "atol": case.atol,
        "attributes": {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute},
        "inputs": tensors.add_all(name, node.input, inputs),
        "outputs": tensors.add_all(name, node.output, outputs),
    }


def write(path: str, tensors: Tensors, metadata: dict[str, str]) -> int:
    header, offset = {"__metadata__": metadata}, 0
    for name, array in tensors.by_name.items():
        header[name] = {"dtype": TYPE_NAMES[array.dtype.name], "shape": array.shape,
                        "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in tensors.by_name.values():
            file.write(array.tobytes())
    return 8 + len(text) + offset


def main() -> None:
    tensors = Tensors()
    cases = [describe(case, tensors) for case in collect_testcases(OPERATOR)
             if [node.op_type for node in case.model.graph.node] == [OPERATOR]]
    size = write(sys.argv[1], tensors, {
        "source": f"PyPI onnx {onnx.__version__}, onnx.backend.test.case.node.collect_testcases",
        "cases": json.dumps(cases, separators=(",", ":")),
    })
    by_opset = {opset: sum(case["opset"] == opset for case in cases) for opset in sorted({c["opset"] for c in cases})}
    print(f"{len(cases)} cases {by_opset}, {len(tensors.by_name)} tensors, {size} bytes")


main()
