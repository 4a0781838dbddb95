"""Waiting for what nothing tells of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

# Only what hangs takes so long.
PATIENCE_S = 20


async def until(holds: Callable[[], bool]) -> None:
    """Returns when it holds. Raises TimeoutError when it never does."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.002)
