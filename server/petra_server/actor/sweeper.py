"""The sweeper: takes expired entries off the disk without anyone reading them, and watches the disk's free space.

It goes over all actors once an interval, with an ordinary turn of bounded size each, and comes back at once to those
that have more. Losing a sweep in a crash loses nothing, so its writes are BUFFERED.
"""

from __future__ import annotations

import asyncio
from typing import cast

import structlog

from petra_server.actor.actor import Actor
from petra_server.actor.asking import ask
from petra_server.actor.operations import Sweep, SweepReply
from petra_server.actor.router import Router
from petra_server.errors import Refusal
from petra_server.storage.disk import DiskGuard

_log = structlog.get_logger(__name__)


class Sweeper:
    """Runs until it is cancelled."""

    def __init__(self, router: Router, disk: DiskGuard, *, interval_ms: int, batch_items: int) -> None:
        self._router = router
        self._disk = disk
        self._interval_seconds = interval_ms / 1000
        self._batch_items = batch_items
        # Where each actor's sweep goes on, by its number.
        self._resume: dict[int, bytes] = {}
        # What was last said of the disk; writes look at it as well.
        self._said_writable = True

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._interval_seconds)
            try:
                self.look_at_disk()
                await self.sweep()
            except Exception:  # noqa: BLE001
                # Expired entries can wait; the next round is soon.
                _log.exception("a sweep failed")

    def look_at_disk(self) -> None:
        """Measures the free space, and logs when writes end or resume."""
        disk = self._disk
        disk.look()
        if disk.writable == self._said_writable:
            return
        self._said_writable = disk.writable
        if disk.writable:
            _log.info("disk has room again, taking writes", free_bytes=disk.free_bytes)
        else:
            _log.warning("disk nearly full, refusing writes", free_bytes=disk.free_bytes)

    async def sweep(self) -> None:
        """Removes all that has expired by now."""
        if not self._disk.sweepable:
            return
        for actor in self._router.actors:
            while not actor.busy and await self._sweep_once(actor):  # noqa: ASYNC110
                await asyncio.sleep(0)

    async def _sweep_once(self, actor: Actor) -> bool:
        """Whether there may be more."""
        operation = Sweep(self._batch_items, self._resume.get(actor.index, b""))
        try:
            reply = cast(SweepReply, await ask(self._router, actor, operation, sync=False))
        except Refusal as refusal:
            _log.debug("sweep refused", actor=actor.index, reason=refusal.reason)
            return False
        actor.swept += reply.swept
        self._resume[actor.index] = reply.resume
        return reply.more
