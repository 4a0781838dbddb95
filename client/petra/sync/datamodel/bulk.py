# Written by tools/blocking.py from petra/datamodel/bulk.py: change that, and run make blocking.
"""Many records at once, written in portions. Each portion is one transaction of its objects, rows and access rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from petra.contention import Contention
from petra.datamodel.decisions import planned, prepared, taken
from petra.datamodel.definition import HookName, ModelDefinition
from petra.datamodel.errors import BulkFailed, ValidationError
from petra.datamodel.faults import explained
from petra.datamodel.lookups import Found
from petra.datamodel.portions import PORTION_RECORDS, Patch, cut, portions
from petra.datamodel.state import Change, changes, is_deleted, snapshot
from petra.datamodel.writes import Save, record_saves
from petra.deferred import Deferred
from petra.errors import PetraError, VersionConflict
from petra.sync._waiting import pause
from petra.sync.datamodel.hooks import durability, run_after, run_before
from petra.sync.datamodel.reading import fetch_many
from petra.sync.datamodel.record import Record
from petra.sync.datamodel.saving import why_taken
from petra.sync.datastore import NotFoundOrNoAccess, Store
from petra.sync.transaction import Transaction

R = TypeVar("R", bound=Record)

# How long a portion is tried against others who change its records, in seconds.
_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class _Item(Generic[R]):
    """A record that is to be written, and what its hooks are told afterwards."""

    index: int
    record: R
    save: Save
    changed: Mapping[str, Change]


def create(
    definition: ModelDefinition, store: Store, records: Mapping[int, R], errors: Mapping[str, list[str]]
) -> None:
    """Saves new records, by their indexes. `errors` are what was found wrong with others of them before."""
    items = _prepared(definition, store, records, "before_create", errors)
    written = 0
    for portion in portions(items, lambda item: item.save):
        with _counted(written, len(items)):
            versions = _commit(definition, store, portion, "after_create")
        _settle(definition, store, portion, versions, "after_create")
        written += len(portion)


def update(
    definition: ModelDefinition, store: Store, made: Callable[[Store, Found], R], patches: Sequence[Patch]
) -> list[R]:
    """Changes stored records, and returns them in the order of the patches."""
    records: dict[int, R] = {}
    items: list[_Item[R]] = []
    for some in cut(patches, PORTION_RECORDS):
        records |= _patched(definition, store, made, some)
    items = _prepared(definition, store, records, "before_update", {})
    written = 0
    for portion in portions(items, lambda item: item.save):
        with _counted(written, len(items)):
            records |= _write_again_and_again(definition, store, made, patches, portion)
        written += len(portion)
    return [records[patch.index] for patch in patches]


def _write_again_and_again(
    definition: ModelDefinition,
    store: Store,
    made: Callable[[Store, Found], R],
    patches: Sequence[Patch],
    portion: Sequence[_Item[R]],
) -> dict[int, R]:
    """Writes changed records, and reads and changes them anew where somebody was faster; returns those written."""
    contention = Contention(_PATIENCE)
    indexes = [item.index for item in portion]
    records = {item.index: item.record for item in portion}
    while True:
        try:
            versions = _commit(definition, store, portion, "after_update")
        except VersionConflict as conflict:
            pause(contention.pause(conflict))
            records = _patched(definition, store, made, [patches[index] for index in indexes])
            portion = _prepared(definition, store, records, "before_update", {})
        else:
            _settle(definition, store, portion, versions, "after_update")
            return records


def _patched(
    definition: ModelDefinition, store: Store, made: Callable[[Store, Found], R], patches: Sequence[Patch]
) -> dict[int, R]:
    """The records that patches are for, changed and not saved."""
    found = fetch_many(definition, store, [patch.id for patch in patches])
    records: dict[int, R] = {}
    for patch in patches:
        one = found.get(patch.id)
        if one is None or is_deleted(one.data):
            raise NotFoundOrNoAccess(definition.name, patch.id)
        records[patch.index] = made(store, one).set(patch.fields)
    return records


def _prepared(
    definition: ModelDefinition,
    store: Store,
    records: Mapping[int, R],
    hook: HookName,
    errors: Mapping[str, list[str]],
) -> list[_Item[R]]:
    """What is to be written of records: those that have changed. Raises ValidationError for all that is wrong."""
    found = dict(errors)
    items: list[_Item[R]] = []
    for index, record in records.items():
        state = record._state_of()
        run_before(definition, hook, record, store, changes(definition, state.saved, record._raw()))
        try:
            data = prepared(definition, state, record._fit(), store.user_id, datetime.now(UTC))
        except ValidationError as error:
            found |= {f"[{index}].{name}": wrong for name, wrong in error.errors.items()}
            continue
        changed = changes(definition, state.saved, data)
        if changed:
            items.append(_Item(index, record, planned(definition, state, data, store.user_id), changed))
    if found:
        raise ValidationError.of(definition.name, found)
    return items


def _commit(definition: ModelDefinition, store: Store, portion: Sequence[_Item[R]], after: HookName) -> list[int]:
    saves = [item.save for item in portion]

    def attempt(transaction: Transaction) -> list[Deferred[int]]:
        return record_saves(transaction, saves)

    what = "bulk_create" if after == "after_create" else "bulk_update"
    with store.log.operation(what, definition.name, f"{len(saves)} records"), explained(definition):
        try:
            made = store.database.transact(attempt, durability=durability(definition, after))
        except VersionConflict as conflict:
            for save in saves:
                if save.is_at_a_new_key and save.key == conflict.key:
                    raise why_taken(save, store, conflict) from conflict
            raise
    return [version.result() for version in made]


def _settle(
    definition: ModelDefinition,
    store: Store,
    portion: Sequence[_Item[R]],
    versions: Sequence[int],
    after: HookName,
) -> None:
    for item, version in zip(portion, versions, strict=True):
        item.record._be(taken(item.save, version, item.record._state_of()))
        item.record._take(snapshot(item.save.data))
    for item in portion:
        run_after(definition, after, item.record, store, item.changed)


@contextmanager
def _counted(written: int, total: int) -> Iterator[None]:
    """Raises BulkFailed for an error after so many records were written."""
    try:
        yield
    except PetraError as error:
        if not written:
            raise
        raise BulkFailed(
            f"{written} of {total} records are written, and the next portion of them failed: {error}",
            written=written,
            outcome_unknown=error.outcome_unknown,
        ) from error
