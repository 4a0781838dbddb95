"""One actor in memory: turns run over a dictionary, and are stored as the router stores them. No RocksDB, no loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from petra_server.actor.handlers import HANDLERS
from petra_server.actor.operations import Get, GetReply, Operation, Reply, Set
from petra_server.actor.recent import ActorRequests, RecentRequests
from petra_server.actor.turn import Turn
from petra_server.errors import Reason, Refusal
from petra_server.storage.batch import Batch
from petra_server.storage.cache import EntryCache
from petra_server.storage.keys import KIND_ENTRY, KIND_EXPIRY, KIND_REQUEST, entry_prefix, split_expiry
from petra_server.storage.records import Record, unpack_record

FAMILY = 3
SCOPE = entry_prefix(b"space", b"room")
START_MS = 1_700_000_000_000


def at(name: str) -> bytes:
    """The entry key of a name."""
    return SCOPE + name.encode()


def put(name: str, value: bytes = b"v", *, ttl_ms: int = 0, if_version: int | None = None, keep: bool = False) -> Set:
    return Set(at(name), value, 1, ttl_ms, if_version, keep)


class MemoryFamily:
    """A column family as a dictionary. It counts what is read of it by key."""

    def __init__(self) -> None:
        self.data: dict[bytes, bytes] = {}
        self.reads = 0

    def get(self, key: bytes) -> bytes | None:
        self.reads += 1
        return self.data.get(key)

    def scan(self, lower: bytes, upper: bytes, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        keys = sorted((key for key in self.data if lower <= key < upper), reverse=reverse)
        return iter([(key, self.data[key]) for key in keys])

    def apply(self, batch: Batch) -> None:
        for family, lower, upper in batch.range_deletes:
            assert family == FAMILY
            for key in [key for key in self.data if lower <= key < upper]:
                del self.data[key]
        for family, key, value in batch.writes:
            assert family == FAMILY
            if value is None:
                self.data.pop(key, None)
            else:
                self.data[key] = value

    def of_kind(self, kind: bytes) -> dict[bytes, bytes]:
        return {key: value for key, value in self.data.items() if key.startswith(kind)}


@dataclass(slots=True)
class Unflushed:
    """Which keys are written and not durable."""

    open_generation: int = 1
    open_keys: set[bytes] = field(default_factory=set)
    flushing_keys: set[bytes] = field(default_factory=set)


class Stage:
    """The actor and its surroundings."""

    def __init__(self, *, cache_bytes: int = 1 << 20) -> None:
        self.family = MemoryFamily()
        self.cache = EntryCache(cache_bytes).view()
        self.requests_known = ActorRequests(RecentRequests(), self.family)
        self.pending = Unflushed()
        self.now_ms = START_MS
        self.keys = 0
        self._version = 0

    def turn(self, *, floor: int = 0, written: int = 0) -> Turn:
        return Turn(
            FAMILY,
            self.family,
            self.cache,
            self.requests_known,
            self.pending,
            self._next_version,
            self.now_ms,
            floor,
            written,
        )

    def store(self, turn: Turn) -> Batch:
        """What the router does when the batch was written."""
        batch = Batch()
        self.keys += turn.collect(batch)
        self.family.apply(batch)
        turn.settle()
        self.pending.open_keys |= turn.durable_keys
        return batch

    def do(self, operation: Operation, *, sync: bool = True, request_id: bytes = b"") -> Reply:
        """One operation in a turn of its own, which is stored even when it was refused."""
        turn = self.turn()
        try:
            return run(turn, operation, sync=sync, request_id=request_id)
        finally:
            self.store(turn)

    def refusal(self, operation: Operation, *, request_id: bytes = b"") -> Refusal:
        """Why an operation is refused, which must leave everything as it was."""
        before = dict(self.family.data)
        try:
            reply = self.do(operation, request_id=request_id)
        except Refusal as refusal:
            assert self.family.data == before
            return refusal
        raise AssertionError(f"not refused: {reply}")

    def record(self, name: str) -> Record | None:
        """What a user sees under a name."""
        reply = self.do(Get(at(name)))
        assert isinstance(reply, GetReply)
        return reply.record

    def value(self, name: str) -> bytes | None:
        record = self.record(name)
        return None if record is None else record.value

    def close_generation(self) -> None:
        """The open generation is being flushed now."""
        self.pending.flushing_keys, self.pending.open_keys = self.pending.open_keys, set()
        self.pending.open_generation += 1

    def end_flush(self) -> None:
        self.pending.flushing_keys = set()

    def settle(self) -> None:
        """All that is written is durable."""
        self.close_generation()
        self.end_flush()

    # What is stored.

    def entries(self) -> dict[bytes, Record]:
        return {key: unpack_record(value) for key, value in self.family.of_kind(KIND_ENTRY).items()}

    def index(self) -> set[tuple[int, bytes]]:
        """The expiry index: times and entry keys."""
        return {split_expiry(key) for key in self.family.of_kind(KIND_EXPIRY)}

    def expiring(self) -> set[tuple[int, bytes]]:
        """What the expiry index should be."""
        return {(record.expires_at_ms, key) for key, record in self.entries().items() if record.expires_at_ms}

    def requests(self) -> dict[bytes, bytes]:
        return self.family.of_kind(KIND_REQUEST)

    def _next_version(self) -> int:
        self._version += 1
        return self._version


def run(turn: Turn, operation: Operation, *, sync: bool = True, request_id: bytes = b"") -> Reply:
    return turn.run(HANDLERS[type(operation)], operation, sync, SCOPE, request_id)


def run_all(turn: Turn, operations: Sequence[Operation], *, sync: bool = True) -> list[Reply]:
    return [run(turn, operation, sync=sync) for operation in operations]


def reason(refusal: Refusal) -> tuple[Reason, str]:
    """What a caller acts on: the reason, and the field that is wrong."""
    return refusal.reason, refusal.field
