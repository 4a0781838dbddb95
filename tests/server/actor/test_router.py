"""From calls to answers: order, bounds, and what is left of calls that fail."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from petra_server.actor import router as router_module
from petra_server.actor.actor import Actor
from petra_server.actor.call import Call
from petra_server.actor.handlers import HANDLERS
from petra_server.actor.operations import (
    AnswerBudget,
    Condition,
    CountReply,
    Delete,
    DeleteMany,
    DeleteReply,
    Get,
    GetMany,
    GetReply,
    Increment,
    IncrementReply,
    Operation,
    Reply,
    Scan,
    ScanReply,
    SetMany,
    SetReply,
    Sweep,
    SweepReply,
    Touch,
    Transact,
)
from petra_server.actor.plans import Plan, clear
from petra_server.errors import Reason, Refusal, StorageFailed
from petra_server.storage.batch import Batch
from petra_server.storage.engine import EngineStalled
from petra_server.storage.keys import prefix_end
from tests.server.actor.routing import Desk, Routed, raising, routed

FAILED = StorageFailed("The disk is gone.")
DRAINING = Refusal(Reason.DRAINING, "The server is shutting down.")
# Only a server that forgets an answer takes so long.
PATIENCE_SECONDS = 20


def reasons(outcomes: list[Reply | Refusal]) -> list[Reason | None]:
    return [outcome.reason if isinstance(outcome, Refusal) else None for outcome in outcomes]


def everything(on: Routed) -> Scan:
    return Scan(on.room.prefix, prefix_end(on.room.prefix), 100, 1 << 20)


class TestTurns:
    def test_calls_that_come_together_are_one_turn_in_their_order(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                replies = await on.do(on.put("n", b"1"), Increment(on.at("n"), 5), Get(on.at("n")), Delete(on.at("n")))
                assert replies[1] == IncrementReply(6, 2)
                assert replies[3] == DeleteReply(True)
                assert (on.actor.turns, on.actor.operations, on.actor.keys) == (1, 4, 0)
                await on.do(on.put("n"), Increment(on.at("m"), 1))
                assert (on.actor.turns, on.actor.keys, on.actor.version) == (2, 2, 4)
                await on.do(Touch(on.at("n"), 50))
                assert on.actor.version == 4

        asyncio.run(scenario())

    def test_a_scan_sees_what_was_written_before_it_in_the_same_message(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                replies = await on.do(on.put("a"), everything(on), on.put("b"), everything(on), Get(on.at("b")))
                counts = [len(reply.entries) for reply in replies if isinstance(reply, ScanReply)]
                assert counts == [1, 2]
                assert on.actor.turns == 3

        asyncio.run(scenario())

    def test_several_actors_share_one_write(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                batches: list[Batch] = []
                write = on.partition.engine.write

                def note(batch: Batch) -> None:
                    batches.append(batch)
                    write(batch)

                on.replace_write(note)
                lobby = next(
                    one for one in map(on.address, map(str, range(50))) if one.owner is not on.actor and one.owner
                )
                assert lobby.owner is not None
                parts = [(on.actor, on.put("a")), (lobby.owner, on.put("b")._replace(key=lobby.prefix + b"b"))]
                await on.ask(Plan(parts, lambda replies: CountReply(len(replies))))
                assert [{family for family, _, _ in batch.writes} for batch in batches] == [{0, 1}]

        asyncio.run(scenario())

    def test_without_writes_nothing_is_written(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                on.replace_write(raising(EngineStalled("busy")))
                assert await on.do(Get(on.at("k")), Delete(on.at("k"))) == [GetReply(None), DeleteReply(False)]
                on.replace_write(None)

        asyncio.run(scenario())


class TestMailbox:
    def test_what_waits_is_done_in_order_when_the_actor_is_free(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                on.router.hold(on.actor)
                desks = [on.submit(Increment(on.at("n"), 1))[0] for _ in range(3)]
                assert not any(desk.answers for desk in desks)
                assert await on.do(Get(b"\x01any"), actor=on.other_actor) == [GetReply(None)]
                on.router.release(on.actor)
                assert [await desk.all(1) for desk in desks] == [[IncrementReply(n, n)] for n in (1, 2, 3)]

        asyncio.run(scenario())

    def test_more_than_it_holds_is_refused_and_the_rest_is_done(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path, max_mailbox_items=3) as on:
                on.router.hold(on.actor)
                desk, _ = on.submit(*(Increment(on.at("n"), 1) for _ in range(5)))
                assert [tag for tag, _ in desk.answers] == [3, 4], "at once"
                on.router.release(on.actor)
                outcomes = await desk.all(5)
                assert reasons(outcomes) == [None] * 3 + [Reason.OVERLOADED] * 2
                assert isinstance(outcomes[4], Refusal)
                assert outcomes[4].retry_after_ms > 0
                assert await on.value("n") == b"3"

        asyncio.run(scenario())

    def test_a_long_one_is_emptied_over_several_turns(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(router_module, "_DRAIN_WEIGHT", 2)

        async def scenario() -> None:
            async with routed(tmp_path) as on:
                on.router.hold(on.actor)
                desk, _ = on.submit(*(Increment(on.at("n"), 1) for _ in range(5)))
                on.router.release(on.actor)
                assert await desk.all(5) == [IncrementReply(n, n) for n in range(1, 6)]
                assert on.actor.turns == 3

        asyncio.run(scenario())

    def test_is_emptied_by_the_weight_of_what_waits(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(router_module, "_DRAIN_WEIGHT", 5)

        async def scenario() -> None:
            async with routed(tmp_path) as on:
                names = [on.at(name) for name in "abcde"]
                sets = tuple(on.put(name) for name in "abcde")
                heavy = [
                    SetMany(sets),
                    GetMany(tuple(names), AnswerBudget(1 << 20)),
                    Transact((Condition(names[0], 1),), sets[1:], 1 << 20),
                    DeleteMany(tuple(names)),
                    everything(on)._replace(limit=5),
                ]
                for operations, turns in ((heavy, len(heavy)), ([Get(names[0])] * 5, 1)):
                    before = on.actor.turns
                    on.router.hold(on.actor)
                    desk, _ = on.submit(*operations)
                    on.router.release(on.actor)
                    assert reasons(await desk.all(5)) == [None] * 5
                    assert on.actor.turns - before == turns

        asyncio.run(scenario())

    def test_what_comes_later_does_not_overtake_what_waits(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(router_module, "_DRAIN_WEIGHT", 1)

        async def scenario() -> None:
            async with routed(tmp_path) as on:
                on.router.hold(on.actor)
                first, _ = on.submit(on.put("k", b"1"), on.put("k", b"2"))
                on.router.release(on.actor)
                # One of the two has been done; the other one waits for the next tick.
                second, _ = on.submit(on.put("k", b"3"))
                assert [*await first.all(2), *await second.all(1)] == [SetReply(1), SetReply(2), SetReply(3)]
                assert await on.value("k") == b"3"

        asyncio.run(scenario())


class TestCallsThatNobodyWaitsFor:
    def test_past_their_deadline_are_dropped_and_not_done(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                now = asyncio.get_running_loop().time()
                on.router.hold(on.actor)
                late, _ = on.submit(on.put("late"), deadline=now - 1)
                in_time, _ = on.submit(on.put("in time"), deadline=now + 3_600)
                on.router.release(on.actor)
                assert reasons(await late.all(1)) == [Reason.DEADLINE_PASSED]
                assert reasons(await in_time.all(1)) == [None]
                assert (await on.value("late"), await on.value("in time")) == (None, b"v")

        asyncio.run(scenario())

    def test_withdrawn_are_dropped_and_not_done(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                on.router.hold(on.actor)
                desk, [first, _] = on.submit(on.put("gone"), on.put("kept"))
                first.withdrawn = True
                on.router.release(on.actor)
                assert reasons(await desk.all(2)) == [Reason.DEADLINE_PASSED, None]
                assert (await on.value("gone"), await on.value("kept")) == (None, b"v")

        asyncio.run(scenario())

    def test_of_a_cancelled_coroutine_are_withdrawn(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                on.router.hold(on.actor)
                asking = asyncio.ensure_future(on.ask(Plan([(on.actor, on.put("k"))])))
                await asyncio.sleep(0)
                asking.cancel()
                await asyncio.wait([asking])
                on.router.release(on.actor)
                assert await on.value("k") is None

        asyncio.run(scenario())


class TestStall:
    def test_leaves_no_trace_and_asks_to_try_again(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                await on.do(on.put("k", b"1"))
                on.replace_write(raising(EngineStalled("busy")))
                outcomes = await on.do(on.put("k", b"2", ttl_ms=5), on.put("new"), Get(on.at("k")))
                assert reasons(outcomes) == [Reason.OVERLOADED] * 3
                assert all(isinstance(outcome, Refusal) and outcome.retry_after_ms > 0 for outcome in outcomes)
                assert (await on.value("k"), await on.value("new")) == (b"1", None)
                on.replace_write(None)
                assert (await on.value("k"), await on.value("new"), on.actor.keys) == (b"1", None, 1)
                assert reasons(await on.do(on.put("k", b"3"))) == [None]
                assert on.failures == []

        asyncio.run(scenario())

    def test_does_not_concern_actors_that_only_read(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                on.replace_write(raising(EngineStalled("busy")))
                parts: list[tuple[Actor, Operation]] = [(on.actor, on.put("k")), (on.other_actor, Get(b"\x01any"))]
                desk = Desk()
                on.router.submit([on.call(desk, *part, tag) for tag, part in enumerate(parts)])
                outcomes = await desk.all(2)
                assert reasons(outcomes) == [Reason.OVERLOADED, None]
                on.replace_write(None)

        asyncio.run(scenario())

    def test_what_waits_behind_it_goes_on(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(router_module, "_DRAIN_WEIGHT", 1)

        async def scenario() -> None:
            async with routed(tmp_path) as on:
                on.replace_write(raising(EngineStalled("busy")))
                on.router.hold(on.actor)
                desk, _ = on.submit(on.put("k"), on.put("k"), Get(on.at("k")))
                on.router.release(on.actor)
                assert reasons(await desk.all(3)) == [Reason.OVERLOADED, Reason.OVERLOADED, None]
                on.replace_write(None)

        asyncio.run(scenario())


class TestSeveralActorsInOneStep:
    def test_do_not_wait_for_each_others_writes(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                calls: list[tuple[Actor, Operation]] = [
                    (on.actor, on.put("k")),
                    (on.other_actor, everything(on)),
                    (on.actor, everything(on)),
                    (on.actor, Delete(on.at("k"))),
                ]
                desk = Desk()
                before = [(actor.turns, actor.operations) for actor in (on.actor, on.other_actor)]
                on.router.submit([on.call(desk, *asked, tag) for tag, asked in enumerate(calls)])
                # The second scan and what is behind it wait for the write to be stored.
                figures = [(actor.turns, actor.operations) for actor in (on.actor, on.other_actor)]
                assert [(new[0] - old[0], new[1] - old[1]) for old, new in zip(before, figures, strict=True)] == [
                    (1, 1),
                    (1, 1),
                ]
                _, empty, found, deleted = await desk.all(4)
                assert isinstance(empty, ScanReply)
                assert isinstance(found, ScanReply)
                assert ([*empty.entries], [key for key, _ in found.entries]) == ([], [on.at("k")])
                assert deleted == DeleteReply(True)

        asyncio.run(scenario())

    def test_may_each_do_a_part_of_one_request(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                desk = Desk()
                calls = [
                    Call(desk, actor, Increment(on.at(name), 1), True, on.room.prefix, b"id", None, tag)
                    for tag, (actor, name) in enumerate([(on.actor, "a"), (on.other_actor, "b")] * 2)
                ]
                on.router.submit(calls[:2])
                assert await desk.all(2) == [IncrementReply(1, 1), IncrementReply(1, 2)]
                on.router.submit(calls[2:])
                assert await desk.all(4) == [IncrementReply(1, 1), IncrementReply(1, 2)] * 2

        asyncio.run(scenario())


class TestFailedStorage:
    def test_by_a_write_refuses_it_and_everything_later(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                await on.do(on.put("k", b"1"))
                on.replace_write(raising(FAILED))
                assert reasons(await on.do(on.put("k", b"2"))) == [Reason.STORAGE_FAILED]
                on.replace_write(None)
                operations = [on.put("k", b"3"), Get(on.at("k")), everything(on), clear(on.room, b"").parts[0][1]]
                for operation in operations:
                    assert reasons(await on.do(operation)) == [Reason.STORAGE_FAILED]
                assert on.failures == [FAILED]

        asyncio.run(scenario())

    def test_by_a_flush_tells_all_who_wait_and_refuses_everything_later(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                with on.held_flushes(FAILED):
                    writing, _ = on.submit(on.put("k"))
                    reading, _ = on.submit(Get(on.at("k")))
                    await asyncio.sleep(0)
                    behind, _ = on.submit(on.put("k"))
                    assert not any(desk.answers for desk in (writing, reading, behind))
                for desk in (writing, reading, behind):
                    assert reasons(await desk.all(1)) == [Reason.STORAGE_FAILED]
                assert reasons(await on.do(Get(on.at("other")))) == [Reason.STORAGE_FAILED]
                assert on.failures == [FAILED]

        asyncio.run(scenario())


class TestClose:
    def test_refuses_what_waits_and_what_comes_and_gives_out_no_version(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                await on.do(on.put("k", b"1"))
                on.router.hold(on.actor)
                waiting, _ = on.submit(on.put("k", b"2"), Get(on.at("k")), Delete(on.at("k")))
                await on.router.close(DRAINING)
                assert [outcome for _, outcome in waiting.answers] == [DRAINING] * 3
                on.router.release(on.actor)
                assert await on.do(on.put("k", b"3"), Get(on.at("k"))) == [DRAINING] * 2
                assert (on.actor.keys, on.partition.next_version()) == (1, 2)

        asyncio.run(scenario())


class TestFaults:
    @pytest.fixture(autouse=True)
    def faulty_increments(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(HANDLERS, Increment, raising(ZeroDivisionError("a fault")))

    def test_are_told_under_an_id_and_concern_no_other_operation_of_the_turn(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                outcomes = await on.do(on.put("k"), Increment(on.at("n"), 1), on.put("l"))
                assert reasons(outcomes) == [None, Reason.INTERNAL_ERROR, None]
                refusal = outcomes[1]
                assert isinstance(refusal, Refusal)
                error_id = refusal.metadata["error_id"]
                assert error_id in refusal.message
                logged = capsys.readouterr()
                assert error_id in logged.out + logged.err
                assert "a fault" not in refusal.message
                assert (await on.value("k"), await on.value("l"), on.actor.keys) == (b"v", b"v", 2)

        asyncio.run(scenario())

    def test_of_one_actor_do_not_concern_another(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                parts: list[tuple[Actor, Operation]] = [
                    (on.other_actor, Increment(b"\x01any", 1)),
                    (on.actor, on.put("k")),
                ]
                desk = Desk()
                on.router.submit([on.call(desk, *part, tag) for tag, part in enumerate(parts)])
                assert reasons(await desk.all(2)) == [Reason.INTERNAL_ERROR, None]
                assert await on.value("k") == b"v"

        asyncio.run(scenario())

    def test_do_not_stop_what_waits_behind_them(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(router_module, "_DRAIN_WEIGHT", 1)

        async def scenario() -> None:
            async with routed(tmp_path) as on:
                on.router.hold(on.actor)
                desk, _ = on.submit(Increment(on.at("n"), 1), on.put("k"))
                on.router.release(on.actor)
                outcomes = await asyncio.wait_for(desk.all(2), PATIENCE_SECONDS)
                assert reasons(outcomes) == [Reason.INTERNAL_ERROR, None]

        asyncio.run(scenario())


class TestFullDisk:
    def test_refuses_mutations_while_reads_and_sweeps_go_on(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                await on.do(on.put("k", b"1"), on.put("old", ttl_ms=5))
                on.clock.advance(5)
                on.partition.disk.writable = False
                mutations = [on.put("k"), Delete(on.at("k")), Increment(on.at("n"), 1), clear(on.room, b"").parts[0][1]]
                outcomes = await on.do(*mutations)
                assert reasons(outcomes) == [Reason.DISK_FULL] * 4
                assert all(isinstance(outcome, Refusal) and outcome.retry_after_ms > 0 for outcome in outcomes)
                [found, sweep] = await on.do(everything(on), Sweep(10))
                assert isinstance(found, ScanReply)
                assert isinstance(sweep, SweepReply)
                assert ([key for key, _ in found.entries], sweep.swept) == ([on.at("k")], 1)
                on.partition.disk.writable = True
                assert reasons(await on.do(on.put("k"))) == [None]

        asyncio.run(scenario())

    def test_cannot_be_told_when_the_file_system_does_not_say_and_writes_go_on(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                await on.do(on.put("k", b"1"))
                disk = on.partition.disk
                # So that every write has it look.
                disk.reserve_bytes = 0
                disk._space = raising(OSError(5, "Input/output error"))  # type: ignore[assignment]
                assert await on.do(on.put("k", b"2"), on.put("l"), Delete(on.at("k"))) == [
                    SetReply(2),
                    SetReply(3),
                    DeleteReply(True),
                ]
                assert (await on.value("k"), await on.value("l"), on.actor.keys) == (None, b"v", 1)
                [found] = await on.do(everything(on))
                assert isinstance(found, ScanReply)
                assert [key for key, _ in found.entries] == [on.at("l")]

        asyncio.run(scenario())
