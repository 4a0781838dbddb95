"""Which request ids may have been used of late: so that a new one, as nearly all are, is not looked for on the disk.

It never says of a stored request that it is new, also not after a restart or when the clock is set back; of a new one
it may say that it is stored, and then the look at the disk decides. Loop thread only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from petra_server.storage.keys import REQUEST_BOUNDS, bucket_of_request

# 8 MiB for each of two buckets. A million requests in 10 minutes fill 1.5 % of it, and 14 million, as many as a server
# does by itself, 19 %: so often a look at the disk is in vain.
_TABLE_BITS = 26


class RecentRequests:
    """The ids that this process has remembered, as bits at their hashes, by bucket. One for a partition."""

    def __init__(self, table_bits: int = _TABLE_BITS) -> None:
        self._table_bytes = 1 << (table_bits - 3)
        self._mask = (1 << table_bits) - 1
        self._tables: dict[int, bytearray] = {}
        # Buckets from here on that have no table are empty.
        self._known_from = 0

    def add(self, bucket: int, request_id: bytes) -> None:
        table = self._tables.get(bucket)
        if table is None:
            if bucket < self._known_from:
                return
            table = self._begin(bucket)
        place = hash(request_id) & self._mask
        table[place >> 3] |= 1 << (place & 7)

    def may_hold(self, bucket: int, request_id: bytes) -> bool:
        table = self._tables.get(bucket)
        if table is None:
            return bucket < self._known_from
        place = hash(request_id) & self._mask
        return bool(table[place >> 3] >> (place & 7) & 1)

    def _begin(self, bucket: int) -> bytearray:
        """A table for a bucket. Only the present bucket and the one before are ever asked for."""
        if len(self._tables) == 2:
            oldest = min(self._tables)
            del self._tables[oldest]
            self._known_from = max(self._known_from, oldest + 1)
        table = self._tables[bucket] = bytearray(self._table_bytes)
        return table


class Stored(Protocol):
    """Where an actor's requests are stored."""

    def scan(self, lower: bytes, upper: bytes, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]: ...


class ActorRequests:
    """The same for one actor, whose requests of earlier processes it does not know one by one."""

    __slots__ = ("_inherited", "_recent", "_stored")

    def __init__(self, recent: RecentRequests, stored: Stored) -> None:
        self._recent = recent
        self._stored = stored
        # The newest bucket in which an earlier process has left requests; None until it is needed.
        self._inherited: int | None = None

    def add(self, bucket: int, request_id: bytes) -> None:
        """A request is about to be stored."""
        self._recent.add(bucket, request_id)

    def places(self, bucket: int, request_id: bytes) -> list[int]:
        """In which of this bucket and the one before a request may be stored. Asked of each before it is added."""
        if self._inherited is None:
            last = next(self._stored.scan(*REQUEST_BOUNDS, reverse=True), None)
            self._inherited = -1 if last is None else bucket_of_request(last[0])
        may_hold, inherited = self._recent.may_hold, self._inherited
        return [place for place in (bucket, bucket - 1) if place <= inherited or may_hold(place, request_id)]
