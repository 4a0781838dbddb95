"""Values and names as SQL writes them. Pure.

Every literal means exactly the value that it is made of, of the same type.
"""

from __future__ import annotations

import atexit
import math
import re
import sqlite3
from functools import lru_cache
from typing import Final

from petra.sql import SqlValue

# Anything that may hold an apostrophe, or a sign of a parameter, comes before what does: so it is found as a whole.
_PARTS: Final = re.compile(
    r"""--[^\n]* | /\*.*?(?:\*/|\Z) | "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\]
    | (?P<blob> [xX]'(?:[0-9a-fA-F]{2})*' ) | (?P<text> '(?:[^']|'')*' ) | (?P<parameter> \?|[:@\#$](?=\w) )""",
    re.VERBOSE | re.DOTALL,
)
_LONG: Final = 1_000
# The digits of a double, and the largest power of two that a part of a product has.
_MANTISSA_BITS: Final = 53
_FACTOR_BITS: Final = 52


def literal(value: SqlValue) -> str:
    """A value as an expression of SQL. NaN is NULL, as SQLite stores it."""
    match value:
        case None:
            return "NULL"
        case int():
            return str(int(value))
        case float():
            return _real(value)
        case str():
            return text_literal(value.encode())
        case bytes():
            return f"X'{value.hex()}'"


def text_literal(data: bytes) -> str:
    """A text, by its bytes, which need not be UTF-8."""
    # A NUL would end the statement.
    if b"\0" not in data:
        try:
            return "'" + data.decode().replace("'", "''") + "'"
        except UnicodeDecodeError:
            pass
    return f"CAST(X'{data.hex()}' AS TEXT)"


def quoted(name: str) -> str:
    """A name, in quotes."""
    return '"' + name.replace('"', '""') + '"'


def like(column: str, pattern: str) -> str:
    """A condition: % is for any characters, _ for any one of them, and a backslash takes that from the next."""
    return f"{column} LIKE {literal(pattern)} ESCAPE '\\'"


def with_parameters(sql: str) -> tuple[str, tuple[SqlValue, ...]]:
    """The same statement with its long values as parameters, which the server's limit for texts does not count.

    A statement that has parameters already stays as it is.
    """
    parts: list[str] = []
    values: list[SqlValue] = []
    at = 0
    for match in _PARTS.finditer(sql):
        if match["parameter"]:
            return sql, ()
        if match.end() - match.start() < _LONG or not (match["blob"] or match["text"]):
            continue
        parts += [sql[at : match.start()], "?"]
        at = match.end()
        values.append(bytes.fromhex(match["blob"][2:-1]) if match["blob"] else match["text"][1:-1].replace("''", "'"))
    return "".join([*parts, sql[at:]]), tuple(values)


def _real(value: float) -> str:
    if math.isnan(value):
        return "NULL"
    if math.isinf(value):
        return "9e999" if value > 0 else "-9e999"
    digits = repr(value)
    # SQLite before 3.43 misses the last bit of some numbers. What Python's own SQLite misses, none is asked to read.
    return digits if _are_read(digits) else _product(value)


@lru_cache(maxsize=4096)
def _are_read(digits: str) -> bool:
    """Whether SQLite reads the same number from digits as Python does."""
    # The same conversion as that of a literal, without a new statement for each.
    (read,) = _judge().execute("SELECT CAST(? AS REAL)", (digits,)).fetchone()
    return bool(read == float(digits))


@lru_cache(maxsize=1)
def _judge() -> sqlite3.Connection:
    # Only read from, and made by whichever thread is the first.
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    atexit.register(connection.close)
    return connection


def _product(value: float) -> str:
    """An integer that a double holds exactly, times or divided by powers of two: each step is exact."""
    fraction, exponent = math.frexp(value)
    number, exponent = int(math.ldexp(fraction, _MANTISSA_BITS)), exponent - _MANTISSA_BITS
    while number and number % 2 == 0:
        number, exponent = number // 2, exponent + 1
    sign, left, parts = ("*" if exponent > 0 else "/"), abs(exponent), [f"{number}.0"]
    while left:
        bits = min(left, _FACTOR_BITS)
        parts.append(f"{1 << bits}.0")
        left -= bits
    return sign.join(parts)
