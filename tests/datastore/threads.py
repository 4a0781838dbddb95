"""The blocking datastore behind the methods of the asynchronous one: each runs in a thread of its own."""

# ruff: noqa: ANN401 - it passes on whatever there is

from __future__ import annotations

import asyncio
from typing import Any, cast

from petra.datastore import Datastore
from petra.sync.datastore import Datastore as BlockingDatastore

# They ask nobody.
_PLAIN = frozenset({"auth", "system"})
_PARTS = frozenset({"KV", "D1", "datastore"})


def behind_threads(datastore: BlockingDatastore) -> Datastore:
    """The datastore with stores whose methods are awaited."""
    return cast("Datastore", _Handle(datastore))


class _Handle:
    """A datastore, a store or an adapter."""

    def __init__(self, handle: object) -> None:
        self._handle = handle

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._handle, name)
        if name in _PARTS:
            return _Handle(attribute)
        if name in _PLAIN:
            return lambda *args: _Handle(attribute(*args))
        if not callable(attribute):
            return attribute
        return lambda *args, **options: asyncio.to_thread(attribute, *args, **options)

    def __repr__(self) -> str:
        return repr(self._handle)
