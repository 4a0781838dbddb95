"""Functions of SQLite that are bounded here, because nothing can interrupt SQLite within a call.

The time of these grows with the product of the lengths of both arguments: hours for two texts of 2 MiB. What is
large is refused; the rest is done by the function itself, in a connection of the calling thread's own, so its answers
are SQLite's, except that a text which is not valid UTF-8 becomes a blob: Python has no such text. (instr, replace and
json_patch grow so as well, by smaller factors; ARCHITECTURE.md says how long they take.)
"""

from __future__ import annotations

import threading
from functools import partial

import apsw

from petra_server.errors import Reason, Refusal
from petra_server.sql.cells import SqlValue

_BOUNDED = ("trim", "ltrim", "rtrim", "unhex")
# Of the lengths: less than a tenth of a second.
_MAX_PRODUCT = 1 << 24

_own = threading.local()


def bound_functions(connection: apsw.Connection) -> None:
    """Puts bounds around the functions that have none. They stay usable in indexes and generated columns."""
    for name in _BOUNDED:
        connection.create_scalar_function(
            name, partial(_call, name), 2, deterministic=True, flags=apsw.SQLITE_INNOCUOUS
        )


def _call(name: str, *arguments: SqlValue) -> SqlValue:
    text, characters = arguments
    size, set_size = (len(value) if isinstance(value, str | bytes) else 0 for value in (text, characters))
    if size * set_size > _MAX_PRODUCT:
        raise Refusal(
            Reason.SQL_TOO_LARGE,
            f"{name} of {size} and {set_size} characters would take too long. Nothing was changed."
            f" Their product may be {_MAX_PRODUCT}; name each character once.",
            field="sql",
        )
    native: apsw.Connection | None = getattr(_own, "connection", None)
    if native is None:
        native = _own.connection = apsw.Connection(":memory:")
    try:
        value: SqlValue = native.execute(f"SELECT {name}(?, ?)", arguments).get
    except UnicodeDecodeError:
        value = native.execute(f"SELECT CAST({name}(?, ?) AS BLOB)", arguments).get
    return value
