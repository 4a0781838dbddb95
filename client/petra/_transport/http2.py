"""The client's side of an HTTP/2 connection that carries gRPC (RFC 9113). No I/O: bytes come in, and go to `write`.

- Each stream is answered once, whatever the peer does. A peer that breaks the protocol ends the connection: `error`
  then says how, and every stream is closed with UNAVAILABLE.
- What is written while bytes are received is written together at the end of them.
- Everything that a peer can make this side hold is bounded: header blocks, frames, messages, answers to what it sends
  without reading, streams that wait for its leave.

Of one thread. Handlers may call streams and the connection from within what they are told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Final

from petra._transport import frames
from petra._transport.frames import NotHttp2, Violation
from petra._transport.headers import HEADER_BYTES, RequestHeaders, ResponseHeaders
from petra._transport.outbox import Outbox
from petra._transport.responses import (
    INTERNAL,
    RESOURCE_EXHAUSTED,
    UNAVAILABLE,
    UNKNOWN,
    GrpcStatus,
    is_informational,
    refusal,
    reset_status,
    trailers_status,
)
from petra._transport.stream import LOW_STREAM_WINDOW, STREAM_WINDOW, Stream, StreamHandler

__all__ = ["ConnectionEnded", "GrpcStatus", "Http2Connection", "Stream", "StreamHandler"]

# What a peer may have on its way in all streams together.
_CONNECTION_WINDOW: Final = 64 << 20
_LOW_WINDOW: Final = _CONNECTION_WINDOW // 2
# Streams that may wait until the peer allows more of them.
_WAITING_STREAMS: Final = 1_024


class ConnectionEnded(Exception):
    """No stream can be opened here any more. `status` says why."""

    def __init__(self, status: GrpcStatus) -> None:
        super().__init__(status.message)
        self.status = status


class Http2Connection:
    """One connection. `peer` names the other side in sentences."""

    def __init__(
        self,
        *,
        peer: str,
        authority: str,
        secure: bool,
        user_agent: str,
        message_bytes: int = 64 << 20,
        over: Callable[[], None] = lambda: None,
    ) -> None:
        """Messages larger than `message_bytes` are refused. `over` is called when the connection is of no more use."""
        # Set once.
        self.peer = peer
        self.message_bytes = message_bytes
        self.outbox = Outbox()
        self._over = over
        self._requests = RequestHeaders(authority=authority, secure=secure, user_agent=user_agent)
        self._responses = ResponseHeaders()
        # The state of the connection: whether the peer's settings have come, why it takes no more streams, why it has
        # ended, and the sentence when that was the peer's fault.
        self.greeted = False
        self.draining: GrpcStatus | None = None
        self.ended: GrpcStatus | None = None
        self.error: str | None = None
        self._told_over = False
        # Streams by id, and in order those that wait for the peer's leave.
        self.streams: dict[int, Stream] = {}
        self._waiting: dict[Stream, None] = {}
        self._next_id = 1
        self._most_streams = frames.LARGEST_WINDOW
        self._stream_send_window = frames.DEFAULT_WINDOW
        # Whether something has changed that lets streams begin or go on, or may be the last thing.
        self._unsettled = False
        # Received: a frame that is not whole, and what the peer may still send.
        self._rest = b""
        self._receive_window = _CONNECTION_WINDOW

    def start(self, write: Callable[[bytes], None]) -> None:
        """Sends this side's preface, and everything else, to `write`."""
        self.outbox.write = write
        write(
            frames.PREFACE
            + frames.settings(
                (
                    (frames.ENABLE_PUSH, 0),
                    (frames.INITIAL_WINDOW_SIZE, STREAM_WINDOW),
                    (frames.MAX_HEADER_LIST_SIZE, HEADER_BYTES),
                )
            )
            + frames.window_update(0, _CONNECTION_WINDOW - frames.DEFAULT_WINDOW)
        )

    # Streams.

    def open(self, path: str, handler: StreamHandler, metadata: Sequence[tuple[str, str]] = ()) -> Stream:
        """Begins a call. It waits when the peer allows no more streams. Raises ConnectionEnded."""
        gone = self.ended or self.draining
        if gone is not None:
            raise ConnectionEnded(gone)
        stream = Stream(self, handler, self._requests.block(path, metadata))
        if len(self.streams) < self._most_streams and not self._waiting:
            self._open(stream)
        elif len(self._waiting) < _WAITING_STREAMS:
            self._waiting[stream] = None
        else:
            message = f"{_WAITING_STREAMS} calls wait for {self.peer} to take them already."
            raise ConnectionEnded(GrpcStatus(RESOURCE_EXHAUSTED, message, refused=True))
        return stream

    def _open(self, stream: Stream) -> None:
        stream.opened(self._next_id, self._stream_send_window)
        self.streams[self._next_id] = stream
        block = self._requests.table_update + stream.header_block
        self._requests.table_update = b""
        self.outbox.put(frames.header_block(self._next_id, block, self.outbox.frame_bytes))
        self._next_id += 2
        if self._next_id > frames.LARGEST_WINDOW:
            self.draining = GrpcStatus(UNAVAILABLE, f"The connection to {self.peer} has no stream numbers left.")

    def cancel(self, stream: Stream, status: GrpcStatus) -> None:
        """Ends a stream that is open or waits."""
        if stream.id:
            self.reset(stream, frames.CANCEL, status)
        else:
            self._close([(stream, status)])
        self._settle()

    def reset(self, stream: Stream, code: int, status: GrpcStatus) -> None:
        """Ends an open stream on both sides."""
        self.outbox.put(frames.rst_stream(stream.id, code))
        self._close([(stream, status)])

    def _close(self, endings: Sequence[tuple[Stream, GrpcStatus]]) -> None:
        """Takes streams off the connection, then tells their handlers: all of them, even if one raises."""
        self._unsettled = True
        with ExitStack() as stack:
            # The stack runs from its end.
            for stream, status in reversed(endings):
                stack.callback(stream.tell_closed, status)
                stream.end()
                self.streams.pop(stream.id, None)
                self._waiting.pop(stream, None)
                self.outbox.forget(stream)

    def end(self, status: GrpcStatus) -> None:
        """Closes every stream; nothing is sent or received any more."""
        if self.ended is None:
            self.ended = status
            endings = [(stream, status) for stream in self.streams.values()]
            endings += [(stream, status._replace(refused=True)) for stream in self._waiting]
            self._close(endings)

    def farewell(self) -> None:
        """Tells the peer that this side will go."""
        self.outbox.put(frames.goaway(frames.NO_ERROR, ""))

    def ping(self) -> None:
        """Asks the peer for a sign of life; any bytes received are one."""
        self.outbox.put(frames.frame(frames.PING, 0, 0, b"petra-ka"))

    # Sending.

    def resume_output(self) -> None:
        """The socket takes data again, after `outbox.pause`."""
        self.outbox.resume()
        self._unsettled = True
        self._settle()

    def backlog(self, stream: Stream) -> None:
        """Sends what may be sent of a stream's backlog."""
        self.outbox.backlog(stream)
        self._unsettled = True
        self._settle()

    def _settle(self) -> None:
        """Does what a change has made possible: begins streams, sends backlogs, says that all is over."""
        if self.outbox.collected is not None:
            return
        while self._unsettled:
            self._unsettled = False
            while self._waiting and len(self.streams) < self._most_streams and not (self.draining or self.ended):
                stream = next(iter(self._waiting))
                del self._waiting[stream]
                self._open(stream)
            for stream in self.outbox.pump():
                stream.tell_writable()
        if not self._told_over and (self.ended or (self.draining and not self.streams)):
            self._told_over = True
            self._over()

    # Receiving.

    def receive(self, data: bytes) -> None:
        """Takes bytes of the peer, and tells handlers what they hold."""
        if self.ended is not None:
            return
        self.outbox.collect()
        try:
            self._parse(self._rest + data if self._rest else data)
        except Violation as violation:
            self._violated(violation)
        finally:
            self.outbox.flush()
        if self._unsettled:
            self._settle()

    def _parse(self, data: bytes) -> None:
        start = 0
        end = len(data)
        unpack = frames.HEAD.unpack_from
        while end - start >= frames.HEAD_BYTES:
            word, flags, stream_id = unpack(data, start)
            if not self.greeted:
                self._greet(word, flags, stream_id, data)
            size = word >> 8
            if size > frames.DEFAULT_FRAME_SIZE:
                raise Violation(f"a frame of {size} bytes", frames.FRAME_SIZE_ERROR)
            stop = start + frames.HEAD_BYTES + size
            if stop > end:
                break
            start += frames.HEAD_BYTES
            if word & 0xFF or self._responses.stream_id:
                self._frame(word & 0xFF, flags, stream_id & frames.LARGEST_WINDOW, data[start:stop])
            else:
                self._data(flags, stream_id & frames.LARGEST_WINDOW, data, start, stop)
            if self.ended is not None:
                return
            start = stop
        self._rest = data[start:]

    def _greet(self, word: int, flags: int, stream_id: int, data: bytes) -> None:
        """The first frame of a peer that speaks HTTP/2 is its settings."""
        if word & 0xFF != frames.SETTINGS or flags or stream_id or word >> 8 > frames.DEFAULT_FRAME_SIZE:
            raise NotHttp2(data)
        self.greeted = True

    def _data(self, flags: int, stream_id: int, data: bytes, start: int, stop: int) -> None:
        size = stop - start
        self._receive_window -= size
        if self._receive_window < _LOW_WINDOW:
            self._give_back()
        stream = self.streams.get(stream_id)
        if stream is None:
            self._check_used(stream_id, "DATA")
            return
        stream.receive_window -= size
        if stream.receive_window < LOW_STREAM_WINDOW:
            stream.give_back()
        if flags & frames.PADDED:
            data = frames.unpadded(flags, data[start:stop])
            start, stop = 0, len(data)
        if not stream.answered:
            status = GrpcStatus(INTERNAL, f"{self.peer} sent data before its headers.")
            self.reset(stream, frames.PROTOCOL_ERROR, status)
            return
        stream.receive(data, start, stop)
        if flags & frames.END_STREAM and not stream.ended:
            self._finish(stream, GrpcStatus(UNKNOWN, f"{self.peer} ended its answer without a gRPC status."))

    def _give_back(self) -> None:
        if self._receive_window < 0:
            raise Violation("it sent more than the window of the connection", frames.FLOW_CONTROL_ERROR)
        self.outbox.put(frames.window_update(0, _CONNECTION_WINDOW - self._receive_window))
        self._receive_window = _CONNECTION_WINDOW

    def _frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        """Any frame but DATA. Unknown ones, and PRIORITY, are ignored."""
        if self._responses.stream_id and kind != frames.CONTINUATION:
            raise Violation("a frame within a header block")
        if kind in _OF_CONNECTION and stream_id:
            raise Violation(f"{_OF_CONNECTION[kind]} on a stream")
        handle = _HANDLERS.get(kind)
        if handle is not None:
            handle(self, flags, stream_id, payload)

    def _check_used(self, stream_id: int, what: str) -> None:
        """Late frames of streams that have ended are ignored; there are none of streams that never were."""
        if not stream_id & 1 or stream_id >= self._next_id:
            raise Violation(f"{what} on stream {stream_id}, which is not open")

    def _headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._check_used(stream_id, "HEADERS")
        self._take_headers(stream_id, self._responses.begin(flags, stream_id, payload))

    def _continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._take_headers(stream_id, self._responses.go_on(flags, stream_id, payload))

    def _take_headers(self, stream_id: int, headers: dict[bytes, bytes] | None) -> None:
        stream = self.streams.get(stream_id)
        if headers is None or stream is None:
            return
        end_stream = self._responses.end_stream
        if not stream.answered and not end_stream:
            self._begin_answer(stream, headers)
        elif end_stream:
            problem = None if stream.answered or b"grpc-status" in headers else refusal(headers, self.peer)
            self._finish(stream, problem or trailers_status(headers, self.peer))
        else:
            status = GrpcStatus(INTERNAL, f"{self.peer} sent headers in the middle of its answer.")
            self.reset(stream, frames.PROTOCOL_ERROR, status)

    def _begin_answer(self, stream: Stream, headers: dict[bytes, bytes]) -> None:
        if is_informational(headers):
            return
        problem = refusal(headers, self.peer)
        if problem is None:
            stream.answered = True
        else:
            self.reset(stream, frames.CANCEL, problem)

    def _finish(self, stream: Stream, status: GrpcStatus) -> None:
        """The peer has ended the stream."""
        if status.code == 0 and stream.in_message:
            status = GrpcStatus(INTERNAL, f"{self.peer} ended its answer in the middle of a message.")
        if stream.sends:
            # The call is answered, so there is nothing left to send.
            self.outbox.put(frames.rst_stream(stream.id, frames.NO_ERROR))
        self._close([(stream, status)])

    def _rst_stream(self, flags: int, stream_id: int, payload: bytes) -> None:
        code = frames.read_uint32(payload, "RST_STREAM")
        self._check_used(stream_id, "RST_STREAM")
        stream = self.streams.get(stream_id)
        if stream is not None:
            self._close([(stream, reset_status(code, self.peer))])

    def _goaway(self, flags: int, stream_id: int, payload: bytes) -> None:
        last, code, debug = frames.read_goaway(payload)
        why = f" ({frames.error_name(code)}{': ' if debug else ''}{debug})" if code else ""
        status = GrpcStatus(UNAVAILABLE, f"{self.peer} takes no more calls on this connection{why}.", refused=True)
        self.draining = self.draining or status
        refused = [stream for number, stream in self.streams.items() if number > last]
        self._close([(stream, status) for stream in (*refused, *self._waiting)])

    def _ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 8:
            raise Violation(f"PING of {len(payload)} bytes", frames.FRAME_SIZE_ERROR)
        if not flags & frames.ACK:
            self.outbox.answer(frames.frame(frames.PING, frames.ACK, 0, payload))

    def _window_update(self, flags: int, stream_id: int, payload: bytes) -> None:
        increment = frames.read_uint32(payload, "WINDOW_UPDATE") & frames.LARGEST_WINDOW
        self._unsettled = True
        if not stream_id:
            self.outbox.widen(increment)
            return
        self._check_used(stream_id, "WINDOW_UPDATE")
        stream = self.streams.get(stream_id)
        if stream is not None:
            stream.send_window += increment
            if not increment or stream.send_window > frames.LARGEST_WINDOW:
                status = GrpcStatus(INTERNAL, f"{self.peer} set a wrong window of the stream.")
                self.reset(stream, frames.FLOW_CONTROL_ERROR, status)

    def _settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        if flags & frames.ACK:
            if payload:
                raise Violation("an acknowledgement of settings with a payload", frames.FRAME_SIZE_ERROR)
            return
        for name, value in frames.read_settings(payload):
            if name == frames.ENABLE_PUSH and value:
                raise Violation("it wants to be pushed to")
            if name == frames.MAX_CONCURRENT_STREAMS:
                self._most_streams = value
            elif name == frames.INITIAL_WINDOW_SIZE:
                self._set_stream_window(value)
            elif name == frames.MAX_FRAME_SIZE:
                self.outbox.set_frame_size(value)
        self._unsettled = True
        self.outbox.answer(frames.frame(frames.SETTINGS, frames.ACK, 0))

    def _set_stream_window(self, size: int) -> None:
        change = size - self._stream_send_window
        self._stream_send_window = size
        if size > frames.LARGEST_WINDOW:
            raise Violation("a window too large for streams", frames.FLOW_CONTROL_ERROR)
        for stream in self.streams.values():
            # It may well become negative.
            stream.send_window += change
            if stream.send_window > frames.LARGEST_WINDOW:
                raise Violation("a window too large for a stream", frames.FLOW_CONTROL_ERROR)

    def _push_promise(self, flags: int, stream_id: int, payload: bytes) -> None:
        raise Violation("a push, which this side has declined")

    def _violated(self, violation: Violation) -> None:
        if isinstance(violation, NotHttp2):
            self.error = f"{self.peer} does not speak HTTP/2: {violation}."
        else:
            self.error = f"{self.peer} broke the HTTP/2 protocol: {violation}."
            self.outbox.put(frames.goaway(violation.code, str(violation)))
        self.end(GrpcStatus(UNAVAILABLE, self.error))


_OF_CONNECTION: Final = {frames.SETTINGS: "SETTINGS", frames.PING: "PING", frames.GOAWAY: "GOAWAY"}
_HANDLERS: Final[dict[int, Callable[[Http2Connection, int, int, bytes], None]]] = {
    frames.HEADERS: Http2Connection._headers,
    frames.RST_STREAM: Http2Connection._rst_stream,
    frames.SETTINGS: Http2Connection._settings,
    frames.PUSH_PROMISE: Http2Connection._push_promise,
    frames.PING: Http2Connection._ping,
    frames.GOAWAY: Http2Connection._goaway,
    frames.WINDOW_UPDATE: Http2Connection._window_update,
    frames.CONTINUATION: Http2Connection._continuation,
}
