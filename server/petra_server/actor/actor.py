"""An actor: the single-threaded owner of a range of slots, with its mailbox, its column family and its cache.

Its turns never interleave: a turn runs to its end on the loop, and while a long one is under way in slices the actor
is busy and everything else waits in the mailbox, in order. The router runs the turns; nobody else touches an actor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Protocol

from petra_server.actor.call import Call
from petra_server.actor.recent import ActorRequests, RecentRequests
from petra_server.storage.cache import CacheView
from petra_server.storage.engine import Engine
from petra_server.storage.keys import slots_of_actor


class Source(Protocol):
    """What an actor has stored."""

    def get(self, key: bytes) -> bytes | None: ...

    def scan(self, lower: bytes, upper: bytes, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]: ...


class Family:
    """One actor's column family of the engine."""

    __slots__ = ("_engine", "_index")

    def __init__(self, engine: Engine, index: int) -> None:
        self._engine = engine
        self._index = index

    def get(self, key: bytes) -> bytes | None:
        return self._engine.get(self._index, key)

    def scan(self, lower: bytes, upper: bytes, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        return self._engine.scan(self._index, lower, upper, reverse=reverse)


class Actor:
    """State of one actor. Owned by the loop."""

    __slots__ = (
        "any_generation",
        "barrier_generation",
        "busy",
        "cache",
        "family",
        "first_slot",
        "index",
        "keys",
        "last_slot",
        "mailbox",
        "operations",
        "requests",
        "statements",
        "swept",
        "turns",
        "version",
        "written_generation",
    )

    def __init__(
        self, index: int, actors: int, family: Source, cache: CacheView, recent: RecentRequests, keys: int
    ) -> None:
        self.index = index
        self.first_slot, self.last_slot = slots_of_actor(index, actors)
        self.family = family
        self.cache = cache
        self.requests = ActorRequests(recent, family)
        # True while a long turn is under way.
        self.busy = False
        self.mailbox: deque[Call] = deque()
        # The newest generation with an FSYNC write of this actor: what a scan depends on.
        self.written_generation = 0
        # The newest generation with any write of this actor, BUFFERED ones too.
        self.any_generation = 0
        # The newest generation that cleared a range: what every answer depends on.
        self.barrier_generation = 0
        # Figures.
        self.keys = keys
        self.version = 0
        self.turns = 0
        self.operations = 0
        # Statements of SQL, as they were sent.
        self.statements = 0
        self.swept = 0
