"""What a model is: its fields, where its records are stored, and what happens to them. Pure and frozen.

A ModelDefinition is complete once it is made: the built-in fields that its options ask for stand among its fields, its
key pattern and its table are named, and all of it was checked. Names of tables and columns come from here alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Final

from petra.datamodel.encoding import FIELD_TYPES, FieldType, Unfit, normalized
from petra.datamodel.errors import DefinitionError, UnknownField, names_shown
from petra.datamodel.keys import KeyPattern, parse_pattern
from petra.datamodel.parts import (
    ACCESS_SUFFIX,
    AUTH,
    CREATED_AT,
    DELETED_AT,
    HOOK_NAMES,
    KEY_COLUMN,
    NO_DEFAULT,
    SEED_STRATEGIES,
    UPDATED_AT,
    USER_ID,
    FieldDefinition,
    Hook,
    HookName,
    IndexDefinition,
    KvPlacement,
    NoDefault,
    Options,
    SeedDefinition,
    SeedStrategy,
    TablePlacement,
)
from petra.values import Value

# A definition and its parts are one thing to those who read one.
__all__ = [
    "ACCESS_SUFFIX",
    "AUTH",
    "CREATED_AT",
    "DELETED_AT",
    "HOOK_NAMES",
    "KEY_COLUMN",
    "NO_DEFAULT",
    "SEED_STRATEGIES",
    "UPDATED_AT",
    "USER_ID",
    "FieldDefinition",
    "Hook",
    "HookName",
    "IndexDefinition",
    "KvPlacement",
    "ModelDefinition",
    "Options",
    "SeedDefinition",
    "SeedStrategy",
    "TablePlacement",
    "quoted",
]

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Enough for any name that is meant to be read, and it leaves room for the names of indexes.
_LONGEST_NAME: Final = 64
_KEPT_BY_PETRA: Final = (USER_ID, CREATED_AT, UPDATED_AT, DELETED_AT, AUTH)
_NOT_SYNCED_BY_ITSELF: Final = ("text", "json", "array")


@dataclass(frozen=True, slots=True)
class ModelDefinition:
    """A model. It is made complete and checked at once; raises DefinitionError that names the part which is wrong.

    `check` is for rules over several fields: it gets data whose fields are right by themselves, and returns what is
    wrong, by field. `typed` is the class of its records, where they have one.
    """

    name: str
    fields: tuple[FieldDefinition, ...]
    _: KW_ONLY
    options: Options = field(default_factory=Options)
    kv: KvPlacement = field(default_factory=KvPlacement)
    d1: TablePlacement = field(default_factory=TablePlacement)
    hooks: Mapping[HookName, tuple[Hook, ...]] = field(default_factory=dict)
    seeds: tuple[SeedDefinition, ...] = ()
    check: Callable[[Mapping[str, Value]], Mapping[str, list[str]]] | None = None
    typed: type | None = None

    by_name: Mapping[str, FieldDefinition] = field(init=False, repr=False, compare=False)
    # The fields that a user of the model sees: all but `_auth`.
    stored_fields: tuple[FieldDefinition, ...] = field(init=False, repr=False, compare=False)
    primary: FieldDefinition = field(init=False, repr=False, compare=False)
    # The fields of a row, in the order of its columns: the primary one first.
    columns: tuple[FieldDefinition, ...] = field(init=False, repr=False, compare=False)
    pattern: KeyPattern = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_name(self.name, "name")
        own = tuple(one for one in self.fields if not one.built_in)
        _check_fields(own, self.options)
        resolved = _with_built_in(own, self.options)
        by_name = {one.name: one for one in resolved}
        primary = next(one for one in resolved if one.primary)
        _set(self, "fields", resolved)
        _set(self, "by_name", by_name)
        _set(self, "stored_fields", tuple(one for one in resolved if one.name != AUTH))
        _set(self, "primary", primary)
        _set(self, "d1", _resolved_table(self, own))
        _set(self, "columns", _columns(self))
        _set(self, "kv", KvPlacement(self.kv.key_pattern or _default_pattern(self), namespace=self.kv.namespace))
        _set(self, "pattern", _pattern(self))
        _check_placement(self)

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def table(self) -> str:
        """The name of the table of rows."""
        return self.d1.table

    @property
    def access_table(self) -> str:
        """The name of the table that says who may see which record."""
        return self.d1.table + ACCESS_SUFFIX

    @property
    def synced_names(self) -> tuple[str, ...]:
        """The fields that queries can use."""
        return tuple(one.name for one in self.columns)

    def has(self, name: str) -> bool:
        """Whether there is a field of that name, built-in or not."""
        return name in self.by_name

    def field(self, name: object) -> FieldDefinition:
        """The field of that name. Raises UnknownField that names those there are."""
        found = self.by_name.get(name) if isinstance(name, str) and name != AUTH else None
        if found is None:
            known = names_shown(one.name for one in self.stored_fields)
            raise UnknownField(f"{self.name} has no field {_shown(name)}; it has {known}.", field="field")
        return found

    def column(self, name: object) -> FieldDefinition:
        """The field of that name, which is in the rows. Raises UnknownField that names those that are."""
        found = self.by_name.get(name) if isinstance(name, str) else None
        if found is None or found not in self.columns:
            what = "is not synced to the rows of" if found and name != AUTH else "is no field of"
            raise UnknownField(
                f"{_shown(name)} {what} {self.name}, so no query can use it; it can use"
                f" {names_shown(self.synced_names)}.",
                field="field",
            )
        return found


def quoted(name: str) -> str:
    """The name of a table, column or index as it stands in SQL. Raises DefinitionError for what cannot be one."""
    _check_identifier(name, "name")
    return f'"{name}"'


def _set(definition: ModelDefinition, name: str, value: object) -> None:
    object.__setattr__(definition, name, value)


# Resolving.


def _with_built_in(own: tuple[FieldDefinition, ...], options: Options) -> tuple[FieldDefinition, ...]:
    first: tuple[FieldDefinition, ...] = ()
    if options.primary is not None:
        first = (FieldDefinition("id", primary=True, required=True, built_in=True),)
    types: dict[str, FieldType] = {USER_ID: "string", AUTH: "array"}
    last = (
        FieldDefinition(name, types.get(name, "timestamp"), built_in=True)
        for name in _KEPT_BY_PETRA
        if options.has(name)
    )
    return (*first, *own, *last)


def _resolved_table(definition: ModelDefinition, own: tuple[FieldDefinition, ...]) -> TablePlacement:
    given = definition.d1
    sync = given.sync_fields
    if sync is None:
        sync = tuple(one.name for one in own if one.type not in _NOT_SYNCED_BY_ITSELF)
    return TablePlacement(
        given.table or definition.name.lower(), sync_fields=sync, indexes=given.indexes, unique=given.unique
    )


def _columns(definition: ModelDefinition) -> tuple[FieldDefinition, ...]:
    names = dict.fromkeys([definition.primary.name, *(definition.d1.sync_fields or ())])
    names.update(dict.fromkeys(name for name in _KEPT_BY_PETRA if name in definition.by_name and name != AUTH))
    for name in names:
        if name not in definition.by_name or name == AUTH:
            known = names_shown(one.name for one in definition.stored_fields)
            raise DefinitionError(f"sync_fields names {_shown(name)}, and the fields are {known}.", field="sync_fields")
    return tuple(definition.by_name[name] for name in names)


def _default_pattern(definition: ModelDefinition) -> str:
    return f"{definition.name.lower()}:{{{definition.primary.name}}}"


def _pattern(definition: ModelDefinition) -> KeyPattern:
    namespace = definition.kv.namespace
    pattern = parse_pattern(f"{namespace}:{definition.kv.key_pattern}" if namespace else definition.kv.key_pattern)
    for name in pattern.fields:
        one = definition.by_name.get(name)
        if one is None or one.type not in {"string", "text", "int", "bool"} or name in _KEPT_BY_PETRA[1:]:
            raise DefinitionError(
                f"The key pattern {pattern.text!r} names {name!r}, which is no field that a key can have: those are"
                " the model's texts, whole numbers and bools.",
                field="key_pattern",
            )
    return pattern


# Checks.


def _check_fields(own: tuple[FieldDefinition, ...], options: Options) -> None:
    seen: set[str] = set()
    for one in own:
        _check_name(one.name, "fields")
        if one.name.lower() in seen:
            # SQLite does not tell the names of columns apart by their case.
            raise DefinitionError(f"There are two fields {one.name!r}, whatever their case.", field="fields")
        seen.add(one.name.lower())
        if one.name.startswith("_") or one.name.lower() in _reserved(options):
            raise DefinitionError(f"{one.name!r} is a name of Petra's own, and no field can have it.", field="fields")
        _check_field(one)
    primaries = [one.name for one in own if one.primary]
    if options.primary is not None and primaries:
        raise DefinitionError(
            f"{primaries[0]!r} is the primary field, so the option primary must be None: it asks for an id.",
            field="primary",
        )
    if options.primary is None and len(primaries) != 1:
        raise DefinitionError(
            f"Without the option primary, exactly one field is the primary one, and not {len(primaries)}.",
            field="primary",
        )


def _reserved(options: Options) -> set[str]:
    names = {name for name in _KEPT_BY_PETRA if options.has(name)}
    return names | {"id"} if options.primary is not None else names


def _check_field(one: FieldDefinition) -> None:
    if one.type not in FIELD_TYPES:
        raise DefinitionError(
            f"{one.name!r} has the type {one.type!r}; there are {', '.join(FIELD_TYPES)}.", field="type"
        )
    if one.primary and one.type not in {"string", "text"}:
        raise DefinitionError(f"The primary field {one.name!r} must be a string, not {one.type}.", field="primary")
    if isinstance(one.default, NoDefault) or callable(one.default):
        return
    try:
        normalized(one.type, one.default)
    except Unfit as error:
        raise DefinitionError(f"The default of {one.name!r} {error}.", field="default") from None


def _check_placement(definition: ModelDefinition) -> None:
    table = definition.table
    _check_name(table, "table")
    if table.lower().startswith(("sqlite_", "_")) or table.lower().endswith(ACCESS_SUFFIX):
        raise DefinitionError(
            f"{table!r} is a name of Petra's or of SQLite's own, and no table can have it.", field="table"
        )
    columns = {one.name for one in definition.columns}
    groups = [("indexes", index.columns) for index in definition.d1.indexes]
    groups += [("unique", names) for names in definition.d1.unique]
    for where, names in groups:
        if not names or len(set(names)) != len(names):
            raise DefinitionError(f"{where} has {names!r}: name each field once, and one at least.", field=where)
        for name in names:
            if name not in columns:
                raise DefinitionError(
                    f"{where} names {_shown(name)}; the synced fields are {names_shown(definition.synced_names)}.",
                    field=where,
                )
    for name in definition.hooks:
        if name not in HOOK_NAMES:
            raise DefinitionError(f"There is no hook {_shown(name)}; there are {', '.join(HOOK_NAMES)}.", field="hooks")
    for seed in definition.seeds:
        _check_seed(definition, seed)


def _check_seed(definition: ModelDefinition, seed: SeedDefinition) -> None:
    if seed.strategy not in SEED_STRATEGIES:
        raise DefinitionError(
            f"There is no strategy {seed.strategy!r} of seeds; there are {', '.join(SEED_STRATEGIES)}.", field="seeds"
        )
    for name in seed.match:
        definition.column(name)
    for row in seed.data:
        for name in row:
            definition.field(name)


def _check_name(name: object, where: str) -> None:
    _check_identifier(name, where)
    if len(str(name)) > _LONGEST_NAME:
        raise DefinitionError(f"The name {_shown(name)} has more than {_LONGEST_NAME} characters.", field=where)


def _check_identifier(name: object, where: str) -> None:
    if not isinstance(name, str) or not _IDENTIFIER.fullmatch(name):
        raise DefinitionError(
            f"{_shown(name)} is no name: it has letters of ASCII, digits and underscores, and no digit first.",
            field=where,
        )


def _shown(name: object) -> str:
    shown = repr(name)
    return shown if len(shown) <= _LONGEST_NAME else f"{shown[:_LONGEST_NAME]}..."
