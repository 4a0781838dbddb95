"""Definitions of models as plain data: a dictionary with name, options, fields, kv, d1, hooks and seeds. Pure.

Each part may be written as a mapping, or as the class of petra.datamodel.definition that it becomes. A word that no
part knows is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Final, TypeVar, cast

from petra.datamodel.definition import (
    FieldDefinition,
    Hook,
    HookName,
    IndexDefinition,
    KvPlacement,
    ModelDefinition,
    Options,
    SeedDefinition,
    TablePlacement,
)
from petra.datamodel.encoding import FieldType
from petra.datamodel.errors import DefinitionError
from petra.datamodel.registry import MODELS, Models
from petra.datamodel.validation import read_rules

T = TypeVar("T")

_PARTS: Final = ("name", "fields", "options", "kv", "d1", "hooks", "seeds", "check")
_FIELD_WORDS: Final = ("type", "primary", "required", "default", "validation")


def define(
    definition: Mapping[str, object] | ModelDefinition, *, registry: Models = MODELS, replace: bool = False
) -> ModelDefinition:
    """Makes a model of its definition, and puts it into the registry.

    Raises DefinitionError that names what is wrong; also when there is another model of that name, unless `replace`.
    """
    made = definition if isinstance(definition, ModelDefinition) else read_definition(definition)
    registry.add(made, replace=replace)
    return made


def read_definition(given: Mapping[str, object]) -> ModelDefinition:
    """The model of a plain definition, in no registry. Raises DefinitionError."""
    _only(given, _PARTS, "The definition of a model")
    check = given.get("check")
    if check is not None and not callable(check):
        raise DefinitionError("check is a function of a record's data.", field="check")
    return ModelDefinition(
        cast("str", given.get("name")),
        read_fields(given.get("fields")),
        options=_read(given.get("options"), Options, "options"),
        kv=_read(given.get("kv"), KvPlacement, "kv"),
        d1=read_table(given.get("d1")),
        hooks=read_hooks(given.get("hooks")),
        seeds=read_seeds(given.get("seeds")),
        check=check,
    )


def read_fields(given: object) -> tuple[FieldDefinition, ...]:
    """Fields by their names: each is a type, or a mapping with type, primary, required, default and validation.

    Or a list of FieldDefinition.
    """
    if isinstance(given, list | tuple) and all(isinstance(one, FieldDefinition) for one in given):
        return tuple(given)
    if not isinstance(given, Mapping):
        raise DefinitionError("fields is a mapping of names to what the fields are.", field="fields")
    return tuple(_field(name, one) for name, one in given.items())


def read_table(given: object) -> TablePlacement:
    """Where the rows are: a mapping with table, sync_fields, indexes and unique.

    An index is the name of a field, or a list of names; so is what must be unique.
    """
    if not isinstance(given, Mapping):
        return _read(given, TablePlacement, "d1")
    _only(given, ("table", "sync_fields", "indexes", "unique"), "d1")
    sync = given.get("sync_fields")
    return TablePlacement(
        cast("str", given.get("table") or ""),
        sync_fields=None if sync is None else names(sync, "sync_fields"),
        indexes=read_indexes(given.get("indexes")),
        unique=read_unique(given.get("unique")),
    )


def read_indexes(given: object) -> tuple[IndexDefinition, ...]:
    """Indexes, each the name of a field, a list of names, or an IndexDefinition."""
    return tuple(
        one if isinstance(one, IndexDefinition) else IndexDefinition(_group(one, "indexes"))
        for one in _listed(given, "indexes")
    )


def read_unique(given: object) -> tuple[tuple[str, ...], ...]:
    """What must be unique, each the name of a field, or a list of names."""
    return tuple(_group(one, "unique") for one in _listed(given, "unique"))


def read_hooks(given: object) -> Mapping[HookName, tuple[Hook, ...]]:
    """Hooks by their names, each a function or several, which are called in their order."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise DefinitionError("hooks is a mapping of names to functions.", field="hooks")
    return {cast("HookName", name): _functions(name, one) for name, one in given.items()}


def read_seeds(given: object) -> tuple[SeedDefinition, ...]:
    """Seeds: a mapping with strategy, data and match, or several. `data` is a list of records."""
    if isinstance(given, Mapping | SeedDefinition):
        given = [given]
    return tuple(one if isinstance(one, SeedDefinition) else _seed(one) for one in _listed(given, "seeds"))


def names(given: object, where: str) -> tuple[str, ...]:
    """A list of names, as it is written in a definition."""
    listed = _listed(given, where)
    if not all(isinstance(name, str) for name in listed):
        raise DefinitionError(f"{where} is a list of names of fields.", field=where)
    return cast("tuple[str, ...]", listed)


def _field(name: object, given: object) -> FieldDefinition:
    if isinstance(given, FieldDefinition):
        if given.name != name:
            raise DefinitionError(f"The field {given.name!r} stands under the name {name!r}.", field="fields")
        return given
    if isinstance(given, str):
        given = {"type": given}
    if not isinstance(given, Mapping):
        raise DefinitionError(f"The field {name!r} is a type, or a mapping with one; not {given!r}.", field="fields")
    _only(given, _FIELD_WORDS, f"The field {name!r}")
    for word in ("primary", "required"):
        if not isinstance(given.get(word, False), bool):
            raise DefinitionError(f"{word} of the field {name!r} is true or false.", field=word)
    words = {word: given[word] for word in given if word not in {"type", "validation"}}
    rules = read_rules(given.get("validation"))
    field_type = cast("FieldType", given.get("type", "string"))
    return FieldDefinition(cast("str", name), field_type, validation=rules, **words)


def _seed(given: object) -> SeedDefinition:
    if not isinstance(given, Mapping):
        raise DefinitionError("Seeds are a mapping with strategy, data and match, or several of them.", field="seeds")
    _only(given, ("strategy", "data", "match"), "seeds")
    data = _listed(given.get("data"), "data")
    if not all(isinstance(row, Mapping) for row in data):
        raise DefinitionError("data of seeds is a list of records, each a mapping.", field="seeds")
    match = {} if given.get("match") is None else {"match": names(given["match"], "match")}
    strategy = {} if given.get("strategy") is None else {"strategy": given["strategy"]}
    return SeedDefinition(cast("tuple[Mapping[str, object], ...]", data), **match, **strategy)  # type: ignore[arg-type]


def _read(given: object, part: Callable[..., T], where: str) -> T:
    """A part that is given as its class, as a mapping of its words, or not at all."""
    if given is None:
        return part()
    if isinstance(part, type) and isinstance(given, part):
        return cast("T", given)
    if not isinstance(given, Mapping):
        raise DefinitionError(f"{where} is a mapping.", field=where)
    _only(given, tuple(word.name for word in fields(cast("type[KvPlacement]", part)) if word.name != "_"), where)
    return part(**given)


def _only(given: Mapping[str, object], words: tuple[str, ...], what: str) -> None:
    unknown = [word for word in given if word not in words]
    if unknown:
        raise DefinitionError(f"{what} has no {str(unknown[0])[:60]!r}; it has {', '.join(words)}.", field=what)


def _listed(given: object, where: str) -> tuple[object, ...]:
    if given is None:
        return ()
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        raise DefinitionError(f"{where} is a list.", field=where)
    return tuple(given)


def _group(given: object, where: str) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else names(given, where)


def _functions(name: object, given: object) -> tuple[Hook, ...]:
    functions = tuple(given) if isinstance(given, list | tuple) else (given,)
    if not all(callable(function) for function in functions):
        raise DefinitionError(f"The hook {name!r} is a function, or a list of functions.", field="hooks")
    return functions
