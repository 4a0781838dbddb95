"""The output gate over a committer whose flushes end when the test says so, and over a router with held flushes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from petra_server.actor.actor import Actor
from petra_server.actor.asking import Gather
from petra_server.actor.call import Call, Caller
from petra_server.actor.gate import OutputGate
from petra_server.actor.operations import (
    Clear,
    Condition,
    CountReply,
    Delete,
    DeleteMany,
    DeleteReply,
    Get,
    GetReply,
    Increment,
    IncrementReply,
    Operation,
    Reply,
    SetReply,
    Transact,
    TransactReply,
)
from petra_server.errors import Reason, Refusal, StorageFailed
from petra_server.storage.batch import Batch
from petra_server.storage.committer import Committer
from petra_server.storage.keys import prefix_end
from tests.server.actor.routing import Desk, Routed, routed
from tests.server.storage.logs import FAILURE, HeldLog, Witness

# Only a gate that forgets an answer takes so long.
PATIENCE_SECONDS = 20


class Gated:
    """A gate, and answers that are numbers."""

    def __init__(self) -> None:
        self.log, self.witness = HeldLog(), Witness()
        self.committer = Committer(self.log, buffered_flush_ms=3_600_000)
        self.failures: list[StorageFailed] = []
        self.gate = OutputGate(self.committer, self.failures.append)
        self.witness.told = self.gate
        self.committer.start(self.witness)
        self.desk = Desk()

    def write(self, *keys: bytes) -> int:
        generation = self.committer.append(Batch(writes=[(0, key, b"v") for key in keys]))
        self.gate.wrote(set(keys))
        return generation

    def answer(self, number: int, generation: int, caller: Caller | None = None) -> None:
        call = Call(caller or self.desk, cast(Actor, None), Get(b"k"), True, b"", b"", None, number)
        self.gate.pass_on([(call, CountReply(number), generation)])

    @property
    def answered(self) -> list[int]:
        return [tag for tag, _ in self.desk.answers]


class Careless:
    """A caller that cannot take its answer."""

    def answered(self, call: Call, outcome: Reply | Refusal) -> None:
        raise RuntimeError("out of paper")


@asynccontextmanager
async def gated() -> AsyncIterator[Gated]:
    gated = Gated()
    try:
        yield gated
    finally:
        gated.log.let_through(flushes=10)
        try:
            await gated.committer.close()
        except StorageFailed as failure:
            assert failure is FAILURE  # noqa: PT017 - what the test brought about itself


class TestGate:
    def test_what_depends_on_nothing_passes_at_once(self) -> None:
        async def scenario() -> None:
            async with gated() as on:
                on.write(b"k")
                on.answer(1, 0)
                assert on.answered == [1]

        asyncio.run(scenario())

    def test_an_answer_is_held_until_its_generation_is_durable(self) -> None:
        async def scenario() -> None:
            async with gated() as on:
                on.answer(1, on.write(b"k"))
                assert on.answered == []
                await on.witness.until("closed")
                assert on.answered == []
                on.log.let_through()
                await on.desk.all(1)
                assert on.committer.durable_generation == 1

        asyncio.run(scenario())

    def test_answers_leave_in_their_order_and_not_with_a_later_generation(self) -> None:
        async def scenario() -> None:
            async with gated() as on:
                first = on.write(b"a")
                on.answer(1, first)
                on.answer(2, first)
                await on.witness.until("closed")
                on.answer(4, on.write(b"b"))
                on.answer(3, first)
                on.log.let_through()
                await on.witness.until("answered")
                assert on.answered == [1, 2, 3]
                on.log.let_through()
                await on.desk.all(4)
                on.answer(5, first)
                assert on.answered == [1, 2, 3, 4, 5]

        asyncio.run(scenario())

    def test_it_knows_which_keys_are_not_durable(self) -> None:
        async def scenario() -> None:
            async with gated() as on:
                on.answer(1, on.write(b"a"))
                assert (on.gate.open_keys, on.gate.flushing_keys, on.gate.open_generation) == ({b"a"}, set(), 1)
                await on.witness.until("closed")
                on.write(b"b")
                assert (on.gate.open_keys, on.gate.flushing_keys, on.gate.open_generation) == ({b"b"}, {b"a"}, 2)
                on.log.let_through()
                await on.desk.all(1)
                assert (on.gate.open_keys, on.gate.flushing_keys) == ({b"b"}, set())

        asyncio.run(scenario())

    def test_a_generation_is_pending_until_it_is_durable(self) -> None:
        async def scenario() -> None:
            async with gated() as on:
                generation = on.write(b"k")
                assert on.gate.pending(generation) == generation
                on.answer(1, generation)
                on.log.let_through()
                await on.desk.all(1)
                assert on.gate.pending(generation) == 0

        asyncio.run(scenario())

    def test_a_failure_answers_all_who_wait_and_all_who_come_later(self) -> None:
        async def scenario() -> None:
            async with gated() as on:
                on.answer(1, on.write(b"a"))
                await on.witness.until("closed")
                on.answer(2, on.write(b"b"))
                on.log.let_through(FAILURE)
                await on.witness.until("failed")
                on.answer(3, 2)
                on.answer(4, 0)
                assert on.desk.answers == [(1, FAILURE), (2, FAILURE), (3, FAILURE), (4, CountReply(4))]
                assert on.failures == [FAILURE]

        asyncio.run(scenario())


class TestFaultsOfCallers:
    """A caller that fails over its answer keeps nobody else from theirs."""

    @pytest.mark.parametrize("outcome", [None, FAILURE])
    def test_when_a_generation_is_durable_or_has_failed(self, outcome: StorageFailed | None) -> None:
        async def scenario() -> None:
            async with gated() as on:
                for round_ in (0, 2):
                    generation = on.write(b"k")
                    on.answer(round_, generation)
                    on.answer(99, generation, caller=Careless())
                    on.answer(round_ + 1, generation)
                    if not round_:
                        await on.witness.until("closed")
                on.log.let_through(outcome, flushes=2)
                assert len(await asyncio.wait_for(on.desk.all(4), PATIENCE_SECONDS)) == 4
                assert on.committer.failure is outcome

        asyncio.run(scenario())

    def test_when_nothing_is_to_be_waited_for(self) -> None:
        async def scenario() -> None:
            async with gated() as on:
                on.answer(1, 0, caller=Careless())

        asyncio.run(scenario())


class TestThroughTheRouter:
    def test_writes_and_the_reads_that_saw_them_wait_for_the_flush_and_others_do_not(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                await on.do(on.put("old"), on.put("kept"))
                with on.held_flushes():
                    held = [
                        on.submit(operation)[0]
                        for operation in (on.put("k"), Get(on.at("k")), Delete(on.at("old")), Get(on.at("old")))
                    ]
                    free = [on.submit(Get(on.at(name)))[0] for name in ("kept", "none")]
                    assert [len(desk.answers) for desk in (*held, *free)] == [0, 0, 0, 0, 1, 1]
                    # Still, now that the flush is under way.
                    await asyncio.sleep(0)
                    held.append(on.submit(Get(on.at("k")))[0])
                    assert not any(desk.answers for desk in held)
                assert [(await desk.all(1))[0] for desk in held[2:4]] == [DeleteReply(True), GetReply(None)]

        asyncio.run(scenario())

    def test_buffered_writes_and_their_reads_do_not_wait(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                with on.held_flushes():
                    assert await on.do(Increment(on.at("n"), 5), sync=False) == [IncrementReply(5, 1)]
                    assert await on.value("n") == b"5"

        asyncio.run(scenario())

    def test_a_buffered_write_over_one_that_waits_waits_too(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                with on.held_flushes():
                    first, _ = on.submit(on.put("k", b"1"))
                    second, _ = on.submit(on.put("k", b"2"), sync=False)
                    assert not any(desk.answers for desk in (first, second))
                assert [*await first.all(1), *await second.all(1)] == [SetReply(1), SetReply(2)]

        asyncio.run(scenario())


# Mutations that find nothing to do when `k` is absent, and what they answer then.
FINDING_NOTHING: dict[str, tuple[Callable[[Routed], Operation], Reply]] = {
    "delete": (lambda on: Delete(on.at("k")), DeleteReply(False)),
    "delete many": (lambda on: DeleteMany((on.at("k"), on.at("l"))), CountReply(0)),
    "clear": (lambda on: Clear(on.room.prefix, prefix_end(on.room.prefix)), CountReply(0)),
    "transact": (
        lambda on: Transact((), (Delete(on.at("k")), Get(on.at("k"))), 1 << 20),
        TransactReply(True, (DeleteReply(False), GetReply(None)), ()),
    ),
    "condition": (lambda on: Transact((Condition(on.at("k"), 0),), (), 1 << 20), TransactReply(True, (), ())),
}


class TestMutationsThatFindNothing:
    """FSYNC promises that what they tell of is durable, whoever brought it about."""

    @pytest.mark.parametrize("name", FINDING_NOTHING)
    def test_wait_for_the_buffered_delete_before_them(self, tmp_path: Path, name: str) -> None:
        make, reply = FINDING_NOTHING[name]

        async def scenario() -> None:
            async with routed(tmp_path) as on:
                await on.do(on.put("k"))
                with on.held_flushes():
                    assert await on.do(Delete(on.at("k")), sync=False) == [DeleteReply(True)]
                    desk, _ = on.submit(make(on))
                    # Also when the flush of the delete is under way already.
                    await asyncio.sleep(0)
                    late, _ = on.submit(make(on))
                    assert not desk.answers
                    assert not late.answers
                assert [*await desk.all(1), *await late.all(1)] == [reply, reply]

        asyncio.run(scenario())

    @pytest.mark.parametrize("name", FINDING_NOTHING)
    def test_need_not_wait_when_they_are_buffered_too(self, tmp_path: Path, name: str) -> None:
        make, reply = FINDING_NOTHING[name]

        async def scenario() -> None:
            async with routed(tmp_path) as on:
                await on.do(on.put("k"))
                with on.held_flushes():
                    await on.do(Delete(on.at("k")), sync=False)
                    assert await on.do(make(on), sync=False) == [reply]

        asyncio.run(scenario())


def test_parts_that_cannot_be_put_together_are_answered_all_the_same() -> None:
    def combine(_: object) -> CountReply:
        raise ZeroDivisionError

    outcomes: list[object] = []
    gather = Gather(1, combine, outcomes.append)
    gather.answered(SimpleNamespace(tag=0), CountReply(1))  # type: ignore[arg-type]
    [refusal] = outcomes
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.INTERNAL_ERROR
