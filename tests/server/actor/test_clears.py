"""Clears of more than one turn may look at: nothing happens in between, and they are whole or not at all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from petra_server.actor import clearing, handlers, router
from petra_server.actor.operations import (
    Clear,
    CountReply,
    Delete,
    Get,
    GetReply,
    Increment,
    IncrementReply,
    SetMany,
    Sweep,
)
from petra_server.errors import Reason, Refusal, StorageFailed
from petra_server.storage.batch import Batch
from petra_server.storage.engine import EngineStalled
from petra_server.storage.keys import prefix_end
from tests.server.actor.routing import Routed, raising, routed

MANY = 20


@pytest.fixture(autouse=True)
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "CLEAR_STEPS", 5)
    monkeypatch.setattr(clearing, "_SLICE", 3)


@asynccontextmanager
async def filled(path: Path, *, ttl_ms: int = 0) -> AsyncIterator[Routed]:
    """A room with many entries, `k00` and so on."""
    async with routed(path) as on:
        await on.do(SetMany(tuple(on.put(f"k{number:02}", ttl_ms=ttl_ms) for number in range(MANY))))
        yield on


def clear_of(on: Routed, prefix: str = "") -> Clear:
    return Clear(on.at(prefix), prefix_end(on.at(prefix)))


class TestOrder:
    def test_what_came_before_is_cleared_and_what_comes_after_is_kept(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with filled(tmp_path) as on:
                replies = await on.do(
                    on.put("before"), clear_of(on), Get(on.at("before")), on.put("after"), Get(on.at("k00"))
                )
                assert replies[1] == CountReply(MANY + 1)
                assert (replies[2], replies[4]) == (GetReply(None), GetReply(None))
                assert (await on.value("after"), await on.value("before")) == (b"v", None)
                assert on.actor.keys == 1

        asyncio.run(scenario())

    def test_calls_that_come_between_slices_wait_while_other_actors_answer(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with filled(tmp_path) as on:
                clearing_, _ = on.submit(clear_of(on))
                waiting = []
                while on.actor.busy:
                    late, _ = on.submit(Get(on.at("k19")), Increment(on.at("n"), 1))
                    elsewhere, _ = on.submit(Get(b"\x01any"), actor=on.other_actor)
                    assert (len(late.answers), len(elsewhere.answers)) == (0, 1)
                    waiting.append(late)
                    await asyncio.sleep(0)
                assert len(waiting) > MANY // 3
                assert await clearing_.all(1) == [CountReply(MANY)]
                for number, late in enumerate(waiting, start=1):
                    seen, increment = await late.all(2)
                    assert seen == GetReply(None)
                    assert isinstance(increment, IncrementReply)
                    assert increment.value == number

        asyncio.run(scenario())

    def test_calls_that_waited_are_done_in_their_order(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with filled(tmp_path) as on:
                replies = await on.do(clear_of(on), *(Increment(on.at("n"), 1) for _ in range(4)))
                assert [reply.value for reply in replies if isinstance(reply, IncrementReply)] == [1, 2, 3, 4]

        asyncio.run(scenario())

    def test_several_follow_one_another(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with filled(tmp_path) as on:
                replies = await on.do(clear_of(on, "k0"), clear_of(on), clear_of(on))
                assert replies == [CountReply(10), CountReply(10), CountReply(0)]

        asyncio.run(scenario())

    def test_closing_waits_for_them_and_refuses_what_came_after(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(router, "_DRAIN_WEIGHT", 1)
        draining = Refusal(Reason.DRAINING, "The server is shutting down.")

        async def scenario() -> None:
            async with filled(tmp_path) as on:
                desk, _ = on.submit(clear_of(on), *(on.put(f"z{number}") for number in range(5)))
                assert on.actor.busy
                await on.router.close(draining)
                assert await desk.all(6) == [CountReply(MANY), *[draining] * 5]
                assert (on.actor.keys, on.actor.mailbox) == (0, deque())
                assert on.partition.next_version() == MANY + 1

        asyncio.run(scenario())

    def test_large_values_make_slices_shorter(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(handlers, "CLEAR_STEPS", 10 * MANY)
        monkeypatch.setattr(clearing, "_SLICE", 10 * MANY)
        monkeypatch.setattr(handlers, "SCAN_BYTES", 300)
        monkeypatch.setattr(clearing, "_SLICE_BYTES", 300)

        async def scenario() -> None:
            async with routed(tmp_path) as on:
                await on.do(SetMany(tuple(on.put(f"k{number:02}", bytes(100)) for number in range(MANY))))
                desk, _ = on.submit(clear_of(on))
                ticks = 0
                while on.actor.busy:
                    ticks += 1
                    await asyncio.sleep(0)
                # Each slice is of three.
                assert ticks >= MANY // 3
                assert await desk.all(1) == [CountReply(MANY)]
                assert on.actor.keys == 0

        asyncio.run(scenario())

    def test_finishing_waits_for_them(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with filled(tmp_path) as on:
                desk, _ = on.submit(clear_of(on), sync=False)
                await on.router.finish()
                assert desk.answers == [(0, CountReply(MANY))]

        asyncio.run(scenario())


class TestEffect:
    def test_expired_entries_are_removed_and_not_counted(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with filled(tmp_path, ttl_ms=5) as on:
                await on.do(on.put("kept"))
                on.clock.advance(5)
                assert await on.do(clear_of(on)) == [CountReply(1)]
                assert list(on.actor.family.scan(on.room.prefix, prefix_end(on.room.prefix))) == []
                assert on.actor.keys == 0

        asyncio.run(scenario())

    def test_the_sweep_takes_what_is_left_of_the_expiry_index(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with filled(tmp_path, ttl_ms=5) as on:
                await on.do(clear_of(on))
                on.clock.advance(5)
                await on.do(Sweep(100))
                assert list(on.actor.family.scan(b"", b"\xff")) == []

        asyncio.run(scenario())

    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (EngineStalled("busy"), Reason.OVERLOADED),
            (StorageFailed("The disk is gone."), Reason.STORAGE_FAILED),
            (ZeroDivisionError("a fault"), Reason.INTERNAL_ERROR),
        ],
    )
    def test_one_that_cannot_be_stored_leaves_everything(
        self, tmp_path: Path, error: Exception, reason: Reason
    ) -> None:
        async def scenario() -> None:
            async with filled(tmp_path) as on:
                on.replace_write(raising(error))
                [refusal] = await on.do(clear_of(on))
                assert isinstance(refusal, Refusal)
                assert refusal.reason is reason
                on.replace_write(None)
                assert on.actor.keys == MANY
                assert len(list(on.actor.family.scan(on.room.prefix, prefix_end(on.room.prefix)))) == MANY
                assert not on.actor.busy

        asyncio.run(scenario())

    def test_one_that_meets_a_damaged_entry_leaves_everything_and_the_actor_goes_on(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with filled(tmp_path) as on:
                on.partition.append(Batch(writes=[(on.actor.index, on.at("k10x"), b"\x00")]))
                [refusal, reply] = await on.do(clear_of(on), Get(on.at("k00")))
                assert isinstance(refusal, Refusal)
                assert refusal.reason is Reason.STORAGE_CORRUPT
                assert isinstance(reply, GetReply)
                assert reply.record is not None

        asyncio.run(scenario())


class TestGate:
    def test_every_answer_after_one_waits_until_it_is_durable(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with filled(tmp_path) as on:
                with on.held_flushes():
                    desk, _ = on.submit(clear_of(on), Get(on.at("other")), on.put("k"))
                    await on.router.finish()
                    await asyncio.sleep(0)
                    buffered, _ = on.submit(on.put("l"), sync=False)
                    assert not any(one.answers for one in (desk, buffered))
                assert len(await desk.all(3)) == 3
                await buffered.all(1)

        asyncio.run(scenario())

    def test_a_buffered_one_is_answered_at_once(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with filled(tmp_path) as on:
                with on.held_flushes():
                    assert await on.do(clear_of(on), Get(on.at("k00")), sync=False) == [
                        CountReply(MANY),
                        GetReply(None),
                    ]

        asyncio.run(scenario())

    @pytest.mark.parametrize("sync", [True, False])
    def test_one_that_finds_nothing_waits_for_the_deletes_that_left_nothing(self, tmp_path: Path, sync: bool) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                await on.do(on.put("k"))
                with on.held_flushes():
                    deleting, _ = on.submit(Delete(on.at("k")))
                    clearing_, _ = on.submit(clear_of(on), sync=sync)
                    assert not any(desk.answers for desk in (deleting, clearing_))
                assert await clearing_.all(1) == [CountReply(0)]

        asyncio.run(scenario())
