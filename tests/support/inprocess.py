"""A real server on the test's own event loop, with a clock that the test moves, and hands on its inside.

`petra.testing` runs the same in a thread, for users.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc

from petra.testing.hosting import HostedServer, settings_for_tests
from petra_server.actor.actor import Actor
from petra_server.clock import ManualClock
from petra_server.settings import Settings


class RunningServer(HostedServer):
    """A server under test. Moving the clock sweeps nothing; call `sweep` for that."""

    def __init__(self, settings: Settings, clock: ManualClock) -> None:
        super().__init__(settings, clock)
        self.clock = clock

    def actor_of(self, namespace: str, object_name: str, key: str) -> Actor:
        """The actor that owns a key."""
        return self.server.addresses.find(namespace, object_name).actor_of(key.encode())

    def hold_actor(self, actor: Actor) -> None:
        """Makes an actor busy, as a long turn does: what is asked of it waits."""
        self.server.router.hold(actor)

    def release_actor(self, actor: Actor) -> None:
        self.server.router.release(actor)

    def channel(self) -> grpc.aio.Channel:
        """A channel to it; close it yourself."""
        return grpc.aio.insecure_channel(self.address)


@asynccontextmanager
async def running_server(
    data: Path | None = None, clock: ManualClock | None = None, **settings: object
) -> AsyncIterator[RunningServer]:
    """A running server on a directory of its own, or on `data`. `settings` are fields of Settings.

    The sweeper runs only when told to, unless sweep_interval_ms is given.
    """
    with tempfile.TemporaryDirectory() as scratch:
        chosen = settings_for_tests(data or Path(scratch) / "data", **settings)
        running = RunningServer(chosen, clock or ManualClock())
        await running.start()
        try:
            yield running
        finally:
            await running.stop()
