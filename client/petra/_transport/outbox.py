"""What goes out on a connection: frames that need no window, and the backlogs of streams as far as the windows allow.

While bytes are received, frames are collected and written together at the end. While the socket takes nothing, data
stays in the backlogs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from petra._transport import frames
from petra._transport.frames import Violation

if TYPE_CHECKING:
    from petra._transport.stream import Stream

# The largest frame that is sent to a peer that takes larger ones: others have their turn after it.
_FRAME_BYTES: Final = 64 << 10
# What is handed to the socket at a time, so that it can say stop.
_WRITE_BYTES: Final = 256 << 10
# Answers to PING and SETTINGS that may wait for a peer that does not read.
_UNREAD_ANSWERS: Final = 1_000


class Outbox:
    """The sending half of a connection. `Stream.send` reads and changes `window`, `frame_limit` and `collected`."""

    def __init__(self) -> None:
        self.write: Callable[[bytes], None] = _unconnected
        # A list while bytes are received.
        self.collected: list[bytes] | None = None
        self.window = frames.DEFAULT_WINDOW
        # 0 while the socket takes nothing.
        self.frame_limit = self.frame_bytes = frames.DEFAULT_FRAME_SIZE
        self._unread_answers = 0
        # An ordered set: streams take turns.
        self._backlogged: dict[Stream, None] = {}

    def collect(self) -> None:
        """Holds frames back until `flush`."""
        self.collected = []

    def flush(self) -> None:
        collected, self.collected = self.collected, None
        if collected:
            self.write(b"".join(collected) if len(collected) > 1 else collected[0])

    def put(self, frame: bytes) -> None:
        """Writes a frame that needs no window."""
        if self.collected is None:
            self.write(frame)
        else:
            self.collected.append(frame)

    def answer(self, frame: bytes) -> None:
        """Writes a frame that the peer has asked for. Raises Violation when it asks and does not read."""
        if not self.frame_limit:
            self._unread_answers += 1
            if self._unread_answers > _UNREAD_ANSWERS:
                raise Violation("it asks for answers that it does not read", frames.ENHANCE_YOUR_CALM)
        self.put(frame)

    def pause(self) -> None:
        """The socket takes nothing for a while."""
        self.frame_limit = 0

    def resume(self) -> None:
        self.frame_limit = self.frame_bytes
        self._unread_answers = 0

    def widen(self, increment: int) -> None:
        """The peer takes so many bytes more, in all streams together."""
        self.window += increment
        if not increment or self.window > frames.LARGEST_WINDOW:
            raise Violation("a wrong window of the connection", frames.FLOW_CONTROL_ERROR)

    def set_frame_size(self, size: int) -> None:
        """The peer takes frames of this size."""
        if not frames.DEFAULT_FRAME_SIZE <= size <= frames.LARGEST_FRAME_SIZE:
            raise Violation(f"a largest frame of {size} bytes")
        self.frame_bytes = min(size, _FRAME_BYTES)
        if self.frame_limit:
            self.frame_limit = self.frame_bytes

    def backlog(self, stream: Stream) -> None:
        """The stream has data that waits for `pump`."""
        self._backlogged[stream] = None

    def forget(self, stream: Stream) -> None:
        self._backlogged.pop(stream, None)

    def pump(self) -> list[Stream]:
        """Frames backlogs in turns, as far as windows and socket allow. Returns the streams whose backlog is gone."""
        done: list[Stream] = []
        parts: list[bytes | memoryview] = []
        size = 0
        progress = bool(self._backlogged)
        while progress:
            progress = False
            for stream in list(self._backlogged):
                limit = min(self.frame_limit, self.window, stream.send_window)
                if limit <= 0:
                    continue
                progress = True
                taken = stream.take_frame(limit, parts)
                self.window -= taken
                size += taken
                if not stream.backlog_bytes:
                    del self._backlogged[stream]
                    done.append(stream)
                if size >= _WRITE_BYTES:
                    # The socket may say stop within.
                    self.write(b"".join(parts))
                    parts.clear()
                    size = 0
        if parts:
            self.write(b"".join(parts))
        return done


def _unconnected(data: bytes) -> None:
    raise RuntimeError("There is no connection yet.")
