"""A store of Litestar, for its caches, sessions and rate limits. Needs `pip install "petra[litestar]"`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import ceil
from types import TracebackType
from typing import Final
from urllib.parse import quote

from litestar.stores.base import NamespacedStore

from petra import AsyncClient
from petra.integrations._keys import fitting_key
from petra.integrations._location import Location, parse_location

__all__ = ["PetraStore"]

_USUAL: Final = Location("litestar")


class PetraStore(NamespacedStore):
    """Keeps the values of Litestar's stores on a Petra server.

    A store with a namespace is a part of the store that it was made from: the keys of the one are not seen by the
    other, and what removes all of the outer one removes the inner ones as well. They share one connection, which is
    closed with the store that it was made for: Litestar does so when the application shuts down. A store belongs to
    one running event loop at a time. Its methods raise PetraError.
    """

    __slots__ = ("_client", "_owns_client", "namespace")

    def __init__(self, location: str = "", *, client: AsyncClient | None = None) -> None:
        """Makes a store for `host:port`, or `petra://host:port/?namespace=...&timeout=...&durability=...&tls=...`.

        Or for a client of yours, which is not closed with the store. Raises InvalidArgument.
        """
        self._client = parse_location(location, _USUAL).async_client() if client is None else client
        self._owns_client = client is None
        # Before all keys: the names of the stores around this one and its own, each quoted and with a `/` after it.
        self.namespace = ""

    def with_namespace(self, namespace: str) -> PetraStore:
        """A store within this one."""
        inner = PetraStore(client=self._client)
        inner.namespace = f"{self.namespace}{quote(namespace, safe='')}/"
        return inner

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._owns_client:
            await self._client.close()

    async def set(self, key: str, value: str | bytes, expires_in: int | timedelta | None = None) -> None:
        """Stores a value, for `expires_in` seconds; for ever when that is None or 0."""
        data = value.encode() if isinstance(value, str) else value
        await self._client.set(self._key(key), data, ttl=expires_in or None)

    async def get(self, key: str, renew_for: int | timedelta | None = None) -> bytes | None:
        """A value, or None. One that is to expire lives for `renew_for` seconds from now, if that is given."""
        entry = await self._client.get_entry(self._key(key))
        if entry is None:
            return None
        if renew_for and entry.expires_at is not None:
            await self._client.touch(entry.key, renew_for)
        data: bytes = entry.value
        return data

    async def delete(self, key: str) -> None:
        """Removes a value, if there is one."""
        await self._client.delete(self._key(key))

    async def delete_all(self) -> None:
        """Removes all values of this store, and of those within it."""
        await self._client.clear(prefix=self.namespace)

    async def exists(self, key: str) -> bool:
        """Whether there is a value."""
        return await self._client.get_entry(self._key(key)) is not None

    async def expires_in(self, key: str) -> int | None:
        """In how many seconds a value expires; -1 when it does not, and None when there is no value."""
        entry = await self._client.get_entry(self._key(key))
        if entry is None:
            return None
        return -1 if entry.expires_at is None else ceil((entry.expires_at - datetime.now(UTC)).total_seconds())

    def _key(self, key: str) -> str:
        # No namespace begins so, as a colon is quoted in it.
        return fitting_key(f"{self.namespace}:{key}")
