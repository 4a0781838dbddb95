# Written by tools/blocking.py from petra/datamodel/model.py: change that, and run make blocking.
"""Models as classes: `class Page(Model): ...`, on pydantic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import pydantic
from pydantic import PrivateAttr

from petra.datamodel.checks import key_errors
from petra.datamodel.errors import ValidationError
from petra.datamodel.expressions import Condition
from petra.datamodel.lookups import Found
from petra.datamodel.typed import TypedModel, definition_of_class
from petra.datamodel.typed_data import errors_of, instance
from petra.sync.datamodel.bound import Bound
from petra.sync.datamodel.query import Fields, Query
from petra.sync.datamodel.record import Record, check_settable
from petra.sync.datastore import Store


class Model(TypedModel, Record, abstract=True):
    """The base of model classes; what stands in their brackets is described at `__init_subclass__`.

    An instance is a record: its attributes are its fields. `Page(title="a")` raises what pydantic raises, and makes a
    record that belongs to no store; `Page.using(store)` makes, reads and saves them. What an attribute is set to is
    validated by `save`. A method named as a hook, such as `before_create(self, event)`, is one.
    """

    _store: Store | None = PrivateAttr(default=None)

    @classmethod
    def using(cls, store: Store) -> Bound[Self]:
        """The model on a store. Raises TypeError for what is no store of this tree."""
        return Bound(definition_of_class(cls), cls._newly, cls._found, store)

    @classmethod
    def query(cls) -> Query[Self, Fields]:
        """A query that is bound to no store yet: `.using(store)`."""
        return Query(definition_of_class(cls), cls._found)

    @classmethod
    def where(cls, *conditions: Condition | bool | Mapping[str, object], **equal: object) -> Query[Self, Fields]:
        """A query with conditions, bound to no store yet: `Page.where(Page.status == "done").using(store)`."""
        return cls.query().where(*conditions, **equal)

    @classmethod
    def _newly(cls, fields: Mapping[str, object]) -> Self:
        definition = definition_of_class(cls)
        check_settable(definition, fields, new=True)
        try:
            return cls.model_validate(dict(fields), by_name=True)
        except pydantic.ValidationError as error:
            errors = key_errors(definition, fields) | errors_of(error)
            raise ValidationError.of(definition.name, errors) from None

    @classmethod
    def _found(cls, store: Store, found: Found) -> Self:
        made = instance(cls, found.data)
        made._state = found.state
        made._store = store
        return made

    def _bound_to(self) -> Store | None:
        return self._store

    def _bind(self, store: Store) -> None:
        self._store = store
