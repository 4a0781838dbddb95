"""A model on a store: its records are made, read and removed here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from petra._waiting import pause
from petra.contention import Contention
from petra.datamodel import bulk
from petra.datamodel.definition import ModelDefinition
from petra.datamodel.errors import ValidationError
from petra.datamodel.expressions import Condition
from petra.datamodel.lookups import Found
from petra.datamodel.portions import read_patches
from petra.datamodel.query import Fields, Query, checked_store
from petra.datamodel.reading import fetch
from petra.datamodel.record import Record
from petra.datamodel.state import is_deleted
from petra.datastore import NotFoundOrNoAccess, Store
from petra.errors import VersionConflict

R = TypeVar("R", bound=Record)

# How long a deletion by id is tried against others who change the record, in seconds.
_PATIENCE = 5.0


class Bound(Generic[R]):
    """A model on a store, for the store's user. It keeps nothing, and may be used by many tasks at once."""

    def __init__(
        self,
        definition: ModelDefinition,
        new: Callable[[Mapping[str, object]], R],
        made: Callable[[Store, Found], R],
        store: Store,
    ) -> None:
        """Made by `using`. `new` makes a new record of its fields, and `made` one of what was found."""
        self.definition = definition
        self.store = checked_store(store)
        self._new = new
        self._made = made

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.definition.name} on {self.store!r}>"

    def new(self, **fields: object) -> R:
        """A record that is bound and not saved. Raises UnknownField, and ValidationError."""
        record = self._new(fields)
        record._bind(self.store)
        return record

    async def create(self, **fields: object) -> R:
        """A record, saved. Raises as `new` and as `save` of a record."""
        return await self.new(**fields).save()

    async def save(self, record: R, *, force: bool = False) -> R:
        """Binds a record to the store and saves it; see `save` of a record."""
        record._bind(self.store)
        return await record.save(force=force)

    async def get(self, record_id: str, *, include_deleted: bool = False) -> R | None:
        """The record of that id, or None when there is none or the user does not see it."""
        found = await fetch(self.definition, self.store, record_id)
        if found is None or (is_deleted(found.data) and not include_deleted):
            return None
        return self._made(self.store, found)

    async def delete(self, record_id: str) -> None:
        """Deletes the record of that id, whatever its version is; see `delete` of a record.

        Raises NotFoundOrNoAccess when `get` would give None. When somebody changes the record meanwhile, it is read and
        its hooks are run again.
        """
        contention = Contention(_PATIENCE)
        while True:
            record = await self.get(record_id)
            if record is None:
                raise NotFoundOrNoAccess(self.definition.name, record_id)
            try:
                return await record.delete()
            except VersionConflict as conflict:
                await pause(contention.pause(conflict))

    async def bulk_create(self, rows: Iterable[Mapping[str, object]]) -> list[R]:
        """Makes and saves many records, in their order.

        All are validated before any is written: ValidationError has all that is wrong, as `[3].title`. They are written
        in portions of up to 250 records and 4 MiB, each as a whole or not at all; when one fails after others were
        written, BulkFailed says how many were. Hooks are called for each record.
        """
        errors: dict[str, list[str]] = {}
        records: dict[int, R] = {}
        for index, row in enumerate(rows):
            try:
                records[index] = self.new(**row)
            except ValidationError as error:
                errors |= {f"[{index}].{name}": found for name, found in error.errors.items()}
        await bulk.create(self.definition, self.store, records, errors)
        return list(records.values())

    async def bulk_update(self, rows: Iterable[Mapping[str, object]]) -> list[R]:
        """Changes many records, each named by its id among the fields to set; returns them in the same order.

        It reads them, and tries again where somebody changes one meanwhile. Otherwise as `bulk_create`. Raises
        NotFoundOrNoAccess when one of them is not there, is deleted, or is not seen; nothing is written then.
        """
        return await bulk.update(self.definition, self.store, self._made, read_patches(self.definition, rows))

    def query(self) -> Query[R, Fields]:
        """A query of all records that the user sees and that are not deleted."""
        return Query(self.definition, self._made, store=self.store)

    def where(self, *conditions: Condition | bool | Mapping[str, object], **equal: object) -> Query[R, Fields]:
        """A query of the records that fulfil conditions; see `where` of a query."""
        return self.query().where(*conditions, **equal)
