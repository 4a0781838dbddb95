"""How records are found by their ids, and what is made of what is found. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from petra.datamodel.definition import KEY_COLUMN, ModelDefinition, quoted
from petra.datamodel.encoding import json_text
from petra.datamodel.keys import part_error
from petra.datamodel.state import State, read
from petra.datastore.access import UserId, visible
from petra.sql import SqlValue
from petra.values import Encoding, Entry, JSONCodec, Value

_CODEC = JSONCodec()


class Found(NamedTuple):
    """A record that was read: its data, and how it is stored."""

    data: dict[str, Value]
    state: State


def key_of_id(definition: ModelDefinition, record_id: str) -> str | None:
    """The key of a record, where the id is all that is in it; None when no record can have that id."""
    return None if part_error(record_id) else definition.pattern.key({definition.primary.name: record_id})


def lookup(definition: ModelDefinition, record_ids: Sequence[str]) -> tuple[str, tuple[SqlValue, ...]]:
    """The statement that reads full objects by ids: id, key, version and object of each, in one snapshot."""
    table, primary, key = quoted(definition.table), quoted(definition.primary.name), quoted(KEY_COLUMN)
    columns = f"{primary}, {key}, petra_version({key}), petra_value({key})"
    if len(record_ids) == 1:
        return f"SELECT {columns} FROM {table} WHERE {primary} = ?", (record_ids[0],)
    # One parameter, however many they are: SQLite bounds the number of parameters.
    return (
        f"SELECT {columns} FROM {table} WHERE {primary} IN (SELECT value FROM json_each(?))",
        (json_text(list(record_ids)),),
    )


def found_entry(definition: ModelDefinition, user_id: UserId, entry: Entry | None) -> Found | None:
    """The record that an entry holds; None when the user does not see it, or it is none."""
    if entry is None:
        return None
    # Where access is off, everybody sees what the system sees.
    seen = visible(entry.value, user_id if definition.options.auth else None)
    return None if seen is None else Found(*read(definition, entry.key, entry.version, seen))


def found_in(definition: ModelDefinition, user_id: UserId, key: str, version: int, stored: object) -> Found | None:
    """As `found_entry`, of an entry that SQL has read: JSON as text. Raises DecodeError."""
    value = decoded(stored) if isinstance(stored, str) else stored
    return found_entry(definition, user_id, Entry(key, value, version, None))


def decoded(text: str) -> Value:
    """The JSON value of an entry. Raises DecodeError."""
    return _CODEC.decode(text.encode(), Encoding.JSON)
