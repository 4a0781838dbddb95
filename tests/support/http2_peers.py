"""Peers for the client's HTTP/2 connection, without sockets: one of the `h2` library, and one of raw frames."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from random import Random
from typing import NamedTuple

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, SettingsAcknowledged, StreamEnded, StreamReset
from h2.exceptions import StreamClosedError
from h2.settings import SettingCodes
from hpack import Encoder

from petra._transport import frames
from petra._transport.http2 import GrpcStatus, Http2Connection, Stream

PATH = "/test.Service/Method"
RESPONSE = [(":status", "200"), ("content-type", "application/grpc")]
TRAILERS = [("grpc-status", "0")]


class Recorder:
    """A stream handler that keeps what it is told, and insists that nothing follows the end."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.status: GrpcStatus | None = None
        self.writable_calls = 0

    def message(self, data: bytes) -> None:
        assert self.status is None, "a message after the end"
        self.messages.append(data)

    def closed(self, status: GrpcStatus) -> None:
        assert self.status is None, f"closed twice: {self.status}, {status}"
        self.status = status

    def writable(self) -> None:
        assert self.status is None, "writable after the end"
        self.writable_calls += 1


def grpc_message(data: bytes) -> bytes:
    """A message as gRPC frames it."""
    return struct.pack(">BI", 0, len(data)) + data


def grpc_messages(body: bytes | bytearray) -> list[bytes]:
    """The messages in a body, which holds nothing else."""
    found = []
    start = 0
    while start < len(body):
        compressed, size = struct.unpack_from(">BI", body, start)
        assert not compressed
        assert start + 5 + size <= len(body), "a message is cut off"
        found.append(bytes(body[start + 5 : start + 5 + size]))
        start += 5 + size
    return found


def client(
    written: bytearray | None = None, *, message_bytes: int = 64 << 20, over: Callable[[], None] = lambda: None
) -> Http2Connection:
    """A connection to `peer:1` that has sent its preface, and appends what it writes to `written`."""
    connection = Http2Connection(
        peer="peer:1", authority="peer:1", secure=False, user_agent="test", message_bytes=message_bytes, over=over
    )
    connection.start((bytearray() if written is None else written).extend)
    return connection


class Frame(NamedTuple):
    kind: int
    flags: int
    stream_id: int
    payload: bytes


def frames_in(data: bytes) -> Iterator[Frame]:
    """The frames of whole output, with or without the preface before them."""
    start = len(frames.PREFACE) if data.startswith(frames.PREFACE) else 0
    while start < len(data):
        word, flags, stream_id = frames.HEAD.unpack_from(data, start)
        start += frames.HEAD_BYTES
        stop = start + (word >> 8)
        assert stop <= len(data), "a frame is cut off"
        yield Frame(word & 0xFF, flags, stream_id, bytes(data[start:stop]))
        start = stop


class RawPeer:
    """A peer that sends whatever a test makes it send."""

    def __init__(
        self,
        *,
        settings: Sequence[tuple[int, int]] = (),
        message_bytes: int = 64 << 20,
        over: Callable[[], None] = lambda: None,
    ) -> None:
        self.written = bytearray()
        self.connection = client(self.written, message_bytes=message_bytes, over=over)
        self._encoder = Encoder()
        self.send(frames.settings(settings))
        self.written.clear()

    def send(self, data: bytes) -> None:
        self.connection.receive(data)

    def call(self) -> tuple[Stream, Recorder]:
        """A call of the client's that this peer has not answered."""
        recorder = Recorder()
        return self.connection.open(PATH, recorder), recorder

    def answered_call(self) -> tuple[Stream, Recorder]:
        """A call whose answer has begun."""
        stream, recorder = self.call()
        self.send(self.headers(stream.id, RESPONSE))
        return stream, recorder

    def headers(self, stream_id: int, headers: Sequence[tuple[str, str]], *, end: bool = False) -> bytes:
        flags = frames.END_HEADERS | (frames.END_STREAM if end else 0)
        return frames.frame(frames.HEADERS, flags, stream_id, self.block(headers))

    def block(self, headers: Sequence[tuple[str, str]]) -> bytes:
        return self._encoder.encode(headers)

    def data(self, stream_id: int, payload: bytes, *, end: bool = False) -> bytes:
        return frames.frame(frames.DATA, frames.END_STREAM if end else 0, stream_id, payload)

    def take(self, *kinds: int) -> list[Frame]:
        """What the client wrote since the last call, of these types."""
        found = [frame for frame in frames_in(bytes(self.written)) if frame.kind in kinds]
        self.written.clear()
        return found


class H2Peer:
    """A gRPC server of the `h2` library, which is strict about what it is sent.

    It keeps the bodies of requests. It answers a request at once, and ends its answer when the request has ended. What
    both sides write waits in `to_peer` and `to_client` until it is carried over.
    """

    def __init__(self, random: Random, answers: Callable[[int], Sequence[bytes]] = lambda _: ()) -> None:
        """`answers` says with which messages the stream of an id is answered."""
        self._random = random
        self._answers_of = answers
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.to_peer = bytearray()
        self.to_client = bytearray()
        self.connection = client(self.to_peer)
        self.requests: dict[int, list[tuple[str, str]]] = {}
        self.bodies: dict[int, bytearray] = {}
        self.ended: set[int] = set()
        self.resets: dict[int, int] = {}
        self.events: list[Event] = []
        self._unacknowledged: dict[int, int] = {}
        self._answers: dict[int, bytearray] = {}
        self._settings_sent = 1
        self.h2.initiate_connection()
        self.collect()

    def set(self, name: SettingCodes, value: int) -> bool:
        """Changes one of the server's settings, unless the client has yet to acknowledge another.

        `h2` takes an acknowledgement for one of all settings that are on their way.
        """
        if self._settings_sent:
            return False
        self._settings_sent += 1
        self.h2.update_settings({name: value})
        self.collect()
        return True

    def to_peer_step(self, size: int) -> None:
        """Carries some bytes to the server."""
        data = bytes(self.to_peer[:size])
        del self.to_peer[:size]
        for event in self.h2.receive_data(data):
            self.events.append(event)
            if isinstance(event, RequestReceived):
                self.requests[event.stream_id] = [(str(name), str(value)) for name, value in event.headers]
                self.bodies[event.stream_id] = bytearray()
                self.h2.send_headers(event.stream_id, RESPONSE)
                messages = self._answers_of(event.stream_id)
                self._answers[event.stream_id] = bytearray(b"".join(map(grpc_message, messages)))
            elif isinstance(event, DataReceived):
                self.bodies[event.stream_id] += event.data
                owed = self._unacknowledged.get(event.stream_id, 0)
                self._unacknowledged[event.stream_id] = owed + event.flow_controlled_length
            elif isinstance(event, SettingsAcknowledged):
                self._settings_sent -= 1
            elif isinstance(event, StreamEnded):
                self.ended.add(event.stream_id)
            elif isinstance(event, StreamReset):
                self.resets[event.stream_id] = event.error_code
                self._answers.pop(event.stream_id, None)
        self.collect()

    def to_client_step(self, size: int) -> None:
        """Carries some bytes to the client."""
        data = bytes(self.to_client[:size])
        del self.to_client[:size]
        self.connection.receive(data)

    def acknowledge(self) -> bool:
        """Gives the windows of what was received back. Returns whether there was any.

        By itself, `h2` gives them back in steps, and forgets the last one when a setting makes the window smaller.
        """
        owed, self._unacknowledged = self._unacknowledged, {}
        for stream_id, size in owed.items():
            if size:
                self.h2.increment_flow_control_window(size)
                with suppress(StreamClosedError):
                    self.h2.increment_flow_control_window(size, stream_id)
        self.collect()
        return bool(owed)

    def send_some(self) -> bool:
        """Sends one frame of each answer that the windows allow. Returns whether there was any."""
        sent = False
        for stream_id, body in list(self._answers.items()):
            if not body:
                if stream_id not in self.ended:
                    continue
                self.h2.send_headers(stream_id, TRAILERS, end_stream=True)
                del self._answers[stream_id]
                sent = True
                continue
            padding = self._random.choice((None, None, 0, 1, 255))
            extra = 0 if padding is None else padding + 1
            room = min(self.h2.local_flow_control_window(stream_id), self.h2.max_outbound_frame_size) - extra
            size = min(self._random.randint(1, 20_000), len(body), room)
            if size > 0:
                self.h2.send_data(stream_id, bytes(body[:size]), pad_length=padding)
                del body[:size]
                sent = True
        self.collect()
        return sent

    def collect(self) -> None:
        """Takes over what `h2` wants to write."""
        self.to_client += self.h2.data_to_send()

    def settle(self) -> None:
        """Carries everything over until both are still."""
        while self.to_peer or self.to_client or self.acknowledge() or self.send_some():
            self.exchange()

    def exchange(self) -> None:
        """Carries over what both have written."""
        self.to_peer_step(len(self.to_peer))
        self.to_client_step(len(self.to_client))
