"""A field's value in its three forms, and the ways between them. Pure.

- In Python: str, int, float, bool, an aware datetime in UTC, and what JSON has. `normalized` makes it of what is given.
- In the object, as JSON: the same, and a timestamp as text.
- In a column of the row: as SQLite has it. A bool is 0 or 1; json and array are JSON text.

Each way and back is exact. A timestamp is text of one length, `2026-02-28T13:05:00.000000Z`, in both: it sorts as time
does, and SQLite's own date functions read it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast, get_args
from uuid import UUID

from petra.sql import SqlValue
from petra.values import Encoding, JSONCodec, Value

if TYPE_CHECKING:
    from petra.datamodel.definition import FieldDefinition

FieldType: TypeAlias = Literal["string", "text", "int", "float", "bool", "json", "array", "timestamp"]
FIELD_TYPES: Final[tuple[FieldType, ...]] = get_args(FieldType)

# How a column of each type is declared. The affinity of each keeps its values as they are.
SQL_TYPES: Final[Mapping[FieldType, str]] = {
    "string": "TEXT",
    "text": "TEXT",
    "int": "INTEGER",
    "float": "REAL",
    "bool": "INTEGER",
    "json": "TEXT",
    "array": "TEXT",
    "timestamp": "TEXT",
}

_KINDS: Final[Mapping[FieldType, str]] = {
    "string": "a text",
    "text": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "json": "what JSON has",
    "array": "a list",
    "timestamp": "a point in time: a datetime with its time zone, or ISO 8601 text with an offset",
}
# Integers of SQLite have 64 bits.
_INT_LIMIT: Final = 2**63
_CODEC = JSONCodec()


class Unfit(ValueError):
    """A value that a field cannot hold. The message says what it must be, without the field's name."""


def normalized(field_type: FieldType, value: object) -> Value:
    """What a field holds when it is given a value; None stays None. The result shares nothing with what was given.

    Enums count as their value, UUIDs, decimals, dates and times as their text where a text is wanted. Raises Unfit.
    """
    if value is None:
        return None
    if isinstance(value, Enum):
        value = value.value
    return _NORMALIZERS[field_type](value)


def to_json(value: Value) -> Value:
    """A field's value as it stands in the object. What is of another kind, see `from_json`, stays as it is."""
    return timestamp_text(value) if isinstance(value, datetime) else value


def from_json(field_type: FieldType, stored: Value) -> Value:
    """The value of what stands in the object.

    What another program has put there, and does not fit the field, comes back as it stands: to validate is the matter
    of a save.
    """
    if field_type == "float" and isinstance(stored, int) and not isinstance(stored, bool):
        return float(stored)
    if field_type != "timestamp":
        return stored
    try:
        return _timestamp(stored) if isinstance(stored, str) else stored
    except Unfit:
        return stored


def to_column(field_type: FieldType, value: Value) -> SqlValue:
    """A field's value as it stands in the row. What is of another kind, see `from_json`, is there as JSON has it."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return timestamp_text(value)
    if field_type in {"json", "array"} or isinstance(value, list | dict):
        return json_text(value)
    return int(value) if isinstance(value, bool) else cast("SqlValue", value)


def from_column(field_type: FieldType, stored: SqlValue) -> Value:
    """The value of what stands in the row. Raises DecodeError for text that is no JSON where JSON should be."""
    if stored is None:
        return None
    if field_type == "bool" and isinstance(stored, int):
        return bool(stored)
    if field_type in {"json", "array"} and isinstance(stored, str):
        return _CODEC.decode(stored.encode(), Encoding.JSON)
    return from_json(field_type, stored)


def json_text(value: Value) -> str:
    """A JSON value as text without spaces."""
    return _CODEC.encode(value)[0].decode()


def timestamp_text(moment: datetime) -> str:
    """A point in time as text of one length, in UTC."""
    utc = moment.astimezone(UTC)
    # strftime("%Y") leaves out the zeros before early years.
    return utc.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def copied(value: Value) -> Value:
    """The same value, sharing no list and no dict with it."""
    match value:
        case list():
            return [copied(item) for item in value]
        case dict():
            return {key: copied(item) for key, item in value.items()}
        case _:
            return value


def same(one: Value, other: Value) -> bool:
    """Whether two values are stored alike: True is not 1 here, and 1 is not 1.0."""
    if type(one) is not type(other):
        return False
    match one:
        case list():
            return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
        case dict():
            return list(one) == list(other) and all(same(item, other[key]) for key, item in one.items())
        case _:
            return bool(one == other)


def column_value(field: FieldDefinition, value: object) -> SqlValue:
    """What a value given to a query is compared as. Raises Unfit."""
    return to_column(field.type, normalized(field.type, value))


def _text(value: object) -> str:
    if type(value) is str and value.isascii():
        return value
    match value:
        case str():
            text = str(value)
        case UUID() | Decimal():
            text = str(value)
        case datetime() | date() | time():
            text = value.isoformat()
        case _:
            raise _unfit("string")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Unfit("must not contain half of a surrogate pair") from None
    return text


def _int(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _unfit("int")
    if not -_INT_LIMIT <= value < _INT_LIMIT:
        raise Unfit("must fit into 64 bits")
    return int(value)


def _float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise _unfit("float")
    try:
        number = float(value)
    except OverflowError:
        raise Unfit("is too large for a float") from None
    if not math.isfinite(number):
        raise Unfit("must be finite")
    return number


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise _unfit("bool")
    return value


def _timestamp(value: object) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise _unfit("timestamp") from None
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise _unfit("timestamp")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise Unfit("is not within the years 1 to 9999 in UTC") from None


def _json(value: object) -> Value:
    try:
        # What is read again: tuples have become lists, keys texts, and nothing is shared with what was given.
        return json.loads(json_text(_plain(value)))
    except ValueError as error:
        raise Unfit(f"must be what JSON has ({error})") from None


def _array(value: object) -> Value:
    if not isinstance(value, list | tuple):
        raise _unfit("array")
    return _json(list(value))


def _plain(value: object) -> object:
    if isinstance(value, bytes | bytearray | memoryview):
        # The codec stores these as they are when nothing is around them.
        raise Unfit("must be what JSON has, not bytes")
    return value


def _unfit(field_type: FieldType) -> Unfit:
    return Unfit(f"must be {_KINDS[field_type]}")


_NORMALIZERS: Final[Mapping[FieldType, Callable[[object], Value]]] = {
    "string": _text,
    "text": _text,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "json": _json,
    "array": _array,
    "timestamp": _timestamp,
}
