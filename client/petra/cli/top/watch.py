"""Watching a server for `petra top`: samples at intervals, and probes between them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from petra.cli.top.figures import Figures, Sample, figures
from petra.errors import PetraError

if TYPE_CHECKING:
    from petra import AsyncClient

_PROBE_SECONDS: Final = 0.1
# The last ones count: half a minute of them, so that the 99th percentile means something.
_PROBES: Final = 300


class Watch:
    """Takes samples, and measures how long the server takes to answer."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._probes: deque[float] = deque(maxlen=_PROBES)
        self._before: Sample | None = None

    @asynccontextmanager
    async def probing(self) -> AsyncIterator[None]:
        """Probes the server all the time meanwhile."""
        prober = asyncio.create_task(self._probe())
        try:
            yield
        finally:
            prober.cancel()
            await asyncio.wait((prober,))

    async def sample(self) -> None:
        """The sample from which the next figures count."""
        self._before = await self._sample()

    async def figures(self) -> Figures:
        """What happened since the sample before. Raises PetraError."""
        now = await self._sample()
        before = self._before or now
        self._before = now
        return figures(before, now)

    async def _sample(self) -> Sample:
        # Together: they share a round trip.
        info, actors = await asyncio.gather(self._client.info(), self._client.actors())
        return Sample(time.monotonic(), info, actors, tuple(self._probes))

    async def _probe(self) -> None:
        """What is asked goes past the actors, so that watching a server does not count as work of it."""
        while True:
            began = time.perf_counter()
            try:
                await self._client.info()
            except PetraError:
                # The next sample says why.
                self._probes.clear()
            else:
                self._probes.append(time.perf_counter() - began)
            await asyncio.sleep(_PROBE_SECONDS)
