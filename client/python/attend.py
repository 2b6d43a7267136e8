r"""attnd from Python: gRPC's own package, numpy, and what protoc makes of the interface.

At the root of the repository, with a server at the address in the last line:

    mkdir -p build/python
    protoc -I proto --python_out=build/python --grpc_python_out=build/python \
        --plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin attnd/v1/attention.proto
    PYTHONPATH=build/python python3 client/python/attend.py 127.0.0.1:50051

On Debian this takes protobuf-compiler-grpc, python3-grpcio, python3-protobuf and python3-numpy. With pip it takes grpcio-tools and
numpy; `python3 -m grpc_tools.protoc` is then protoc, and needs no --plugin.
"""

import sys

import grpc
import numpy as np
from attnd.v1 import attention_pb2 as pb, attention_pb2_grpc


def describe(array):
    return pb.TensorDescription(element_type=pb.ELEMENT_TYPE_FLOAT32, shape=array.shape)


def to_array(description, data):
    elements = "<i4" if description.element_type == pb.ELEMENT_TYPE_INT32 else "<f4"
    return np.frombuffer(data, elements).reshape(description.shape)


def attend(attention, query, key, value):
    """Attention in which no query sees a later key, for float32 arrays [B, H, S, D]: (output, weights, log-sum-exp, the two keys of
    each query's largest weights, report)."""
    request = pb.AttendRequest(
        problem=pb.AttentionProblem(
            query=describe(query), tensors=pb.KeyValueTensors(key=describe(key), value=describe(value)),
            mask=pb.Mask(causal=pb.CausalMask()), return_weights=True, return_log_sum_exp=True,
            summaries=pb.Summaries(top_keys=2)),
        query_data=query.tobytes(), key_data=key.tobytes(), value_data=value.tobytes())
    answer = attention.Attend(request, timeout=10)  # Seconds. Without it the call waits as long as the server computes.
    result = answer.result
    return (to_array(result.output, answer.output_data), to_array(result.weights, answer.weights_data),
            to_array(result.log_sum_exp, answer.log_sum_exp_data), to_array(result.top_keys, answer.top_keys_data), result.report)


def main(address="127.0.0.1:50051"):
    query, key, value = np.random.default_rng(0).standard_normal((3, 1, 2, 4, 8)).astype("<f4")
    # Serves a whole program, from any number of threads. Of itself gRPC takes no answer above 4 MiB.
    with grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)]) as channel:
        try:
            stub = attention_pb2_grpc.AttentionServiceStub(channel)
            output, weights, log_sum_exp, top_keys, report = attend(stub, query, key, value)
        except grpc.RpcError as error:
            sys.exit(f"{error.code().name}: {error.details()}")
    for name, array in (("output", output), ("weights", weights), ("log-sum-exp", log_sum_exp), ("top keys", top_keys)):
        print(name, np.array2string(array, precision=4, suppress_small=True), sep="\n")
    print(f"{report.kernel} took {report.compute_seconds:.6f} s")


if __name__ == "__main__":
    main(*sys.argv[1:2])
