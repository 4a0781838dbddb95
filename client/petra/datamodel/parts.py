"""The parts of a model's definition: its fields, options, placements, indexes and seeds. Pure and frozen.

Whether they fit together is judged when a ModelDefinition is made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Final, Literal, TypeAlias, get_args

from petra.datamodel.encoding import FieldType, copied
from petra.datamodel.validation import NO_RULES, Rules
from petra.values import Value

HookName: TypeAlias = Literal[
    "before_create",
    "after_create",
    "before_update",
    "after_update",
    "before_delete",
    "after_delete",
    "before_restore",
    "after_restore",
]
HOOK_NAMES: Final[tuple[HookName, ...]] = get_args(HookName)
# Called with the record and the event, see petra.datamodel.hooks; it may be a coroutine function.
Hook: TypeAlias = Callable[..., object]
SeedStrategy: TypeAlias = Literal["always", "if_empty", "if_missing"]
SEED_STRATEGIES: Final[tuple[SeedStrategy, ...]] = get_args(SeedStrategy)

USER_ID: Final = "user_id"
CREATED_AT: Final = "created_at"
UPDATED_AT: Final = "updated_at"
DELETED_AT: Final = "deleted_at"
AUTH: Final = "_auth"
# The column that holds the key of a row's object.
KEY_COLUMN: Final = "_key"
ACCESS_SUFFIX: Final = "__auth"


class NoDefault:
    """There is no default: None would be one."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NO_DEFAULT"


NO_DEFAULT: Final = NoDefault()


@dataclass(frozen=True, slots=True)
class FieldDefinition:
    """A field. `default` is a value, or a function that makes one; a new record has it from the beginning.

    A required field must not be None when its record is saved. The primary field is always required. A built-in field
    is kept by Petra, and cannot be set.
    """

    name: str
    type: FieldType = "string"
    _: KW_ONLY
    primary: bool = False
    required: bool = False
    default: object = NO_DEFAULT
    validation: Rules = NO_RULES
    built_in: bool = False

    def new_value(self) -> Value:
        """What a new record has here: the default, or None."""
        if isinstance(self.default, NoDefault):
            return None
        return self.default() if callable(self.default) else copied(self.default)

    def constant_default(self) -> Value:
        """What a record has here that was stored before there was this field: the default, if that is no function."""
        return None if callable(self.default) else self.new_value()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Which built-in fields there are, each of which can be switched off.

    `primary` is how ids are made: "uuid" at random, "uuid7" so that they sort by time, or None for none, and then one
    of the model's own fields must be its primary one. `timestamps` switches `created_at` and `updated_at` together.
    Without `soft_delete` a deletion is for good. Without `auth` every user of the datastore sees and may change all.
    """

    primary: Literal["uuid", "uuid7"] | None = "uuid"
    timestamps: bool = True
    created_at: bool = True
    updated_at: bool = True
    soft_delete: bool = True
    user_tracking: bool = True
    auth: bool = True

    def has(self, name: str) -> bool:
        """Whether the built-in field of that name is there."""
        match name:
            case "created_at":
                return self.timestamps and self.created_at
            case "updated_at":
                return self.timestamps and self.updated_at
            case "deleted_at":
                return self.soft_delete
            case "user_id":
                return self.user_tracking
            case _:
                return name == AUTH and self.auth


@dataclass(frozen=True, slots=True)
class KvPlacement:
    """The keys of the full objects, within the datastore's own object: the pattern, after the namespace and ':'.

    Without a pattern it is the model's name in small letters and the primary key.
    """

    key_pattern: str = ""
    _: KW_ONLY
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class IndexDefinition:
    """An index on fields, in their order. One that begins with "-" is indexed in descending order: "-created_at"."""

    fields: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The fields without their direction."""
        return tuple(name.removeprefix("-") for name in self.fields)


@dataclass(frozen=True, slots=True)
class TablePlacement:
    """The table of the rows, and what is in it beside the built-in fields.

    `sync_fields` are those that queries can use; None means all but texts of type "text", json and arrays. `unique`
    names fields that no two records that are not deleted have alike.
    """

    table: str = ""
    _: KW_ONLY
    sync_fields: tuple[str, ...] | None = None
    indexes: tuple[IndexDefinition, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class SeedDefinition:
    """Records that `initialize` makes: at each run ("always"), when there is no record yet, or those that are missing.

    Which records are there already is judged by `match`, or without it by the primary key.
    """

    data: tuple[Mapping[str, object], ...]
    _: KW_ONLY
    strategy: SeedStrategy = "if_missing"
    match: tuple[str, ...] = ()
