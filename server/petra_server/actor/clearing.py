"""A clear of more entries than one turn may look at.

It counts in slices while its actor is busy, and removes in one batch: so it is atomic, and no other actor waits for
more than a slice.
"""

from __future__ import annotations

from petra_server.actor.actor import Actor
from petra_server.actor.operations import Clear
from petra_server.storage.batch import Batch
from petra_server.storage.keys import prefix_end
from petra_server.storage.records import unpack_record

# Entries of a slice: some milliseconds.
_SLICE = 2_000
_SLICE_BYTES = 8 << 20


class SlicedClear:
    """Call `advance` until it says True, then store `batch`."""

    def __init__(self, actor: Actor, operation: Clear, now_ms: int) -> None:
        self._actor = actor
        self._operation = operation
        self._now_ms = now_ms
        self._items = actor.family.scan(operation.lower, operation.upper)
        # The database that goes as well, empty for none.
        self.database = operation.database
        # Entries that are not expired, and all of them.
        self.live = 0
        self.total = 0

    def advance(self) -> bool:
        """Looks at one more slice. True when that was the last one."""
        discard = self._actor.cache.discard
        read = 0
        for key, data in self._items:
            discard(key)
            self.total += 1
            self.live += not 0 < unpack_record(data).expires_at_ms <= self._now_ms
            read += len(data)
            if self.total % _SLICE == 0 or read > _SLICE_BYTES:
                return False
        return True

    def batch(self) -> Batch:
        """What removes the entries. Their expiry index is left to the sweeper, which sees that it is stale."""
        index, operation = self._actor.index, self._operation
        batch = Batch(range_deletes=[(index, operation.lower, operation.upper)])
        if operation.database:
            batch.range_deletes.append((index, operation.database, prefix_end(operation.database)))
        return batch
