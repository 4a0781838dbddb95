"""A real server in this process, on a free port, with a clock that the test moves."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from petra_server.actor.actor import Actor
from petra_server.app import Server
from petra_server.clock import ManualClock
from petra_server.settings import Settings


class RunningServer:
    """A server under test. Moving the clock sweeps nothing; call `sweep` for that."""

    def __init__(self, settings: Settings, clock: ManualClock) -> None:
        self.settings = settings
        self.clock = clock
        self._server: Server | None = None

    @property
    def server(self) -> Server:
        assert self._server is not None, "the server is not running"
        return self._server

    @property
    def address(self) -> str:
        return self.server.address

    async def start(self) -> None:
        self._server = await Server.start(self.settings, self.clock)

    async def stop(self) -> None:
        """Shuts down in order. Nothing happens when it is stopped already."""
        if self._server is not None:
            server, self._server = self._server, None
            await server.stop(grace_seconds=5)

    async def restart(self) -> None:
        """Stops, and starts on the same directory, on another port."""
        await self.stop()
        await self.start()

    async def sweep(self) -> None:
        """Has everything removed that has expired."""
        await self.server.sweeper.sweep()

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
    data: Path | None = None,
    clock: ManualClock | None = None,
    **settings: Any,  # noqa: ANN401 - fields of Settings
) -> AsyncIterator[RunningServer]:
    """A running server on a directory of its own, or on `data`. `settings` are fields of Settings.

    The sweeper runs only when told to, unless sweep_interval_ms is given.
    """
    with tempfile.TemporaryDirectory() as scratch:
        chosen: dict[str, Any] = {
            "data": data or Path(scratch) / "data",
            "listen": "127.0.0.1:0",
            "actors": 8,
            "sweep_interval_ms": 3_600_000,
            **settings,
        }
        running = RunningServer(Settings(**chosen), clock or ManualClock())
        await running.start()
        try:
            yield running
        finally:
            await running.stop()
