"""A turn: operations, one after the other, over what their actors have stored, giving answers and writes.

It guarantees that each operation sees those before it, that one that is refused leaves nothing behind, and that
nothing outside the turn changes until its owner applies it. It awaits nothing, knows no clock, and does no I/O but
reads of the column families of its actors.

All actors of a step share one, as most have a single operation in it. They share no state by that: a key belongs to one
actor, so what is written under it is seen by nobody else, and the records of requests are kept by actor.

Beside its answer every operation has a gate: the generation that must be durable before the answer may leave. That is
the open one for its own FSYNC writes, and for a read the one that wrote what it saw (petra_server.actor.gate).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from petra_server.actor.operations import Reply
from petra_server.actor.replays import fingerprint, pack_reply, unpack_reply
from petra_server.errors import Reason, Refusal
from petra_server.sql.statements import Outcome
from petra_server.storage.batch import Batch
from petra_server.storage.cache import MISSING
from petra_server.storage.keys import (
    REQUEST_TTL_MS,
    expiry_key,
    page_key,
    prefix_end,
    request_bucket,
    request_key,
)
from petra_server.storage.records import Record, pack_record, pack_request, unpack_record, unpack_request

if TYPE_CHECKING:
    from petra_server.actor.actor import Actor
    from petra_server.actor.call import Call


class Pending(Protocol):
    """What is written and not durable yet: the keys of the open generation, and of the one before it."""

    open_generation: int
    open_keys: set[bytes]
    flushing_keys: set[bytes]


class NeedsWrites(Exception):
    """An operation that reads ranges must wait until this turn's writes are stored. It was not begun."""


class NeedsSql(Exception):
    """The operation has statements, which run outside of the turn first. Nothing of it was done."""


# Whose the entry is; when the stored one expires (0: never), None when there is none; the entry as it is to be.
_Write: TypeAlias = "tuple[Actor, int | None, Record | None]"


def load(actor: Actor, key: bytes) -> Record | None:
    """An entry as it is kept, expired or not, from the cache or through it."""
    cache = actor.cache
    cached = cache.get(key)
    if cached is not MISSING:
        cache.hits += 1
        return cached
    cache.misses += 1
    data = actor.family.get(key)
    record = None if data is None else unpack_record(data)
    cache.put(key, record)
    return record


class Turn:
    """The working set of one turn."""

    __slots__ = (
        "_actor",
        "_bucket",
        "_buffered_actors",
        "_durable_actors",
        "_flushing_keys",
        "_forgotten",
        "_open_generation",
        "_open_keys",
        "_others",
        "_pages",
        "_remembered",
        "_sync",
        "_undo",
        "_writes",
        "applied",
        "cleared",
        "durable_keys",
        "gate",
        "next_version",
        "now_ms",
        "sql",
        "sql_kept",
    )

    def __init__(self, pending: Pending, next_version: Callable[[], int], now_ms: int) -> None:
        # Set once.
        self._open_generation = pending.open_generation
        self._open_keys = pending.open_keys
        self._flushing_keys = pending.flushing_keys
        # A version that was never given out before.
        self.next_version = next_version
        self.now_ms = now_ms
        self._bucket = request_bucket(now_ms)
        # The working set.
        self._writes: dict[bytes, _Write] = {}
        # The records of requests. Two actors may each do a part of one request, so its key alone would not do.
        self._remembered: dict[tuple[Actor, bytes], bytes] = {}
        # Pages of databases, so that what several lists of statements changed is written once.
        self._pages: dict[tuple[Actor, bytes], bytes] = {}
        # What is none of these.
        self._others = Batch()
        # Databases that are removed.
        self.cleared: list[bytes] = []
        # Keys that the cache need not keep an absence of.
        self._forgotten: list[tuple[Actor, Sequence[bytes]]] = []
        # Keys whose newest state must not be shown before it is durable.
        self.durable_keys: set[bytes] = set()
        # Who wrote, FSYNC and BUFFERED.
        self._durable_actors: set[Actor] = set()
        self._buffered_actors: set[Actor] = set()
        # Of the present operation.
        self._actor: Actor
        self._sync = True
        self._undo: list[tuple[bytes, _Write | None]] | None = None
        self.gate = 0
        self.applied = True
        # What its statements did, when they have run; and whether that is a part of this turn's writes.
        self.sql: Outcome | None = None
        self.sql_kept = False

    def run(self, handler: Callable[[Turn, Any], Reply], call: Call) -> Reply:
        """Does one operation. Whatever it raises, nothing of it is left then; `gate` is set in any case."""
        self._actor = actor = call.actor
        self.gate = actor.barrier_generation
        self._sync = call.sync
        self._undo = None
        self.applied = True
        try:
            if not call.request_id:
                return handler(self, call.operation)
            return self._run_once(handler, call)
        except Exception:
            self.undo()
            raise

    def wait_for_earlier_writes(self) -> None:
        """For a mutation that found nothing to do: what it saw may be a BUFFERED write, and must be durable with it."""
        if self._sync and self._actor.any_generation > self.gate:
            self.gate = self._actor.any_generation

    def _run_once(self, handler: Callable[[Turn, Any], Reply], call: Call) -> Reply:
        """Does an operation unless its request id says that it was done."""
        actor, bucket, request_id = self._actor, self._bucket, call.request_id
        checksum = fingerprint(call.operation, self._sync)
        for place in actor.requests.places(bucket, request_id):
            replay = self._replay(request_key(place, call.scope, request_id), checksum)
            if replay is not None:
                return replay
        reply = handler(self, call.operation)
        if self.applied:
            actor.requests.add(bucket, request_id)
            key = request_key(bucket, call.scope, request_id)
            self._remembered[actor, key] = pack_request(self.now_ms + REQUEST_TTL_MS, checksum, pack_reply(reply))
            self._wrote(key)
        return reply

    # What handlers use.

    def read(self, key: bytes) -> Record | None:
        """The entry, None when it is absent or has expired."""
        record = self.stored(key)
        if record is None or 0 < record.expires_at_ms <= self.now_ms:
            return None
        return record

    def stored(self, key: bytes) -> Record | None:
        """The entry as it is kept, expired or not. Raises the gate to the generation that wrote it."""
        self._show(key)
        write = self._writes.get(key)
        return load(self._actor, key) if write is None else write[2]

    def remove(self, key: bytes, expires_at_ms: int) -> None:
        """Removes an entry that a scan of this turn has shown, and spares reading it again."""
        self._keep(key, expires_at_ms, None)

    def write(self, key: bytes, record: Record | None) -> None:
        """Sets or removes an entry."""
        write = self._writes.get(key)
        if write is not None:
            expires_at_ms = write[1]
        else:
            before = self.stored(key)
            expires_at_ms = None if before is None else before.expires_at_ms
        self._keep(key, expires_at_ms, record)

    def delete_range(self, lower: bytes, upper: bytes) -> None:
        """Removes what is neither an entry nor in the expiry index."""
        self._others.range_deletes.append((self._actor.index, lower, upper))
        self._wrote(lower)

    def delete_index(self, keys: Sequence[bytes]) -> None:
        """Removes records of the expiry index that entries have left behind."""
        for key in keys:
            self._others.writes.append((self._actor.index, key, None))
            self._wrote(key)

    def forget(self, keys: Sequence[bytes]) -> None:
        """Has the cache keep nothing of these keys."""
        self._forgotten.append((self._actor, keys))

    def expiry(self, ttl_ms: int) -> int:
        """When something with this ttl expires; 0 stays 0."""
        return self.now_ms + ttl_ms if ttl_ms else 0

    def begin(self) -> None:
        """For operations of more than one write: if they are refused, what they wrote is taken back."""
        self._undo = []

    def undo(self) -> None:
        """Takes back what the present operation wrote since `begin`."""
        for key, earlier in reversed(self._undo or ()):
            if earlier is None:
                del self._writes[key]
            else:
                self._writes[key] = earlier
        self._undo = None

    def scan(self, lower: bytes, upper: bytes, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """What is stored in a range. Raises NeedsWrites when the actor has written what is not stored yet."""
        if self.wrote:
            raise NeedsWrites
        return self._actor.family.scan(lower, upper, reverse=reverse)

    # Databases, by the prefix of their pages, which stands for their state in the gate.

    def take_sql(self) -> Outcome | None:
        """What the statements of this operation did; None when they have not run, which needs all writes stored.

        Raises NeedsWrites when they are not.
        """
        if self.sql is None and self.wrote:
            raise NeedsWrites
        return self.sql

    def keep_sql(self, database: bytes, outcome: Outcome) -> None:
        """Makes what statements did a part of the turn's writes, and has the answer wait for what they saw."""
        self._show(database)
        self.sql_kept = True
        if outcome.pages or outcome.gone_from:
            if outcome.gone_from:
                self._drop_pages(page_key(database, outcome.gone_from), prefix_end(database))
            for number, page in outcome.pages.items():
                self._pages[self._actor, page_key(database, number)] = page
            self._wrote(database)
        elif not outcome.read_only:
            self.wait_for_earlier_writes()

    def clear_database(self, database: bytes) -> None:
        """Removes a database, if there is one."""
        self._show(database)
        if self._actor.family.get(page_key(database, 1)) is None:
            return
        self._drop_pages(database, prefix_end(database))
        self.cleared.append(database)
        self._wrote(database)

    def gate_of(self, actor: Actor, key: bytes) -> int:
        """The generation that an answer waits for which was made outside of the turn, and shows the state of a key."""
        self._actor = actor
        self.gate = actor.barrier_generation
        self._show(key)
        return self.gate

    @property
    def wrote(self) -> bool:
        """Whether there is anything to store for the actor of the present operation."""
        actor = self._actor
        if actor not in self._durable_actors and actor not in self._buffered_actors:
            return False
        # It may all have been taken back.
        return (
            any(write[0] is actor for write in self._writes.values())
            or any(owner is actor for owner, _ in chain(self._remembered, self._pages))
            or any(write[0] == actor.index for write in chain(self._others.writes, self._others.range_deletes))
        )

    # What the owner of the turn does with it.

    def collect(self) -> Batch:
        """What is to be stored. To be called once, when all operations are done."""
        batch = self._others
        out = batch.writes
        for key, (actor, before, record) in self._writes.items():
            family = actor.index
            expires_at_ms = 0
            if record is not None:
                expires_at_ms = record.expires_at_ms
                out.append((family, key, pack_record(record)))
            elif before is not None:
                out.append((family, key, None))
            if expires_at_ms != (before or 0):
                if before:
                    out.append((family, expiry_key(before, key), None))
                if expires_at_ms:
                    out.append((family, expiry_key(expires_at_ms, key), b""))
        for added in (self._remembered, self._pages):
            out += [(actor.index, key, value) for (actor, key), value in added.items()]
        return batch

    def settle(self) -> None:
        """Brings the cache and the actors up to date, once the writes are stored."""
        for key, (actor, before, record) in self._writes.items():
            actor.cache.put(key, record)
            if record is None:
                if before is not None and actor.keys:
                    actor.keys -= 1
                continue
            if before is None:
                actor.keys += 1
            # A touch writes an entry with the version that it had.
            if record.version > actor.version:
                actor.version = record.version
        for actor, keys in self._forgotten:
            for key in keys:
                actor.cache.discard(key)
        for actor in self._buffered_actors:
            actor.any_generation = self._open_generation
        for actor in self._durable_actors:
            actor.any_generation = actor.written_generation = self._open_generation

    # What is written.

    def _drop_pages(self, lower: bytes, upper: bytes) -> None:
        """Removes stored pages, and those that an earlier list of this turn wrote."""
        actor = self._actor
        self._others.range_deletes.append((actor.index, lower, upper))
        for owner, key in list(self._pages):
            if owner is actor and lower <= key < upper:
                del self._pages[owner, key]

    def _keep(self, key: bytes, before: int | None, record: Record | None) -> None:
        if self._undo is not None:
            self._undo.append((key, self._writes.get(key)))
        self._writes[key] = (self._actor, before, record)
        self._wrote(key)

    def _wrote(self, key: bytes) -> None:
        """Has the present answer wait for what it wrote, and what is written for its answer."""
        if self._sync:
            self._durable_actors.add(self._actor)
            self.durable_keys.add(key)
            self.gate = self._open_generation
        else:
            self._buffered_actors.add(self._actor)
            if key in self.durable_keys:
                # Answers about one key leave in order, so not before those of its FSYNC writes.
                self.gate = self._open_generation

    def _show(self, key: bytes) -> None:
        """Has the present answer wait for what wrote the state of a key."""
        if key in self._open_keys or key in self.durable_keys:
            self.gate = self._open_generation
        elif key in self._flushing_keys and self.gate != self._open_generation:
            self.gate = self._open_generation - 1

    def _replay(self, key: bytes, checksum: int) -> Reply | None:
        """The answer that a request had the first time, if it is stored. Raises Refusal REQUEST_ID_REUSED."""
        data = self._remembered.get((self._actor, key)) or self._actor.family.get(key)
        if data is None:
            return None
        forgotten_at_ms, stored_checksum, reply = unpack_request(data)
        if forgotten_at_ms <= self.now_ms:
            return None
        self._show(key)
        if stored_checksum != checksum:
            raise Refusal(
                Reason.REQUEST_ID_REUSED,
                "The request id was used for another request within the last 10 minutes."
                " Use a new id for each request, and the same one only to repeat it unchanged.",
                field="request_id",
            )
        return unpack_reply(reply)
