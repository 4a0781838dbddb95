"""One stream of a connection: a gRPC call, with the messages of both directions cut out of frames and put into them.

The connection owns the streams and says when they end. A stream answers its handler: each whole message once and in
order, and `closed` exactly once, after which nothing comes any more.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from petra._transport import frames
from petra._transport.frames import MESSAGE_HEAD, PREFIX, PREFIX_BYTES
from petra._transport.responses import CANCELLED, INTERNAL, RESOURCE_EXHAUSTED, UNIMPLEMENTED, GrpcStatus

if TYPE_CHECKING:
    from petra._transport.http2 import Http2Connection

# What a peer may have on its way in one stream: enough for a window of a gigabit over 100 ms.
STREAM_WINDOW: Final = 16 << 20
# Given back in steps of half of it, so that a frame costs no WINDOW_UPDATE.
LOW_STREAM_WINDOW: Final = STREAM_WINDOW // 2


class StreamHandler(Protocol):
    """Whoever made the call. Called on the loop; may call its stream, and the connection, from within."""

    def message(self, data: bytes) -> None:
        """Takes one message of the server."""

    def closed(self, status: GrpcStatus) -> None:
        """The call has ended. The last thing that a handler hears."""

    def writable(self) -> None:
        """All that `send` has left in the backlog is framed."""


class Stream:
    """A call under way. Made by `Http2Connection.open`."""

    __slots__ = (
        "_body",
        "_body_bytes",
        "_connection",
        "_handler",
        "_last",
        "_outbox",
        "_paused",
        "_prefix",
        "_queue",
        "_ready",
        "_wants_writable",
        "answered",
        "backlog_bytes",
        "ended",
        "header_block",
        "id",
        "receive_window",
        "send_window",
    )

    def __init__(self, connection: Http2Connection, handler: StreamHandler, header_block: bytes) -> None:
        # Set once.
        self._connection = connection
        self._outbox = connection.outbox
        self._handler = handler
        self.header_block = header_block
        # Owned by the connection. The id is 0 until the peer allows one stream more.
        self.id = 0
        self.ended = False
        self.answered = False
        self.send_window = 0
        self.receive_window = STREAM_WINDOW
        # Sending. `_ready` is true when a message may go straight into a frame.
        self._ready = False
        self._last = False
        self._wants_writable = False
        self._queue: deque[bytes | memoryview] = deque()
        # What `send` took and could not frame yet, for want of window, of a stream, or of room in the socket's buffer.
        self.backlog_bytes = 0
        # Receiving: a prefix that is not whole, or a body that is not.
        self._paused = False
        self._prefix = b""
        self._body: bytearray | None = None
        self._body_bytes = 0

    # Sending.

    def send(self, message: bytes, *, last: bool = False) -> None:
        """Sends a message, now or when the windows allow; `last` ends this side. Ignored when the stream has ended.

        While `backlog_bytes` is not 0, whoever can should wait for `StreamHandler.writable`.
        """
        size = len(message) + PREFIX_BYTES
        outbox = self._outbox
        if self._ready and size <= outbox.frame_limit and size <= outbox.window and size <= self.send_window:
            outbox.window -= size
            self.send_window -= size
            frame = MESSAGE_HEAD.pack(size << 8, last, self.id, 0, size - PREFIX_BYTES) + message
            outbox.put(frame)
            if last:
                self._last = True
                self._ready = False
        else:
            self._enqueue(message, size, last)

    def _enqueue(self, message: bytes, size: int, last: bool) -> None:
        if self.ended:
            return
        if self._last:
            raise RuntimeError("The last message of this stream was sent.")
        self._ready = False
        self._last = last
        self._queue.append(PREFIX.pack(0, size - PREFIX_BYTES))
        self._queue.append(memoryview(message))
        self.backlog_bytes += size
        self._connection.backlog(self)
        self._wants_writable = self.backlog_bytes > 0

    def opened(self, stream_id: int, send_window: int) -> None:
        """The peer allows the stream, and its headers are sent."""
        self.id = stream_id
        self.send_window = send_window
        self._ready = not self._last and not self.backlog_bytes

    def take_frame(self, limit: int, parts: list[bytes | memoryview]) -> int:
        """Adds one frame of at most `limit` bytes of the backlog to `parts`. Returns its size."""
        size = min(limit, self.backlog_bytes)
        self.backlog_bytes -= size
        self.send_window -= size
        end = self._last and not self.backlog_bytes
        parts.append(frames.HEAD.pack(size << 8, frames.END_STREAM if end else 0, self.id))
        queue = self._queue
        left = size
        while left:
            piece = queue[0]
            if len(piece) <= left:
                parts.append(queue.popleft())
                left -= len(piece)
            else:
                parts.append(piece[:left])
                queue[0] = piece[left:]
                left = 0
        if not self.backlog_bytes:
            queue.clear()
            self._ready = not self._last
        return size

    def tell_writable(self) -> None:
        """Tells the handler that the backlog is gone, if it saw one."""
        if self._wants_writable and not self.backlog_bytes and not self.ended:
            self._wants_writable = False
            self._handler.writable()

    # Receiving.

    def receive(self, data: bytes, start: int, stop: int) -> None:
        """Takes data[start:stop], the payload of a frame, and hands on the messages that it completes."""
        if self._prefix or self._body is not None:
            start = self._complete(data, start, stop)
        limit = self._connection.message_bytes
        while stop - start >= PREFIX_BYTES and not self.ended:
            compressed, size = PREFIX.unpack_from(data, start)
            if compressed or size > limit:
                self._refuse(compressed, size)
                return
            start += PREFIX_BYTES
            end = start + size
            if end > stop:
                self._body = bytearray(memoryview(data)[start:stop])
                self._body_bytes = size
                return
            self._handler.message(data[start:end])
            start = end
        if start < stop and not self.ended:
            self._prefix = data[start:stop]

    def _complete(self, data: bytes, start: int, stop: int) -> int:
        """Goes on with the message that began in an earlier frame. Returns where the next one begins."""
        body = self._body
        if body is None:
            end = min(stop, start + PREFIX_BYTES - len(self._prefix))
            self._prefix += data[start:end]
            if len(self._prefix) < PREFIX_BYTES:
                return end
            compressed, size = PREFIX.unpack(self._prefix)
            self._prefix = b""
            if compressed or size > self._connection.message_bytes:
                self._refuse(compressed, size)
                return stop
            start = end
            body = self._body = bytearray()
            self._body_bytes = size
        end = min(stop, start + self._body_bytes - len(body))
        body += memoryview(data)[start:end]
        if len(body) == self._body_bytes:
            self._body = None
            self._handler.message(bytes(body))
        return end

    def _refuse(self, compressed: int, size: int) -> None:
        peer = self._connection.peer
        if compressed > 1:
            status = GrpcStatus(INTERNAL, f"{peer} sent a message that does not begin like one of gRPC.")
        elif compressed:
            status = GrpcStatus(UNIMPLEMENTED, f"{peer} sent a compressed message, which this client never asks for.")
        else:
            limit = self._connection.message_bytes
            status = GrpcStatus(
                RESOURCE_EXHAUSTED, f"{peer} sent a message of {size} bytes; this client takes at most {limit}."
            )
        self._connection.reset(self, frames.CANCEL, status)

    def give_back(self) -> None:
        """Lets the peer send as much again, when it is worth a frame."""
        if self.receive_window < 0:
            raise frames.Violation("it sent more than the window of a stream", frames.FLOW_CONTROL_ERROR)
        if self.receive_window < LOW_STREAM_WINDOW and not self._paused and not self.ended:
            increment = STREAM_WINDOW - self.receive_window
            self.receive_window = STREAM_WINDOW
            self._outbox.put(frames.window_update(self.id, increment))

    def pause(self) -> None:
        """Gives no more window back: the peer may send what is left of it, at most `STREAM_WINDOW`, and then waits."""
        self._paused = True

    def resume(self) -> None:
        """Goes on after `pause`."""
        self._paused = False
        self.give_back()

    # The end.

    def cancel(self) -> None:
        """Ends the call on both sides; the handler is told CANCELLED. Nothing, when it has ended."""
        if not self.ended:
            self._connection.cancel(self, GrpcStatus(CANCELLED, "The call was cancelled.", refused=not self.id))

    @property
    def sends(self) -> bool:
        """Whether this side has not ended the stream."""
        return not self._last or self.backlog_bytes > 0

    @property
    def in_message(self) -> bool:
        """Whether a message has begun and is not whole."""
        return bool(self._prefix) or self._body is not None

    def end(self) -> None:
        """Drops what it holds. Afterwards the handler is to be told, once, by `tell_closed`."""
        self.ended = True
        self._ready = False
        self._queue.clear()
        self.backlog_bytes = 0
        self._prefix, self._body = b"", None

    def tell_closed(self, status: GrpcStatus) -> None:
        self._handler.closed(status)
