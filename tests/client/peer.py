"""A server whose every step a test decides: it takes pipeline messages, and answers, waits, refuses or goes away.

Its HTTP/2 is that of the `h2` library. All within one event loop.
"""

from __future__ import annotations

import asyncio
import struct
from base64 import b64encode
from collections.abc import Callable
from types import TracebackType
from typing import Self, cast

from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError

from petra.v1 import storage_pb2 as pb
from tests.client.waiting import PATIENCE_S

Behaviour = Callable[["Pipeline", pb.PipelineRequest], None]


def agree(pipeline: Pipeline, message: pb.PipelineRequest) -> None:
    """Answers each operation with version 1 and the number of operations in its message."""
    count = len(message.ids)
    pipeline.answer(pb.PipelineResponse(ids=message.ids, versions=[1] * count, numbers=[count] * count))


def refusing(error: pb.OperationError) -> Behaviour:
    """Refuses each operation with this, under its own id."""

    def refuse(pipeline: Pipeline, message: pb.PipelineRequest) -> None:
        response = pb.PipelineResponse()
        for id_ in message.ids:
            response.errors.add().CopyFrom(error)
            response.errors[-1].id = id_
        pipeline.answer(response)

    return refuse


class Peer:
    """A listening server. `behaviour` is called with each message; without one, messages wait in `next`."""

    def __init__(self, behaviour: Behaviour | None = None, *, port: int = 0) -> None:
        self.behaviour = behaviour
        # Whether what is read is credited to the client's window.
        self.credits = True
        self.messages: list[pb.PipelineRequest] = []
        self.connections: list[Connection] = []
        self._waiting: asyncio.Queue[tuple[Pipeline, pb.PipelineRequest]] = asyncio.Queue()
        self._port = port
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    async def next(self) -> tuple[Pipeline, pb.PipelineRequest]:
        """The next message that nobody has answered."""
        return await asyncio.wait_for(self._waiting.get(), PATIENCE_S)

    def received(self, pipeline: Pipeline, message: pb.PipelineRequest) -> None:
        self.messages.append(message)
        if self.behaviour is None:
            self._waiting.put_nowait((pipeline, message))
        else:
            self.behaviour(pipeline, message)

    def stop(self) -> None:
        """Is not there any more."""
        assert self._server is not None
        self._server.close()
        for connection in self.connections:
            connection.cut()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        # Lets the closed sockets go.
        await asyncio.sleep(0)


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._h2 = H2Connection(H2Configuration(client_side=False))
        self._pipelines: dict[int, Pipeline] = {}
        # Of each stream, what was read and not credited.
        self._owed: dict[int, int] = {}
        self.transport: asyncio.Transport | None = None
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._peer.connections.append(self)
        self._h2.initiate_connection()
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        try:
            events = self._h2.receive_data(data)
        except ProtocolError:
            # What the client still sends on a stream that was ended here.
            return self.flush()
        for event in events:
            if isinstance(event, RequestReceived):
                self._pipelines[event.stream_id] = Pipeline(self, event.stream_id)
                self._h2.send_headers(event.stream_id, [(":status", "200"), ("content-type", "application/grpc")])
            elif isinstance(event, DataReceived):
                self._owed[event.stream_id] = self._owed.get(event.stream_id, 0) + event.flow_controlled_length
                if self._peer.credits:
                    self.credit()
                pipeline = self._pipelines.get(event.stream_id)
                for message in pipeline.take(event.data) if pipeline else ():
                    self._peer.received(self._pipelines[event.stream_id], message)
            elif isinstance(event, StreamReset | StreamEnded):
                self._pipelines.pop(event.stream_id, None)
        return self.flush()

    def send(self, stream_id: int, data: bytes) -> None:
        size = self._h2.max_outbound_frame_size
        for start in range(0, len(data), size):
            self._h2.send_data(stream_id, data[start : start + size])
        self.flush()

    def end(self, stream_id: int, headers: list[tuple[str, str]]) -> None:
        self._h2.send_headers(stream_id, headers, end_stream=True)
        self.flush()

    def credit(self) -> None:
        """Gives back the windows of what was read."""
        owed, self._owed = self._owed, {}
        for stream_id, size in owed.items():
            if stream_id in self._pipelines:
                self._h2.acknowledge_received_data(size, stream_id)
        self.flush()

    def cut(self) -> None:
        """Breaks the connection."""
        if self.transport is not None:
            self.transport.abort()

    def deafen(self) -> None:
        """Reads nothing more."""
        assert self.transport is not None
        self.transport.pause_reading()

    def listen(self) -> None:
        """Reads again."""
        assert self.transport is not None
        self.transport.resume_reading()

    def flush(self) -> None:
        data = self._h2.data_to_send()
        if data and self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)


class Pipeline:
    """One stream of a connection."""

    def __init__(self, connection: Connection, stream_id: int) -> None:
        self.connection = connection
        self._stream_id = stream_id
        self._buffer = bytearray()

    def take(self, data: bytes) -> list[pb.PipelineRequest]:
        """The messages that are complete now."""
        self._buffer += data
        found = []
        while len(self._buffer) >= 5:
            _, size = struct.unpack_from(">BI", self._buffer)
            if len(self._buffer) < 5 + size:
                break
            found.append(pb.PipelineRequest.FromString(bytes(self._buffer[5 : 5 + size])))
            del self._buffer[: 5 + size]
        return found

    def answer(self, response: pb.PipelineResponse) -> None:
        data = response.SerializeToString()
        self.connection.send(self._stream_id, struct.pack(">BI", 0, len(data)) + data)

    def answer_raw(self, data: bytes) -> None:
        """Sends a message that may be none."""
        self.connection.send(self._stream_id, struct.pack(">BI", 0, len(data)) + data)

    def end(self, code: int, message: str = "", *, reason: str = "") -> None:
        """Ends the stream with a gRPC status, and with a reason as Petra's servers give it."""
        headers = [("grpc-status", str(code)), ("grpc-message", message)]
        if reason:
            detail = Any()
            detail.Pack(ErrorInfo(domain="petra.dev", reason=reason))
            details = Status(code=code, message=message, details=[detail]).SerializeToString()
            headers.append(("grpc-status-details-bin", b64encode(details).decode()))
        self.connection.end(self._stream_id, headers)
