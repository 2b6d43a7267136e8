"""StreamAttend from a client's side, through plain grpcio."""

import queue
import threading

import grpc
import numpy as np
from attnd.v1 import attention_pb2 as pb

from attnd_process import PATIENCE_SECONDS

STREAM_ATTEND = "/attnd.v1.AttentionService/StreamAttend"


def _data_fields(message):
    """[(TensorName, name)] of a message's fields of elements."""
    names = [field.name for field in message.DESCRIPTOR.fields if field.name.endswith("_data")]
    return [(pb.TensorName.Value("TENSOR_NAME_" + name.removesuffix("_data").upper()), name) for name in names]


_TENSORS = _data_fields(pb.AttendRequest)
_ANSWERS = dict(_data_fields(pb.AttendResponse))


def whole(number, request, **fields):
    return pb.StreamAttendRequest(id=number, request=request, **fields)


def start(number, request, **fields):
    """The beginning of a request in parts."""
    sizes = {name.replace("_data", "_size_bytes"): len(getattr(request, name)) for _, name in _TENSORS}
    return pb.StreamAttendRequest(id=number, start=pb.StreamStart(problem=request.problem, **sizes), **fields)


def part(number, tensor, offset, data):
    return pb.StreamAttendRequest(id=number, part=pb.TensorPart(tensor=tensor, offset_bytes=offset, data=data))


def parts(number, request, part_bytes):
    """All of a request's parts, the tensors in turn."""
    data = [(tensor, getattr(request, name)) for tensor, name in _TENSORS]
    for begin in range(0, max(len(elements) for _, elements in data), part_bytes):
        for tensor, elements in data:
            if begin < len(elements):
                yield part(number, tensor, begin, elements[begin:begin + part_bytes])


def cancel(number):
    return pb.StreamAttendRequest(id=number, cancel=pb.StreamCancel())


class Stream:
    """One call. What is sent is sent as given: bytes or a message."""

    def __init__(self, channel, timeout=PATIENCE_SECONDS):
        self._requests = queue.SimpleQueue()
        self._open_answers = {}  # those of which something has come, by id
        method = channel.stream_stream(STREAM_ATTEND, request_serializer=lambda m: m if isinstance(m, bytes) else m.SerializeToString(),
                                       response_deserializer=pb.StreamAttendResponse.FromString)
        self.call = method(iter(self._requests.get, None), timeout=timeout)

    def send(self, *messages):
        for message in messages:
            self._requests.put(message)

    def close(self):
        """Half-closes it."""
        self._requests.put(None)

    def read(self):
        """The next message."""
        return next(self.call)

    def answers(self, count=None):
        """{id: (status, answer)} of the next `count` requests that end, or of all until the stream ends. Fails where what comes
        contradicts the interface: a second status, or anything after it."""
        ended, open_answers = {}, self._open_answers
        while count is None or len(ended) < count:
            try:
                message = self.read()
            except StopIteration:
                break
            assert message.id not in ended, f"a message about request {message.id} after its status"
            answer = open_answers.setdefault(message.id, pb.AttendResponse())
            content = message.WhichOneof("content")
            if content == "response":
                answer.CopyFrom(message.response)
            elif content == "result":
                answer.result.CopyFrom(message.result)
            elif content == "part":
                name = _ANSWERS[message.part.tensor]
                assert message.part.offset_bytes == len(getattr(answer, name)), "a part out of order"
                assert 0 < len(message.part.data) <= 1 << 20, "a part of a wrong size"
                setattr(answer, name, getattr(answer, name) + message.part.data)
            if message.HasField("status"):
                ended[message.id] = (message.status, open_answers.pop(message.id))
        assert count is not None or not open_answers, f"no status for {list(open_answers)}"
        return ended

    def code(self):
        """How the call ends."""
        try:
            for _ in self.call:
                pass
        except grpc.RpcError:
            pass
        return self.call.code()
