"""Files in the form of sqllogictest (https://www.sqlite.org/sqllogictest): statements, queries, expected values. Pure.

    statement ok | error            query ITR nosort | rowsort
    SQL                             SQL
                                    ----
                                    a value a line, row after row

Records end with an empty line; a line that begins with # is a comment. The letters are the types of the columns: I for
integers, R for numbers shown with three digits, T for all else. NULL and (empty) stand for themselves; blobs are shown
as X'...', and control characters as @.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

SqlValue = int | float | str | bytes | None


@dataclass(frozen=True, slots=True)
class Record:
    """`types` is empty for a statement. `expected` is ["ok"] or ["error"] then, else the values."""

    line: int
    sql: str
    types: str
    rowsort: bool
    expected: list[str]


def parse(text: str) -> Iterator[Record]:
    number = 0
    for block in text.split("\n\n"):
        lines = block.split("\n")
        first, number = number + 1, number + len(lines) + 1
        lines = [line for line in lines if not line.startswith("#")]
        if not any(lines):
            continue
        words = lines[0].split()
        if words[0] == "statement":
            yield Record(first, "\n".join(lines[1:]), "", False, [words[1]])
            continue
        middle = lines.index("----")
        values = [line for line in lines[middle + 1 :] if line]
        yield Record(first, "\n".join(lines[1:middle]), words[1], words[2] == "rowsort", values)


def shown(rows: Iterable[Sequence[SqlValue]], types: str, *, rowsort: bool) -> list[str]:
    """The values of an answer as they stand in a file."""
    lines = [[_value(value, kind) for value, kind in zip(row, types, strict=True)] for row in rows]
    if rowsort:
        lines.sort()
    return [value for row in lines for value in row]


def _value(value: SqlValue, kind: str) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    if kind == "I" and isinstance(value, int | float):
        return str(int(value))
    if kind == "R" and isinstance(value, int | float):
        return f"{value:.3f}"
    text = str(value)
    return "".join(character if character.isprintable() else "@" for character in text) or "(empty)"
