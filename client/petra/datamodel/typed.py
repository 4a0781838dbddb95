"""Models as classes on pydantic: what such a class is in the terms of a definition, and its data. Pure.

A field of the class itself, `Page.title`, is a column to be compared in queries. Type checkers see the field's own
type, so a comparison is a bool for them, and a Condition when it runs.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final, dataclass_transform
from uuid import uuid4

import pydantic
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr
from uuid_utils.compat import uuid7

from petra.datamodel.annotations import plain_value, read_fields
from petra.datamodel.checks import examined
from petra.datamodel.define import names, read_hooks, read_indexes, read_seeds, read_unique
from petra.datamodel.definition import (
    AUTH,
    CREATED_AT,
    DELETED_AT,
    HOOK_NAMES,
    UPDATED_AT,
    USER_ID,
    KvPlacement,
    ModelDefinition,
    Options,
    TablePlacement,
)
from petra.datamodel.errors import DefinitionError, ValidationError
from petra.datamodel.expressions import Column
from petra.datamodel.registry import MODELS, Models
from petra.datamodel.state import State
from petra.datamodel.typed_data import adapted, errors_of, found_wrong, instance
from petra.values import Value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic._internal._model_construction import ModelMetaclass
else:
    # That is its name there, and nowhere in public.
    ModelMetaclass = type(BaseModel)

# Where a class keeps its definition.
DEFINITION: Final = "__petra_definition__"
_BUILT_IN: Final = ("id", USER_ID, CREATED_AT, UPDATED_AT, DELETED_AT)


class _Building(threading.local):
    """Whether this thread makes a class just now: what pydantic asks of other classes then are no columns."""

    depth = 0


_BUILDING = _Building()


@dataclass_transform(kw_only_default=True, field_specifiers=(Field, PrivateAttr))
class ModelClass(ModelMetaclass):
    """The class of model classes."""

    if not TYPE_CHECKING:

        def __new__(cls, *args, **kwargs):
            _BUILDING.depth += 1
            try:
                return super().__new__(cls, *args, **kwargs)
            finally:
                _BUILDING.depth -= 1

        def __getattr__(cls, name):  # noqa: N805 - of a class, whose instances are classes
            definition = cls.__dict__.get(DEFINITION)
            if definition is None or _BUILDING.depth or name.startswith("_") or name not in definition.by_name:
                return super().__getattr__(name)
            return Column(name, definition.name)


class TypedModel(BaseModel, metaclass=ModelClass):
    """What the model classes of both trees share: the built-in fields, the definition, and the data of a record."""

    model_config = ConfigDict(extra="forbid", validate_by_name=True, validate_by_alias=True)

    # Each is kept by Petra, and stays as it is here where the model's options switch it off.
    id: str = Field(default_factory=lambda: str(uuid4()))
    user_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    deleted_at: datetime | None = None

    _state: State = PrivateAttr(default_factory=State)

    def __init_subclass__(
        cls,
        *,
        abstract: bool = False,
        name: str | None = None,
        table: str | None = None,
        key: str | None = None,
        namespace: str = "",
        sync: Iterable[str] | None = None,
        indexes: Iterable[str | Iterable[str]] = (),
        unique: Iterable[str | Iterable[str]] = (),
        primary: str | None = None,
        options: Options | None = None,
        seeds: object = None,
        registry: Models = MODELS,
    ) -> None:
        """Makes a model of a class on this one.

        `name` is the class's name unless given, and `table` that in small letters. `key` is the pattern of its keys,
        `namespace` what stands before them. `sync` names the fields that queries can use: all but lists and objects,
        unless given. `primary` names a field of its own that takes the place of `id`. An abstract class is no model,
        and others inherit its fields.
        """

    @classmethod
    def __pydantic_init_subclass__(
        cls,
        *,
        abstract: bool = False,
        registry: Models = MODELS,
        primary: str | None = None,
        options: Options | None = None,
        **words: object,
    ) -> None:
        """Defines the model, when pydantic has made the class."""
        if abstract or cls.__module__.endswith(".datamodel.model"):
            return
        if not cls.__pydantic_complete__:
            raise DefinitionError(
                f"{cls.__name__} has annotations that name what is not defined yet. Define that before.", field="fields"
            )
        options = Options() if options is None else options
        options = options if primary is None else replace(options, primary=None)
        if options.primary == "uuid7":
            cls.model_fields["id"].default_factory = lambda: str(uuid7())
            cls.model_rebuild(force=True)
        definition = _define(cls, options, primary, words)
        registry.add(definition)
        setattr(cls, DEFINITION, definition)

    def __eq__(self, other: object) -> bool:
        """Whether both are of one class and have the same fields, wherever they are stored."""
        return type(self) is type(other) and self.__dict__ == other.__dict__

    # It can change.
    __hash__ = None  # type: ignore[assignment]

    # What records are asked for, see petra.datamodel.record.

    def _model(self) -> ModelDefinition:
        return definition_of_class(type(self))

    def _state_of(self) -> State:
        return self._state

    def _be(self, state: State) -> None:
        self._state = state

    def _raw(self) -> dict[str, Value]:
        fields = self._model().stored_fields
        values = self.__dict__
        try:
            written = self.__pydantic_serializer__.to_python(
                self, mode="json", include={one.name for one in fields}, by_alias=False, warnings=False
            )
        except (ValueError, TypeError):
            # A value of another type than its field's, which the validation will find.
            written = {one.name: plain_value(values.get(one.name)) for one in fields}
        return {
            one.name: values[one.name] if isinstance(values.get(one.name), datetime) else written.get(one.name)
            for one in fields
        }

    def _fit(self) -> dict[str, Value]:
        definition = self._model()
        given = {one.name: self.__dict__.get(one.name) for one in definition.stored_fields}
        errors: dict[str, list[str]] = {}
        raw = None
        try:
            raw = self.__pydantic_validator__.validate_python(given, by_name=True)._raw()
        except pydantic.ValidationError as error:
            errors = errors_of(error)
        fit, found = examined(definition, self._raw() if raw is None else raw)
        errors = found | errors
        if errors:
            raise ValidationError.of(definition.name, errors)
        return fit

    def _put(self, given: Mapping[str, object]) -> None:
        self.__dict__.update(given)
        self.__pydantic_fields_set__.update(given)

    def _take(self, data: Mapping[str, Value]) -> None:
        if data.keys() >= self._model().by_name.keys() - {AUTH}:
            # All at once is less work than each by itself.
            self._put({name: value for name, value in instance(type(self), data).__dict__.items() if name in data})
        else:
            self._put(adapted(type(self), data))


def definition_of_class(model: type[TypedModel]) -> ModelDefinition:
    """The definition of a model class. Raises DefinitionError for an abstract one."""
    definition = model.__dict__.get(DEFINITION)
    if not isinstance(definition, ModelDefinition):
        raise DefinitionError(f"{model.__name__} is abstract: it is no model, and has no records.", field="model")
    return definition


def _define(
    cls: type[TypedModel], options: Options, primary: str | None, words: Mapping[str, object]
) -> ModelDefinition:
    fields = read_fields(cls, leave_out=_BUILT_IN, primary=primary)
    methods = {name for base in cls.__mro__ if _is_petra(base) for name in vars(base)}
    for one in fields:
        if one.name in methods:
            raise DefinitionError(
                f"{one.name!r} is a method of models, and no field can have its name.", field="fields"
            )
    sync = words.get("sync")
    return ModelDefinition(
        str(words.get("name") or cls.__name__),
        fields,
        options=options,
        kv=KvPlacement(str(words.get("key") or ""), namespace=str(words.get("namespace") or "")),
        d1=TablePlacement(
            str(words.get("table") or ""),
            sync_fields=None if sync is None else names(sync, "sync"),
            indexes=read_indexes(words.get("indexes")),
            unique=read_unique(words.get("unique")),
        ),
        hooks=read_hooks({name: getattr(cls, name) for name in HOOK_NAMES if hasattr(cls, name)}),
        seeds=read_seeds(words.get("seeds")),
        check=partial(found_wrong, cls),
        typed=cls,
    )


def _is_petra(base: type) -> bool:
    return base.__module__.startswith(("petra.datamodel.", "petra.sync.datamodel."))
