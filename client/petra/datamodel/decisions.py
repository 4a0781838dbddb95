"""What is to be written, decided from what is known of a record and what is stored. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from petra.datamodel.definition import ModelDefinition
from petra.datamodel.errors import ValidationError
from petra.datamodel.faults import duplicate_key
from petra.datamodel.state import State, snapshot, stamped, written
from petra.datamodel.writes import Save, Stored, users_in
from petra.datastore.access import UserId, users_of, visible
from petra.datastore.errors import NotFoundOrNoAccess
from petra.values import Entry, Value


def check_access(definition: ModelDefinition, state: State, user_id: UserId) -> None:
    """Raises NotFoundOrNoAccess for a stored record that does not name the user."""
    if state.version and not state.may(definition, user_id):
        raise NotFoundOrNoAccess(definition.name, state.key)


def check_stored(definition: ModelDefinition, state: State, user_id: UserId) -> None:
    """As `check_access`, and for a record that is not stored at all."""
    if not state.version:
        raise NotFoundOrNoAccess(definition.name, state.key)
    check_access(definition, state, user_id)


def prepared(
    definition: ModelDefinition, state: State, fit: Mapping[str, Value], user_id: UserId, now: datetime
) -> dict[str, Value]:
    """The data to store, of data that was checked. Raises ValidationError when the id of a stored record changed."""
    primary = definition.primary.name
    if state.version and fit[primary] != state.saved[primary]:
        raise ValidationError.of(definition.name, {primary: ["cannot be changed once the record is saved"]})
    return stamped(definition, fit, saved=state.saved if state.version else None, now=now, user_id=user_id)


def planned(definition: ModelDefinition, state: State, data: Mapping[str, Value], user_id: UserId) -> Save:
    """A save over the version that was read, or of a new record."""
    before = stored_before(definition, state) if state.version else None
    return _save(definition, state, data, before, _creator(user_id) if before is None else state.users)


def overriding(
    definition: ModelDefinition,
    state: State,
    data: Mapping[str, Value],
    user_id: UserId,
    *,
    present: Entry | None,
    old: Entry | None,
) -> Save:
    """A save over what is there now: `present` at the key, and `old` at the key that the record had before.

    Raises NotFoundOrNoAccess for somebody else's record, and Duplicate when a record that moves finds another one.
    """
    for entry in (present, old):
        if entry is not None and definition.options.auth and visible(entry.value, user_id) is None:
            raise NotFoundOrNoAccess(definition.name, entry.key)
    if old is not None and present is not None:
        raise duplicate_key(definition)
    found = present or old
    if found is None or not isinstance(found.value, dict):
        return _save(definition, state, data, None, state.users or _creator(user_id))
    users = tuple(users_of(found.value))
    before = Stored(found.key, str(found.value.get(definition.primary.name)), users, None)
    return _save(definition, state, data, before, users)


def stored_before(definition: ModelDefinition, state: State) -> Stored:
    """A record as it was read."""
    return Stored(state.key, state.saved[definition.primary.name], state.users, state.version)


def taken(plan: Save, version: int, state: State) -> State:
    """What is known of a record when it is saved."""
    return State(version, plan.key, users_in(plan), snapshot(plan.data), state.extra)


def _save(
    definition: ModelDefinition,
    state: State,
    data: Mapping[str, Value],
    before: Stored | None,
    users: tuple[str, ...],
) -> Save:
    return Save(definition, definition.pattern.key(data), data, written(definition, data, state, users), before)


def _creator(user_id: UserId) -> tuple[str, ...]:
    return () if user_id is None else (user_id,)
