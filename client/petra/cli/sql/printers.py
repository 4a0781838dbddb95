"""How results are printed: as tables, CSV or JSON.

Rows are printed as they come. Of a table the first rows decide how wide its columns are; no more than those are held.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Final, Literal, Protocol, TypeAlias

from rich.cells import cell_len, set_cell_size

from petra.cli.shown import as_json, counted
from petra.cli.sql.cells import csv_line, json_line, json_names, printable, table_text
from petra.sql import Row, SqlValue

Mode: TypeAlias = Literal["table", "csv", "json"]

# They are waited for before the first line is printed.
_MEASURED_ROWS: Final = 200
_LEAST_WIDTH: Final = 6
_GAP: Final = "  "


class Printer(Protocol):
    """Prints results."""

    def rows(self, names: Sequence[str], rows: Iterable[Row]) -> int:
        """Prints rows as they come, and says how many they were."""

    def report(self, figures: Mapping[str, int]) -> None:
        """Prints what statements did that gave no rows; the names are those of figures, such as `changes`."""


def written(text: str) -> None:
    """Writes to standard output, in UTF-8."""
    sys.stdout.buffer.write(text.encode())


def noted(text: str) -> None:
    """Says something beside the results."""
    sys.stdout.flush()
    sys.stderr.write(f"petra: {text}\n")
    sys.stderr.flush()


def figures_text(figures: Mapping[str, int]) -> str:
    """Such as `3 statements, 1 row changed`."""
    return ", ".join(
        {
            "statements": counted(figure, "statement", "statements"),
            "changes": f"{counted(figure, 'row', 'rows')} changed",
        }[name]
        for name, figure in figures.items()
    )


class TablePrinter:
    """Columns for people. On a terminal they fit into it; elsewhere nothing but blobs is shortened."""

    def __init__(self, *, headers: bool) -> None:
        self._headers = headers

    def rows(self, names: Sequence[str], rows: Iterable[Row]) -> int:
        """Prints rows as they come, and says how many they were."""
        heads = [printable(name) for name in names]
        coming = iter(rows)
        first = list(islice(coming, _MEASURED_ROWS))
        widths = _widths(heads if self._headers else [""] * len(heads), first)
        room = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
        if room and not _shrink(widths, room):
            return _print_one_by_one(heads, chain(first, coming), room)
        right = [_is_of_numbers(first, at) for at in range(len(heads))]
        lines = ([table_text(value) for value in row] for row in chain(first, coming))
        if self._headers:
            _print_line(heads, widths, right, cut=bool(room))
            _print_line(["─" * width for width in widths], widths, right, cut=bool(room))
        count = 0
        for cells in lines:
            _print_line(cells, widths, right, cut=bool(room))
            count += 1
        return count

    def report(self, figures: Mapping[str, int]) -> None:
        """Prints what statements did that gave no rows."""
        written(figures_text(figures) + ".\n")


def _widths(heads: Sequence[str], rows: Sequence[Row]) -> list[int]:
    widths = [cell_len(head) for head in heads]
    for row in rows:
        widths = [max(width, cell_len(table_text(value))) for width, value in zip(widths, row, strict=True)]
    return widths


def _shrink(widths: list[int], room: int) -> bool:
    """Makes the widest columns narrower until all fit. Returns whether they do."""
    room -= len(_GAP) * (len(widths) - 1)
    while sum(widths) > room:
        widest = max(widths)
        if widest <= _LEAST_WIDTH:
            return False
        # To the next one below, if that is enough to go on with.
        below = max([_LEAST_WIDTH, *(width for width in widths if width < widest)])
        many = widths.count(widest)
        share = -(-(sum(widths) - room) // many)
        widths[:] = [max(below, widest - share) if width == widest else width for width in widths]
    return True


def _is_of_numbers(rows: Sequence[Row], at: int) -> bool:
    kinds = {type(tuple.__getitem__(row, at)) for row in rows} - {type(None)}
    return bool(kinds) and kinds <= {int, float}


def _print_line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool], *, cut: bool) -> None:
    fitted = [
        _fitted(cell, width, right=to_right, cut=cut)
        for cell, width, to_right in zip(cells, widths, right, strict=True)
    ]
    written(_GAP.join(fitted).rstrip() + "\n")


def _fitted(cell: str, width: int, *, right: bool, cut: bool) -> str:
    length = cell_len(cell)
    if length > width:
        return set_cell_size(cell, width - 1) + "…" if cut else cell
    pad = " " * (width - length)
    return pad + cell if right else cell + pad


def _print_one_by_one(heads: Sequence[str], rows: Iterable[Row], room: int) -> int:
    """Each value on a line of its own, where there are too many columns for one."""
    width = min(max(map(cell_len, heads)), room // 2)
    left = max(_LEAST_WIDTH, room - width - len(_GAP))
    count = 0
    for count, row in enumerate(rows, 1):
        written(f"─ row {count}\n")
        for head, value in zip(heads, row, strict=True):
            text = table_text(value)
            shown = _fitted(text, left, right=False, cut=True).rstrip()
            written(f"{_fitted(head, width, right=False, cut=True)}{_GAP}{shown}\n")
    return count


class CsvPrinter:
    """Comma-separated values, after a line with the names. What statements did goes to standard error."""

    def __init__(self, *, headers: bool) -> None:
        self._headers = headers

    def rows(self, names: Sequence[str], rows: Iterable[Row]) -> int:
        """Prints rows as they come, and says how many they were."""
        return _print_lines([list(names)] if self._headers else [], rows, csv_line)

    def report(self, figures: Mapping[str, int]) -> None:
        """Prints what statements did that gave no rows."""
        noted(figures_text(figures) + ".")


class JsonPrinter:
    """One object a line."""

    def rows(self, names: Sequence[str], rows: Iterable[Row]) -> int:
        """Prints rows as they come, and says how many they were."""
        keys = json_names(names)
        return _print_lines([], rows, lambda row: json_line(keys, row))

    def report(self, figures: Mapping[str, int]) -> None:
        """Prints what statements did that gave no rows."""
        written(as_json(dict(figures)) + "\n")


def _print_lines(
    heads: Iterable[Sequence[SqlValue]], rows: Iterable[Row], line: Callable[[Sequence[SqlValue]], str]
) -> int:
    for head in heads:
        written(line(head) + "\n")
    count = 0
    for row in rows:
        written(line(row) + "\n")
        count += 1
    return count


def printer(mode: Mode, *, headers: bool) -> Printer:
    """The printer of a mode. JSON has names in every line, so `headers` is for the others."""
    match mode:
        case "table":
            return TablePrinter(headers=headers)
        case "csv":
            return CsvPrinter(headers=headers)
        case "json":
            return JsonPrinter()
