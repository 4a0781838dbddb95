"""A server on the running event loop, which can be stopped and started again. `TestServer` runs one in a thread."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from petra_server.app import Server
    from petra_server.clock import Clock
    from petra_server.settings import Settings

# Few actors open fast; an hour is longer than a test, so nothing is swept unless the test says so.
_ACTORS = 8
_SWEEP_INTERVAL_MS = 3_600_000
# What is under way when a test ends has no reason to take long.
_GRACE_SECONDS = 5.0


def settings_for_tests(data: Path, **chosen: object) -> Settings:
    """Settings of a server for tests: on a free port of this machine. `chosen` are fields of the server's Settings."""
    from petra_server.settings import Settings

    fields: dict[str, Any] = {
        "data": data,
        "listen": "127.0.0.1:0",
        "actors": _ACTORS,
        "sweep_interval_ms": _SWEEP_INTERVAL_MS,
        **chosen,
    }
    return Settings(**fields)


class HostedServer:
    """A server that belongs to the running loop. Only code on that loop may call the coroutines."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Nothing is started yet."""
        self.settings = settings
        self._clock = clock
        self._server: Server | None = None

    @property
    def server(self) -> Server:
        """The server itself. Raises RuntimeError when it is not running."""
        if self._server is None:
            raise RuntimeError("The server is not running.")
        return self._server

    @property
    def address(self) -> str:
        """Host and port. Raises RuntimeError when it is not running."""
        return self.server.address

    async def start(self) -> None:
        """Opens the data directory and serves. Raises ModuleNotFoundError where the server's packages are missing."""
        # In here, as these bring gRPC and RocksDB, which nobody needs who starts no server.
        try:
            from petra_server.app import Server
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"A test server needs {error.name}, which is not installed: pip install 'petra[server]'",
                name=error.name,
            ) from error
        self._server = await Server.start(self.settings, self._clock)

    async def stop(self) -> None:
        """Shuts down in order. Nothing happens when it is stopped already."""
        if self._server is not None:
            server, self._server = self._server, None
            await server.stop(_GRACE_SECONDS)

    async def restart(self) -> None:
        """Stops, and starts on the same directory and port. Connections are lost, and entries are not."""
        self.settings = replace(self.settings, listen=self.address, http=self.server.http_address)
        await self.stop()
        await self.start()

    async def sweep(self) -> None:
        """Has everything removed that has expired."""
        await self.server.sweeper.sweep()
