"""What raw SQL through D1 answers, under the names that Cloudflare's D1 has for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from petra.sql import Cell, Result


@dataclass(frozen=True, slots=True)
class D1Meta:
    """What a statement did and cost.

    `duration` is how long the server ran it, in milliseconds; `size_after` is the size of the database in bytes;
    `last_row_id` is that of the newest row inserted since the server opened the database, 0 for none.
    """

    changes: int
    last_row_id: int
    rows_read: int
    rows_written: int
    duration: float
    size_after: int


@dataclass(frozen=True, slots=True)
class D1Result:
    """The rows of a statement, each by the names of its columns, and what it did."""

    results: list[dict[str, Cell]]
    meta: D1Meta

    @classmethod
    def of(cls, result: Result) -> D1Result:
        """The same in D1's words."""
        meta = D1Meta(
            changes=result.changes,
            last_row_id=result.last_insert_rowid,
            rows_read=result.rows_read,
            rows_written=result.rows_written,
            duration=result.duration * 1_000,
            size_after=result.database_bytes or 0,
        )
        return cls(result.mappings(), meta)
