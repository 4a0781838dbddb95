"""redis-py, as a program uses it: one client that all callers share, with its defaults."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import redis
import redis.asyncio
from redis.utils import HIREDIS_AVAILABLE

from bench.client import library
from bench.client.library import Load
from bench.client.script import Script
from bench.client.work import (
    Accepts,
    Work,
    group_reads,
    group_writes,
    piped_get,
    piped_set,
    reads,
    writes,
)
from bench.peers.redis import RedisServer
from bench.process import BenchError

# Keys of one call, where nothing is measured.
_CHUNK = 500


def _accepted(group: int, answer: object) -> bool:
    return answer is True


def _all_accepted(count: int) -> Accepts:
    expected = [True] * count
    return lambda group, answer: answer == expected


def _works(client: redis.Redis | redis.asyncio.Redis, load: Load) -> Callable[[Script], Work[Any]]:
    # The same for both clients: redis-py gives their commands one signature, which promises an answer or an awaitable.
    pipeline = functools.partial(client.pipeline, transaction=False)
    works: dict[str, Callable[[Script], Work[Any]]] = {
        library.GET: lambda script: reads(client.get, script),
        library.SET: lambda script: writes(client.set, script, _accepted),
        library.GET_MANY: lambda script: group_reads(client.mget, script, named=False),
        library.SET_MANY: lambda script: group_writes(client.mset, script, _accepted),
        library.PIPELINE_GET: lambda script: group_reads(piped_get(pipeline), script, named=False),
        library.PIPELINE_SET: lambda script: group_writes(piped_set(pipeline), script, _all_accepted(load.group)),
    }
    return works[load.call]


@asynccontextmanager
async def asynchronous(
    address: str, load: Load, scripts: Sequence[Script]
) -> AsyncIterator[Sequence[Work[Awaitable[object]]]]:
    """See `Library`."""
    host, port = _host_and_port(address)
    if load.wait:
        # Without a time-out: a caller that waits for its turn is late, and has not failed.
        pool = redis.asyncio.BlockingConnectionPool(
            host=host, port=port, max_connections=load.connections or load.callers, timeout=None
        )
        client = redis.asyncio.Redis.from_pool(pool)
    else:
        client = redis.asyncio.Redis(host=host, port=port, max_connections=load.connections)
    async with client:
        work = _works(client, load)
        yield [work(script) for script in scripts]


@contextmanager
def blocking(address: str, load: Load, scripts: Sequence[Script]) -> Iterator[Sequence[Work[object]]]:
    """See `Library`."""
    with _connect(address) as client:
        work = _works(client, load)
        yield [work(script) for script in scripts]


@contextmanager
def _connect(address: str) -> Iterator[redis.Redis]:
    host, port = _host_and_port(address)
    with contextlib.closing(redis.Redis(host=host, port=port)) as client:
        yield client


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


class RedisStore:
    """A Redis server on an empty directory, with an append-only file that is synced before a write is acknowledged."""

    durability = RedisServer.durability

    def __init__(self, data: Path) -> None:
        self._server = RedisServer(data)

    def __enter__(self) -> RedisStore:
        self._server.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.stop()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.port}"

    @property
    def pid(self) -> int:
        return self._server.pid

    def version(self) -> str:
        parser = "with hiredis" if HIREDIS_AVAILABLE else "with its parser in Python, no hiredis"
        return f"redis-py {redis.__version__} {parser}, Redis {self._server.version()}"

    def write(self, object_name: str, pairs: Mapping[str, bytes]) -> None:
        keys = list(pairs)
        with _connect(self.address) as client:
            for first in range(0, len(keys), _CHUNK):
                client.mset({key: pairs[key] for key in keys[first : first + _CHUNK]})

    def read(self, object_name: str, keys: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        with _connect(self.address) as client:
            for first in range(0, len(keys), _CHUNK):
                chunk = list(keys[first : first + _CHUNK])
                values: Any = client.mget(chunk)
                found.update((key, value) for key, value in zip(chunk, values, strict=True) if value is not None)
        return found

    def check(self) -> None:
        with _connect(self.address) as client:
            told: Any = client.info("persistence")
        if told["aof_last_write_status"] != "ok":
            raise BenchError("redis could not write its append-only file")
