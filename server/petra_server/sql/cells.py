"""Values of SQL in columns: what each cell is, and the values of each kind in the order of the cells. Pure.

Columns because they are cheap in Python and on the wire: petra.v1.Cells has the same fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple, TypeAlias, cast

SqlValue: TypeAlias = int | float | str | bytes | None

NULL, INTEGER, DOUBLE, TEXT, BLOB = range(5)

# What a cell takes of a message beside its text or blob: its kind, and a tag and length or a number.
CELL_BYTES = 11


class Cells(NamedTuple):
    """The cells of some rows, row after row. `kinds` has a number for each: NULL, INTEGER, DOUBLE, TEXT or BLOB."""

    kinds: Sequence[int]
    integers: Sequence[int]
    doubles: Sequence[float]
    texts: Sequence[str]
    blobs: Sequence[bytes]

    def values(self) -> list[SqlValue]:
        """All values, in order. Raises ValueError when the columns do not fit together."""
        nulls: Iterator[SqlValue] = iter((None,) * self.kinds.count(NULL))
        sources = (nulls, iter(self.integers), iter(self.doubles), iter(self.texts), iter(self.blobs))
        try:
            values: list[SqlValue] = [next(sources[kind]) for kind in self.kinds]
        except (StopIteration, IndexError):
            raise ValueError("kinds name other cells than there are") from None
        if any(next(source, self) is not self for source in sources):
            raise ValueError("there are more cells than kinds")
        return values


NO_CELLS = Cells((), (), (), (), ())


_KINDS: dict[type, int] = {type(None): NULL, int: INTEGER, float: DOUBLE, str: TEXT, bytes: BLOB}


def cells_of(rows: Iterable[Sequence[SqlValue]]) -> tuple[Cells, int]:
    """Rows in columns, and about how many bytes they take of a message."""
    values = list(chain.from_iterable(rows))
    if not values:
        return NO_CELLS, 0
    kinds = list(map(_KINDS.__getitem__, map(type, values)))
    present = set(kinds)
    # The kind of a value is its type.
    integers, doubles, texts, blobs = cast(
        tuple[list[int], list[float], list[str], list[bytes]],
        tuple(
            [value for value, one in zip(values, kinds, strict=True) if one == kind] if kind in present else []
            for kind in (INTEGER, DOUBLE, TEXT, BLOB)
        ),
    )
    text_bytes = len("".join(texts).encode()) if texts else 0
    size_bytes = CELL_BYTES * len(values) + text_bytes + sum(map(len, blobs))
    return Cells(kinds, integers, doubles, texts, blobs), size_bytes
