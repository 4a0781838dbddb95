"""A turn: operations of one actor, one after the other, over what it has stored, giving answers and writes.

It guarantees that each operation sees those before it, that one that is refused leaves nothing behind, and that
nothing outside the turn changes until its owner applies it. It awaits nothing, knows no clock, and does no I/O but
reads of its own column family.

Beside its answer every operation has a gate: the generation that must be durable before the answer may leave. That is
the open one for its own FSYNC writes, and for a read the one that wrote what it saw (petra_server.actor.gate).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

from petra_server.actor.operations import Operation, Reply
from petra_server.actor.replays import fingerprint, pack_reply, unpack_reply
from petra_server.errors import Reason, Refusal
from petra_server.sql.statements import Outcome
from petra_server.storage.batch import Batch
from petra_server.storage.cache import MISSING, Missing
from petra_server.storage.keys import (
    REQUEST_TTL_MS,
    expiry_key,
    page_key,
    prefix_end,
    request_bucket,
    request_key,
)
from petra_server.storage.records import Record, pack_record, pack_request, unpack_record, unpack_request


class Cached(Protocol):
    """An actor's view of the cache."""

    hits: int
    misses: int

    def get(self, key: bytes) -> Record | Missing | None: ...

    def put(self, key: bytes, record: Record | None) -> None: ...

    def discard(self, key: bytes) -> None: ...


class Source(Protocol):
    """An actor's column family."""

    def get(self, key: bytes) -> bytes | None: ...

    def scan(self, lower: bytes, upper: bytes, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]: ...


class Requests(Protocol):
    """Which requests an actor may have stored."""

    def add(self, bucket: int, request_id: bytes) -> None: ...

    def places(self, bucket: int, request_id: bytes) -> list[int]: ...


class Pending(Protocol):
    """What is written and not durable yet: the keys of the open generation, and of the one before it."""

    open_generation: int
    open_keys: set[bytes]
    flushing_keys: set[bytes]


class NeedsWrites(Exception):
    """An operation that reads ranges must wait until this turn's writes are stored. It was not begun."""


class NeedsSql(Exception):
    """The operation has statements, which run outside of the turn first. Nothing of it was done."""


_ABSENT: Final = object()


def load(source: Source, cache: Cached, key: bytes) -> Record | None:
    """An entry as it is kept, expired or not, from the cache or through it."""
    cached = cache.get(key)
    if cached is not MISSING:
        cache.hits += 1
        return cached
    cache.misses += 1
    data = source.get(key)
    record = None if data is None else unpack_record(data)
    cache.put(key, record)
    return record


class Turn:
    """The working set of one turn."""

    __slots__ = (
        "_before",
        "_cache",
        "_family",
        "_flushing_keys",
        "_open_generation",
        "_open_keys",
        "_pages",
        "_remembered",
        "_requests",
        "_source",
        "_sync",
        "_undo",
        "_writes",
        "_written_generation",
        "applied",
        "cleared",
        "durable_keys",
        "floor",
        "forgotten",
        "gate",
        "next_version",
        "now_ms",
        "range_deletes",
        "sql",
        "sql_kept",
        "stale_index",
        "version",
    )

    def __init__(
        self,
        family: int,
        source: Source,
        cache: Cached,
        requests: Requests,
        pending: Pending,
        next_version: Callable[[], int],
        now_ms: int,
        floor: int,
        written: int,
    ) -> None:
        # Set once.
        self._family = family
        self._source = source
        self._cache = cache
        self._requests = requests
        self._open_generation = pending.open_generation
        self._open_keys = pending.open_keys
        self._flushing_keys = pending.flushing_keys
        # A version that was never given out before.
        self.next_version = next_version
        self.now_ms = now_ms
        # No answer of this turn may leave before this generation is durable; 0 for none.
        self.floor = floor
        # The newest generation that is not durable and in which the actor wrote anything, BUFFERED or not; 0 for none.
        self._written_generation = written
        # The working set: entries as they are to be, and as they were stored.
        self._writes: dict[bytes, Record | None] = {}
        # Of each written key when the stored entry expires (0: never), None when there is none.
        self._before: dict[bytes, int | None] = {}
        # Keys whose newest state must not be shown before it is durable.
        self.durable_keys: set[bytes] = set()
        # The records of its requests.
        self._remembered: dict[bytes, bytes] = {}
        self.range_deletes: Sequence[tuple[bytes, bytes]] = ()
        # By their keys, so that what several lists changed is written once.
        self._pages: dict[bytes, bytes] | None = None
        # Databases that are removed.
        self.cleared: Sequence[bytes] = ()
        self.stale_index: Sequence[bytes] = ()
        # Keys that the cache need not keep an absence of.
        self.forgotten: Sequence[bytes] = ()
        # The newest version written, 0 for none.
        self.version = 0
        # Of the present operation.
        self._sync = True
        self._undo: list[tuple[bytes, object]] | None = None
        self.gate = floor
        self.applied = True
        # What its statements did, when they have run; and whether that is a part of this turn's writes.
        self.sql: Outcome | None = None
        self.sql_kept = False

    def run(
        self, handler: Callable[[Turn, Any], Reply], operation: Operation, sync: bool, scope: bytes, request_id: bytes
    ) -> Reply:
        """Does one operation. Whatever it raises, nothing of it is left then; `gate` is set in any case."""
        self.gate = self.floor
        self._sync = sync
        self._undo = None
        self.applied = True
        try:
            if not request_id:
                return handler(self, operation)
            return self._run_once(handler, operation, scope, request_id)
        except Exception:
            self.undo()
            raise

    def wait_for_earlier_writes(self) -> None:
        """For a mutation that found nothing to do: what it saw may be a BUFFERED write, and must be durable with it."""
        if self._sync and self._written_generation > self.gate:
            self.gate = self._written_generation

    def _run_once(
        self, handler: Callable[[Turn, Any], Reply], operation: Operation, scope: bytes, request_id: bytes
    ) -> Reply:
        """Does an operation unless its request id says that it was done."""
        checksum = fingerprint(operation, self._sync)
        bucket = request_bucket(self.now_ms)
        for place in self._requests.places(bucket, request_id):
            replay = self._replay(request_key(place, scope, request_id), checksum)
            if replay is not None:
                return replay
        reply = handler(self, operation)
        if self.applied:
            self._requests.add(bucket, request_id)
            self._remember(request_key(bucket, scope, request_id), checksum, reply)
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
        # As in `show`, written out for the sake of the hot path.
        if key in self._open_keys or key in self.durable_keys:
            self.gate = self._open_generation
        elif key in self._flushing_keys and self.gate != self._open_generation:
            self.gate = self._open_generation - 1
        if key in self._writes:
            return self._writes[key]
        return load(self._source, self._cache, key)

    def remove(self, key: bytes, expires_at_ms: int) -> None:
        """Removes an entry that a scan of this turn has shown, and spares reading it again."""
        self._before[key] = expires_at_ms
        self.write(key, None)

    def write(self, key: bytes, record: Record | None) -> None:
        """Sets or removes an entry."""
        writes = self._writes
        if key not in self._before:
            before = self.stored(key)
            self._before[key] = None if before is None else before.expires_at_ms
        if self._undo is not None:
            self._undo.append((key, writes.get(key, _ABSENT)))
        writes[key] = record
        if record is not None and record.version > self.version:
            self.version = record.version
        if self._sync:
            self.durable_keys.add(key)
            self.gate = self._open_generation
        elif key in self.durable_keys:
            # Answers about one key leave in order, so not before those of its FSYNC writes.
            self.gate = self._open_generation

    def expiry(self, ttl_ms: int) -> int:
        """When something with this ttl expires; 0 stays 0."""
        return self.now_ms + ttl_ms if ttl_ms else 0

    def begin(self) -> None:
        """For operations of more than one write: if they are refused, what they wrote is taken back."""
        self._undo = []

    def undo(self) -> None:
        """Takes back what the present operation wrote since `begin`."""
        for key, earlier in reversed(self._undo or ()):
            if earlier is _ABSENT:
                del self._writes[key]
            else:
                self._writes[key] = earlier  # type: ignore[assignment]
        self._undo = None

    def scan(self, lower: bytes, upper: bytes, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """What is stored in a range. Raises NeedsWrites when this turn has written what is not stored yet."""
        if self._writes:
            raise NeedsWrites
        return self._source.scan(lower, upper, reverse=reverse)

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
        self.show(database)
        self.sql_kept = True
        if outcome.pages or outcome.gone_from:
            if self._pages is None:
                self._pages = {}
            if outcome.gone_from:
                # Pages that an earlier list of this turn wrote go as well.
                gone = page_key(database, outcome.gone_from), prefix_end(database)
                self.range_deletes = [*self.range_deletes, gone]
                for key in [key for key in self._pages if gone[0] <= key < gone[1]]:
                    del self._pages[key]
            for number, page in outcome.pages.items():
                self._pages[page_key(database, number)] = page
            if self._sync:
                self.durable_keys.add(database)
            if database in self.durable_keys:
                self.gate = self._open_generation
        elif not outcome.read_only:
            self.wait_for_earlier_writes()

    def clear_database(self, database: bytes) -> None:
        """Removes a database, if there is one."""
        self.show(database)
        if self._source.get(page_key(database, 1)) is None:
            return
        self.range_deletes = [*self.range_deletes, (database, prefix_end(database))]
        self.cleared = [*self.cleared, database]
        if self._sync:
            self.durable_keys.add(database)
        if database in self.durable_keys:
            self.gate = self._open_generation

    # What the owner of the turn does with it.

    @property
    def wrote(self) -> bool:
        """Whether there is anything to store."""
        return bool(self._writes or self._remembered or self.stale_index or self.range_deletes or self._pages)

    def collect(self, batch: Batch) -> int:
        """Adds the turn's writes to a batch. Returns by how many the number of stored entries changes."""
        family, out = self._family, batch.writes
        delta = 0
        for key, record in self._writes.items():
            before = self._before[key]
            if record is not None or before is not None:
                out.append((family, key, None if record is None else pack_record(record)))
            delta += (record is not None) - (before is not None)
            expired_at_ms = before or 0
            expires_at_ms = 0 if record is None else record.expires_at_ms
            if expires_at_ms != expired_at_ms:
                if expired_at_ms:
                    out.append((family, expiry_key(expired_at_ms, key), None))
                if expires_at_ms:
                    out.append((family, expiry_key(expires_at_ms, key), b""))
        self._collect_rest(batch)
        return delta

    def _collect_rest(self, batch: Batch) -> None:
        """What is no entry."""
        family = self._family
        for added in (self._remembered, self._pages):
            if added:
                batch.writes += [(family, key, value) for key, value in added.items()]
        batch.writes += [(family, key, None) for key in self.stale_index]
        batch.range_deletes += [(family, lower, upper) for lower, upper in self.range_deletes]

    def settle(self) -> None:
        """Puts what was written into the cache, once it is stored."""
        put = self._cache.put
        for key, record in self._writes.items():
            put(key, record)
        for key in self.forgotten:
            self._cache.discard(key)

    def show(self, key: bytes) -> None:
        """Has the present answer wait for what wrote the state of a key."""
        if key in self._open_keys or key in self.durable_keys:
            self.gate = self._open_generation
        elif key in self._flushing_keys and self.gate != self._open_generation:
            self.gate = self._open_generation - 1

    def _replay(self, key: bytes, checksum: int) -> Reply | None:
        """The answer that a request had the first time, if it is stored. Raises Refusal REQUEST_ID_REUSED."""
        data = self._remembered.get(key) or self._source.get(key)
        if data is None:
            return None
        forgotten_at_ms, stored_checksum, reply = unpack_request(data)
        if forgotten_at_ms <= self.now_ms:
            return None
        self.show(key)
        if stored_checksum != checksum:
            raise Refusal(
                Reason.REQUEST_ID_REUSED,
                "The request id was used for another request within the last 10 minutes."
                " Use a new id for each request, and the same one only to repeat it unchanged.",
                field="request_id",
            )
        return unpack_reply(reply)

    def _remember(self, key: bytes, checksum: int, reply: Reply) -> None:
        self._remembered[key] = pack_request(self.now_ms + REQUEST_TTL_MS, checksum, pack_reply(reply))
        if self._sync:
            self.durable_keys.add(key)
            self.gate = self._open_generation
