"""The operations of a pipeline, recorded in order until they are executed. Pure; both client trees use it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from petra._transport.calls import Call
from petra._transport.requests import Bulk, Requests
from petra.deferred import Deferred, fail, succeed
from petra.errors import PetraError
from petra.values import Algorithm, Durability, Entry, RateLimit, Seconds, Throttled, Value

D = TypeVar("D")
T = TypeVar("T")


class Recorder:
    """What `pipeline()` returns has these methods: each records an operation and returns its result to be."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._steps: list[tuple[Deferred[Any], Bulk[Any]]] = []

    def __len__(self) -> int:
        """How many operations are recorded and not executed."""
        return len(self._steps)

    def get(self, key: str, default: D | None = None) -> Deferred[Value | D]:
        """Records a read of a value."""
        return self._record(self._requests.get(key, default))

    def get_entry(self, key: str) -> Deferred[Entry | None]:
        """Records a read of an entry."""
        return self._record(self._requests.get_entry(key))

    def get_many(self, keys: Iterable[str]) -> Deferred[dict[str, Value]]:
        """Records a read of many values."""
        return self._record_bulk(self._requests.get_many(keys))

    def get_entries(self, keys: Iterable[str]) -> Deferred[dict[str, Entry]]:
        """Records a read of many entries."""
        return self._record_bulk(self._requests.get_entries(keys))

    def set(
        self,
        key: str,
        value: Value,
        *,
        ttl: Seconds | None = None,
        keep_ttl: bool = False,
        if_version: int | None = None,
        if_absent: bool = False,
        durability: Durability | None = None,
    ) -> Deferred[int]:
        """Records a write; its result is the version."""
        call = self._requests.set(
            key,
            value,
            ttl=ttl,
            keep_ttl=keep_ttl,
            if_version=if_version,
            if_absent=if_absent,
            durability=durability,
        )
        return self._record(call)

    def set_many(
        self,
        items: Mapping[str, Value],
        *,
        ttl: Seconds | None = None,
        if_versions: Mapping[str, int] | None = None,
        durability: Durability | None = None,
    ) -> Deferred[dict[str, int]]:
        """Records many writes; their result is the versions."""
        return self._record_bulk(
            self._requests.set_many(items, ttl=ttl, if_versions=if_versions, durability=durability)
        )

    def delete(
        self, key: str, *, if_version: int | None = None, durability: Durability | None = None
    ) -> Deferred[bool]:
        """Records a removal; its result is whether there was an entry."""
        return self._record(self._requests.delete(key, if_version=if_version, durability=durability))

    def delete_many(self, keys: Iterable[str], *, durability: Durability | None = None) -> Deferred[int]:
        """Records many removals; their result is how many entries there were."""
        return self._record_bulk(self._requests.delete_many(keys, durability=durability))

    def increment(
        self,
        key: str,
        delta: int = 1,
        *,
        initial: int = 0,
        ttl: Seconds | None = None,
        durability: Durability | None = None,
    ) -> Deferred[int]:
        """Records an addition; its result is the sum."""
        return self._record(self._requests.increment(key, delta, initial=initial, ttl=ttl, durability=durability))

    def touch(self, key: str, ttl: Seconds | None) -> Deferred[bool]:
        """Records a new expiry; its result is whether there is such an entry."""
        return self._record(self._requests.touch(key, ttl))

    def clear(self, *, prefix: str = "", durability: Durability | None = None) -> Deferred[int]:
        """Records a removal of everything with a prefix; its result is how many entries there were."""
        return self._record(self._requests.clear(prefix=prefix, durability=durability))

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
        durability: Durability | None = None,
    ) -> Deferred[Throttled]:
        """Records a check of a rate limit."""
        call = self._requests.throttle(
            key, limit, period, algorithm=algorithm, burst=burst, cost=cost, peek=peek, durability=durability
        )
        return self._record(call)

    def throttle_all(
        self,
        key: str,
        limits: Iterable[RateLimit],
        *,
        cost: int = 1,
        peek: bool = False,
        durability: Durability | None = None,
    ) -> Deferred[Throttled]:
        """Records a check of several rate limits under one key."""
        return self._record(self._requests.throttle_all(key, limits, cost=cost, peek=peek, durability=durability))

    def _record(self, call: Call[T]) -> Deferred[T]:
        return self._record_bulk(Bulk([call], next_of))

    def _record_bulk(self, bulk: Bulk[T]) -> Deferred[T]:
        deferred: Deferred[T] = Deferred()
        for call in bulk.calls:
            # A refusal stands in its place: to try it again would turn the order.
            call.in_group = True
        self._steps.append((deferred, bulk))
        return deferred

    def _take(self) -> tuple[list[tuple[Deferred[Any], Bulk[Any]]], list[Call[Any]]]:
        """What is recorded, and its calls in order. Nothing is recorded afterwards."""
        steps, self._steps = self._steps, []
        return steps, [call for _, bulk in steps for call in bulk.calls]


def next_of(results: Iterable[T]) -> T:
    """The result of the one call there is."""
    (result,) = results
    return result


def settle(steps: Iterable[tuple[Deferred[Any], Bulk[Any]]]) -> list[Value | PetraError]:
    """Gives the operations their results, and lists them in order; an error stands in its place."""
    found: list[Value | PetraError] = []
    for deferred, bulk in steps:
        try:
            result = bulk.result()
        except PetraError as error:
            fail(deferred, error)
            found.append(error)
        else:
            succeed(deferred, result)
            found.append(result)
    return found
