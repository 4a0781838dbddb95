"""A router over a real partition, with callers that write down their answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from petra_server.actor.actor import Actor
from petra_server.actor.addresses import Address, Addresses
from petra_server.actor.asking import Waiter
from petra_server.actor.call import Call
from petra_server.actor.operations import Get, GetReply, Operation, Reply, Set
from petra_server.actor.plans import Plan
from petra_server.actor.router import Router
from petra_server.actor.sql_turns import SqlOptions
from petra_server.clock import ManualClock
from petra_server.errors import Refusal, StorageFailed
from petra_server.sql.statements import SqlLimits
from petra_server.storage.partition import Partition
from tests.server.storage.places import partition_options

if TYPE_CHECKING:
    from collections.abc import Iterator


SQL_LIMITS = SqlLimits(
    max_sql_bytes=100_000,
    max_value_bytes=1 << 20,
    max_rows=1_000,
    max_result_bytes=1 << 20,
    max_write_bytes=4 << 20,
    max_scratch_bytes=4 << 20,
    max_database_bytes=64 << 20,
)
SQL_OPTIONS = SqlOptions(
    limits=SQL_LIMITS,
    threads=2,
    max_open=8,
    cache_bytes=16 << 20,
    memory_bytes=256 << 20,
    max_seconds=20.0,
)


class Desk:
    """Takes answers, in the order in which they come."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Reply | Refusal]] = []
        self._news = asyncio.Event()

    def answered(self, call: Call, outcome: Reply | Refusal) -> None:
        self.answers.append((call.tag, outcome))
        self._news.set()

    async def all(self, count: int) -> list[Reply | Refusal]:
        """So many answers, in the order of their calls."""
        while len(self.answers) < count:
            self._news.clear()
            await self._news.wait()
        return [outcome for _, outcome in sorted(self.answers, key=lambda answer: answer[0])]


class Routed:
    """The router under test, and an object `room` in the namespace `space` to talk about."""

    def __init__(self, partition: Partition, clock: ManualClock, max_mailbox_items: int, sql: SqlOptions) -> None:
        self.partition = partition
        self.clock = clock
        self.failures: list[StorageFailed] = []
        self.router = Router(
            partition, clock, max_mailbox_items=max_mailbox_items, sql=sql, on_failure=self.failures.append
        )
        self.addresses = Addresses(self.router.actors, max_namespace_bytes=255, max_object_bytes=1_024)
        self.room = self.address("room")

    def address(self, object_name: str = "") -> Address:
        return self.addresses.find("space", object_name)

    @property
    def actor(self) -> Actor:
        """The owner of the room."""
        assert self.room.owner is not None
        return self.room.owner

    @property
    def other_actor(self) -> Actor:
        return next(actor for actor in self.router.actors if actor is not self.actor)

    def at(self, name: str) -> bytes:
        return self.room.prefix + name.encode()

    def put(self, name: str, value: bytes = b"v", *, ttl_ms: int = 0) -> Set:
        return Set(self.at(name), value, 1, ttl_ms)

    def submit(
        self, *operations: Operation, actor: Actor | None = None, sync: bool = True, deadline: float | None = None
    ) -> tuple[Desk, list[Call]]:
        """Hands in calls together; their tags are their positions."""
        desk = Desk()
        calls = [
            self.call(desk, actor or self.actor, operation, tag, sync=sync, deadline=deadline)
            for tag, operation in enumerate(operations)
        ]
        self.router.submit(calls)
        return desk, calls

    def call(
        self,
        desk: Desk,
        actor: Actor,
        operation: Operation,
        tag: int,
        *,
        sync: bool = True,
        deadline: float | None = None,
    ) -> Call:
        return Call(desk, actor, operation, sync, self.room.prefix, b"", deadline, tag)

    async def do(self, *operations: Operation, actor: Actor | None = None, sync: bool = True) -> list[Reply | Refusal]:
        desk, _ = self.submit(*operations, actor=actor, sync=sync)
        return await desk.all(len(operations))

    async def ask(self, plan: Plan, *, sync: bool = True) -> Reply:
        waiter = Waiter()
        waiter.submit(self.router, plan, sync)
        return await waiter.reply()

    async def value(self, name: str) -> bytes | None:
        [reply] = await self.do(Get(self.at(name)))
        assert isinstance(reply, GetReply)
        return None if reply.record is None else reply.record.value

    def replace_write(self, write: Callable[..., None] | None) -> None:
        """Has the engine write otherwise; None for as it does by itself."""
        if write is None:
            del self.partition.engine.write
        else:
            self.partition.engine.write = write  # type: ignore[method-assign]

    @contextmanager
    def held_flushes(self, failure: StorageFailed | None = None) -> Iterator[None]:
        """Flushes wait for the end of the block; from then on they fail, if so wished."""
        engine, end = self.partition.engine, threading.Event()
        flush = engine.flush_wal

        def held() -> None:
            end.wait()
            if failure is not None:
                raise failure
            flush()

        engine.flush_wal = held  # type: ignore[method-assign]
        try:
            yield
        finally:
            end.set()


@asynccontextmanager
async def routed(
    path: Path, *, actors: int = 2, max_mailbox_items: int = 1_000, sql: SqlOptions = SQL_OPTIONS
) -> AsyncIterator[Routed]:
    """A router at work. At the end its partition is closed, as far as it can be."""
    clock = ManualClock()
    partition = Partition.open(partition_options(path, actors=actors), clock)
    routed = Routed(partition, clock, max_mailbox_items, sql)
    try:
        yield routed
    finally:
        await routed.router.finish()
        routed.router.sql.close()
        try:
            await partition.close([actor.keys for actor in routed.router.actors])
        except StorageFailed as failure:
            assert failure is partition.committer.failure  # noqa: PT017 - what the test brought about itself


def raising(error: Exception) -> Callable[..., None]:
    def instead(*_: object) -> None:
        raise error

    return instead
