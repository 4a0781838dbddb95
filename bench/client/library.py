"""What a client library must offer to take part, and what a load process is told to do with it."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, cast

from bench.client.script import Script
from bench.client.work import Work

GET = "get"
SET = "set"
GET_MANY = "get-many"
SET_MANY = "set-many"
PIPELINE_GET = "pipeline-get"
PIPELINE_SET = "pipeline-set"

READS = (GET, GET_MANY, PIPELINE_GET)

# The module of each library. A load process loads the one that it drives.
_MODULES = {"petra": "bench.client.with_petra", "redis-py": "bench.client.with_redis"}


@dataclass(frozen=True, slots=True)
class Load:
    """What a load process does: so many callers, each with one `call` of `group` keys under way at a time.

    Callers are tasks of one event loop, or threads, and share one client. `object` names the object of the keys, empty
    for flat ones. `connections` bounds the connections of the client, and `wait` says that callers wait for a free
    one instead of being refused; None is the library's own bound.
    """

    library: str
    call: str
    callers: int
    threads: bool = False
    group: int = 1
    object: str = ""
    connections: int | None = None
    wait: bool = False

    @property
    def prefix(self) -> str:
        """Of its keys. Loads that read share theirs and loads that write others, so that none disturbs another."""
        return f"{'read' if self.call in READS else 'written'}-{self.group}"

    def scripts(self, value_bytes: int) -> list[Script]:
        """What each caller does."""
        return [
            Script(caller, prefix=self.prefix, group=self.group, value_bytes=value_bytes)
            for caller in range(self.callers)
        ]


class Library(Protocol):
    """The module of a library."""

    @staticmethod
    def asynchronous(
        address: str, load: Load, scripts: Sequence[Script]
    ) -> AbstractAsyncContextManager[Sequence[Work[Awaitable[object]]]]:
        """The work of each script with one asynchronous client, which is open within the block."""

    @staticmethod
    def blocking(address: str, load: Load, scripts: Sequence[Script]) -> AbstractContextManager[Sequence[Work[object]]]:
        """The same with one blocking client."""


class Store(Protocol):
    """The server of a library, in a process of its own, seen from outside of the loads. Entering it starts it.

    Entering raises Unavailable, with how to get it, when something is not installed.
    """

    @property
    def durability(self) -> str:
        """When it acknowledges a write."""

    @property
    def address(self) -> str:
        """Where it listens: host:port."""

    @property
    def pid(self) -> int:
        """Its process."""

    def version(self) -> str:
        """That of the library, and of its server."""

    def write(self, object_name: str, pairs: Mapping[str, bytes]) -> None:
        """Writes pairs."""

    def read(self, object_name: str, keys: Sequence[str]) -> dict[str, bytes]:
        """Reads keys, on a connection of its own."""

    def check(self) -> None:
        """Raises BenchError when the server says that something is wrong with its storage."""

    def __enter__(self) -> Store: ...

    def __exit__(self, *exception: object) -> None: ...


def library(name: str) -> Library:
    """The module of the library with this name."""
    return cast(Library, importlib.import_module(_MODULES[name]))
