"""Group commit: writes go to the engine at once, and one flush at a time makes all of them durable.

A generation is what one flush covers. Every write joins the open generation; `flush` closes it, and when the thread
is done the generation is durable and the next one may go. So however many actors write, each flush is shared, and
groups grow by themselves while the disk is slow.

On a fast disk they would stay small, and a flush costs about as much as a write. So in a crowd the next flush waits
until as many ask for it as were just answered and are waiting: clients that wait for one answer before they send the
next come back together. It waits a short time at most, and a few writers never wait.

A failed write or flush poisons the committer for good: after a failed fsync nobody can say what is on the disk, and
trying again would only hide that (https://wiki.postgresql.org/wiki/Fsync_Errors). Everyone who waits is told.

Loop thread only, except `_flush_forever`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from time import perf_counter
from typing import Protocol

from petra_server.errors import StorageFailed
from petra_server.figures import FLUSH_BOUNDS, SIZE_BOUNDS, Histogram
from petra_server.storage.batch import Batch

# How many must ask for flushes at the same time to be a crowd.
CROWD = 8
# The most that a flush waits for a crowd. 64 unary calls need some 10 ms to come back, so this is little beside what
# they wait for their answers in any case.
CROWD_WAIT_SECONDS = 0.004


class Log(Protocol):
    """What a committer writes to."""

    def write(self, batch: Batch) -> None: ...

    def flush_wal(self) -> None: ...


class CommitObserver(Protocol):
    """Who waits for generations."""

    def generation_closed(self) -> None:
        """The open generation is being flushed; a new one is open."""

    def generation_durable(self) -> Callable[[], None]:
        """The generation that was being flushed is on disk. Returns what answers those who waited for it."""

    def commit_failed(self, failure: StorageFailed) -> None:
        """Nothing that is not durable yet will ever be acknowledged."""


class Committer:
    """Writes batches and flushes them. Call `start` inside the running loop, and `close` at the end."""

    def __init__(self, log: Log, *, buffered_flush_ms: int) -> None:
        self._log = log
        self._buffered_flush_seconds = buffered_flush_ms / 1000
        self._requests: SimpleQueue[bool] = SimpleQueue()
        self._thread = threading.Thread(target=self._flush_forever, name="petra-flush", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._observer: CommitObserver | None = None

        # The generation that writes join now.
        self.open_generation = 1
        # The newest generation that is on disk.
        self.durable_generation = 0
        # Set once, when a write or flush has failed.
        self.failure: StorageFailed | None = None
        self._flushing = False
        self._closing = False
        # How many ask for the open generation to be flushed, and asked for the one before.
        self._asking = 0
        self._asked = 0
        # Of whom the next flush waits for, 0 when it does not wait.
        self._crowd = 0
        # Figures: how long flushes took, and how many waited for each.
        self.flush_seconds = Histogram(FLUSH_BOUNDS)
        self.flush_answers = Histogram(SIZE_BOUNDS)
        self._flush_handle: asyncio.Handle | None = None
        self._buffered_timer: asyncio.TimerHandle | None = None
        self._idle: asyncio.Event = asyncio.Event()
        self._idle.set()

    def start(self, observer: CommitObserver) -> None:
        self._loop = asyncio.get_running_loop()
        self._observer = observer
        self._thread.start()

    def append(self, batch: Batch) -> int:
        """Writes a batch and returns its generation. Ask for `flush` or `flush_later` too.

        Raises EngineStalled with nothing written, or StorageFailed.
        """
        if self.failure is not None:
            raise self.failure
        try:
            self._log.write(batch)
        except StorageFailed as failure:
            self._fail(failure)
            raise
        return self.open_generation

    def flush(self, asking: int = 1) -> None:
        """Has the open generation flushed as soon as may be, with all that joins it in this tick of the loop.

        `asking` is how many more wait for it.
        """
        self._asking += asking
        if self._flushing or self._loop is None:
            return
        if self._flush_handle is None:
            self._idle.clear()
            self._flush_handle = self._loop.call_soon(self._begin_flush)
        elif 0 < self._crowd <= self._asking:
            self._crowd = 0
            self._flush_handle.cancel()
            self._flush_handle = self._loop.call_soon(self._begin_flush)

    def flush_later(self) -> None:
        """Has the open generation flushed within the time set for BUFFERED writes."""
        if self._buffered_timer is None and self._loop is not None:
            self._buffered_timer = self._loop.call_later(self._buffered_flush_seconds, self._buffered_time_up)

    async def close(self) -> None:
        """Flushes what is written and ends the thread. Raises StorageFailed when that cannot be done."""
        if self._closing:
            return
        self._closing = True
        if self._buffered_timer is not None:
            self._buffered_timer.cancel()
        if self.failure is None:
            self.flush()
        await self._idle.wait()
        self._requests.put(False)
        self._thread.join()
        if self.failure is not None:
            raise self.failure

    def _buffered_time_up(self) -> None:
        self._buffered_timer = None
        self.flush()

    def _begin_flush(self) -> None:
        self._flush_handle = None
        if self.failure is not None:
            self._idle.set()
            return
        self._asked, self._asking = self._asking, 0
        self.flush_answers.observe(self._asked)
        self._crowd = 0
        self._flushing = True
        self.open_generation += 1
        if self._observer is not None:
            self._observer.generation_closed()
        self._requests.put(True)

    def _flush_done(self, failure: StorageFailed | None, seconds: float) -> None:
        self.flush_seconds.observe(seconds)
        self._flushing = False
        if failure is not None:
            self._fail(failure)
        if self.failure is not None:
            self._idle.set()
            return
        self.durable_generation = self.open_generation - 1
        answer = self._observer.generation_durable() if self._observer is not None else None
        # The disk works on the next generation while the answers of this one are sent.
        if self._asking:
            self._next_flush()
        else:
            self._idle.set()
        if answer is not None:
            answer()

    def _next_flush(self) -> None:
        """Begins the flush that is already asked for, or lets it wait for a crowd."""
        crowd = self._asked + self._asking
        if crowd < CROWD or self._closing or self._loop is None:
            self._begin_flush()
        else:
            self._crowd = crowd
            self._flush_handle = self._loop.call_later(CROWD_WAIT_SECONDS, self._begin_flush)

    def _fail(self, failure: StorageFailed) -> None:
        if self.failure is None:
            self.failure = failure
            if self._observer is not None:
                self._observer.commit_failed(failure)

    def _flush_forever(self) -> None:
        """The flush thread."""
        assert self._loop is not None
        while self._requests.get():
            failure: StorageFailed | None = None
            began = perf_counter()
            try:
                self._log.flush_wal()
            except StorageFailed as error:
                failure = error
            try:
                self._loop.call_soon_threadsafe(self._flush_done, failure, perf_counter() - began)
            except RuntimeError:  # the loop was closed without us: nobody waits any more
                return
