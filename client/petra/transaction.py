"""One attempt of a transaction on an object, for asyncio. Its twin petra.sync.transaction is for threads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from petra._transport.arguments import unique_keys
from petra._transport.requests import Requests
from petra.contention import Contention
from petra.recording import Recording
from petra.values import Entry, Value

if TYPE_CHECKING:
    from petra.objects import AsyncEntries

D = TypeVar("D")


class AsyncTransaction(Recording):
    """One attempt of a transaction on an object: reads go to the server, writes are recorded until it commits."""

    def __init__(self, entries: AsyncEntries, requests: Requests, contention: Contention) -> None:
        """Made by `transact`."""
        super().__init__(requests)
        self._entries = entries
        self._contention = contention

    async def get(self, key: str, default: D | None = None) -> Value | D:
        """The value of a key as this transaction sees it, or the default. It commits only if nobody changes it."""
        entry = await self.get_entry(key)
        return default if entry is None else entry.value

    async def get_entry(self, key: str) -> Entry | None:
        """As `get`, with version and expiry. What this transaction has written has version 0 and no expiry yet."""
        known, entry = self._look_up(key)
        if not known:
            entry = await self._entries.get_entry(key, timeout=self._contention.left())
            self._saw(key, entry)
        return entry

    async def get_many(self, keys: Iterable[str]) -> dict[str, Value]:
        """The values of many keys, read in one snapshot; absent keys are left out."""
        wanted = unique_keys(keys)
        known = {key: self._look_up(key) for key in wanted}
        unknown = [key for key in wanted if not known[key][0]]
        read = await self._entries.get_entries(unknown, timeout=self._contention.left()) if unknown else {}
        for key in unknown:
            self._saw(key, read.get(key))
        entries = {key: known[key][1] if known[key][0] else read.get(key) for key in wanted}
        return {key: entry.value for key, entry in entries.items() if entry is not None}
