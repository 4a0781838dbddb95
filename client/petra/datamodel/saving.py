"""The writes of one record: each is one transaction of its object, its row and its access rows.

A record is written only by users whom it names, and over the version that was read, unless that is overridden. When
something is refused or fails, neither the store nor the record has changed, but for fields that a hook has set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from petra.datamodel.decisions import (
    check_access,
    check_stored,
    overriding,
    planned,
    prepared,
    stored_before,
    taken,
)
from petra.datamodel.definition import DELETED_AT, UPDATED_AT, HookName, ModelDefinition
from petra.datamodel.faults import duplicate_key, explained
from petra.datamodel.hooks import durability, run_after, run_before
from petra.datamodel.state import Change, State, changes, is_deleted, snapshot
from petra.datamodel.writes import Removal, Save, record_access, record_removal, record_save
from petra.datastore import NotFoundOrNoAccess, Store
from petra.datastore.access import StoredObject, shared, unshared, users_of, visible
from petra.datastore.keys import checked_user
from petra.deferred import Deferred
from petra.errors import InvalidArgument, PetraError, VersionConflict
from petra.transaction import AsyncTransaction
from petra.values import Value


class Saved(Protocol):
    """What saving needs of a record."""

    def _model(self) -> ModelDefinition: ...

    def _state_of(self) -> State: ...

    def _be(self, state: State) -> None: ...

    def _raw(self) -> dict[str, Value]:
        """The data as it was set."""

    def _fit(self) -> dict[str, Value]:
        """The data as it can be stored. Raises ValidationError."""

    def _take(self, data: Mapping[str, Value]) -> None:
        """Sets fields, also those that Petra keeps."""


async def save(record: Saved, store: Store, *, force: bool) -> None:
    """Writes a record, new or changed. One without changes is not written."""
    definition, state = record._model(), record._state_of()
    new = state.version == 0
    before: HookName = "before_create" if new else "before_update"
    after: HookName = "after_create" if new else "after_update"
    check_access(definition, state, store.user_id)
    if not new or definition.hooks.get(before):
        changed = changes(definition, state.saved, record._raw())
        if not new and not changed and not force:
            return
        await run_before(definition, before, record, store, changed)
    data = prepared(definition, state, record._fit(), store.user_id, datetime.now(UTC))
    changed = changes(definition, state.saved, data)
    if not new and not changed and not force:
        return
    if force:
        plan, version = await _commit_over(definition, state, data, store, after)
    else:
        plan = planned(definition, state, data, store.user_id)
        version = await _commit(plan, store, after)
    record._be(taken(plan, version, state))
    record._take(snapshot(data))
    await run_after(definition, after, record, store, changed)


async def delete(record: Saved, store: Store) -> None:
    """Marks a record as deleted, or removes it for good where the model has no such mark."""
    definition, state = record._model(), record._state_of()
    check_stored(definition, state, store.user_id)
    if is_deleted(state.saved):
        raise NotFoundOrNoAccess(definition.name, state.key)
    await run_before(definition, "before_delete", record, store, {})
    if definition.options.soft_delete:
        changed = await _mark(record, store, datetime.now(UTC), "after_delete")
    else:
        changed = await _remove(record, store, "after_delete")
    await run_after(definition, "after_delete", record, store, changed)


async def restore(record: Saved, store: Store) -> None:
    """Takes the mark from a record. One that has none stays as it is."""
    definition, state = record._model(), record._state_of()
    check_stored(definition, state, store.user_id)
    if not is_deleted(state.saved):
        return
    await run_before(definition, "before_restore", record, store, {})
    changed = await _mark(record, store, None, "after_restore")
    await run_after(definition, "after_restore", record, store, changed)


async def purge(record: Saved, store: Store) -> None:
    """Removes a record for good; it is new then. Hooks of deletion run unless it was deleted already."""
    definition, state = record._model(), record._state_of()
    check_stored(definition, state, store.user_id)
    hooked = not is_deleted(state.saved)
    if hooked:
        await run_before(definition, "before_delete", record, store, {})
    changed = await _remove(record, store, "after_delete")
    if hooked:
        await run_after(definition, "after_delete", record, store, changed)


async def change_access(record: Saved, store: Store, user_id: str, *, add: bool) -> None:
    """Shares a record with a user, or takes it from one. What is not saved of it stays so."""
    definition, state = record._model(), record._state_of()
    if not definition.options.auth:
        raise InvalidArgument(f"All users see every {definition.name}: its option auth is off.", field="auth")
    checked_user(user_id)
    check_stored(definition, state, store.user_id)

    async def attempt(transaction: AsyncTransaction) -> tuple[int, StoredObject, Deferred[int] | None]:
        entry = await transaction.get_entry(state.key)
        seen = None if entry is None else visible(entry.value, store.user_id)
        if entry is None or seen is None:
            raise NotFoundOrNoAccess(definition.name, state.key)
        value = shared(seen, user_id) if add else unshared(seen, user_id, store.user_id)
        if value is None:
            return entry.version, seen, None
        record_access(transaction, definition, str(seen[definition.primary.name]), user_id, add=add)
        return entry.version, value, transaction.set(state.key, value)

    with store.log.operation("share" if add else "unshare", definition.name, state.key), explained(definition):
        version, value, made = await store.database.transact(attempt)
    # When somebody has changed it since it was read, that stays what its next save is over, and fails.
    version = made.result() if made is not None and version == state.version else state.version
    record._be(replace(state, version=version, users=tuple(users_of(value))))


async def _mark(record: Saved, store: Store, deleted_at: datetime | None, after: HookName) -> dict[str, Change]:
    """Writes what is saved of a record with or without the mark, and nothing that is not saved."""
    definition, state = record._model(), record._state_of()
    marks: dict[str, Value] = {DELETED_AT: deleted_at}
    if definition.options.has(UPDATED_AT):
        marks[UPDATED_AT] = datetime.now(UTC) if deleted_at is None else deleted_at
    data = {**state.saved, **marks}
    changed = changes(definition, state.saved, data)
    plan = planned(definition, state, data, store.user_id)
    version = await _commit(plan, store, after)
    record._be(taken(plan, version, state))
    record._take(marks)
    return changed


async def _remove(record: Saved, store: Store, after: HookName) -> dict[str, Change]:
    definition, state = record._model(), record._state_of()
    removal = Removal(definition, stored_before(definition, state))

    async def attempt(transaction: AsyncTransaction) -> None:
        record_removal(transaction, removal)

    with store.log.operation("purge", definition.name, state.key), explained(definition):
        await store.database.transact(attempt, durability=durability(definition, after))
    record._be(State())
    return {}


async def _commit(plan: Save, store: Store, after: HookName) -> int:
    definition = plan.definition

    async def attempt(transaction: AsyncTransaction) -> Deferred[int]:
        return record_save(transaction, plan)

    with store.log.operation("save", definition.name, plan.key), explained(definition):
        try:
            made = await store.database.transact(attempt, durability=durability(definition, after))
        except VersionConflict as conflict:
            if plan.is_at_a_new_key and conflict.key == plan.key:
                raise await why_taken(plan, store, conflict) from conflict
            raise
    return made.result()


async def _commit_over(
    definition: ModelDefinition, state: State, data: Mapping[str, Value], store: Store, after: HookName
) -> tuple[Save, int]:
    """Writes a record over whatever is there, if this user may."""
    key = definition.pattern.key(data)

    async def attempt(transaction: AsyncTransaction) -> tuple[Save, Deferred[int]]:
        present = await transaction.get_entry(key)
        moved = bool(state.key) and state.key != key
        old = await transaction.get_entry(state.key) if moved else None
        plan = overriding(definition, state, data, store.user_id, present=present, old=old)
        return plan, record_save(transaction, plan)

    with store.log.operation("save", definition.name, key), explained(definition):
        plan, made = await store.database.transact(attempt, durability=durability(definition, after))
    return plan, made.result()


async def why_taken(plan: Save, store: Store, conflict: VersionConflict) -> PetraError:
    """Why a new record cannot be stored: its key is another one's, which this user sees or not."""
    entry = await store.database.get_entry(plan.key)
    if entry is None:
        return conflict
    if plan.definition.options.auth and visible(entry.value, store.user_id) is None:
        return NotFoundOrNoAccess(plan.definition.name, plan.key)
    return duplicate_key(plan.definition)
