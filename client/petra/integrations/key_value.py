"""A store of py-key-value-aio. Needs `pip install "petra[key-value]"`.

A collection is an object of Petra, so the bulk operations of one collection are atomic, and its reads are snapshots.
Names that are too long for Petra are cut and hashed; the whole ones stand in the entries.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from key_value.aio.stores.base import (
    BaseContextManagerStore,
    BaseDestroyCollectionStore,
    BaseDestroyStore,
    BaseEnumerateCollectionsStore,
    BaseEnumerateKeysStore,
    ManagedEntry,
)

from petra import AsyncClient, AsyncObject
from petra.integrations._keys import fitting_key, is_cut
from petra.integrations._location import Location, parse_location

__all__ = ["PetraStore"]

_USUAL: Final = Location("key-value")

# A life that has come to its end while the call was made.
_SHORTEST_SECONDS: Final = 0.001


class PetraStore(
    BaseEnumerateKeysStore,
    BaseEnumerateCollectionsStore,
    BaseDestroyCollectionStore,
    BaseDestroyStore,
    BaseContextManagerStore,
):
    """Keeps collections of py-key-value-aio on a Petra server, in a namespace that holds nothing else.

    It belongs to one running event loop at a time. Use it as `async with PetraStore(...) as store`, or close it. Its
    methods raise PetraError when the server cannot be reached, beside the errors of py-key-value-aio.
    """

    def __init__(
        self, location: str = "", *, client: AsyncClient | None = None, default_collection: str | None = None
    ) -> None:
        """Makes a store for `host:port`, or `petra://host:port/?namespace=...&timeout=...&durability=...&tls=...`.

        Or for a client of yours, which is not closed with the store. Raises InvalidArgument.
        """
        self._client = parse_location(location, _USUAL).async_client() if client is None else client
        super().__init__(
            client_provided_by_user=client is not None, default_collection=default_collection, stable_api=True
        )

    async def _setup(self) -> None:
        if not self._client_provided_by_user:
            self._exit_stack.push_async_callback(self._client.close)

    async def _get_managed_entry(self, *, collection: str, key: str) -> ManagedEntry | None:
        (entry,) = await self._get_managed_entries(collection=collection, keys=[key])
        return entry

    async def _get_managed_entries(self, *, collection: str, keys: Sequence[str]) -> list[ManagedEntry | None]:
        stored = await self._object(collection).get_many([fitting_key(key) for key in keys]) if keys else {}
        return [self._load(stored.get(fitting_key(key))) for key in keys]

    async def _put_managed_entry(self, *, collection: str, key: str, managed_entry: ManagedEntry) -> None:
        data = self._dump(collection, key, managed_entry)
        await self._object(collection).set(fitting_key(key), data, ttl=_seconds(managed_entry.ttl))

    async def _put_managed_entries(
        self,
        *,
        collection: str,
        keys: Sequence[str],
        managed_entries: Sequence[ManagedEntry],
        ttl: float | None,
        created_at: datetime,
        expires_at: datetime | None,
    ) -> None:
        entries = zip(keys, managed_entries, strict=True)
        items = {fitting_key(key): self._dump(collection, key, entry) for key, entry in entries}
        if items:
            await self._object(collection).set_many(items, ttl=_seconds(ttl))

    async def _delete_managed_entry(self, *, key: str, collection: str) -> bool:
        return await self._object(collection).delete(fitting_key(key))

    async def _delete_managed_entries(self, *, keys: Sequence[str], collection: str) -> int:
        return await self._object(collection).delete_many([fitting_key(key) for key in keys]) if keys else 0

    async def _get_collection_keys(self, *, collection: str, limit: int | None = None) -> list[str]:
        here = self._object(collection)
        keys = [key async for key in here.list_keys(limit=limit)]
        whole = await here.get_many([key for key in keys if is_cut(key)]) if any(map(is_cut, keys)) else {}
        return [self._names(whole[key])[1] if key in whole else key for key in keys]

    async def _get_collection_names(self, *, limit: int | None = None) -> list[str]:
        names: list[str] = []
        async for name in self._client.objects():
            if limit is not None and len(names) >= limit:
                break
            names.append(await self._whole_name(name) if is_cut(name) else name)
        return names

    async def _whole_name(self, name: str) -> str:
        """The name of a collection, as one of its entries has it; what is left of it when there is none any more."""
        async for entry in self._client.object(name).list(limit=1):
            return self._names(entry.value)[0]
        return name

    async def _delete_collection(self, *, collection: str) -> bool:
        return await self._object(collection).clear() > 0

    async def _delete_store(self) -> bool:
        async for name in self._client.objects():
            await self._client.object(name).clear()
        return True

    def _object(self, collection: str) -> AsyncObject:
        return self._client.object(fitting_key(collection))

    def _dump(self, collection: str, key: str, entry: ManagedEntry) -> bytes:
        return self._serialization_adapter.dump_json(entry=entry, key=key, collection=collection).encode()

    def _load(self, data: bytes | None) -> ManagedEntry | None:
        return None if data is None else self._serialization_adapter.load_json(json_str=data.decode())

    def _names(self, data: bytes) -> tuple[str, str]:
        """The collection and the key that an entry says it has."""
        document = json.loads(data)
        return str(document["collection"]), str(document["key"])


def _seconds(ttl: float | None) -> float | None:
    return None if ttl is None else max(ttl, _SHORTEST_SECONDS)
