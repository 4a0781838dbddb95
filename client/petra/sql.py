"""What statements of SQL take and give: texts with parameters, rows, results. Pure.

Values are those of SQLite: None, int (64 bits), float, str and bytes. A bool goes as the int that it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple, SupportsIndex, TypeAlias, overload

from petra.errors import NoRow, NotOneRow, SeveralRows

__all__ = ["Cell", "Column", "DatabaseInfo", "Params", "Result", "Row", "SqlValue", "Statement", "row_type"]

# What a parameter may be.
SqlValue: TypeAlias = int | float | str | bytes | None
# By position, or by name: with the sign of :a, @a and $a or without it.
Params: TypeAlias = Sequence[SqlValue] | Mapping[str, SqlValue]
# What is in a row: a SqlValue, of which kind the statement says.
Cell: TypeAlias = Any

# Of a list of column names, in an error.
_SHOWN_NAMES: Final = 20


class Column(NamedTuple):
    """A column of a result. The type is the one its table declares, as it is written there; empty for an expression."""

    name: str
    declared_type: str


class Row(tuple[Cell, ...]):
    """A row: a tuple whose values can be read by the names of their columns as well.

    Of several columns with one name the first counts. `dict(row)` is the same as `row.mapping`.
    """

    __slots__ = ()

    # Of the class that all rows with these columns share.
    _names: tuple[str, ...] = ()
    _indexes: Mapping[str, int] = {}

    @overload
    def __getitem__(self, which: SupportsIndex | str, /) -> Cell: ...

    @overload
    def __getitem__(self, which: slice, /) -> tuple[Cell, ...]: ...

    def __getitem__(self, which: SupportsIndex | str | slice, /) -> Cell:
        """The value of a column, by its name or its number. Raises KeyError, IndexError."""
        if isinstance(which, str):
            try:
                which = self._indexes[which]
            except KeyError:
                shown = ", ".join(self._names[:_SHOWN_NAMES]) + (", ..." if len(self._names) > _SHOWN_NAMES else "")
                raise KeyError(f"No column {which!r}; there are {shown}.") from None
        return super().__getitem__(which)

    def keys(self) -> list[str]:
        """The names of the columns, in their order."""
        return list(self._names)

    @property
    def mapping(self) -> dict[str, Cell]:
        """The values by the names of their columns."""
        return {name: super(Row, self).__getitem__(index) for name, index in self._indexes.items()}

    def __reduce__(self) -> tuple[object, ...]:
        return _row, (self._names, tuple(self))


# As many shapes of results as a program uses at a time.
@lru_cache(maxsize=512)
def row_type(names: tuple[str, ...]) -> type[Row]:
    """The class of rows with these columns: so a row holds nothing but its values."""
    indexes = {name: index for index, name in reversed(list(enumerate(names)))}
    members = {"__slots__": (), "__module__": Row.__module__, "__qualname__": "Row", "__doc__": Row.__doc__}
    in_order = dict(sorted(indexes.items(), key=lambda item: item[1]))
    return type("Row", (Row,), {**members, "_names": names, "_indexes": in_order})


def _row(names: tuple[str, ...], values: tuple[Cell, ...]) -> Row:
    return row_type(names)(values)


@dataclass(frozen=True, slots=True)
class Result:
    """What one statement did. It iterates over its rows, and its length is their number.

    Of a text with several statements the rows are those of the last one, and the figures are sums over all.
    """

    # Empty when the statement returns no rows.
    columns: tuple[Column, ...]
    rows: list[Row]
    # Rows inserted, updated or deleted, without those that triggers and foreign keys changed.
    changes: int
    # Of the newest row inserted since the server opened the database; 0 for none.
    last_insert_rowid: int
    # As near as SQLite tells: steps of full scans, or the rows returned where those are more.
    rows_read: int
    # As `changes`, with those that triggers and foreign keys changed.
    rows_written: int
    # How long the server ran it, in seconds.
    duration: float
    # The size of the database afterwards; None within a transaction, whose answer does not tell.
    database_bytes: int | None

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def first(self) -> Row | None:
        """The first row, or None."""
        return self.rows[0] if self.rows else None

    def one(self) -> Row:
        """The only row. Raises NoRow or SeveralRows, which are NotOneRow."""
        if len(self.rows) == 1:
            return self.rows[0]
        raise _not_one_row(len(self.rows))

    def mappings(self) -> list[dict[str, Cell]]:
        """The rows as dicts, by the names of their columns."""
        return [row.mapping for row in self.rows]


def _not_one_row(count: int) -> NotOneRow:
    if count:
        return SeveralRows(f"There are {count} rows, and exactly one was asked for.")
    return NoRow("There is no row, and exactly one was asked for.")


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with its parameters, as `batch` takes it: one statement, or several with semicolons between them.

    With `many` instead of `params` the text is executed once with each of them, as `executemany` does. Of several
    statements with parameters by position, each takes as many of them as it needs.
    """

    sql: str
    params: Params = ()
    many: Sequence[Params] | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class DatabaseInfo:
    """The database of an object. The tables are the first 1,000, in the order of their names."""

    object: str
    size_bytes: int
    tables: tuple[str, ...]
