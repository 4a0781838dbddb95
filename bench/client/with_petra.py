"""Petra's client, as a program uses it: one client that all callers share, with its defaults."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import petra
from bench.client import library
from bench.client.library import Load
from bench.client.script import Script
from bench.client.work import (
    Versions,
    Work,
    group_reads,
    group_writes,
    piped_get,
    piped_set,
    reads,
    writes,
)
from bench.petra import PetraServer

# Keys of one call, where nothing is measured.
_CHUNK = 500


@asynccontextmanager
async def asynchronous(
    address: str, load: Load, scripts: Sequence[Script]
) -> AsyncIterator[Sequence[Work[Awaitable[object]]]]:
    """See `Library`."""
    async with petra.AsyncClient(address) as client:
        entries = client.object(load.object) if load.object else client
        works: dict[str, Callable[[Script], Work[Awaitable[object]]]] = {
            library.GET: lambda script: reads(entries.get, script),
            library.SET: lambda script: writes(entries.set, script, Versions(script).one),
            library.GET_MANY: lambda script: group_reads(entries.get_many, script, named=True),
            library.SET_MANY: lambda script: group_writes(entries.set_many, script, Versions(script).named),
            library.PIPELINE_GET: lambda script: group_reads(piped_get(entries.pipeline), script, named=False),
            library.PIPELINE_SET: lambda script: group_writes(
                piped_set(entries.pipeline), script, Versions(script).listed
            ),
        }
        yield [works[load.call](script) for script in scripts]


@contextmanager
def blocking(address: str, load: Load, scripts: Sequence[Script]) -> Iterator[Sequence[Work[object]]]:
    """See `Library`."""
    with petra.Client(address) as client:
        entries = client.object(load.object) if load.object else client
        works: dict[str, Callable[[Script], Work[object]]] = {
            library.GET: lambda script: reads(entries.get, script),
            library.SET: lambda script: writes(entries.set, script, Versions(script).one),
            library.GET_MANY: lambda script: group_reads(entries.get_many, script, named=True),
            library.SET_MANY: lambda script: group_writes(entries.set_many, script, Versions(script).named),
            library.PIPELINE_GET: lambda script: group_reads(piped_get(entries.pipeline), script, named=False),
            library.PIPELINE_SET: lambda script: group_writes(
                piped_set(entries.pipeline), script, Versions(script).listed
            ),
        }
        yield [works[load.call](script) for script in scripts]


class PetraStore:
    """A Petra server with default settings on an empty data directory."""

    durability = "FSYNC: acknowledged after fdatasync of the write-ahead log, shared by the writes in flight"

    def __init__(self, data: Path) -> None:
        self._server = PetraServer(data)

    def __enter__(self) -> PetraStore:
        self._server.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.stop()

    @property
    def address(self) -> str:
        return self._server.address

    @property
    def pid(self) -> int:
        return self._server.pid

    def version(self) -> str:
        """That of the package, which stands with the packages."""
        return "this checkout"

    def write(self, object_name: str, pairs: Mapping[str, bytes]) -> None:
        keys = list(pairs)
        with petra.Client(self.address) as client:
            entries = client.object(object_name) if object_name else client
            for first in range(0, len(keys), _CHUNK):
                entries.set_many({key: pairs[key] for key in keys[first : first + _CHUNK]})

    def read(self, object_name: str, keys: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        with petra.Client(self.address) as client:
            entries = client.object(object_name) if object_name else client
            for first in range(0, len(keys), _CHUNK):
                found.update(entries.get_many(keys[first : first + _CHUNK]))
        return found

    def check(self) -> None:
        """Nothing to ask: a write that does not reach the disk is answered with an error."""
