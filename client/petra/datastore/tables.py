"""The tables of classes on D1, and the statements on their rows. Pure.

A class has the table `d1_<prefix>`: the id, the data as JSON, `_auth` as a JSON array, and when it was created and last
put, in milliseconds since the Unix epoch by the server's machine. `d1_<prefix>__auth` has a row for each user of each
object; triggers keep it equal to `_auth`, so raw SQL cannot part them.

Names stand in the statements only where they come from a registered class, whose prefix is checked; values are always
parameters. `:user` is the reader, None for the system. Each statement is atomic, so nothing here is ever tried again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from petra.datastore.access import AUTH, StoredObject, UserId, checked_data, checked_users, users_of
from petra.datastore.classes import StorageClass
from petra.errors import InvalidArgument, SqlError
from petra.sql import Row, SqlValue
from petra.values import Encoding, JSONCodec, Value

Bound = tuple[str, Mapping[str, SqlValue]]

# Fields of an object that the store writes.
ID: Final = "id"
CREATED_AT: Final = "created_at"
UPDATED_AT: Final = "updated_at"
COLUMNS: Final = (ID, AUTH, CREATED_AT, UPDATED_AT)

_SHOWN: Final = "id, data, _auth, created_at, updated_at"
_NOW: Final = "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
_CODEC: Final = JSONCodec()
# A value may have 2 MiB, and a character has up to four bytes.
_PORTION_CHARACTERS: Final = 400_000


def table_of(storage_class: StorageClass) -> str:
    """The name of a class's table."""
    return f"d1_{storage_class.prefix}"


def schema(storage_class: StorageClass) -> list[str]:
    """The statements that make the class's tables where they are not there yet."""
    table = table_of(storage_class)
    name_all = f"INSERT INTO {table}__auth (user_id, record_id) SELECT value, NEW.id FROM json_each(NEW._auth);"
    forget = f"DELETE FROM {table}__auth WHERE record_id = OLD.id;"
    columns = (
        "id TEXT NOT NULL PRIMARY KEY, data TEXT NOT NULL CHECK (json_valid(data)),"
        " _auth TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(_auth)),"
        f" created_at INTEGER NOT NULL DEFAULT ({_NOW}), updated_at INTEGER NOT NULL DEFAULT ({_NOW})"
    )
    users = "user_id TEXT NOT NULL, record_id TEXT NOT NULL, PRIMARY KEY (user_id, record_id)"
    renamed = f"{table}_updated AFTER UPDATE OF id, _auth ON {table}"
    return [
        f"CREATE TABLE IF NOT EXISTS {table} ({columns})",
        f"CREATE INDEX IF NOT EXISTS {table}_created_at ON {table} (created_at)",
        f"CREATE TABLE IF NOT EXISTS {table}__auth ({users}) WITHOUT ROWID",
        f"CREATE INDEX IF NOT EXISTS {table}__auth_record ON {table}__auth (record_id)",
        f"CREATE TRIGGER IF NOT EXISTS {table}_inserted AFTER INSERT ON {table} BEGIN {name_all} END",
        f"CREATE TRIGGER IF NOT EXISTS {renamed} BEGIN {forget} {name_all} END",
        f"CREATE TRIGGER IF NOT EXISTS {table}_deleted AFTER DELETE ON {table} BEGIN {forget} END",
    ]


def is_missing(storage_class: StorageClass, error: SqlError) -> bool:
    """Whether a statement failed because the class has no table yet: nothing was ever put."""
    return f"no such table: {table_of(storage_class)}" in str(error)


def get(storage_class: StorageClass, keys: Iterable[str], user_id: UserId) -> Bound:
    """Reads those of the objects that the user sees."""
    table = table_of(storage_class)
    sql = f"SELECT {_SHOWN} FROM {table} WHERE id IN (SELECT value FROM json_each(:keys)) AND {_seen(table)}"
    return sql, {"keys": _text(list(keys)), "user": user_id}


def put(storage_class: StorageClass, items: Mapping[str, Mapping[str, Value]], user_id: UserId) -> list[Bound]:
    """Writes objects, all or none: where the user does not see one that is there, no row comes back.

    Raises InvalidArgument and EncodeError.
    """
    kept: list[str] = []
    given: list[str] = []
    for key, data in items.items():
        _check_own_fields(key, checked_data(data))
        users = [] if user_id is None else [user_id]
        # The system may give the users of an object; those of all others stay as they are.
        gives = user_id is None and data.get(AUTH) is not None
        record = {"data": _own_fields(data), "users": checked_users(data[AUTH]) if gives else users}
        (given if gives else kept).append(f"{_text(key)}:{_text(record)}")
    table, keys = table_of(storage_class), _text(list(items))
    return [
        (_put(table, replaces), {"items": portion, "keys": keys, "user": user_id})
        for replaces, records in ((False, kept), (True, given))
        for portion in _portions(records)
    ]


def _put(table: str, replaces: bool) -> str:
    """The statement that writes a portion. All of them look at all keys, so that all of them write or none."""
    named = ", _auth = excluded._auth" if replaces else ""
    return (
        f"INSERT INTO {table} (id, data, _auth, created_at, updated_at)"
        f" SELECT key, value ->> '$.data', value ->> '$.users', {_NOW}, {_NOW} FROM json_each(:items)"
        f" WHERE NOT EXISTS (SELECT 1 FROM {table} WHERE id IN (SELECT value FROM json_each(:keys))"
        f" AND NOT {_seen(table)})"
        f" ON CONFLICT (id) DO UPDATE SET data = excluded.data, updated_at = excluded.updated_at{named}"
        f" RETURNING {', '.join(COLUMNS)}"
    )


def _portions(records: Iterable[str]) -> Iterator[str]:
    """Objects of JSON with as many records as one parameter may hold."""
    portion: list[str] = []
    size = 0
    for record in records:
        if portion and size + len(record) > _PORTION_CHARACTERS:
            yield "{" + ",".join(portion) + "}"
            portion, size = [], 0
        portion.append(record)
        size += len(record)
    if portion:
        yield "{" + ",".join(portion) + "}"


def delete(storage_class: StorageClass, key: str, user_id: UserId) -> Bound:
    """Removes an object that the user sees; its id comes back."""
    table = table_of(storage_class)
    sql = f"DELETE FROM {table} WHERE id = :key AND {_seen(table)} RETURNING id"
    return sql, {"key": key, "user": user_id}


def users(storage_class: StorageClass, key: str, user_id: UserId) -> Bound:
    """Reads whom an object names."""
    table = table_of(storage_class)
    return f"SELECT _auth FROM {table} WHERE id = :key AND {_seen(table)}", {"key": key, "user": user_id}


def share(storage_class: StorageClass, key: str, other: str, user_id: UserId) -> Bound:
    """Names one more user, unless it names them already."""
    table = table_of(storage_class)
    sql = (
        f"UPDATE {table} SET _auth = json_insert(_auth, '$[#]', :other) WHERE id = :key AND {_seen(table)}"
        " AND :other NOT IN (SELECT value FROM json_each(_auth))"
    )
    return sql, {"key": key, "other": other, "user": user_id}


def unshare(storage_class: StorageClass, key: str, other: str, user_id: UserId) -> Bound:
    """Names one user less, unless nobody but the system would see it then."""
    table = table_of(storage_class)
    sql = (
        f"UPDATE {table} SET _auth = (SELECT json_group_array(value ORDER BY key) FROM json_each({table}._auth)"
        f" WHERE value <> :other) WHERE id = :key AND {_seen(table)}"
        " AND :other IN (SELECT value FROM json_each(_auth))"
        " AND (:user IS NULL OR json_array_length(_auth) > 1)"
    )
    return sql, {"key": key, "other": other, "user": user_id}


def object_of(row: Row, data: Mapping[str, Value] | None = None) -> StoredObject:
    """The object that a row of `get` or a query holds; or one of `put`, which does not send the data back."""
    fields: Mapping[str, Value] = _value(row["data"]) if data is None else _own_fields(data)
    return {
        ID: row[ID],
        **fields,
        AUTH: _value(row[AUTH]),
        CREATED_AT: row[CREATED_AT],
        UPDATED_AT: row[UPDATED_AT],
    }


def users_in(row: Row) -> list[str]:
    """Whom a row of `users` names."""
    return users_of({AUTH: _value(row[AUTH])})


def shown_columns(table: str) -> str:
    """What `object_of` needs of a table."""
    return ", ".join(f"{table}.{name}" for name in _SHOWN.split(", "))


def _seen(table: str) -> str:
    """The condition that a row of the table names the user."""
    return (
        "(:user IS NULL OR EXISTS"
        f" (SELECT 1 FROM {table}__auth AS a WHERE a.user_id = :user AND a.record_id = {table}.id))"
    )


def _own_fields(data: Mapping[str, Value]) -> dict[str, Value]:
    """The fields that are stored as data."""
    return {name: value for name, value in data.items() if name not in COLUMNS}


def _check_own_fields(key: str, data: Mapping[str, Value]) -> None:
    if data.get(ID, key) != key:
        raise InvalidArgument(f"data has the id {data[ID]!r}, and its key is {key!r}.", field="data")


def _text(value: Value) -> str:
    """JSON text of it. Raises EncodeError."""
    return _CODEC.encode(value)[0].decode()


def _value(text: str) -> Value:
    return _CODEC.decode(text.encode(), Encoding.JSON)


def as_parameter(value: object, field: str) -> SqlValue:
    """A value as SQLite compares it with one out of JSON. Raises InvalidArgument."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and math.isnan(value):
        # SQLite takes it for NULL, so it would find what has no value.
        raise InvalidArgument(f"{field} is compared with nan, which nothing equals.", field="where")
    if value is None or isinstance(value, int | float | str):
        return value
    raise InvalidArgument(
        f"{field} is compared with a string, a number, a bool or None, not with {type(value).__name__}:"
        f" {json.dumps(str(value)[:50])}.",
        field="where",
    )
