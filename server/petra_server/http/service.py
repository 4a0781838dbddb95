"""The HTTP service of a server: the API and what serves it, begun and ended together."""

from __future__ import annotations

import asyncio

from petra_server.http.api import Inside, http_api
from petra_server.http.metrics import LoopWatch
from petra_server.http.server import HttpOptions, HttpServer


class HttpService:
    """Listens from the moment that it is made; `start` serves, `stop` ends that."""

    def __init__(self, inside: Inside, options: HttpOptions, *, timeout_ms: int) -> None:
        """Raises StartupError."""
        self._loop_watch = LoopWatch()
        self._server = HttpServer(http_api(inside, self._loop_watch, timeout_ms=timeout_ms), options)
        self._watching: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """Host and port it listens on."""
        return self._server.address

    async def start(self) -> None:
        """Serves. Returns when connections are taken."""
        await self._server.start()
        self._watching = asyncio.create_task(self._loop_watch.run(), name="petra-loop-watch")

    async def stop(self) -> None:
        """Takes nothing more, and closes all connections when their answers have left."""
        if self._watching is not None:
            self._watching.cancel()
        await self._server.stop()
