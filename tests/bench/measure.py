"""Measures one peer: reads a command of JSON a line, and answers each with a line.

    measure.py torch|onnxruntime|openvino

    {"do": "prepare", "row": {…}, "type": "float32", "inputs": FILE, "threads": 1, "cpus": [0]}  →  {} or {"cannot": "why"}
    {"do": "run", "seconds": 0.5}  →  {"seconds": [of each call]}
    {"do": "output", "file": FILE}  →  {}: the output as float32 [B, H, Sq, D]

attention_worker.cpp answers the same commands for attnd.
"""

import json
import os
import sys
import time

import numpy as np

import rows


def read_inputs(file, row, dtype):
    """Query, key and value, [B, H, S, D], as float32 or, where the type has 2 bytes, as their bits."""
    element = np.float32 if dtype == "float32" else np.uint16
    flat = np.fromfile(file, dtype=element)
    shapes = [(row.batch, row.heads, row.queries, row.head_size)] + [(row.batch, row.key_value_heads, row.keys, row.head_size)] * 2
    tensors = []
    for shape in shapes:
        count = int(np.prod(shape))
        tensors.append(flat[:count].reshape(shape))
        flat = flat[count:]
    return tensors


def visible_mask(row):
    """[B or 1, 1, Sq or 1, Sk]: what lengths and window leave visible; None where that is all. Causal masks are in it only where
    there is a window, since peers have an option for them."""
    mask = None
    if row.key_lengths:
        mask = np.arange(row.keys)[None, None, None, :] < np.asarray(row.key_lengths)[:, None, None, None]
    if row.window_left >= 0:
        distance = np.arange(row.queries)[:, None] - np.arange(row.keys)[None, :]
        mask = ((distance >= 0) & (distance <= row.window_left))[None, None]
    return mask


class Torch:

    def __init__(self):
        import torch
        self.torch = torch
        torch.set_grad_enabled(False)

    def prepare(self, row, dtype, tensors, threads):
        torch = self.torch
        if row.returns == "summaries":
            return "has no such summaries"
        torch.set_num_threads(threads)
        self.row = row
        self.query, self.key, self.value = (
            torch.from_numpy(t) if dtype == "float32" else torch.from_numpy(t.view(np.int16)).view(getattr(torch, dtype))
            for t in tensors)
        mask = visible_mask(row)
        self.mask = None if mask is None else torch.from_numpy(mask)
        self.is_grouped = row.heads != row.key_value_heads
        if self.is_grouped and row.queries == 1:  # the heads of a group are rows that see the same keys: a view, and far faster
            self.query = self.query.view(row.batch, row.key_value_heads, -1, row.head_size)
            self.is_grouped = False
        if row.returns == "weights":  # memory that is there before, as ours
            self.scaled_query = torch.empty_like(self.query)
            self.scores = torch.empty((row.batch, row.heads, row.queries, row.keys), dtype=self.query.dtype)
            self.weights = torch.empty_like(self.scores)
            self.output = torch.empty_like(self.query)
        return None

    def call(self):
        row = self.row
        if row.returns == "weights":
            torch = self.torch
            torch.mul(self.query, row.head_size**-0.5, out=self.scaled_query)
            torch.matmul(self.scaled_query, self.key.transpose(-2, -1), out=self.scores)
            torch.softmax(self.scores, -1, out=self.weights)
            torch.matmul(self.weights, self.value, out=self.output)
            return
        self.output = self.torch.nn.functional.scaled_dot_product_attention(
            self.query, self.key, self.value, attn_mask=self.mask, is_causal=row.causal and row.window_left < 0,
            enable_gqa=self.is_grouped)

    def result(self):
        return self.output.float().numpy()


class OnnxRuntime:
    """com.microsoft's MultiHeadAttention and, for grouped heads and causal masks, GroupQueryAttention, on rows of [B, S, H·D] as they
    take them. GroupQueryAttention takes half the time of MultiHeadAttention's own causal mask, and has windows."""

    def __init__(self):
        import onnxruntime
        self.runtime = onnxruntime

    def prepare(self, row, dtype, tensors, threads):
        if dtype == "bfloat16":
            return "has no bfloat16 attention on CPUs"
        if row.returns != "output":
            return "returns neither weights nor summaries"
        element = np.dtype(dtype)
        self.row = row
        query, key, value = (t.view(element) for t in tensors)
        grouped = row.causal or row.heads != row.key_value_heads
        inputs = self.grouped_inputs(query, key, value) if grouped else self.plain_inputs(query, key, value)
        outputs = {"output": np.zeros((row.batch, row.queries, row.heads * row.head_size), element)}
        if grouped:  # keys and values of the step before and of this one are the same memory
            past = {"present_key": inputs["past_key"], "present_value": inputs["past_value"]}
            present = (row.batch, row.key_value_heads, row.keys, row.head_size)
            outputs |= past if row.queries == 1 else {name: np.zeros(present, element) for name in past}
        try:
            self.bind(self.model(inputs, outputs, grouped), inputs, outputs, threads)
            self.call()
        except Exception as error:  # pylint: disable=broad-except
            return f"refuses it: {str(error).splitlines()[0][:100]}"
        return None

    @staticmethod
    def flat(tensor):
        batch, heads, rows_, size = tensor.shape
        return np.ascontiguousarray(tensor.transpose(0, 2, 1, 3)).reshape(batch, rows_, heads * size)

    def plain_inputs(self, query, key, value):
        inputs = {"query": self.flat(query), "key": self.flat(key), "value": self.flat(value)}
        if self.row.key_lengths:
            inputs["key_padding_mask"] = np.asarray(self.row.key_lengths, np.int32)
        return inputs

    def grouped_inputs(self, query, key, value):
        row = self.row
        if row.queries == 1:  # decoding: all keys but the last are of steps before
            new_key, new_value = key[:, :, -1:], value[:, :, -1:]
            past_key, past_value = key.copy(), value.copy()
        else:
            new_key, new_value = key, value
            past_key = past_value = key[:, :, :0]
        return {"query": self.flat(query), "key": self.flat(new_key), "value": self.flat(new_value), "past_key": past_key,
                "past_value": past_value, "seqlens_k": np.full(row.batch, row.keys - 1, np.int32),
                "total_sequence_length": np.asarray(row.keys, np.int32)}

    def model(self, inputs, outputs, grouped):
        from onnx import TensorProto, helper
        types = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "int32": TensorProto.INT32}

        def infos(arrays):
            return [helper.make_tensor_value_info(name, types[array.dtype.name], array.shape) for name, array in arrays.items()]

        names = list(inputs)
        if "key_padding_mask" in inputs:
            names.insert(3, "")  # bias of the projection
        options = {"num_heads": self.row.heads}
        if grouped:
            options["kv_num_heads"] = self.row.key_value_heads
            if self.row.window_left >= 0:
                options["local_window_size"] = self.row.window_left + 1  # a row's own key counts
        node = helper.make_node("GroupQueryAttention" if grouped else "MultiHeadAttention", names, list(outputs),
                                domain="com.microsoft", **options)
        graph = helper.make_graph([node], "attention", infos(inputs), infos(outputs))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)])
        model.ir_version = 9
        return model.SerializeToString()

    def bind(self, model, inputs, outputs, threads):
        options = self.runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        self.session = self.runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.binding = self.session.io_binding()
        values = {}
        for name, array in (inputs | outputs).items():
            owner = id(array)
            values.setdefault(owner, self.runtime.OrtValue.ortvalue_from_numpy(array))
            if name in inputs:
                self.binding.bind_ortvalue_input(name, values[owner])
            else:
                self.binding.bind_ortvalue_output(name, values[owner])
        self.output = values[id(outputs["output"])]

    def call(self):
        self.session.run_with_iobinding(self.binding)

    def result(self):
        row = self.row
        output = self.output.numpy().astype(np.float32).reshape(row.batch, row.queries, row.heads, row.head_size)
        return np.ascontiguousarray(output.transpose(0, 2, 1, 3))


class OpenVino:

    def __init__(self):
        import openvino
        self.openvino = openvino
        self.core = openvino.Core()

    def prepare(self, row, dtype, tensors, threads):
        if row.heads != row.key_value_heads:
            return "its operator has no grouped heads"
        if row.returns != "output":
            return "returns neither weights nor summaries"
        types = {"float32": self.openvino.Type.f32, "bfloat16": self.openvino.Type.bf16, "float16": self.openvino.Type.f16}
        ops = self.openvino.opset13
        parameters = [ops.parameter(t.shape, types[dtype]) for t in tensors]
        arrays = [self.openvino.Tensor(t, t.shape, types[dtype]) for t in tensors]
        mask = visible_mask(row)
        inputs = list(parameters)
        if mask is not None:
            inputs.append(ops.parameter(mask.shape, self.openvino.Type.boolean))
            arrays.append(self.openvino.Tensor(mask))
        causal = row.causal and row.window_left < 0
        attention = ops.scaled_dot_product_attention(*inputs, causal=causal)
        model = self.openvino.Model([ops.result(attention)], inputs)
        hint = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}[dtype]
        compiled = self.core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads,
                                                          "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False})
        self.request = compiled.create_infer_request()
        for index, array in enumerate(arrays):
            self.request.set_input_tensor(index, array)
        self.arrays = arrays
        self.dtype = dtype
        return None

    def call(self):
        self.request.infer()

    def result(self):
        data = self.request.get_output_tensor(0).data
        if self.dtype == "bfloat16":
            bits = data.view(np.uint16).astype(np.uint32) << 16
            return bits.view(np.float32)
        return data.astype(np.float32)


PEERS = {"torch": Torch, "onnxruntime": OnnxRuntime, "openvino": OpenVino}


def run(peer, seconds):
    """Seconds of each call, of one at least."""
    taken = []
    start = time.perf_counter()
    while not taken or time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        peer.call()
        taken.append(time.perf_counter() - begin)
    return taken


def answer(peer, command):
    if command["do"] == "prepare":
        os.sched_setaffinity(0, command["cpus"])
        row = rows.Row(**command["row"])
        cannot = peer.prepare(row, command["type"], read_inputs(command["inputs"], row, command["type"]), command["threads"])
        return {"cannot": cannot} if cannot else {}
    if command["do"] == "run":
        return {"seconds": run(peer, command["seconds"])}
    np.ascontiguousarray(peer.result()).tofile(command["file"])
    return {}


def main():
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    peer = PEERS[sys.argv[1]]()
    for line in sys.stdin:
        print(json.dumps(answer(peer, json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
