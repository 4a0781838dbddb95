"""What is known of a record: its data, and how it is stored. Pure.

A record is new while its version is 0. `saved` is the data as it was last read or written; what differs from it are the
changes that a save writes. Stored fields that the definition does not know are kept as they are: an older program, or a
newer one, knows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

from uuid_utils.compat import uuid7

from petra.datamodel.definition import AUTH, CREATED_AT, DELETED_AT, UPDATED_AT, USER_ID, ModelDefinition
from petra.datamodel.encoding import copied, from_json, same, to_json
from petra.datastore.access import StoredObject, UserId, users_of
from petra.values import Value


@dataclass(frozen=True, slots=True)
class Change:
    """What a field had before, and what it has now."""

    before: Value
    after: Value


@dataclass(frozen=True, slots=True)
class State:
    """How a record is stored. Each read and each write of the record gives it another one."""

    # 0 while it is new, and the key and the users are empty then.
    version: int = 0
    key: str = ""
    users: tuple[str, ...] = ()
    saved: Mapping[str, Value] = field(default_factory=dict)
    # Stored fields that the definition does not know.
    extra: Mapping[str, Value] = field(default_factory=dict)

    def may(self, definition: ModelDefinition, user_id: UserId) -> bool:
        """Whether a user sees and may change the stored record."""
        return user_id is None or not definition.options.auth or user_id in self.users


def new_data(definition: ModelDefinition) -> dict[str, Value]:
    """What a new record has before anything is set: defaults, and its id."""
    data = {one.name: one.new_value() for one in definition.stored_fields}
    match definition.options.primary:
        case "uuid":
            data[definition.primary.name] = str(uuid4())
        case "uuid7":
            data[definition.primary.name] = str(uuid7())
    return data


def read(definition: ModelDefinition, key: str, version: int, stored: StoredObject) -> tuple[dict[str, Value], State]:
    """The data and the state of a record that is stored.

    A field that the object does not have, because it is newer, has its default, if that is a constant.
    """
    data = {
        one.name: from_json(one.type, stored[one.name]) if one.name in stored else one.constant_default()
        for one in definition.stored_fields
    }
    extra = {name: value for name, value in stored.items() if name not in definition.by_name and name != AUTH}
    return data, State(version, key, tuple(users_of(stored)), snapshot(data), extra)


def written(
    definition: ModelDefinition, data: Mapping[str, Value], state: State, users: tuple[str, ...]
) -> StoredObject:
    """The object to store, as JSON has it, of data that was checked."""
    stored = {one.name: to_json(data[one.name]) for one in definition.stored_fields}
    return stored | dict(state.extra) | ({AUTH: list(users)} if definition.options.auth else {})


def snapshot(data: Mapping[str, Value]) -> dict[str, Value]:
    """The same data, sharing nothing that can change with it."""
    return {name: copied(value) for name, value in data.items()}


def changes(definition: ModelDefinition, saved: Mapping[str, Value], data: Mapping[str, Value]) -> dict[str, Change]:
    """What differs, by field, but for `updated_at`. Of a new record that is all that is not None."""
    return {
        one.name: Change(saved.get(one.name), data[one.name])
        for one in definition.stored_fields
        if one.name != UPDATED_AT and not same(saved.get(one.name), data[one.name])
    }


def stamped(
    definition: ModelDefinition,
    data: Mapping[str, Value],
    *,
    saved: Mapping[str, Value] | None,
    now: datetime,
    user_id: UserId,
) -> dict[str, Value]:
    """The data with what Petra keeps: who made the record and when, when it changed, and whether it is deleted.

    `saved` is what is stored of it, None when it is new.
    """
    if saved is None:
        kept: dict[str, Value] = {USER_ID: user_id, CREATED_AT: now, DELETED_AT: None}
    else:
        kept = {name: saved.get(name) for name in (USER_ID, CREATED_AT, DELETED_AT)}
    kept[UPDATED_AT] = now
    return {name: kept[name] if name in kept and definition.by_name[name].built_in else data[name] for name in data}


def is_deleted(data: Mapping[str, Value]) -> bool:
    """Whether a record is deleted, and can be restored."""
    return data.get(DELETED_AT) is not None
