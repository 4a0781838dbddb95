"""A log whose flushes end when the test says so, and a witness of what a committer tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from queue import SimpleQueue

from petra_server.errors import StorageFailed
from petra_server.storage.batch import Batch
from petra_server.storage.committer import CommitObserver, Committer

FAILURE = StorageFailed("The disk is gone.")


class HeldLog:
    """Each flush waits for one `let_through`. `flushes` says how many batches there were when each one ended."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.flushes: list[int] = []
        self.next_write: Exception | None = None
        self._outcomes: SimpleQueue[StorageFailed | None] = SimpleQueue()

    def write(self, batch: Batch) -> None:
        if self.next_write is not None:
            raise self.next_write
        self.batches.append(batch)

    def flush_wal(self) -> None:
        outcome = self._outcomes.get()
        self.flushes.append(len(self.batches))
        if outcome is not None:
            raise outcome

    def let_through(self, outcome: StorageFailed | None = None, *, flushes: int = 1) -> None:
        """Ends flushes, this or the next ones: well, or with a failure."""
        for _ in range(flushes):
            self._outcomes.put(outcome)


class Witness:
    """Writes down what a committer tells, and passes it on to another observer."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.failures: list[StorageFailed] = []
        self.told: CommitObserver | None = None
        self._news = asyncio.Event()

    def generation_closed(self) -> None:
        if self.told is not None:
            self.told.generation_closed()
        self._note("closed")

    def generation_durable(self) -> Callable[[], None]:
        answer = self.told.generation_durable() if self.told is not None else None
        self._note("durable")

        def answered() -> None:
            if answer is not None:
                answer()
            self._note("answered")

        return answered

    def commit_failed(self, failure: StorageFailed) -> None:
        self.failures.append(failure)
        if self.told is not None:
            self.told.commit_failed(failure)
        self._note("failed")

    async def until(self, event: str, count: int = 1) -> None:
        """Waits until something was told so many times in all."""
        while self.events.count(event) < count:
            self._news.clear()
            await self._news.wait()

    def _note(self, event: str) -> None:
        self.events.append(event)
        self._news.set()


@asynccontextmanager
async def committing(
    log: HeldLog | None = None, *, buffered_flush_ms: int = 3_600_000
) -> AsyncIterator[tuple[Committer, HeldLog, Witness]]:
    """A committer at work. At the end it is closed, as far as it can be."""
    log, witness = log or HeldLog(), Witness()
    committer = Committer(log, buffered_flush_ms=buffered_flush_ms)
    committer.start(witness)
    try:
        yield committer, log, witness
    finally:
        log.let_through(flushes=10)
        try:
            await committer.close()
        except StorageFailed as failure:
            assert failure is committer.failure  # noqa: PT017 - what the test brought about itself
