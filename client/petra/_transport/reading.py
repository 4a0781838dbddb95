"""One call with many answers, read at the pace of its reader, with all its attempts.

- The server is asked when the first message is awaited, and the time-out begins then. When it is over, the call ends
  on both sides, whether somebody reads or not.
- What has arrived and was not read is bounded: the peer's window is not renewed while more than `_HELD_BYTES` wait, so
  it sends what is left of `STREAM_WINDOW` at most and then stands still.
- Until the first message is taken the call is made again where that may help; afterwards what fails is raised, once
  what arrived before it is read.

Loop thread only, except `discard`. One reader at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Final

from petra._transport.channel import Channel
from petra._transport.forks import forget_after_fork
from petra._transport.http2 import GrpcStatus, Stream
from petra._transport.link import Link
from petra._transport.responses import DEADLINE_EXCEEDED, OK
from petra._transport.status import from_status
from petra.errors import ClientClosed, DeadlineExceeded, Overloaded, PetraError, Unavailable

# Enough for the next messages to be there while one is read.
_HELD_BYTES: Final = 1 << 20


class Reading:
    """The messages of one call. Made on any thread; a StreamHandler."""

    def __init__(self, link: Link, path: str, request: bytes, timeout: float) -> None:
        """`timeout` is in seconds, for all of it."""
        # Set once.
        self._link = link
        self._path = path
        self._request = request
        self._seconds = timeout
        # Owned by the loop. The stream of the present attempt, and what failed the last one that may be repeated.
        self._stream: Stream | None = None
        self._failure: PetraError | None = None
        self._attempts = 0
        # What has arrived, and whether any of it was taken.
        self._messages: deque[bytes] = deque()
        self._held_bytes = 0
        self._taken = False
        # How it ends, once what has arrived is read: in order, or with an error.
        self._ended = False
        self._error: PetraError | None = None
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None
        # In a process that was forked off.
        self._abandoned = False
        forget_after_fork(self)

    async def next(self) -> bytes | None:
        """The next message, or None after the last. Raises PetraError."""
        self._check_reader()
        deadline = self._begin()
        while not self._messages:
            if self._error is not None:
                raise self._error
            if self._ended:
                return None
            if self._stream is None:
                await self._attempt(deadline)
            else:
                await self._news()
        return self._take()

    def close(self) -> None:
        """Ends the call, wherever it is; no message comes any more."""
        if not self._abandoned:
            self._ended = True
            self._finish()

    def discard(self) -> None:
        """Has it closed, from any thread."""
        if not self._abandoned and not self._link.loop.is_closed():
            # The loop may be closed in between.
            with contextlib.suppress(RuntimeError):
                self._link.loop.call_soon_threadsafe(self.close)

    def abandon(self) -> object:
        """After a fork: the stream is the parent's."""
        self._abandoned = True
        return self._stream, self._link, self._waiter, self._timer

    # The reader's side.

    def _check_reader(self) -> None:
        if self._abandoned:
            raise ClientClosed("This was begun in the parent process. Ask anew in this one.")
        if asyncio.get_running_loop() is not self._link.loop:
            raise RuntimeError("This was begun on another event loop. Read it there, or ask anew on this one.")
        if self._waiter is not None:
            raise RuntimeError("Another task or thread waits for the next rows of this already. Let one read it.")

    def _begin(self) -> float:
        if self._deadline is None:
            loop = self._link.loop
            self._deadline = loop.time() + self._seconds
            self._timer = loop.call_at(self._deadline, self._expire)
        return self._deadline

    async def _attempt(self, deadline: float) -> None:
        """Opens a stream, after a pause where the last one failed."""
        try:
            if self._failure is not None:
                await self._link.before_next_attempt(self._failure, self._attempts, deadline)
                self._failure = None
                self._attempts += 1
            channel = await self._link.channel(deadline)
        except PetraError as error:
            self._error = error
            self._finish()
            return
        # It may have been closed meanwhile.
        if not self._ended:
            self._open(channel, deadline)

    def _open(self, channel: Channel, deadline: float) -> None:
        try:
            self._stream = channel.open(self._path, self, timeout=deadline - self._link.loop.time())
        except PetraError as error:
            self._fail(error)
        else:
            self._stream.send(self._request, last=True)

    async def _news(self) -> None:
        """Waits until a message has come, or the stream has ended."""
        self._waiter = self._link.loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _take(self) -> bytes:
        message = self._messages.popleft()
        self._taken = True
        self._held_bytes -= len(message)
        if self._stream is not None and self._held_bytes <= _HELD_BYTES:
            self._stream.resume()
        return message

    # The server's side (StreamHandler).

    def message(self, data: bytes) -> None:
        """Takes one message of the server."""
        if not self._messages:
            self._link.settled()
        self._messages.append(data)
        self._held_bytes += len(data)
        if self._stream is not None and self._held_bytes > _HELD_BYTES:
            self._stream.pause()
        self._wake()

    def writable(self) -> None:
        """There is nothing more to send."""

    def closed(self, status: GrpcStatus) -> None:
        """The server, or this side, has ended the stream."""
        self._stream = None
        if self._ended or self._error is not None:
            return
        if status.code == OK:
            self._ended = True
            self._stop_timer()
        elif status.code == DEADLINE_EXCEEDED and not status.details:
            # The server's clock may be the first.
            self._fail(self._late())
        else:
            self._fail(from_status(status.code, status.message, status.details))
        self._wake()

    # The end.

    def _fail(self, error: PetraError) -> None:
        """An attempt has failed. Notes whether there may be another one, or what to raise."""
        if not self._taken and isinstance(error, Unavailable | Overloaded):
            self._failure = error
            self._messages.clear()
            self._held_bytes = 0
        else:
            closed = isinstance(error, Unavailable) and self._link.is_closed
            self._error = ClientClosed("The client was closed before the last row was read.") if closed else error
            self._stop_timer()

    def _expire(self) -> None:
        """The deadline has come. An attempt that has no stream yet minds it itself."""
        if self._stream is not None:
            self._error = self._late()
            self._finish()

    def _late(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"Not all rows came from {self._link.target} and were read within {self._seconds:g} s. Allow more time for"
            " all of them, or ask for fewer."
        )

    def _finish(self) -> None:
        """Lets go of everything, and tells who waits."""
        self._stop_timer()
        self._messages.clear()
        self._held_bytes = 0
        if self._stream is not None:
            self._stream.cancel()
        self._wake()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
