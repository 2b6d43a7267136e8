"""A gRPC client that can break every rule: calls as HTTP/2 frames, a piece at a time."""

import dataclasses
import socket
import struct
import urllib.parse

import h2.config
import h2.connection
import h2.events
import h2.settings

from attend_calls import ATTEND
from attnd_process import PATIENCE_SECONDS


GOAWAY = 0x7


def prefix(length_bytes, flags=0):
    """What gRPC puts before a message: whether it is compressed, and its length."""
    return struct.pack(">BI", flags, length_bytes)


def framed(message, flags=0):
    return prefix(len(message), flags) + message


@dataclasses.dataclass
class Answer:
    """What came back for one call, so far."""

    headers: dict = dataclasses.field(default_factory=dict)  # with the trailers
    data: bytes = b""
    ended: bool = False
    reset: int | None = None  # HTTP/2's error code

    @property
    def grpc_status(self):
        """None where there is none."""
        return int(self.headers["grpc-status"]) if "grpc-status" in self.headers else None

    @property
    def grpc_message(self):
        return urllib.parse.unquote(self.headers.get("grpc-message", ""))

    @property
    def messages(self):
        """The whole messages in the data."""
        found, rest = [], self.data
        while rest:
            length = struct.unpack(">I", rest[1:5])[0]
            assert len(rest) >= 5 + length, "the data end within a message"
            found.append(rest[5:5 + length])
            rest = rest[5 + length:]
        return found


class Http2Connection:
    """One connection to `address`, "HOST:PORT". To be used in a `with`. With `receive_buffer_bytes` HTTP/2 lets the server send
    all that it has, and what goes beyond so many unread bytes waits on its side of the connection."""

    def __init__(self, address, receive_buffer_bytes=None):
        host, port = address.rsplit(":", 1)
        self._socket = socket.socket()
        self._socket.settimeout(PATIENCE_SECONDS)
        if receive_buffer_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self._socket.connect((host, int(port)))
        self._http2 = h2.connection.H2Connection(config=h2.config.H2Configuration(header_encoding="utf-8"))
        self._answers = {}
        self._unread = b""  # less than a frame
        self.is_open = True
        self._http2.initiate_connection()
        if receive_buffer_bytes is not None:
            self._http2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1 << 30})
            self._http2.increment_flow_control_window(1 << 30)
        self._send()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Hangs up without a goodbye."""
        self.is_open = False
        self._socket.close()

    def start_call(self, path=ATTEND, **changed_headers):
        """Sends the headers of a call; returns its stream. A header's name has _ for -."""
        headers = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "localhost", "te": "trailers",
                   "content-type": "application/grpc"}
        headers |= {name.replace("_", "-"): text for name, text in changed_headers.items()}
        stream = self._http2.get_next_available_stream_id()
        self._answers[stream] = Answer()
        self._http2.send_headers(stream, list(headers.items()))
        self._send()
        return stream

    def send(self, stream, data, end_stream=False):
        """Sends data as the server's windows allow, until all is sent or the server has ended the call."""
        while data and self.is_open and not self._answers[stream].ended:
            size = min(len(data), self._http2.local_flow_control_window(stream), self._http2.max_outbound_frame_size)
            if size:
                self._http2.send_data(stream, data[:size])
                self._send()
                data = data[size:]
            else:
                self._receive()
        if end_stream and self.is_open and not self._answers[stream].ended:
            self.end(stream)

    def end(self, stream):
        self._http2.end_stream(stream)
        self._send()

    def reset(self, stream):
        self._http2.reset_stream(stream, error_code=8)  # CANCEL
        self._send()

    def has_ended(self, stream):
        return self._answers[stream].ended

    def answer(self, stream):
        """Waits for the end of the call, and returns what came back for it."""
        while self.is_open and not self._answers[stream].ended:
            self._receive()
        return self._answers[stream]

    def answer_while_talking(self, stream):
        """As `answer`, but widens its window before each time that it reads, as gRPC's clients do."""
        while self.is_open and not self._answers[stream].ended:
            self._http2.increment_flow_control_window(1)
            self._send()
            self._receive()
        return self._answers[stream]

    def ping(self):
        """Returns when the server has read everything that was sent before."""
        self._pinged = False
        self._http2.ping(b"attnd   ")
        self._send()
        while self.is_open and not self._pinged:
            self._receive()

    def _send(self):
        try:
            self._socket.sendall(self._http2.data_to_send())
        except ConnectionError:
            self.is_open = False

    def _receive(self):
        try:
            data = self._socket.recv(1 << 16)
        except ConnectionError:
            data = b""
        if not data:
            self.is_open = False
            return
        self._unread += data
        for event in self._http2.receive_data(self._take_frames()):
            self._take(event)
        self._send()

    def _take_frames(self):
        """The whole frames that have arrived, but for GOAWAY: h2 would take none after it, though calls under way go on."""
        frames = b""
        while len(self._unread) >= 9:  # a frame's header: 3 bytes of length, 1 of type …
            size = 9 + int.from_bytes(self._unread[:3], "big")
            if len(self._unread) < size:
                break
            if self._unread[3] != GOAWAY:
                frames += self._unread[:size]
            self._unread = self._unread[size:]
        return frames

    def _take(self, event):
        answer = self._answers.get(getattr(event, "stream_id", None))
        if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
            answer.headers |= dict(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            answer.data += event.data
            self._http2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            answer.ended = True
        elif isinstance(event, h2.events.StreamReset):
            answer.ended, answer.reset = True, event.error_code
        elif isinstance(event, h2.events.PingAckReceived):
            self._pinged = True
