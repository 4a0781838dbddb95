"""What is known of a record: its data, and how it is stored. Pure.

A record is new while its version is 0. `saved` is the data as it was last read or written; what differs from it are the
changes that a save writes. Stored fields that the definition does not know are kept as they are: an older program, or a
newer one, knows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from uuid_utils.compat import uuid7

from petra.datamodel.definition import AUTH, DELETED_AT, ModelDefinition
from petra.datamodel.encoding import copied, from_json, same, to_json
from petra.datastore.access import StoredObject, UserId, users_of
from petra.values import Value


@dataclass(frozen=True, slots=True)
class Change:
    """What a field had before, and what it has now."""

    before: Value
    after: Value


@dataclass(slots=True)
class State:
    """How a record is stored; it changes with each read and write of the record."""

    # 0 while it is new, and the key and the users are empty then.
    version: int = 0
    key: str = ""
    users: tuple[str, ...] = ()
    saved: dict[str, Value] = field(default_factory=dict)
    # Stored fields that the definition does not know.
    extra: dict[str, Value] = field(default_factory=dict)

    def may(self, definition: ModelDefinition, user_id: UserId) -> bool:
        """Whether a user sees and may change the stored record."""
        return user_id is None or not definition.options.auth or user_id in self.users

    def take(self, other: State) -> None:
        """Becomes like another one."""
        self.version, self.key, self.users = other.version, other.key, other.users
        self.saved, self.extra = other.saved, other.extra


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
    """The data and the state of a record that is stored."""
    data = {one.name: from_json(one.type, stored.get(one.name)) for one in definition.stored_fields}
    extra = {name: value for name, value in stored.items() if name not in definition.by_name and name != AUTH}
    return data, State(version, key, tuple(users_of(stored)), snapshot(data), extra)


def written(
    definition: ModelDefinition, data: Mapping[str, Value], state: State, users: tuple[str, ...]
) -> StoredObject:
    """The object to store, as JSON has it, of data that was checked."""
    stored = {one.name: to_json(one.type, data[one.name]) for one in definition.stored_fields}
    return stored | state.extra | ({AUTH: list(users)} if definition.options.auth else {})


def snapshot(data: Mapping[str, Value]) -> dict[str, Value]:
    """The same data, sharing nothing that can change with it."""
    return {name: copied(value) for name, value in data.items()}


def changes(definition: ModelDefinition, saved: Mapping[str, Value], data: Mapping[str, Value]) -> dict[str, Change]:
    """What differs, by field. Of a new record that is all that is not None."""
    return {
        one.name: Change(saved.get(one.name), data[one.name])
        for one in definition.stored_fields
        if not same(saved.get(one.name), data[one.name])
    }


def is_deleted(data: Mapping[str, Value]) -> bool:
    """Whether a record is deleted, and can be restored."""
    return data.get(DELETED_AT) is not None
