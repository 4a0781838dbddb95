"""The end of a link that nobody closes: with its event loop, or with its client.

Without it a socket would stay open until it is collected as garbage, and warn then. Made on the loop of the link.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncGenerator

from petra._transport.link import Link


class Ending:
    """Has a link closed when its loop shuts down, as asyncio.run does, and soon after its owner is garbage."""

    def __init__(self, owner: object, link: Link) -> None:
        self._link = link
        self._waiting = _until_the_end(link)
        # Its first step tells the loop of the generator; loops end all generators they know of when they shut down.
        with contextlib.suppress(StopIteration):
            self._waiting.asend(None).send(None)
        self._discard = weakref.finalize(owner, _discard, link, self._waiting)
        # The loop is not there any more then.
        self._discard.atexit = False

    async def come(self) -> None:
        """Closes the link now. Loop thread only."""
        await self._link.close()
        if self._discard.detach() is not None:
            await self._waiting.aclose()

    def forget(self) -> object:
        """Does nothing more, in a process that was forked off. What is returned is to be kept."""
        self._discard.detach()
        return self._waiting


async def _until_the_end(link: Link) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await link.close()
        # Lets the closed socket go.
        await asyncio.sleep(0)


def _discard(link: Link, waiting: AsyncGenerator[None, None]) -> None:
    if not link.loop.is_closed():
        link.loop.call_soon_threadsafe(lambda: asyncio.ensure_future(waiting.aclose()))
