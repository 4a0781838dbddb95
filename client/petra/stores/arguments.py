"""What may be written into the tables of the stores. Pure. Every function raises InvalidArgument that names the field.

Texts are bounded so that lists of them stay small; what is longer belongs into `data`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final

from petra.errors import InvalidArgument
from petra.values import JSONCodec

LONGEST_TEXT: Final = 500
LARGEST_PAGE: Final = 1_000
_LARGEST_NUMBER: Final = 2**63 - 1
_CODEC: Final = JSONCodec()


def new_id() -> str:
    """An id that nothing else has: 128 bits of chance."""
    return secrets.token_urlsafe(16)


def own_or_new_id(given: str | None, field: str) -> str:
    """The id that the application gives, or a new one."""
    return new_id() if given is None else word(given, field)


def text(given: object, field: str) -> str:
    """A text of at most 500 characters."""
    if not isinstance(given, str):
        raise InvalidArgument(f"{field} is a string, not {type(given).__name__}.", field=field)
    if len(given) > LONGEST_TEXT:
        raise InvalidArgument(
            f"{field} has at most {LONGEST_TEXT} characters, and this one has {len(given):,}.", field=field
        )
    return given


def word(given: object, field: str) -> str:
    """A text that is not empty."""
    if not text(given, field):
        raise InvalidArgument(f"{field} must not be empty.", field=field)
    return str(given)


def json_text(data: object) -> str:
    """A mapping as JSON. Raises EncodeError for what JSON does not have."""
    if not isinstance(data, Mapping):
        raise InvalidArgument(f"data is a mapping, not {type(data).__name__}.", field="data")
    return _CODEC.encode(dict(data))[0].decode()


def page_size(limit: object) -> int:
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= LARGEST_PAGE:
        raise InvalidArgument(f"limit is a whole number from 1 to {LARGEST_PAGE:,}, not {limit!r}.", field="limit")
    return limit


def number_of(cursor: object) -> int:
    """The number of the row that a page begins after."""
    if cursor is None:
        return 0
    if isinstance(cursor, str) and cursor.isascii() and cursor.isdecimal() and len(cursor) <= len(str(_LARGEST_NUMBER)):
        number = int(cursor)
        if number <= _LARGEST_NUMBER:
            return number
    raise InvalidArgument("cursor is the next_cursor of a page, or None.", field="cursor")
