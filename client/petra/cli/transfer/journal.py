"""What an import keeps beside its input: how far it has come, and the lines that it put aside.

The lines put aside are on the disk before the position that has them behind it.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import IO, Final

from petra.cli.transfer.import_file import Batch, Broken, Position
from petra.cli.transfer.importing import Outcome
from petra.cli.transfer.position_file import Reached, save

# What an interrupted import does again is what it did since the last note.
_SAVE_SECONDS: Final = 1.0


class Journal:
    """Takes note of batches in their order. One thread."""

    def __init__(self, reached: Reached, position_path: Path | None, broken_path: Path | None) -> None:
        """Continues at `reached`. No `position_path`: nothing is kept. No `broken_path`: a broken line is the end."""
        self.reached = reached
        self.stopped_by: Broken | None = None
        self.said_entries: int | None = None
        self._position_path = position_path
        # The first note is saved at once, and so tells early whether it can be.
        self._saved_at = float("-inf")
        self._aside: IO[bytes] | None = None
        if broken_path is not None:
            self._aside = broken_path.open("r+b" if reached.broken_bytes else "wb")
            self._aside.truncate(reached.broken_bytes)
            self._aside.seek(reached.broken_bytes)

    def note(self, batch: Batch, outcome: Outcome) -> list[Broken]:
        """Takes note of a batch that is durable; returns its broken lines. `stopped_by` says when it cannot go on."""
        for end in batch.ends:
            self.said_entries = end.entries
        broken = outcome.broken
        position = batch.end
        imported, expired = outcome.imported, len(outcome.expired)
        if broken and (self._aside is None or not broken[0].before.lines):
            self.stopped_by = broken[0]
            # What stands behind it is in the server already, or is not: it will be written again.
            position = broken[0].before
            expired = sum(line.before.offset < position.offset for line in outcome.expired)
            imported = sum(line.before.offset < position.offset for line in batch.lines) - expired
        elif self._aside is not None:
            for each in broken:
                self._aside.write(each.text if each.text.endswith(b"\n") else each.text + b"\n")
        self.reached = replace(
            self.reached,
            position=position,
            imported=self.reached.imported + imported,
            expired=self.reached.expired + expired,
            broken=self.reached.broken + (0 if self.stopped_by else len(broken)),
            broken_bytes=self._aside.tell() if self._aside is not None else 0,
        )
        if time.monotonic() - self._saved_at >= _SAVE_SECONDS:
            self.save()
        return broken

    def save(self) -> None:
        """Puts on the disk what was noted so far."""
        if self._aside is not None:
            self._aside.flush()
            os.fsync(self._aside.fileno())
        if self._position_path is not None and self.reached.position != Position():
            save(self._position_path, self.reached)
        self._saved_at = time.monotonic()

    def close(self, *, complete: bool) -> None:
        """Saves, or forgets the position of an import that is complete."""
        try:
            self.save()
            if complete and self._position_path is not None:
                self._position_path.unlink(missing_ok=True)
        finally:
            if self._aside is not None:
                self._aside.close()
