"""What one step writes, as plain values: serialisable, and the same however often it is applied."""

from __future__ import annotations

from dataclasses import dataclass, field

# The column family of the partition itself; actors count from 0.
PARTITION_FAMILY = -1


@dataclass(slots=True)
class Batch:
    """Writes that become visible and durable together. Range deletions are applied before everything else.

    A family is the index of an actor, or PARTITION_FAMILY.
    """

    # (family, first key, key after the last)
    range_deletes: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    # (family, key, value, or None to delete), in order
    writes: list[tuple[int, bytes, bytes | None]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.writes or self.range_deletes)
