"""Walks over a server's entries in the order of an export, with several places listed at the same time.

An export of one large place is one listing, of which the next piece is on its way while the present one is written. An
export of many small objects would wait for the answer about each; so the first pieces of the next `_PLACES_AHEAD`
places are asked for together. Memory is bounded by so many pages, of 4 MiB at most each.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, NamedTuple

from petra.cli.transfer.lines import Spot

if TYPE_CHECKING:
    from petra import AsyncClient, Entry

# The answers to so many listings of small objects take longer to write than to come.
_PLACES_AHEAD: Final = 64
_PAGE_ENTRIES: Final = 5_000
_PIECE_BYTES: Final = 4 << 20


class Piece(NamedTuple):
    """Entries of one place that follow upon each other. `object` is empty for flat keys."""

    namespace: str
    object: str
    entries: list[Entry]


class _Place(NamedTuple):
    namespace: str
    object: str
    start_after: str


async def walk(
    client: AsyncClient, namespace: str | None, object_name: str | None, after: Spot | None
) -> AsyncGenerator[Piece]:
    """The entries of a server, of a namespace, or of an object, from the one after `after` on.

    The client must give values as they are stored.
    """
    ahead: deque[_Open] = deque()
    places = _places(client, namespace, object_name, after)
    try:
        async with aclosing(places):
            more = True
            while more or ahead:
                while more and len(ahead) < _PLACES_AHEAD:
                    place = await anext(places, None)
                    more = place is not None
                    if place is not None:
                        ahead.append(_Open(client, place))
                if not ahead:
                    return
                first = ahead[0]
                entries, ended = await first.task
                if ended:
                    ahead.popleft()
                else:
                    # On its way while this piece is written.
                    first.read_on()
                if entries:
                    yield Piece(first.place.namespace, first.place.object, entries)
    finally:
        for each in ahead:
            each.task.cancel()
        await asyncio.gather(*(each.task for each in ahead), return_exceptions=True)


async def _places(
    client: AsyncClient, namespace: str | None, object_name: str | None, after: Spot | None
) -> AsyncGenerator[_Place]:
    if namespace is not None and object_name is not None:
        yield _Place(namespace, object_name, after.key if after else "")
        return
    if namespace is not None:
        async for place in _places_of(client, namespace, after):
            yield place
        return
    async for name in client.namespaces():
        if after is None or name >= after.namespace:
            async for place in _places_of(client, name, after if after and name == after.namespace else None):
                yield place


async def _places_of(client: AsyncClient, namespace: str, after: Spot | None) -> AsyncGenerator[_Place]:
    if after is None or not after.object:
        yield _Place(namespace, "", after.key if after else "")
    async for name in client.namespace(namespace).objects():
        if after is None or name >= after.object:
            yield _Place(namespace, name, after.key if after and name == after.object else "")


class _Open:
    """A place whose listing is under way. `task` is the next piece of it, and whether that is the last one."""

    def __init__(self, client: AsyncClient, place: _Place) -> None:
        namespace = client.namespace(place.namespace)
        entries = namespace.object(place.object) if place.object else namespace
        self.place = place
        self._listing = entries.list(start_after=place.start_after, page_size=_PAGE_ENTRIES)
        self.task = asyncio.create_task(_piece(self._listing))

    def read_on(self) -> None:
        """Asks for the next piece, when the present one has been taken."""
        self.task = asyncio.create_task(_piece(self._listing))


async def _piece(listing: AsyncIterator[Entry]) -> tuple[list[Entry], bool]:
    """The next entries of a listing, and whether it has ended with them."""
    entries: list[Entry] = []
    size = 0
    async for entry in listing:
        entries.append(entry)
        size += len(entry.value.data)
        if len(entries) == _PAGE_ENTRIES or size >= _PIECE_BYTES:
            return entries, False
    return entries, True
