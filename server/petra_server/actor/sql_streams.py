"""Queries with large results: run once more on a snapshot, beside their actor, which goes on meanwhile.

A stream is pulled: its statement stands still in a thread's pool while nobody asks for its next part, so a slow reader
holds a snapshot and a page cache, and no thread and no rows. Their number is bounded. Loop thread only, but for what
is said to run in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar

from petra_server.actor.operations import Query
from petra_server.actor.sql_turns import readers, time_up
from petra_server.errors import Reason, Refusal
from petra_server.sql.cells import Cells
from petra_server.sql.database import Database, Stop
from petra_server.sql.databases import Databases
from petra_server.sql.failures import Interrupted
from petra_server.sql.statements import Column, StatementResult
from petra_server.storage.engine import Snapshot

_T = TypeVar("_T")

PART_ROWS = 4_096
# Of memory; on the wire it is less.
PART_BYTES = 512 << 10
_INTERRUPT_SECONDS = 0.05
_RETRY_MS = 200


class Streams:
    """The streams of a server."""

    def __init__(self, databases: Databases, *, max_streams: int, max_seconds: float) -> None:
        self._databases = databases
        self._max_streams = max_streams
        self._max_seconds = max_seconds
        self._pool = ThreadPoolExecutor(max_streams, thread_name_prefix="petra-sql-stream")
        self._loop = asyncio.get_running_loop()
        self._open: set[Stream] = set()
        self._closed = False

    @asynccontextmanager
    async def open(
        self, query: Query, snapshot: Snapshot, now_ms: int, deadline: float | None
    ) -> AsyncIterator[Stream]:
        """A stream for as long as the block lasts. Raises Refusal."""
        if self._closed or len(self._open) >= self._max_streams:
            raise Refusal(
                Reason.OVERLOADED,
                f"{self._max_streams} queries with large results are being streamed already. Try again.",
                retry_after_ms=_RETRY_MS,
            )
        stream = Stream(self._loop, self._pool, deadline, self._max_seconds)
        self._open.add(stream)
        try:
            await stream.begin(lambda: self._databases.open(*readers(snapshot, query.database)), query, now_ms)
            yield stream
        finally:
            try:
                await asyncio.shield(stream.close())
            finally:
                # Also when it is cancelled once more: by its deadline and by its caller.
                self._open.discard(stream)

    async def close(self) -> None:
        """Ends all streams: their next parts are refused. Waits for the parts that are under way."""
        self._closed = True
        for stream in self._open:
            stream.stop()
        await asyncio.to_thread(self._pool.shutdown)


class End(NamedTuple):
    """The figures of a query that is at its end."""

    figures: StatementResult
    database_bytes: int


class Stream:
    """One query. Used by one coroutine."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        pool: ThreadPoolExecutor,
        deadline: float | None,
        max_seconds: float,
    ) -> None:
        self._loop = loop
        self._pool = pool
        self._deadline = deadline
        # What is left of the time that it may run; waiting for its reader does not count.
        self._left_seconds = max_seconds
        self._stop = Stop()
        self._database: Database | None = None
        self._interrupting: asyncio.TimerHandle | None = None
        self.columns: tuple[Column, ...] = ()

    async def begin(self, open_database: Callable[[], Database], query: Query, now_ms: int) -> None:
        """Raises Refusal."""

        def begin() -> tuple[Column, ...]:
            # In a thread.
            self._database = open_database()
            return self._database.open_query(query.statement, self._stop, now_ms=now_ms)

        self.columns = await self._run(begin)

    async def part(self) -> Cells:
        """The next rows, none at the end. Raises Refusal."""
        database = self._database
        assert database is not None
        return await self._run(lambda: database.take_rows(PART_ROWS, PART_BYTES))

    def end(self) -> End:
        """When there are no more rows."""
        assert self._database is not None
        return End(self._database.figures(), self._database.size_bytes)

    def stop(self) -> None:
        """Interrupts what runs, until it has ended."""
        self._stop.requested = True
        if self._database is not None and not self._database.broken:
            self._database.interrupt()
        self._interrupting = self._loop.call_later(_INTERRUPT_SECONDS, self.stop)

    async def close(self) -> None:
        if self._interrupting is not None:
            self._interrupting.cancel()
        database, self._database = self._database, None
        if database is not None:
            database.close()

    async def _run(self, work: Callable[[], _T]) -> _T:
        """Runs a part in a thread, until its time is up. A coroutine that is cancelled waits for the thread as well."""
        now = self._loop.time()
        left_seconds = self._left_seconds
        if self._deadline is not None:
            left_seconds = min(left_seconds, self._deadline - now)
        if left_seconds <= 0 or self._stop.requested:
            raise time_up()
        self._interrupting = self._loop.call_later(left_seconds, self.stop)
        running = self._loop.run_in_executor(self._pool, work)
        # Who is cancelled does not look at what it has ended with.
        running.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        try:
            return await asyncio.shield(running)
        except Interrupted:
            raise time_up() from None
        except asyncio.CancelledError:
            self.stop()
            await asyncio.wait((running,))
            raise
        finally:
            if self._interrupting is not None:
                self._interrupting.cancel()
            self._left_seconds -= self._loop.time() - now
