"""The sweeper's rounds: over all actors, by itself, and whatever goes wrong in one of them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from petra_server.actor.handlers import HANDLERS
from petra_server.actor.operations import Sweep
from petra_server.actor.sweeper import Sweeper
from petra_server.storage.disk import DiskGuard, DiskSpace
from tests.server.actor.routing import Routed, raising, routed

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_SECONDS = 20
MIB = 1 << 20


class Disk:
    """A disk of 100 MiB with a reserve of 10, which can fail. `looked` is set at each look from the third one on."""

    def __init__(self) -> None:
        self.free_mib = 50
        self.looks = 0
        self.failure: Exception | None = None
        self.looked = asyncio.Event()
        self.guard = DiskGuard(self._space, lambda: 0, reserve_bytes=10 * MIB)

    def _space(self) -> DiskSpace:
        self.looks += 1
        if self.looks > 2:
            self.looked.set()
        if self.failure is not None:
            raise self.failure
        return DiskSpace(100 * MIB, self.free_mib * MIB)


def sweeper_of(on: Routed, disk: Disk, *, interval_ms: int = 1, batch_items: int = 2) -> Sweeper:
    return Sweeper(on.router, disk.guard, interval_ms=interval_ms, batch_items=batch_items)


async def while_running(sweeper: Sweeper, until: asyncio.Event) -> None:
    """Lets it run until the event, by which it must be running still."""
    running = asyncio.create_task(sweeper.run())
    try:
        await asyncio.wait_for(until.wait(), PATIENCE_SECONDS)
        assert not running.done()
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def nothing_left(on: Routed) -> bool:
    return all(not list(actor.family.scan(b"\x01", b"\xff")) for actor in on.router.actors)


async def put_expired(on: Routed, count: int) -> None:
    """Expired entries in every actor."""
    for actor in on.router.actors:
        await on.do(*(on.put(f"{actor.index}-{number}", ttl_ms=5) for number in range(count)), actor=actor)
    on.clock.advance(5)


class TestRounds:
    def test_sweep_all_actors_to_the_end_in_turns_of_bounded_size(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                await put_expired(on, 5)
                turns = [actor.turns for actor in on.router.actors]
                await sweeper_of(on, Disk()).sweep()
                assert nothing_left(on)
                assert [actor.swept for actor in on.router.actors] == [5, 5]
                assert [actor.turns - before for actor, before in zip(on.router.actors, turns, strict=True)] == [3, 3]

        asyncio.run(scenario())

    def test_sweep_nothing_when_not_even_the_sweeper_may_write(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                await put_expired(on, 1)
                disk = Disk()
                disk.free_mib = 4
                sweeper = sweeper_of(on, disk)
                sweeper.look_at_disk()
                await sweeper.sweep()
                assert not nothing_left(on)

        asyncio.run(scenario())

    def test_come_by_themselves(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                await put_expired(on, 5)
                disk = Disk()
                await while_running(sweeper_of(on, disk), disk.looked)
                assert nothing_left(on)

        asyncio.run(scenario())

    @pytest.mark.parametrize("failure", [OSError(5, "Input/output error"), RuntimeError("a fault")])
    def test_go_on_when_the_disk_cannot_be_seen(self, tmp_path: Path, failure: Exception) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                disk = Disk()
                disk.failure = failure
                await while_running(sweeper_of(on, disk), disk.looked)
                disk.failure = None
                disk.looked.clear()
                await put_expired(on, 1)
                await while_running(sweeper_of(on, disk), disk.looked)

        asyncio.run(scenario())

    def test_go_on_after_a_fault_in_the_turn(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(HANDLERS, Sweep, raising(ZeroDivisionError("a fault")))

        async def scenario() -> None:
            async with routed(tmp_path) as on:
                disk = Disk()
                await while_running(sweeper_of(on, disk), disk.looked)

        asyncio.run(scenario())

    def test_pass_over_an_actor_that_is_busy(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                await put_expired(on, 1)
                on.router.hold(on.actor)
                await asyncio.wait_for(sweeper_of(on, Disk()).sweep(), PATIENCE_SECONDS)
                assert (on.actor.swept, on.other_actor.swept) == (0, 1)
                on.router.release(on.actor)

        asyncio.run(scenario())


class TestDisk:
    """What is logged of it: the ends of each stretch, and nothing in between."""

    def logged(self, on: Routed, look: Callable[[Sweeper, Disk], None]) -> list[tuple[str, str, int]]:
        disk = Disk()
        with capture_logs() as lines:
            look(sweeper_of(on, disk), disk)
        return [(line["log_level"], line["event"], line["free_bytes"]) for line in lines]

    def test_nearly_full_and_room_again_are_each_said_once(self, tmp_path: Path) -> None:
        def look(sweeper: Sweeper, disk: Disk) -> None:
            for free_mib in (50, 9, 8, 7, 20, 30, 5):
                disk.free_mib = free_mib
                for _ in range(2):
                    sweeper.look_at_disk()

        async def scenario() -> None:
            async with routed(tmp_path) as on:
                assert self.logged(on, look) == [
                    ("warning", "disk nearly full, refusing writes", 9 * MIB),
                    ("info", "disk has room again, taking writes", 20 * MIB),
                    ("warning", "disk nearly full, refusing writes", 5 * MIB),
                ]

        asyncio.run(scenario())

    def test_what_a_write_or_the_start_has_found_is_said_as_well(self, tmp_path: Path) -> None:
        def look(sweeper: Sweeper, disk: Disk) -> None:
            disk.free_mib = 9
            disk.guard.wrote(100 * MIB)
            assert not disk.guard.writable
            sweeper.look_at_disk()

        async def scenario() -> None:
            async with routed(tmp_path) as on:
                assert self.logged(on, look) == [("warning", "disk nearly full, refusing writes", 9 * MIB)]

        asyncio.run(scenario())
