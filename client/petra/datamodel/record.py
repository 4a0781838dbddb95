"""What every record can do, whether its model is a class of its own or a plain definition.

A record is bound to the store that it was made or read by. Its methods that write raise InvalidArgument when it is
bound to none; VersionConflict when somebody else has written it since it was read, so that no change is lost; and
NotFoundOrNoAccess when it is not stored, or does not name the store's user. Nothing has changed then.

A record is no more than its data: it may be dropped at any time, and two of the same id know nothing of each other. Use
one from one task or thread at a time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Final, Self, overload

from petra.datamodel import saving
from petra.datamodel.definition import AUTH, ModelDefinition
from petra.datamodel.encoding import copied
from petra.datamodel.reading import fetch
from petra.datamodel.state import Change, State, changes, snapshot
from petra.datastore import NotFoundOrNoAccess, Store
from petra.errors import InvalidArgument
from petra.values import Value


class _Nothing:
    """No value was given: None is one."""

    __slots__ = ()


_NOTHING: Final = _Nothing()


class Record(ABC):
    """The methods of records. A class of records says what its model is, and where the data is."""

    __slots__ = ()

    @abstractmethod
    def _model(self) -> ModelDefinition:
        """The model."""

    @abstractmethod
    def _state_of(self) -> State:
        """How it is stored."""

    @abstractmethod
    def _be(self, state: State) -> None:
        """Takes another state."""

    @abstractmethod
    def _bound_to(self) -> Store | None:
        """The store that it is bound to."""

    @abstractmethod
    def _bind(self, store: Store) -> None:
        """Binds it to a store."""

    @abstractmethod
    def _raw(self) -> dict[str, Value]:
        """The data as it was set, by all fields."""

    @abstractmethod
    def _fit(self) -> dict[str, Value]:
        """The data as it can be stored. Raises ValidationError."""

    @abstractmethod
    def _put(self, given: Mapping[str, object]) -> None:
        """Sets fields to what a user gives."""

    @abstractmethod
    def _take(self, data: Mapping[str, Value]) -> None:
        """Sets fields to what is stored, also those that Petra keeps."""

    # Data.

    @overload
    def set(self, field: str, value: object, /) -> Self: ...

    @overload
    def set(self, fields: Mapping[str, object], /) -> Self: ...

    def set(self, field: str | Mapping[str, object], value: object = _NOTHING, /) -> Self:
        """Sets a field, or several as a mapping; returns the record. What the values may be is judged by `save`.

        Raises UnknownField; and InvalidArgument for a field that Petra keeps, and for the id of a stored record.
        Nothing is set then.
        """
        if isinstance(field, Mapping):
            if not isinstance(value, _Nothing):
                raise InvalidArgument("set takes a field and its value, or a mapping of both.", field="value")
            given = dict(field)
        elif isinstance(value, _Nothing):
            raise InvalidArgument(f"set takes a value for {field!r}, or a mapping.", field="value")
        else:
            given = {field: value}
        check_settable(self._model(), given, new=self.is_new)
        self._put(given)
        return self

    def get(self, field: str, /) -> Value:
        """The value of a field; `_auth` is the list of the users who see the record. Raises UnknownField."""
        if field == AUTH and self._model().options.auth:
            return list(self._state_of().users)
        return self._raw()[self._model().field(field).name]

    def get_data(self) -> dict[str, Value]:
        """All fields with their values, and `_auth`. It shares nothing with the record."""
        data = {name: copied(value) for name, value in self._raw().items()}
        return data | ({AUTH: list(self._state_of().users)} if self._model().options.auth else {})

    @property
    def changes(self) -> dict[str, Change]:
        """What `save` would write, by field: what was read, and what is set. Of a new record, all that is not None."""
        return changes(self._model(), self._state_of().saved, self._raw())

    @property
    def is_new(self) -> bool:
        """Whether it was never saved, or was purged."""
        return self._state_of().version == 0

    # Storage.

    async def save(self, *, force: bool = False) -> Self:
        """Writes it, new or changed, and returns it; a record without changes is not written.

        `force` writes it whatever its version is, over what others have written. Raises ValidationError with all that
        is wrong; HookRefused; Duplicate when another record has values that must be unique; and those above.
        """
        await saving.save(self, self._store_for("save"), force=force)
        return self

    async def load(self, record_id: str | None = None) -> Self:
        """Reads it again, or the record of that id in its place, and returns it. Changes that are not saved are lost.

        A deleted record is read as well. Raises NotFoundOrNoAccess.
        """
        store, definition = self._store_for("load"), self._model()
        wanted = self._raw()[definition.primary.name] if record_id is None else record_id
        found = await fetch(definition, store, wanted)
        if found is None:
            raise NotFoundOrNoAccess(definition.name, wanted)
        self._be(found.state)
        self._take(snapshot(found.data))
        return self

    async def delete(self) -> None:
        """Marks it as deleted: queries and `get` do not see it any more, and it can be restored.

        Without the option `soft_delete` it is removed for good. Changes that are not saved are not written.
        """
        await saving.delete(self, self._store_for("delete"))

    async def restore(self) -> None:
        """Takes the mark of a deletion from it. Without one nothing happens. Raises Duplicate as `save`."""
        await saving.restore(self, self._store_for("restore"))

    async def purge(self) -> None:
        """Removes it for good: object, row and access. It is new then, and `save` would store it anew."""
        await saving.purge(self, self._store_for("purge"))

    async def share(self, user_id: str) -> None:
        """Lets another user see and change it. Changes that are not saved stay so."""
        await saving.change_access(self, self._store_for("share"), user_id, add=True)

    async def unshare(self, user_id: str) -> None:
        """Takes it out of a user's sight. Raises LastOwner when it names nobody else, but not to the system."""
        await saving.change_access(self, self._store_for("unshare"), user_id, add=False)

    def _store_for(self, what: str) -> Store:
        store = self._bound_to()
        if store is None:
            raise InvalidArgument(
                f"This {self._model().name} is bound to no store, so there is nowhere to {what} it. Save it through a"
                " store first: using(store).save(record).",
                field="store",
            )
        return store


def check_settable(definition: ModelDefinition, given: Mapping[str, object], *, new: bool) -> None:
    """Raises UnknownField, and InvalidArgument for a field that cannot be set."""
    for name in given:
        if name == AUTH and definition.options.auth:
            raise InvalidArgument(f"{AUTH} is changed by share and unshare alone.", field=AUTH)
        one = definition.field(name)
        if one.primary and not new:
            raise InvalidArgument(f"{name} cannot be changed once the record is saved.", field=name)
        if one.built_in and not one.primary:
            raise InvalidArgument(f"{name} is kept by Petra, and cannot be set.", field=name)
