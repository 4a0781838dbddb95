"""Records of models that are defined as plain data: `DataModel("PAGE", store)`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Protocol

from petra.datamodel.bound import Bound
from petra.datamodel.checks import checked
from petra.datamodel.definition import ModelDefinition
from petra.datamodel.dual import Dual
from petra.datamodel.errors import DefinitionError
from petra.datamodel.lookups import Found
from petra.datamodel.query import Fields, Query
from petra.datamodel.record import Record, check_settable
from petra.datamodel.registry import MODELS, Models
from petra.datamodel.state import State, new_data, snapshot
from petra.datastore import Store
from petra.values import Value


async def get_record(
    model: str | ModelDefinition, record_id: str, store: Store, *, include_deleted: bool = False
) -> DataModel | None:
    """The record of that id, or None when there is none or the store's user does not see it."""
    return await DataModel.using(model, store).get(record_id, include_deleted=include_deleted)


async def delete_record(model: str | ModelDefinition, record_id: str, store: Store) -> None:
    """Deletes the record of that id. Raises NotFoundOrNoAccess when `get` would give None."""
    await DataModel.using(model, store).delete(record_id)


class _GetRecord(Protocol):
    async def __call__(
        self, model: str | ModelDefinition, record_id: str, store: Store, *, include_deleted: bool = False
    ) -> DataModel | None: ...


class _DeleteRecord(Protocol):
    async def __call__(self, model: str | ModelDefinition, record_id: str, store: Store) -> None: ...


class DataModel(Record):
    """A record of a plain definition; its fields are read and set by `get` and `set`.

    A model is given by its name in the registry of all models, or by its definition. The functions of the class take a
    store, and those of a record know it: `DataModel.get("PAGE", id, store)` is a record, `page.get("title")` a value.
    """

    __slots__ = ("_data", "_definition", "_state", "_store")

    def __init__(
        self, model: str | ModelDefinition, store: Store | None = None, data: Mapping[str, object] | None = None
    ) -> None:
        """A new record with the defaults of its model, and `data`. Raises UnknownModel, UnknownField."""
        self._definition = plain_definition(model)
        self._state = State()
        self._data: dict[str, Value] = new_data(self._definition)
        self._store: Store | None = None
        if store is not None:
            self._bind(store)
        if data:
            check_settable(self._definition, data, new=True)
            self._data.update(data)

    def __repr__(self) -> str:
        state = "new" if self.is_new else f"version {self._state.version}"
        return f"<{type(self).__name__} {self._definition.name} {self._data[self._definition.primary.name]!r}, {state}>"

    @classmethod
    def using(cls, model: str | ModelDefinition, store: Store) -> Bound[DataModel]:
        """The model on a store."""
        definition = plain_definition(model)
        return Bound(definition, lambda fields: DataModel(definition, None, fields), _maker(definition), store)

    @staticmethod
    async def create(model: str | ModelDefinition, data: Mapping[str, object], store: Store) -> DataModel:
        """A record, saved. Raises as `save`."""
        return await DataModel(model, store, data).save()

    @staticmethod
    def query(model: str | ModelDefinition, store: Store) -> Query[DataModel, Fields]:
        """A query of all records that the store's user sees and that are not deleted."""
        return DataModel.using(model, store).query()

    @staticmethod
    async def bulk_create(
        model: str | ModelDefinition, rows: Iterable[Mapping[str, object]], store: Store
    ) -> list[DataModel]:
        """Makes and saves many records; see `Bound.bulk_create`."""
        return await DataModel.using(model, store).bulk_create(rows)

    @staticmethod
    async def bulk_update(
        model: str | ModelDefinition, rows: Iterable[Mapping[str, object]], store: Store
    ) -> list[DataModel]:
        """Changes many records; see `Bound.bulk_update`."""
        return await DataModel.using(model, store).bulk_update(rows)

    # On the class these are functions with a store, and on a record its methods.
    get: Dual[_GetRecord, [str], Value] = Dual(get_record, Record.get)
    delete: Dual[_DeleteRecord, [], Coroutine[Any, Any, None]] = Dual(delete_record, Record.delete)

    def _model(self) -> ModelDefinition:
        return self._definition

    def _state_of(self) -> State:
        return self._state

    def _be(self, state: State) -> None:
        self._state = state

    def _bound_to(self) -> Store | None:
        return self._store

    def _bind(self, store: Store) -> None:
        self._store = DataModel.using(self._definition, store).store

    def _raw(self) -> dict[str, Value]:
        return dict(self._data)

    def _fit(self) -> dict[str, Value]:
        return checked(self._definition, self._data)

    def _put(self, given: Mapping[str, object]) -> None:
        self._data.update(given)

    def _take(self, data: Mapping[str, Value]) -> None:
        self._data.update(data)


def plain_definition(model: str | ModelDefinition, registry: Models = MODELS) -> ModelDefinition:
    """The definition of a model whose records have no class. Raises UnknownModel, DefinitionError."""
    definition = model if isinstance(model, ModelDefinition) else registry[model]
    if definition.typed is not None:
        raise DefinitionError(
            f"{definition.name} is a class: use {definition.typed.__name__}.using(store).", field="model"
        )
    return definition


def _maker(definition: ModelDefinition) -> Callable[[Store, Found], DataModel]:
    def made(store: Store, found: Found) -> DataModel:
        # Without the defaults of a new record, and the id that would be made for it.
        record = DataModel.__new__(DataModel)
        record._definition, record._store = definition, store
        record._data, record._state = snapshot(found.data), found.state
        return record

    return made
