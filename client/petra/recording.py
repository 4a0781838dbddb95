"""What a transaction has read and will write, and how that becomes one Transact. Pure; both client trees use it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, TypeVar

from petra._transport.arguments import algorithm_number, checked_key, int64, positive_uint32, uint32, version_number
from petra._transport.operations import Transact, decoded, throttled_of
from petra._transport.requests import Requests
from petra.deferred import Deferred, succeed
from petra.errors import InvalidArgument, VersionConflict
from petra.recorded_sql import RecordedSql
from petra.v1 import storage_pb2 as pb
from petra.values import Algorithm, Durability, Entry, Seconds, Throttled, Value, to_ttl_ms

T = TypeVar("T")

_Read = Callable[[Sequence[pb.OperationResult]], Any]


class Overtaken(Exception):
    """Somebody changed what this attempt has read: another one may do better.

    It is no PetraError, so that a function which handles those does not take it for an answer to its own call.
    """

    def __init__(self, conflict: VersionConflict) -> None:
        super().__init__(conflict)
        self.conflict = conflict


class Recording:
    """One attempt of a transaction: what both client trees share of it.

    Every key that was read, or checked, is a condition: the transaction commits only if none of them has changed.
    Writes are recorded, seen by later reads, and done in their order when it commits.
    """

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        # The conditions: what was read, and what the function requires whatever it reads.
        self._read: dict[str, int] = {}
        self._required: dict[str, int] = {}
        self._operations: list[pb.Operation] = []
        # Each with the number of its operations.
        self._deferred: list[tuple[Deferred[Any], int, _Read]] = []
        # What a read of a key sees that was written here: what is to be stored, None for deleted.
        self._written: dict[str, pb.SetItem | None] = {}
        # Keys whose value only the server will know.
        self._opaque: dict[str, str] = {}
        self._ended = False

    @property
    def sql(self) -> RecordedSql:
        """Statements on the object's database, done in order with the other writes."""
        return RecordedSql(self._record_all)

    # Reads.

    def _look_up(self, key: str) -> tuple[bool, Entry | None]:
        """Whether the transaction itself knows what a key holds, and what."""
        self._check_open()
        if checked_key(key) in self._opaque:
            raise InvalidArgument(
                f"{key!r} was changed by {self._opaque[key]} in this transaction, so its value is known only when it"
                " commits. Read it before.",
                field="key",
            )
        if key in self._written:
            item = self._written[key]
            # As it will be read: what the codec makes of it, whatever has become of the object that was given.
            if item is None:
                return True, None
            return True, Entry(key, decoded(self._requests.codec, item.value, item.encoding), 0, None)
        return False, None

    def _saw(self, key: str, entry: Entry | None) -> None:
        """Notes a version that was read. Raises Overtaken when it differs from what was read before."""
        version = 0 if entry is None else entry.version
        known = self._read.setdefault(key, version)
        if known != version:
            raise Overtaken(_changed(key, version))
        self._check_required(key)

    def check(self, key: str, version: int) -> None:
        """Requires a version, 0 for absent: where the entry has another one, `transact` raises VersionConflict."""
        self._check_open()
        version = version_number(version, field="version")
        if self._required.setdefault(checked_key(key), version) != version:
            raise InvalidArgument(
                f"Two versions of {key!r} are required, {self._required[key]} and {version}.", field="version"
            )
        self._check_required(key)

    def _check_required(self, key: str) -> None:
        version = self._read.get(key)
        if version is not None and self._required.get(key, version) != version:
            raise _changed(key, version)

    # Writes.

    def set(self, key: str, value: Value, *, ttl: Seconds | None = None, keep_ttl: bool = False) -> Deferred[int]:
        """Writes a value; the result is its version."""
        if keep_ttl and ttl is not None:
            raise InvalidArgument("Give ttl or keep_ttl, not both.", field="keep_ttl")
        item = self._requests.item(key, value, to_ttl_ms(ttl), None, keep_ttl)
        self._wrote(key, item)
        return self._record(pb.Operation(set=item), lambda result: result.set.version)

    def delete(self, key: str) -> Deferred[bool]:
        """Removes an entry; the result is whether there was one."""
        item = pb.DeleteItem(key=checked_key(key))
        self._wrote(key, None)
        return self._record(pb.Operation(delete=item), lambda result: result.delete.deleted)

    def increment(self, key: str, delta: int = 1, *, initial: int = 0, ttl: Seconds | None = None) -> Deferred[int]:
        """Adds to an integer; the result is the sum. Errors of the addition are raised by `transact`."""
        item = pb.IncrementItem(
            key=checked_key(key),
            delta=int64(delta, "delta"),
            initial=int64(initial, "initial"),
            ttl_ms=to_ttl_ms(ttl),
        )
        self._opaque[key] = "increment"
        return self._record(pb.Operation(increment=item), lambda result: result.increment.value)

    def touch(self, key: str, ttl: Seconds | None) -> Deferred[bool]:
        """Gives an entry a new expiry, or none; the result is whether there is such an entry."""
        item = pb.TouchItem(key=checked_key(key), ttl_ms=to_ttl_ms(ttl))
        return self._record(pb.Operation(touch=item), lambda result: result.touch.found)

    def throttle(
        self,
        key: str,
        limit: int,
        period: Seconds,
        *,
        algorithm: Algorithm = "gcra",
        burst: int | None = None,
        cost: int = 1,
        peek: bool = False,
    ) -> Deferred[Throttled]:
        """Checks a rate limit and charges it if the transaction commits. A denial does not abort it."""
        item = pb.ThrottleItem(
            key=checked_key(key),
            algorithm=algorithm_number(algorithm),
            limit=uint32(limit, "limit"),
            period_ms=to_ttl_ms(period, field="period"),
            burst=0 if burst is None else positive_uint32(burst, "burst"),
            cost=positive_uint32(cost, "cost"),
            peek=peek,
        )
        self._opaque[key] = "throttle"
        return self._record(pb.Operation(throttle=item), lambda result: throttled_of(result.throttle))

    # The end.

    def _end(self, durability: Durability | None) -> Transact | None:
        """Takes nothing more. The call that commits it, or None when there is nothing to commit."""
        self._ended = True
        versions = self._read | self._required
        if not self._operations and not versions:
            return None
        conditions = [pb.Condition(key=key, version=version) for key, version in versions.items()]
        interruptible = any(operation.HasField("sql") for operation in self._operations)
        return self._requests.transact(conditions, self._operations, durability=durability, interruptible=interruptible)

    def _committed(self, response: pb.TransactResponse) -> None:
        """Gives the recorded operations their results.

        Raises Overtaken when another attempt may find the conditions met, and VersionConflict when none will.
        """
        if not response.committed:
            conflicts = [_changed(entry.key, entry.version) for entry in response.conflicts]
            for conflict in conflicts:
                if conflict.key not in self._read:
                    raise conflict
            raise Overtaken(conflicts[0])
        results = iter(response.results)
        for deferred, count, read in self._deferred:
            succeed(deferred, read(list(islice(results, count))))

    def _check_open(self) -> None:
        if self._ended:
            raise RuntimeError(
                "This transaction has ended. Use it only within the function that was given to transact."
            )

    def _wrote(self, key: str, item: pb.SetItem | None) -> None:
        self._opaque.pop(key, None)
        self._written[key] = item

    def _record(self, operation: pb.Operation, read: Callable[[pb.OperationResult], T]) -> Deferred[T]:
        return self._record_all([operation], lambda results: read(results[0]))

    def _record_all(
        self, operations: Sequence[pb.Operation], read: Callable[[Sequence[pb.OperationResult]], T]
    ) -> Deferred[T]:
        self._check_open()
        deferred: Deferred[T] = Deferred()
        self._operations.extend(operations)
        self._deferred.append((deferred, len(operations), read))
        return deferred


def _changed(key: str, version: int) -> VersionConflict:
    present = f"has version {version} now" if version else "is absent now"
    return VersionConflict(f"Somebody else has changed {key!r}: it {present}.", version=version, key=key)
