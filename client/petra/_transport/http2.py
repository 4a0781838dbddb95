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

from hpack import Decoder, Encoder
from hpack.exceptions import HPACKError

from petra._transport import frames
from petra._transport.frames import Violation
from petra._transport.responses import (
    INTERNAL,
    UNAVAILABLE,
    UNKNOWN,
    GrpcStatus,
    is_informational,
    refusal,
    reset_status,
    trailers_status,
)
from petra._transport.stream import STREAM_WINDOW, Stream, StreamHandler

__all__ = ["ConnectionEnded", "GrpcStatus", "Http2Connection", "Stream", "StreamHandler"]

# What a peer may have on its way in all streams together.
_CONNECTION_WINDOW: Final = 64 << 20
_LOW_WINDOW: Final = _CONNECTION_WINDOW // 2
_LOW_STREAM_WINDOW: Final = STREAM_WINDOW // 2
# Headers of one response: errors with their details take a few KiB. A block may come in so many frames.
_HEADER_BYTES: Final = 64 << 10
_HEADER_FRAMES: Final = 64
# Answers to PING and SETTINGS that may wait for a peer that does not read.
_UNREAD_ANSWERS: Final = 1_000
# Streams that may wait until the peer allows more of them.
_WAITING_STREAMS: Final = 1_024
# The largest frame that is sent to a peer that takes larger ones: others have their turn after it.
_FRAME_BYTES: Final = 64 << 10
# What is handed to the socket at a time, so that it can say stop.
_WRITE_BYTES: Final = 256 << 10
# Header blocks kept ready, by path.
_KEPT_BLOCKS: Final = 64


class ConnectionEnded(Exception):
    """No stream can be opened here any more. `status` says why."""

    def __init__(self, status: GrpcStatus) -> None:
        super().__init__(status.message)
        self.status = status


class Http2Connection:
    """One connection. `peer` names the other side in sentences."""

    def __init__(
        self,
        write: Callable[[bytes], None],
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
        self.write = write
        self.peer = peer
        self.message_bytes = message_bytes
        self._over = over
        self._first_headers = [
            (":method", "POST"),
            (":scheme", "https" if secure else "http"),
            (":authority", authority),
        ]
        self._last_headers = [("te", "trailers"), ("content-type", "application/grpc"), ("user-agent", user_agent)]
        # The state of the connection.
        self.greeted = False
        self.draining: GrpcStatus | None = None
        self.ended: GrpcStatus | None = None
        self.error: str | None = None
        self._told_over = False
        # Streams by id; those that wait for the peer's leave; those with a backlog. The latter two are ordered sets.
        self.streams: dict[int, Stream] = {}
        self._waiting: dict[Stream, None] = {}
        self._backlogged: dict[Stream, None] = {}
        self._next_id = 1
        # Sending. `collected` is a list while bytes are received. `frame_limit` is 0 while the socket takes nothing.
        self.collected: list[bytes] | None = None
        self.send_window = frames.DEFAULT_WINDOW
        self.frame_limit = self._frame_bytes = frames.DEFAULT_FRAME_SIZE
        self._stream_send_window = frames.DEFAULT_WINDOW
        self._most_streams = frames.LARGEST_WINDOW
        self._unread_answers = 0
        self._unsettled = False
        # Without a table, a block says the same whenever it is sent: it can be kept, and no setting changes it.
        self._encoder = Encoder()
        self._encoder.header_table_size = 0
        self._table_update = self._encoder.encode([])
        self._blocks: dict[str, bytes] = {}
        # Receiving.
        self._rest = b""
        self._receive_window = _CONNECTION_WINDOW
        self._decoder = Decoder(max_header_list_size=_HEADER_BYTES)
        self._block: bytearray | None = None
        self._block_stream = 0
        self._block_ends_stream = False
        self._block_frames = 0

    def start(self) -> None:
        """Sends this side's preface."""
        self.write(
            frames.PREFACE
            + frames.settings(
                (
                    (frames.ENABLE_PUSH, 0),
                    (frames.INITIAL_WINDOW_SIZE, STREAM_WINDOW),
                    (frames.MAX_HEADER_LIST_SIZE, _HEADER_BYTES),
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
        stream = Stream(self, handler, self._headers_of(path, metadata))
        if len(self.streams) < self._most_streams and not self._waiting:
            self._open(stream)
        elif len(self._waiting) < _WAITING_STREAMS:
            self._waiting[stream] = None
        else:
            raise ConnectionEnded(GrpcStatus(UNAVAILABLE, f"{_WAITING_STREAMS} calls wait for {self.peer} already."))
        return stream

    def _headers_of(self, path: str, metadata: Sequence[tuple[str, str]]) -> bytes:
        block = self._blocks.get(path)
        if block is None:
            if len(self._blocks) >= _KEPT_BLOCKS:
                self._blocks.clear()
            block = self._blocks[path] = self._encoder.encode(
                [*self._first_headers, (":path", path), *self._last_headers]
            )
        return block + self._encoder.encode(metadata) if metadata else block

    def _open(self, stream: Stream) -> None:
        stream.opened(self._next_id, self._stream_send_window)
        self.streams[self._next_id] = stream
        block, self._table_update = self._table_update + stream.header_block, b""
        self.put(frames.header_block(self._next_id, block, self._frame_bytes))
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
        self.put(frames.rst_stream(stream.id, code))
        self._close([(stream, status)])

    def _close(self, endings: Sequence[tuple[Stream, GrpcStatus]]) -> None:
        """Takes streams off the connection, then tells their handlers: all of them, even if one raises."""
        self._unsettled = True
        with ExitStack() as stack:
            for stream, status in reversed(endings):
                stack.callback(stream.tell_closed, status)
                stream.end()
                self.streams.pop(stream.id, None)
                self._waiting.pop(stream, None)
                self._backlogged.pop(stream, None)

    def end(self, status: GrpcStatus) -> None:
        """Closes every stream; nothing is sent or received any more."""
        if self.ended is None:
            self.ended = status
            endings = [(stream, status) for stream in self.streams.values()]
            endings += [(stream, status._replace(refused=True)) for stream in self._waiting]
            self._close(endings)

    def farewell(self) -> None:
        """Tells the peer that this side will go."""
        self.put(frames.goaway(frames.NO_ERROR, ""))

    def ping(self) -> None:
        """Asks the peer for a sign of life; any bytes received are one."""
        self.put(frames.frame(frames.PING, 0, 0, b"petra-ka"))

    # Sending.

    def put(self, frame: bytes) -> None:
        """Writes a frame that needs no window."""
        if self.collected is None:
            self.write(frame)
        else:
            self.collected.append(frame)

    def pause_output(self) -> None:
        """The socket takes no more: data stays in the backlog."""
        self.frame_limit = 0

    def resume_output(self) -> None:
        self.frame_limit = self._frame_bytes
        self._unread_answers = 0
        self._unsettled = True
        self._settle()

    def backlog(self, stream: Stream) -> None:
        """Sends what may be sent of a stream's backlog."""
        self._backlogged[stream] = None
        self._unsettled = True
        self._settle()

    def _settle(self) -> None:
        """Does what a change has made possible: begins streams, sends backlogs, says that all is over."""
        if self.collected is not None:
            return
        while self._unsettled:
            self._unsettled = False
            while self._waiting and len(self.streams) < self._most_streams and not (self.draining or self.ended):
                stream = next(iter(self._waiting))
                del self._waiting[stream]
                self._open(stream)
            for stream in self._pump():
                stream.tell_writable()
        if not self._told_over and (self.ended or (self.draining and not self.streams)):
            self._told_over = True
            self._over()

    def _pump(self) -> list[Stream]:
        """Frames backlogs in turns, as far as the windows and the socket allow. Returns the streams that are done."""
        done: list[Stream] = []
        parts: list[bytes | memoryview] = []
        size = 0
        progress = True
        while progress:
            progress = False
            for stream in list(self._backlogged):
                limit = min(self.frame_limit, self.send_window, stream.send_window)
                if limit <= 0 or not stream.id:
                    continue
                progress = True
                taken = stream.take_frame(limit, parts)
                self.send_window -= taken
                size += taken
                if not stream.backlog_bytes:
                    del self._backlogged[stream]
                    done.append(stream)
                if size >= _WRITE_BYTES:
                    self.write(b"".join(parts))
                    parts.clear()
                    size = 0
        if parts:
            self.write(b"".join(parts))
        return done

    # Receiving.

    def receive(self, data: bytes) -> None:
        """Takes bytes of the peer, and tells handlers what they hold."""
        if self.ended is not None:
            return
        self.collected = []
        try:
            self._parse(self._rest + data if self._rest else data)
        except Violation as violation:
            self._violated(violation)
        finally:
            collected, self.collected = self.collected, None
            if collected:
                self.write(b"".join(collected) if len(collected) > 1 else collected[0])
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
            if word & 0xFF or self._block is not None:
                self._frame(word & 0xFF, flags, stream_id & frames.LARGEST_WINDOW, data[start:stop])
            else:
                self._data(flags, stream_id & frames.LARGEST_WINDOW, data, start, stop)
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
        if stream.receive_window < _LOW_STREAM_WINDOW:
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
        self.put(frames.window_update(0, _CONNECTION_WINDOW - self._receive_window))
        self._receive_window = _CONNECTION_WINDOW

    def _frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        """Any frame but DATA. Unknown ones, and PRIORITY, are ignored."""
        if self._block is not None and kind != frames.CONTINUATION:
            raise Violation("a frame within a header block")
        if kind in _OF_CONNECTION and stream_id:
            raise Violation(f"{_OF_CONNECTION[kind]} on a stream")
        handle = _HANDLERS.get(kind)
        if handle is not None and self.ended is None:
            handle(self, flags, stream_id, payload)

    def _check_used(self, stream_id: int, what: str) -> None:
        """Late frames of streams that have ended are ignored; there are none of streams that never were."""
        if not stream_id & 1 or stream_id >= self._next_id:
            raise Violation(f"{what} on stream {stream_id}, which is not open")

    def _headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._check_used(stream_id, "HEADERS")
        block = frames.without_priority(flags, frames.unpadded(flags, payload))
        self._block = bytearray(block)
        self._block_stream = stream_id
        self._block_ends_stream = bool(flags & frames.END_STREAM)
        self._block_frames = 0
        if flags & frames.END_HEADERS:
            self._end_block()

    def _continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        if self._block is None or stream_id != self._block_stream:
            raise Violation("CONTINUATION without its HEADERS")
        self._block += payload
        self._block_frames += 1
        if len(self._block) > _HEADER_BYTES or self._block_frames > _HEADER_FRAMES:
            raise Violation("a header block without end", frames.ENHANCE_YOUR_CALM)
        if flags & frames.END_HEADERS:
            self._end_block()

    def _end_block(self) -> None:
        assert self._block is not None
        block, self._block = bytes(self._block), None
        try:
            # Also for a stream that has ended: each block changes how the next one is read.
            headers = dict(self._decoder.decode(block, raw=True))
        except HPACKError as error:
            raise Violation(f"a header block that cannot be read ({error})", frames.COMPRESSION_ERROR) from None
        stream = self.streams.get(self._block_stream)
        if stream is None:
            return
        if stream.answered:
            self._trailers(stream, headers)
        else:
            self._response(stream, headers)

    def _response(self, stream: Stream, headers: dict[bytes, bytes]) -> None:
        if self._block_ends_stream:
            status = None if b"grpc-status" in headers else refusal(headers, self.peer)
            self._finish(stream, status or trailers_status(headers, self.peer))
        elif not is_informational(headers):
            problem = refusal(headers, self.peer)
            if problem is None:
                stream.answered = True
            else:
                self.reset(stream, frames.CANCEL, problem)

    def _trailers(self, stream: Stream, headers: dict[bytes, bytes]) -> None:
        if self._block_ends_stream:
            self._finish(stream, trailers_status(headers, self.peer))
        else:
            status = GrpcStatus(INTERNAL, f"{self.peer} sent headers in the middle of its answer.")
            self.reset(stream, frames.PROTOCOL_ERROR, status)

    def _finish(self, stream: Stream, status: GrpcStatus) -> None:
        """The peer has ended the stream."""
        if status.code == 0 and stream.in_message:
            status = GrpcStatus(INTERNAL, f"{self.peer} ended its answer in the middle of a message.")
        if stream.sends:
            # The call is answered, so there is nothing left to send.
            self.put(frames.rst_stream(stream.id, frames.NO_ERROR))
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
            self._answer(frames.frame(frames.PING, frames.ACK, 0, payload))

    def _answer(self, frame: bytes) -> None:
        if not self.frame_limit:
            self._unread_answers += 1
            if self._unread_answers > _UNREAD_ANSWERS:
                raise Violation("it asks for answers that it does not read", frames.ENHANCE_YOUR_CALM)
        self.put(frame)

    def _window_update(self, flags: int, stream_id: int, payload: bytes) -> None:
        increment = frames.read_uint32(payload, "WINDOW_UPDATE") & frames.LARGEST_WINDOW
        self._unsettled = True
        if not stream_id:
            self.send_window += increment
            if not increment or self.send_window > frames.LARGEST_WINDOW:
                raise Violation("a wrong window of the connection", frames.FLOW_CONTROL_ERROR)
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
                self._set_frame_size(value)
        self._unsettled = True
        self._answer(frames.frame(frames.SETTINGS, frames.ACK, 0))

    def _set_stream_window(self, size: int) -> None:
        change = size - self._stream_send_window
        self._stream_send_window = size
        for stream in self.streams.values():
            # It may well become negative.
            stream.send_window += change
            if stream.send_window > frames.LARGEST_WINDOW:
                raise Violation("a window too large", frames.FLOW_CONTROL_ERROR)
        if size > frames.LARGEST_WINDOW:
            raise Violation("a window too large", frames.FLOW_CONTROL_ERROR)

    def _set_frame_size(self, size: int) -> None:
        if not frames.DEFAULT_FRAME_SIZE <= size <= frames.LARGEST_FRAME_SIZE:
            raise Violation(f"a largest frame of {size} bytes")
        paused = not self.frame_limit
        self._frame_bytes = min(size, _FRAME_BYTES)
        self.frame_limit = 0 if paused else self._frame_bytes

    def _push_promise(self, flags: int, stream_id: int, payload: bytes) -> None:
        raise Violation("a push, which this side has declined")

    def _violated(self, violation: Violation) -> None:
        if isinstance(violation, NotHttp2):
            self.error = f"{self.peer} does not speak HTTP/2: {violation}."
        else:
            self.error = f"{self.peer} broke the HTTP/2 protocol: {violation}."
            self.put(frames.goaway(violation.code, str(violation)))
        self.end(GrpcStatus(UNAVAILABLE, self.error))


class NotHttp2(Violation):
    """The first bytes of the peer are something else."""

    def __init__(self, data: bytes) -> None:
        if data.startswith(b"\x15\x03"):
            super().__init__("it answers in TLS")
        else:
            super().__init__(f"it answers {frames.printable(data.splitlines()[0])!r}")


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
