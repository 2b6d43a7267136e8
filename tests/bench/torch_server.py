"""Attention by PyTorch behind gRPC for Python, as one would write it in an afternoon: attnd's messages, of which it knows query, key,
value and key lengths, in float32.

    torch_server.py ADDRESS THREADS

Up to CALLERS requests at once, each with so many threads of PyTorch's. Prints the address at which it serves, and ends with its standard
input.
"""

import concurrent.futures
import sys
import warnings

import grpc
import numpy as np
import torch
from attnd.v1 import attention_pb2 as pb

CALLERS = 8


def to_tensor(description, data):
    return torch.from_numpy(np.frombuffer(data, np.float32)).view(list(description.shape))


def attend(request, _):
    problem = request.problem
    query = to_tensor(problem.query, request.query_data)
    key = to_tensor(problem.tensors.key, request.key_data)
    value = to_tensor(problem.tensors.value, request.value_data)
    mask = None
    if problem.mask.key_lengths.lengths:
        lengths = torch.tensor(problem.mask.key_lengths.lengths)
        mask = torch.arange(key.shape[2])[None, None, None, :] < lengths[:, None, None, None]
    with torch.inference_mode():
        output = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return pb.AttendResponse(result=pb.AttentionResult(output=problem.query), output_data=output.numpy().tobytes())


def main(address, threads):
    torch.set_num_threads(int(threads))
    warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # nor does anybody write to it
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(CALLERS),
                         options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)])
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("attnd.v1.AttentionService", {
        "Attend": grpc.unary_unary_rpc_method_handler(
            attend, request_deserializer=pb.AttendRequest.FromString, response_serializer=pb.AttendResponse.SerializeToString)})])
    port = server.add_insecure_port(address)
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    sys.stdin.read()
    server.stop(0).wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
