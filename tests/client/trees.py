"""Both trees of the client under one set of tests: the blocking one behind the methods of the asynchronous one."""

# ruff: noqa: ANN401 - it passes on whatever there is

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeVar, cast

from petra import (
    AsyncClient,
    AsyncPipeline,
    AsyncRows,
    AsyncSql,
    AsyncTransaction,
    Client,
    Object,
    Pipeline,
    Rows,
    Sql,
    Transaction,
)
from petra.sync.objects import Entries

T = TypeVar("T")

_ITERATORS = frozenset({"databases", "list", "list_keys", "namespaces", "objects"})
_HANDLES = frozenset({"namespace", "object"})
_END = object()


def behind_threads(client: Client) -> AsyncClient:
    """The client with methods that are awaited; each runs in a thread of its own."""
    return cast("AsyncClient", _Handle(client))


class _Handle:
    """A client, a namespace or an object."""

    def __init__(self, handle: Entries) -> None:
        self._handle = handle

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._handle, name)
        if not callable(attribute):
            return attribute
        if name in _HANDLES:
            return lambda *args: _Handle(attribute(*args))
        if name in _ITERATORS:
            return lambda **options: _iterate(lambda: attribute(**options))
        return lambda *args, **options: asyncio.to_thread(attribute, *args, **options)

    def __repr__(self) -> str:
        return repr(self._handle)

    def pipeline(self) -> AsyncPipeline:
        return cast("AsyncPipeline", _Pipeline(self._handle.pipeline()))

    @property
    def sql(self) -> AsyncSql:
        assert isinstance(self._handle, Object)
        return cast("AsyncSql", _Sql(self._handle.sql))

    async def update(self, key: str, function: Callable[[Any], Any], **options: Any) -> Any:
        def call(value: Any) -> Any:
            made = function(value)
            return asyncio.run(_awaited(made)) if inspect.isawaitable(made) else made

        return await asyncio.to_thread(self._handle.update, key, call, **options)

    async def transact(self, function: Callable[[AsyncTransaction], Awaitable[T]], **options: Any) -> T:
        def call(transaction: Transaction) -> T:
            return asyncio.run(_awaited(function(cast("AsyncTransaction", _Transaction(transaction)))))

        room = self._handle
        assert isinstance(room, Object)
        return await asyncio.to_thread(lambda: room.transact(call, **options))


class _Pipeline:
    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipeline, name)

    def __len__(self) -> int:
        return len(self._pipeline)

    async def execute(self, **options: Any) -> list[Any]:
        return await asyncio.to_thread(self._pipeline.execute, **options)


class _Sql:
    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._sql, name)
        return lambda *args, **options: asyncio.to_thread(attribute, *args, **options)

    def query(self, *args: Any, **options: Any) -> AsyncRows:
        return cast("AsyncRows", _Rows(self._sql.query(*args, **options)))


class _Rows:
    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def __aiter__(self) -> _Rows:
        return self

    async def __anext__(self) -> Any:
        if (row := await asyncio.to_thread(next, self._rows, _END)) is _END:
            raise StopAsyncIteration
        return row

    async def __aenter__(self) -> _Rows:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    async def columns(self) -> Any:
        return await asyncio.to_thread(self._rows.columns)

    async def aclose(self) -> None:
        await asyncio.to_thread(self._rows.close)


class _Transaction:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._transaction, name)
        if name in ("get", "get_entry", "get_many"):
            return lambda *args: asyncio.to_thread(attribute, *args)
        return attribute


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


async def _iterate(begin: Callable[[], Iterator[Any]]) -> AsyncIterator[Any]:
    iterator = begin()
    while (item := await asyncio.to_thread(next, iterator, _END)) is not _END:
        yield item
