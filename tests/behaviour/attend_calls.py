"""The server's calls from a client's side, through plain grpcio."""

import grpc
import numpy as np
from attnd.v1 import attention_pb2

from attnd_process import PATIENCE_SECONDS

ATTEND = "/attnd.v1.AttentionService/Attend"


def connect(address):
    """A channel that shares no connection with another, and takes messages of any size."""
    return grpc.insecure_channel(address, options=[
        ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0), ("grpc.enable_retries", 0),
        ("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)])


def attend(channel):
    """The method: attend(channel)(request, timeout=…), .future(…) and .with_call(…)."""
    return channel.unary_unary(ATTEND, request_serializer=attention_pb2.AttendRequest.SerializeToString,
                               response_deserializer=attention_pb2.AttendResponse.FromString)


def attend_bytes(channel):
    """The method, for a request that is bytes already; the answer stays bytes too."""
    return channel.unary_unary(ATTEND)


def server_info(channel):
    method = channel.unary_unary("/attnd.v1.AttentionService/GetServerInfo",
                                 request_serializer=attention_pb2.GetServerInfoRequest.SerializeToString,
                                 response_deserializer=attention_pb2.GetServerInfoResponse.FromString)
    return method(attention_pb2.GetServerInfoRequest(), timeout=PATIENCE_SECONDS)


# HealthCheckRequest is empty for the whole server; HealthCheckResponse holds one enumeration value, whose field is 1.
_HEALTH = {b"\x08\x01": "SERVING", b"\x08\x02": "NOT_SERVING"}


def health(channel, timeout=PATIENCE_SECONDS):
    return channel.unary_unary("/grpc.health.v1.Health/Check", response_deserializer=_HEALTH.get)(b"", timeout=timeout)


def watch_health(channel):
    """What health says, now and at each change."""
    return channel.unary_stream("/grpc.health.v1.Health/Watch", response_deserializer=_HEALTH.get)(b"")


def describe(shape):
    return attention_pb2.TensorDescription(element_type=attention_pb2.ELEMENT_TYPE_FLOAT32, shape=shape)


def make_request(query, key, value):
    """A request for float32 arrays, without a mask."""
    problem = attention_pb2.AttentionProblem(query=describe(query.shape))
    problem.tensors.key.CopyFrom(describe(key.shape))
    problem.tensors.value.CopyFrom(describe(value.shape))
    return attention_pb2.AttendRequest(problem=problem, query_data=query.tobytes(), key_data=key.tobytes(),
                                       value_data=value.tobytes())


class Problem:
    """A request whose answer is known. Its values come from `seed`."""

    def __init__(self, shape=(2, 7, 16), seed=1):
        random = np.random.default_rng(seed)
        query, key, value = (random.standard_normal(shape, dtype=np.float32) for _ in range(3))
        self.request = make_request(query, key, value)
        scores = query.astype(np.float64) @ np.swapaxes(key, -1, -2) / np.sqrt(shape[-1])
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        self._expected = weights / weights.sum(axis=-1, keepdims=True) @ value

    def check(self, response):
        """Fails unless the response is right."""
        output = np.frombuffer(response.output_data, dtype="<f4").reshape(response.result.output.shape)
        np.testing.assert_allclose(output, self._expected, rtol=0, atol=1e-5)


def check_answers(address):
    """Fails unless a server answers rightly, on a connection of its own."""
    problem = Problem()
    with connect(address) as channel:
        problem.check(attend(channel)(problem.request, timeout=PATIENCE_SECONDS))


class EndlessProblem:
    """A request that keeps one worker busy for longer than any test takes: 10¹² exponentials. It takes 33 MiB itself."""

    HEADS, ROWS = 64, 131072
    # Key rows are shared by all heads. The server has tiles of 64 × 512 today, and may have larger ones.
    TILES_AT_LEAST = HEADS * ROWS * ROWS // (1024 * 1024)

    def __init__(self):
        keys = np.zeros((1, 1, self.ROWS, 1), dtype=np.float32)
        self.request = make_request(np.zeros((1, self.HEADS, self.ROWS, 1), dtype=np.float32), keys, keys)
