"""The long-term memory of LangGraph: items in namespaces, for all threads of a graph."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Final, Self

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
)

from petra import Entry, VersionConflict, _waiting
from petra.contention import Contention
from petra.integrations._location import Location, parse_location
from petra.integrations.langgraph import items
from petra.sync import _waiting as _blocking
from petra.values import to_timeout

_USUAL: Final = Location("langgraph-store")


class PetraStore(BaseStore):
    """Keeps the items of graphs on a Petra server: `builder.compile(store=PetraStore("host:7475"))`.

    Searches go by namespace and by the fields of items, in the order of the keys; there is no search by meaning, so a
    `query` has no effect. Items may have a `ttl`, in minutes as everywhere in LangGraph. The operations of a batch are
    done in order. Threads may share a store; its coroutines belong to one running event loop at a time. Its methods
    raise PetraError.
    """

    supports_ttl = True

    def __init__(self, location: str = "", *, ttl: TTLConfig | None = None) -> None:
        """Makes a store for `host:port` or `petra://host:port/?namespace=...&timeout=...&durability=...&tls=...`.

        The namespace of Petra is `langgraph-store` unless another is given, and should hold nothing else. `ttl` says
        how long items live unless they say it, and whether a read makes them young again. Raises InvalidArgument.
        """
        super().__init__()
        where = parse_location(location, _USUAL)
        self.ttl_config = ttl
        self._timeout = to_timeout(where.timeout)
        self._client = where.client()
        self._async_client = where.async_client()

    def close(self) -> None:
        """Ends the connection of the blocking methods."""
        self._client.close()

    async def aclose(self) -> None:
        """Ends both connections."""
        self._client.close()
        await self._async_client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    # For threads.

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Does operations one after another, and returns their results in order."""
        return [self._do(op) for op in ops]

    def _do(self, op: Op) -> Result:
        match op:
            case GetOp():
                return self._get(op)
            case SearchOp():
                return self._search(op)
            case PutOp():
                self._put(op)
                return None
            case ListNamespacesOp():
                return items.namespaces(self._client.list_keys(), op)

    def _get(self, op: GetOp) -> Item | None:
        entry = self._client.get_entry(items.item_key(op.namespace, op.key))
        if entry is None:
            return None
        if op.refresh_ttl:
            self._refresh(entry)
        return items.read_item(entry)

    def _put(self, op: PutOp) -> None:
        key = items.item_key(op.namespace, op.key)
        if op.value is None:
            self._client.delete(key)
            return
        # Not `update`, which would leave an item without a ttl the one that it had before.
        contention, ttl = Contention(self._timeout), items.ttl_seconds(op.ttl)
        while True:
            entry = self._client.get_entry(key, timeout=contention.left())
            record, version = items.changed(entry, op, items.utc_now())
            try:
                self._client.set(key, record, ttl=ttl, if_version=version, timeout=contention.left())
            except VersionConflict as error:
                _blocking.pause(contention.pause(error))
            else:
                return

    def _search(self, op: SearchOp) -> list[SearchItem]:
        found: list[Entry] = []
        for entry in self._client.list(prefix=items.namespace_prefix(op.namespace_prefix)):
            if items.matches(entry.value["value"], op.filter):
                found.append(entry)
            if len(found) >= op.offset + op.limit:
                break
        page = found[op.offset :]
        if op.refresh_ttl:
            for entry in page:
                self._refresh(entry)
        return [items.read_found(entry) for entry in page]

    def _refresh(self, entry: Entry) -> None:
        if entry.value["ttl"] is not None:
            self._client.touch(entry.key, items.ttl_seconds(entry.value["ttl"]))

    # For coroutines.

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """As `batch`."""
        return [await self._ado(op) for op in ops]

    async def _ado(self, op: Op) -> Result:
        match op:
            case GetOp():
                return await self._aget(op)
            case SearchOp():
                return await self._asearch(op)
            case PutOp():
                await self._aput(op)
                return None
            case ListNamespacesOp():
                return items.namespaces([key async for key in self._async_client.list_keys()], op)

    async def _aget(self, op: GetOp) -> Item | None:
        entry = await self._async_client.get_entry(items.item_key(op.namespace, op.key))
        if entry is None:
            return None
        if op.refresh_ttl:
            await self._arefresh(entry)
        return items.read_item(entry)

    async def _aput(self, op: PutOp) -> None:
        key = items.item_key(op.namespace, op.key)
        if op.value is None:
            await self._async_client.delete(key)
            return
        contention, ttl = Contention(self._timeout), items.ttl_seconds(op.ttl)
        while True:
            entry = await self._async_client.get_entry(key, timeout=contention.left())
            record, version = items.changed(entry, op, items.utc_now())
            try:
                await self._async_client.set(key, record, ttl=ttl, if_version=version, timeout=contention.left())
            except VersionConflict as error:
                await _waiting.pause(contention.pause(error))
            else:
                return

    async def _asearch(self, op: SearchOp) -> list[SearchItem]:
        found: list[Entry] = []
        async for entry in self._async_client.list(prefix=items.namespace_prefix(op.namespace_prefix)):
            if items.matches(entry.value["value"], op.filter):
                found.append(entry)
            if len(found) >= op.offset + op.limit:
                break
        page = found[op.offset :]
        if op.refresh_ttl:
            for entry in page:
                await self._arefresh(entry)
        return [items.read_found(entry) for entry in page]

    async def _arefresh(self, entry: Entry) -> None:
        if entry.value["ttl"] is not None:
            await self._async_client.touch(entry.key, items.ttl_seconds(entry.value["ttl"]))
