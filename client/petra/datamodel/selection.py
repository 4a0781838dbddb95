"""What a query asks for, and how it is put together. Pure.

A Selection is frozen; each method of a Refining returns another one, so a query can be kept and refined many times.
Names of fields are checked here, at once; values where the query is compiled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, Self, TypeAlias, overload

from petra.datamodel.definition import ModelDefinition
from petra.datamodel.expressions import (
    Aggregate,
    Column,
    Comparison,
    Condition,
    Every,
    Membership,
    Negation,
    Ordering,
    Pattern,
    Some,
    and_,
    condition,
    listed,
)
from petra.errors import InvalidArgument

DEFAULT_LIMIT: Final = 20
# As many full objects of some kilobytes as fit into one answer.
MAX_LIMIT: Final = 1_000
# What SQLite counts with.
_MAX_OFFSET: Final = 2**62

# Which records a query sees, of those that were deleted and not purged.
Deleted: TypeAlias = Literal["hidden", "included", "only"]

_ORDER = re.compile(r"(-?)([A-Za-z_][A-Za-z0-9_]*)(?:\s+(asc|desc))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which records, in which order, and what of them. `fields` are those to be returned; empty means all synced."""

    conditions: tuple[Condition, ...] = ()
    order: tuple[Ordering, ...] = ()
    limit: int = DEFAULT_LIMIT
    offset: int = 0
    # Counted from 1; it takes the place of the offset.
    page: int | None = None
    deleted: Deleted = "hidden"
    fields: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    with_data: bool = False

    @property
    def first(self) -> int:
        """How many records come before the first one."""
        return self.offset if self.page is None else (self.page - 1) * self.limit


class Refining:
    """The methods that make one query of another. They raise UnknownField and InvalidArgument at once."""

    def __init__(self, definition: ModelDefinition, selection: Selection) -> None:
        self._definition = definition
        self._selection = selection

    def _refined(self, selection: Selection) -> Self:
        raise NotImplementedError

    @overload
    def where(self, /, *conditions: Condition | bool | Mapping[str, object], **equal: object) -> Self: ...

    @overload
    def where(self, field: str, operator: str, value: object, /) -> Self: ...

    def where(self, /, *conditions: object, **equal: object) -> Self:
        """The records that fulfil all of it, and what was asked before.

        `where(Page.status == "done")` takes conditions, `where(status="done", owner=None)` and `where({...})` values
        that fields have (None: none), and `where("age", ">", 18)` a field, an operator and a value.
        """
        if conditions and isinstance(conditions[0], str):
            if len(conditions) != 3:
                raise InvalidArgument('where takes a field, an operator and a value: where("age", ">", 18).')
            field, operator, value = conditions
            made = [condition(str(field), operator, value)]
        else:
            made = [one for given in conditions for one in _conditions(given)]
        made += [Comparison(name, "=", value) for name, value in equal.items()]
        for one in made:
            check_fields(self._definition, one)
        return self._with(conditions=(*self._selection.conditions, *made))

    def where_in(self, field: object, values: Iterable[object]) -> Self:
        """The records whose field is one of the values. Of no value at all, no record is."""
        name = self._column(field)
        return self._with(conditions=(*self._selection.conditions, Membership(name, listed(name, values))))

    def order_by(self, *orders: object) -> Self:
        """Orders by several fields, the first of which counts most: "created_at DESC", "-priority", Page.title.desc().

        Takes the place of the order before; records that are alike in all of it are ordered by their primary key.
        Absent values are less than all others.
        """
        if not orders:
            raise InvalidArgument("order_by takes at least one field.", field="order_by")
        made = tuple(one for given in orders for one in _orderings(given))
        for one in made:
            self._check_sortable(self._column(Column(one.field, one.model)))
        return self._with(order=made)

    def limit(self, limit: int) -> Self:
        """At most so many records: 1 to 1,000, and 20 unless it is said."""
        return self._with(limit=_checked(limit, "limit", 1, MAX_LIMIT))

    def offset(self, offset: int) -> Self:
        """Leaves out so many records at the beginning."""
        return self._with(offset=_checked(offset, "offset", 0, _MAX_OFFSET), page=None)

    def page(self, page: int) -> Self:
        """The page of that number, counted from 1; as many records as the limit make a page."""
        return self._with(page=_checked(page, "page", 1, _MAX_OFFSET // MAX_LIMIT), offset=0)

    def include_deleted(self) -> Self:
        """Also the records that were deleted and not purged."""
        return self._with(deleted="included")

    def only_deleted(self) -> Self:
        """The records alone that were deleted and not purged."""
        return self._with(deleted="only")

    def group_by(self, *fields: object) -> Self:
        """What `aggregate` has one figure for each of."""
        return self._with(groups=tuple(self._column(field) for field in fields))

    def _selected(self, fields: tuple[object, ...]) -> Selection:
        if not fields:
            raise InvalidArgument("select takes at least one field.", field="select")
        names = tuple(dict.fromkeys(self._column(field) for field in fields))
        return replace(self._selection, fields=names, with_data=False)

    def _with(self, **changes: object) -> Self:
        return self._refined(replace(self._selection, **changes))  # type: ignore[arg-type]

    def _column(self, field: object) -> str:
        name, model = (field.name, field.model) if isinstance(field, Column) else (field, "")
        return checked_column(self._definition, name, model)

    def _check_sortable(self, name: str) -> None:
        if self._definition.by_name[name].type in {"json", "array"}:
            raise InvalidArgument(f"{name} is {self._definition.by_name[name].type}, which has no order.", field=name)


def checked_column(definition: ModelDefinition, name: object, model: str = "") -> str:
    """The name of a synced field. Raises UnknownField, and InvalidArgument for the field of another model."""
    if model and model != definition.name:
        raise InvalidArgument(f"{name} is a field of {model}, and this query is of {definition.name}.", field="where")
    return definition.column(name).name


def check_fields(definition: ModelDefinition, condition: Condition) -> None:
    """Raises UnknownField when a condition names a field that no query can use."""
    for field, model in condition_fields(condition):
        checked_column(definition, field, model)


def condition_fields(condition: Condition) -> Iterable[tuple[str, str]]:
    """The fields that a condition names, with their models."""
    pending = [condition]
    while pending:
        match pending.pop():
            case Every(conditions) | Some(conditions):
                pending.extend(conditions)
            case Negation(inner):
                pending.append(inner)
            case Comparison(field=field, model=model) | Membership(field=field, model=model):
                yield field, model
            case Pattern(field=field, model=model):
                yield field, model


def check_aggregate(definition: ModelDefinition, aggregate: Aggregate) -> None:
    """Raises UnknownField, and InvalidArgument for a figure that the field's type does not have."""
    if not aggregate.field and aggregate.function == "count":
        return
    field = definition.by_name[checked_column(definition, aggregate.field, aggregate.model)]
    numbers = field.type in {"int", "float"}
    fits = {"count": True, "sum": numbers, "avg": numbers}.get(aggregate.function, field.type not in {"json", "array"})
    if not fits:
        raise InvalidArgument(f"{field.name} is {field.type}, which has no {aggregate.function}.", field=field.name)


def _conditions(given: object) -> list[Condition]:
    if isinstance(given, Mapping):
        return [Comparison(name, "=", value) for name, value in given.items()]
    return [and_(given)]  # type: ignore[arg-type]


def _orderings(given: object) -> list[Ordering]:
    match given:
        case Ordering():
            return [given]
        case Column():
            return [given.asc()]
        case str():
            return [_ordering(part.strip()) for part in given.split(",")]
    raise InvalidArgument(f'order_by takes "title DESC" or Page.title.desc(), not {given!r}.', field="order_by")


def _ordering(text: str) -> Ordering:
    match = _ORDER.fullmatch(text)
    if match is None or (match[1] and match[3]):
        raise InvalidArgument(
            f'{text[:80]!r} is no order: write the name of a field, and ASC or DESC after it, or "-" before it.',
            field="order_by",
        )
    return Ordering(match[2], bool(match[1]) or (match[3] or "").lower() == "desc")


def _checked(number: object, name: str, least: int, most: int) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
        bound = f"from {least} to {most:,}" if most <= MAX_LIMIT else f"of {least} or more"
        raise InvalidArgument(f"{name} is a whole number {bound}, not {number!r}.", field=name)
    return number
