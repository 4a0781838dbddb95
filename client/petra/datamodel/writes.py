"""What a transaction writes to save or to remove a record: its object, its row and its access rows. Pure.

The three are always in one transaction. Which access rows there are is known from the users in the object, which the
version that the transaction requires holds together with its rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from petra.datamodel.definition import AUTH, KEY_COLUMN, ModelDefinition, quoted
from petra.datamodel.encoding import to_column
from petra.datastore.access import StoredObject
from petra.deferred import Deferred
from petra.recording import Recording
from petra.sql import SqlValue
from petra.values import Value


@dataclass(frozen=True, slots=True)
class Texts:
    """The statements of a model's table."""

    insert: str
    upsert: str
    delete: str
    add_access: str
    remove_access: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it is stored before a write. `version` None: whatever it is; the transaction has read it."""

    key: str
    id: str
    users: tuple[str, ...]
    version: int | None


@dataclass(frozen=True, slots=True)
class Save:
    """A record to be stored: its checked data, and the object made of it. `before` is None for a new one."""

    definition: ModelDefinition
    key: str
    data: Mapping[str, Value]
    value: StoredObject
    before: Stored | None

    @property
    def is_at_a_new_key(self) -> bool:
        """Whether nothing may be stored under its key yet."""
        return self.before is None or self.before.key != self.key


@dataclass(frozen=True, slots=True)
class Removal:
    """A record to be removed for good."""

    definition: ModelDefinition
    before: Stored


def record_save(recording: Recording, save: Save) -> Deferred[int]:
    """Puts a save into a transaction; the result is the record's new version.

    A row of the same id that belongs to another object fails the transaction, as does another one with values that
    must be unique.
    """
    texts, before = statements(save.definition), save.before
    row = row_of(save.definition, save.key, save.data)
    users = users_in(save)
    if save.is_at_a_new_key:
        recording.check(save.key, 0)
    if before is None:
        recording.sql.execute(texts.insert, row)
        _access(recording, texts.add_access, users, str(row[0]))
        return recording.set(save.key, save.value)
    if before.version is not None:
        recording.check(before.key, before.version)
    if before.key != save.key:
        recording.delete(before.key)
    if before.id != row[0]:
        recording.sql.execute(texts.delete, (before.id, before.key))
    recording.sql.execute(texts.upsert, (*row, before.key))
    gone = [user for user in before.users if user not in users or before.id != row[0]]
    come = [user for user in users if user not in before.users or before.id != row[0]]
    _access(recording, texts.remove_access, gone, before.id)
    _access(recording, texts.add_access, come, str(row[0]))
    return recording.set(save.key, save.value)


def record_saves(recording: Recording, saves: Sequence[Save]) -> list[Deferred[int]]:
    """Puts saves of one model into a transaction, all of new records or all of stored ones; gives their versions."""
    if not saves:
        return []
    if any(save.before is not None and save.is_at_a_new_key for save in saves):
        return [record_save(recording, save) for save in saves]
    # One statement for all rows is far less work than one for each.
    texts = statements(saves[0].definition)
    rows = [row_of(save.definition, save.key, save.data) for save in saves]
    if saves[0].before is None:
        recording.sql.executemany(texts.insert, rows)
        access = [(user, row[0]) for save, row in zip(saves, rows, strict=True) for user in users_in(save)]
        if access:
            recording.sql.executemany(texts.add_access, access)
    else:
        recording.sql.executemany(texts.upsert, [(*row, row[1]) for row in rows])
    for save in saves:
        recording.check(save.key, 0 if save.before is None else save.before.version or 0)
    return [recording.set(save.key, save.value) for save in saves]


def record_removal(recording: Recording, removal: Removal) -> Deferred[bool]:
    """Puts a removal into a transaction."""
    texts, before = statements(removal.definition), removal.before
    if before.version is not None:
        recording.check(before.key, before.version)
    recording.sql.execute(texts.delete, (before.id, before.key))
    _access(recording, texts.remove_access, before.users, before.id)
    return recording.delete(before.key)


def record_access(recording: Recording, definition: ModelDefinition, record_id: str, user: str, *, add: bool) -> None:
    """Puts one access row, or the removal of one, into a transaction."""
    texts = statements(definition)
    recording.sql.execute(texts.add_access if add else texts.remove_access, (user, record_id))


def row_of(definition: ModelDefinition, key: str, data: Mapping[str, Value]) -> tuple[SqlValue, ...]:
    """The row of a record: the primary field, the key, and the other columns in their order."""
    first, *rest = definition.columns
    return (data[first.name], key, *(to_column(one.type, data[one.name]) for one in rest))


def users_in(save: Save) -> tuple[str, ...]:
    """Who may see the record that is saved."""
    return tuple(save.value[AUTH]) if save.definition.options.auth else ()


@lru_cache(maxsize=512)
def statements(definition: ModelDefinition) -> Texts:
    """The statements of a model's table. All names in them come from its definition."""
    table, access = quoted(definition.table), quoted(definition.access_table)
    first, *rest = [quoted(one.name) for one in definition.columns]
    key = quoted(KEY_COLUMN)
    columns = ", ".join([first, key, *rest])
    insert = f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * (len(rest) + 2))})"
    # The row of another object must not change: its key becomes NULL, which the column refuses.
    parts = [
        f"{key} = CASE {table}.{key} WHEN ? THEN excluded.{key} END",
        *(f"{name} = excluded.{name}" for name in rest),
    ]
    return Texts(
        insert=insert,
        upsert=f"{insert} ON CONFLICT ({first}) DO UPDATE SET {', '.join(parts)}",
        delete=f"DELETE FROM {table} WHERE {first} = ? AND {key} = ?",
        add_access=f"INSERT OR IGNORE INTO {access} (user_id, record_id) VALUES (?, ?)",
        remove_access=f"DELETE FROM {access} WHERE user_id = ? AND record_id = ?",
    )


def _access(recording: Recording, text: str, users: Iterable[str], record_id: str) -> None:
    rows = [(user, record_id) for user in users]
    if len(rows) == 1:
        recording.sql.execute(text, rows[0])
    elif rows:
        recording.sql.executemany(text, rows)
