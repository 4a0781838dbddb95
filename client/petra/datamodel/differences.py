"""How objects, rows and access rows of a model may disagree: what to read, what it says, and how it is mended. Pure.

The full object is the truth: rows and access rows follow from it. Each statement that mends holds only while the object
has the version that was judged, so a save that comes between is never undone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from petra.datamodel.definition import KEY_COLUMN, ModelDefinition, quoted
from petra.datamodel.encoding import Unfit, normalized
from petra.datamodel.keys import part_error
from petra.datamodel.lookups import Found, found_in
from petra.datamodel.writes import row_of, statements
from petra.errors import DecodeError
from petra.sql import Row, SqlValue, Statement

DifferenceKind: TypeAlias = Literal[
    "row_missing", "row_differs", "object_missing", "object_invalid", "access_missing", "access_extra"
]

_DATA: Final = "petra:data"
_VERSION: Final = "petra:version"
_UNNAMED: Final = "petra:users"


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that does not agree. `detail` says what: columns, users, or fields and why they do not fit."""

    kind: DifferenceKind
    key: str
    detail: str
    # How it is mended; nothing where only people can tell.
    repair: tuple[Statement, ...] = ()


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What was found: how many differences of each kind, and the first 1,000 of them.

    Kinds are row_missing, row_differs, object_missing, object_invalid (its values are not of the model's types),
    access_missing and access_extra. `repaired` is how many were mended; `rows` how many rows were compared.
    """

    model: str
    rows: int
    counts: Mapping[str, int]
    differences: tuple[Difference, ...]
    repaired: int

    @property
    def agrees(self) -> bool:
        """Whether there was no difference."""
        return not self.counts


def rows_after(definition: ModelDefinition, position: str, limit: int) -> Statement:
    """The next rows after a position, with their objects and the named users that have no access row."""
    key, primary = quoted(KEY_COLUMN), quoted(definition.primary.name)
    columns = ", ".join(quoted(name) for name in (KEY_COLUMN, *definition.synced_names))
    users = "'[]'"
    if definition.options.auth:
        stored = _object_text(f'page."{_DATA}"')
        named = f"a.user_id = u.value AND a.record_id = page.{primary}"
        users = (
            f"(SELECT json_group_array(u.value) FROM json_each({stored}, '$._auth') AS u WHERE u.type = 'text'"
            f" AND NOT EXISTS (SELECT 1 FROM {quoted(definition.access_table)} AS a WHERE {named}))"
        )
    return Statement(
        f"WITH some AS MATERIALIZED (SELECT {columns} FROM {quoted(definition.table)}"
        f" WHERE {primary} > ? ORDER BY {primary} LIMIT ?), page AS MATERIALIZED (SELECT some.*,"
        f' petra_value({key}) AS "{_DATA}", petra_version({key}) AS "{_VERSION}" FROM some)'
        f' SELECT page.*, {users} AS "{_UNNAMED}" FROM page ORDER BY {primary}',
        (position, limit),
    )


def judge_row(definition: ModelDefinition, row: Row) -> Iterator[Difference]:
    """What is wrong with a row of `rows_after`."""
    key, version = row[KEY_COLUMN], row[_VERSION]
    if version == 0:
        yield Difference("object_missing", key, "a row without an object", (_drop_row(definition, row),))
        return
    found = _found(definition, key, version, row[_DATA])
    if found is None:
        yield Difference("object_invalid", key, "no JSON object")
        return
    invalid = _invalid(definition, found)
    if invalid:
        yield Difference("object_invalid", key, "; ".join(f"{name} {why}" for name, why in invalid.items()))
    primary = definition.primary.name
    if found.data[primary] != row[primary]:
        yield Difference("row_differs", key, primary, (_drop_row(definition, row),))
        return
    expected = _row(definition, key, found)
    wrong = [name for name, value in expected.items() if name not in invalid and not _alike(value, row[name])]
    if wrong:
        yield Difference("row_differs", key, ", ".join(wrong), (_rewrite(definition, expected, wrong, version),))
    users: list[str] = json.loads(row[_UNNAMED])
    if users:
        added = tuple(_name(definition, user, row[primary], key, version) for user in users)
        yield Difference("access_missing", key, ", ".join(users), added)


def objects_without_row(definition: ModelDefinition, keys: Sequence[str]) -> Statement:
    """Those of the keys that no row has, with their versions and objects."""
    key = quoted(KEY_COLUMN)
    return Statement(
        "SELECT k.value, petra_version(k.value), petra_value(k.value) FROM json_each(?) AS k WHERE NOT EXISTS"
        f" (SELECT 1 FROM {quoted(definition.table)} AS t WHERE t.{key} = k.value)",
        (json.dumps(list(keys)),),
    )


def judge_object(definition: ModelDefinition, row: Row) -> Difference | None:
    """What is wrong with a row of `objects_without_row`: a key of another model may begin alike."""
    key, version, stored = row
    found = _found(definition, key, version, stored)
    if found is None or any(part_error(found.data[name]) for name in definition.pattern.fields):
        return None
    if definition.pattern.key(found.data) != key:
        return None
    record_id = str(found.data[definition.primary.name])
    named = (_name(definition, user, record_id, key, version) for user in found.state.users)
    made = (_insert(definition, key, found), *named)
    return Difference("row_missing", key, "an object without a row", made)


def access_after(definition: ModelDefinition, position: tuple[str, str], limit: int) -> Statement:
    """The next access rows after a position, and whether the object of each names its user."""
    return Statement(
        f"SELECT a.user_id, a.record_id, {_is_named(definition)} FROM {quoted(definition.access_table)} AS a"
        " WHERE (a.user_id, a.record_id) > (?, ?) ORDER BY a.user_id, a.record_id LIMIT ?",
        (*position, limit),
    )


def judge_access(definition: ModelDefinition, row: Row) -> Difference | None:
    """What is wrong with a row of `access_after`."""
    user, record_id, named = row
    if named:
        return None
    table = quoted(definition.access_table)
    remove = Statement(
        f"DELETE FROM {table} AS a WHERE a.user_id = ? AND a.record_id = ? AND NOT {_is_named(definition)}",
        (user, record_id),
    )
    return Difference("access_extra", record_id, user, (remove,))


def _is_named(definition: ModelDefinition) -> str:
    """Whether the object of an access row names its user."""
    table, primary, key = quoted(definition.table), quoted(definition.primary.name), quoted(KEY_COLUMN)
    stored = _object_text(f"petra_value(t.{key})")
    return (
        f"EXISTS (SELECT 1 FROM {table} AS t, json_each({stored}, '$._auth') AS u"
        f" WHERE t.{primary} = a.record_id AND u.value = a.user_id)"
    )


def _object_text(value: str) -> str:
    """A full object as JSON that can be read, whatever it is."""
    return f"CASE WHEN typeof({value}) = 'text' THEN {value} ELSE '{{}}' END"


def _found(definition: ModelDefinition, key: str, version: int, stored: SqlValue) -> Found | None:
    try:
        return found_in(definition, None, key, version, stored)
    except DecodeError:
        return None


def _invalid(definition: ModelDefinition, found: Found) -> dict[str, str]:
    """The synced fields whose values are of another kind than the model says, and why."""
    wrong = {}
    for one in definition.columns:
        try:
            normalized(one.type, found.data[one.name])
        except Unfit as error:
            wrong[one.name] = str(error)
    return wrong


def _row(definition: ModelDefinition, key: str, found: Found) -> dict[str, SqlValue]:
    first, *rest = definition.synced_names
    return dict(zip((first, KEY_COLUMN, *rest), row_of(definition, key, found.data), strict=True))


def _alike(one: SqlValue, other: SqlValue) -> bool:
    return one == other and isinstance(one, str) == isinstance(other, str)


def _drop_row(definition: ModelDefinition, row: Row) -> Statement:
    table, primary, key = quoted(definition.table), quoted(definition.primary.name), quoted(KEY_COLUMN)
    return Statement(
        f"DELETE FROM {table} WHERE {primary} = ? AND {key} = ? AND petra_version({key}) = ?",
        (row[definition.primary.name], row[KEY_COLUMN], row[_VERSION]),
    )


def _rewrite(
    definition: ModelDefinition, expected: Mapping[str, SqlValue], wrong: Sequence[str], version: int
) -> Statement:
    parts = ", ".join(f"{quoted(name)} = ?" for name in wrong)
    key = quoted(KEY_COLUMN)
    return Statement(
        f"UPDATE {quoted(definition.table)} SET {parts} WHERE {key} = ? AND petra_version({key}) = ?",
        (*(expected[name] for name in wrong), expected[KEY_COLUMN], version),
    )


def _insert(definition: ModelDefinition, key: str, found: Found) -> Statement:
    row = row_of(definition, key, found.data)
    text, _, values = statements(definition).insert.partition(" VALUES (")
    return Statement(f"{text} SELECT {values[:-1]} WHERE petra_version(?) = ?", (*row, key, found.state.version))


def _name(definition: ModelDefinition, user: str, record_id: str, key: str, version: int) -> Statement:
    return Statement(
        f"INSERT OR IGNORE INTO {quoted(definition.access_table)} (user_id, record_id)"
        " SELECT ?, ? WHERE petra_version(?) = ?",
        (user, record_id, key, version),
    )
