"""What a transaction has read and will write, and how that becomes one Transact. Pure; both client trees use it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from petra._transport.arguments import algorithm_number, checked_key, int64, uint32, version_number
from petra._transport.operations import Transact, throttled_of
from petra._transport.requests import Requests
from petra.deferred import Deferred
from petra.errors import InvalidArgument, VersionConflict
from petra.v1 import storage_pb2 as pb
from petra.values import Algorithm, Durability, Entry, Seconds, Throttled, Value, to_ttl_ms

T = TypeVar("T")

_Read = Callable[[pb.OperationResult], Any]


class Overtaken(VersionConflict):
    """Somebody changed what this attempt has read: another one may do better."""


class Recording:
    """One attempt of a transaction: what both client trees share of it.

    Every key that was read, or checked, is a condition: the transaction commits only if none of them has changed.
    Writes are recorded, seen by later reads, and done in their order when it commits.
    """

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._versions: dict[str, int] = {}
        self._operations: list[pb.Operation] = []
        self._deferred: list[tuple[Deferred[Any], _Read]] = []
        # What a read of a key sees that was written here: an entry, None for deleted.
        self._written: dict[str, Entry | None] = {}
        # Keys whose value only the server will know.
        self._opaque: dict[str, str] = {}
        self._ended = False

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
            return True, self._written[key]
        return False, None

    def _saw(self, key: str, entry: Entry | None) -> None:
        """Notes a version that was read. Raises Overtaken when it differs from what was read before."""
        self.check(key, 0 if entry is None else entry.version)

    def check(self, key: str, version: int) -> None:
        """Requires a version at commit; 0 for absent."""
        self._check_open()
        version = version_number(version)
        known = self._versions.setdefault(checked_key(key), version)
        if known != version:
            raise Overtaken(
                f"{key!r} was read with version {known}, and has version {version} now.", version=version, key=key
            )

    # Writes.

    def set(self, key: str, value: Value, *, ttl: Seconds | None = None, keep_ttl: bool = False) -> Deferred[int]:
        """Writes a value; the result is its version."""
        if keep_ttl and ttl is not None:
            raise InvalidArgument("Give ttl or keep_ttl, not both.", field="keep_ttl")
        item = self._requests.item(key, value, to_ttl_ms(ttl), None, keep_ttl)
        self._wrote(key, Entry(key, value, 0, None))
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
            burst=0 if burst is None else uint32(burst, "burst"),
            cost=uint32(cost, "cost"),
            peek=peek,
        )
        self._opaque[key] = "throttle"
        return self._record(pb.Operation(throttle=item), lambda result: throttled_of(result.throttle))

    # The end.

    def _end(self, durability: Durability | None) -> Transact | None:
        """Takes nothing more. The call that commits it, or None when there is nothing to commit."""
        self._ended = True
        if not self._operations and not self._versions:
            return None
        conditions = [pb.Condition(key=key, version=version) for key, version in self._versions.items()]
        return self._requests.transact(conditions, self._operations, durability=durability)

    def _committed(self, response: pb.TransactResponse) -> None:
        """Gives the recorded operations their results. Raises Overtaken when the conditions did not hold."""
        if not response.committed:
            present = response.conflicts[0] if response.conflicts else pb.Entry()
            raise Overtaken(
                f"The entry {present.key!r} was changed while the transaction ran.",
                version=present.version,
                key=present.key,
            )
        for (deferred, read), result in zip(self._deferred, response.results, strict=True):
            deferred._resolve(partial(read, result))

    def _check_open(self) -> None:
        if self._ended:
            raise RuntimeError(
                "This transaction has ended. Use it only within the function that was given to transact."
            )

    def _wrote(self, key: str, entry: Entry | None) -> None:
        self._opaque.pop(key, None)
        self._written[key] = entry

    def _record(self, operation: pb.Operation, read: Callable[[pb.OperationResult], T]) -> Deferred[T]:
        self._check_open()
        deferred: Deferred[T] = Deferred()
        self._operations.append(operation)
        self._deferred.append((deferred, read))
        return deferred
