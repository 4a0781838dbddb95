"""Values of SQL as tables, CSV and JSON show them. Pure.

Each form tells NULL from every text. In a table nothing is a command to the terminal, and blobs are shortened; CSV and
JSON hold all of a value.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from typing import Final

from petra.sql import SqlValue

_SHOWN_BYTES: Final = 16
# A text that a reader may take for something else is quoted.
_MISLEADING: Final = ("NULL", "X'", "'")
_ENDS_A_FIELD: Final = ('"', ",", "\n", "\r")

_json: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def table_text(value: SqlValue) -> str:
    """A value on one line of a table."""
    match value:
        case None:
            return "NULL"
        case float():
            return _real(value)
        case bytes():
            more = f"... ({len(value):,} bytes)" if len(value) > _SHOWN_BYTES else ""
            return f"X'{value[:_SHOWN_BYTES].hex()}'{more}"
        case str():
            shown = printable(value)
            return f"'{shown}'" if shown.startswith(_MISLEADING) else shown
        case _:
            return str(value)


def printable(text: str) -> str:
    """A text without line breaks and other controls, which stand as escapes."""
    if text.isprintable():
        return text
    return "".join([each if each.isprintable() else each.encode("unicode_escape").decode() for each in text])


def csv_line(values: Sequence[SqlValue]) -> str:
    """A line of CSV without its end. NULL is an empty field, an empty text has quotes, a blob is X'...'."""
    return ",".join(map(_csv_field, values))


def _csv_field(value: SqlValue) -> str:
    match value:
        case None:
            return ""
        case float():
            return _real(value)
        case bytes():
            return f"X'{value.hex()}'"
        case str():
            if not value or any(each in value for each in _ENDS_A_FIELD):
                return '"' + value.replace('"', '""') + '"'
            return value
        case _:
            return str(value)


def json_names(names: Sequence[str]) -> list[str]:
    """The names of columns as keys of an object: those that come again have a number."""
    taken: set[str] = set()
    keys: list[str] = []
    for name in names:
        key, count = name, 1
        while key in taken:
            count += 1
            key = f"{name}:{count}"
        taken.add(key)
        keys.append(_json(key))
    return keys


def json_line(keys: Sequence[str], values: Sequence[SqlValue]) -> str:
    """A row as an object on one line; the keys are those of `json_names`."""
    return "{" + ",".join([f"{key}:{_json_value(value)}" for key, value in zip(keys, values, strict=True)]) + "}"


def _json_value(value: SqlValue) -> str:
    match value:
        case float() if math.isinf(value):
            # As SQLite's own JSON has it: a number beyond all doubles.
            return "9e999" if value > 0 else "-9e999"
        case bytes():
            return f'{{"base64":"{base64.b64encode(value).decode()}"}}'
        case _:
            return _json(value)


def _real(value: float) -> str:
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return repr(value)
