"""Random models, records and queries, and what a plain Python filter over a list makes of them."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from petra.datamodel import expressions as ex
from petra.datamodel.definition import (
    FieldDefinition,
    IndexDefinition,
    ModelDefinition,
    Options,
    TablePlacement,
)
from petra.datamodel.encoding import FieldType, json_text
from petra.datamodel.selection import Selection
from petra.datamodel.state import State, new_data, written
from petra.values import Value

USERS = ("ann", "bob", "cy")
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
# Few values of each kind, so that conditions meet them, and some that are hard.
TEXTS = ["", "a", "A", "ab", "aB%", "a_b", "100%", "\\", "Ä", "ä", "'; DROP TABLE x; --", "'", '"', "z\n", "\U0001f600"]
VALUES: Mapping[FieldType, list[Any]] = {
    "string": TEXTS,
    "text": TEXTS,
    "int": [-(2**63), -1, 0, 1, 2, 2**63 - 1],
    "float": [-1.5, -0.0, 0.1, 1.0, 1e300, 5e-324],
    "bool": [False, True],
    "json": [{}, {"a": 1}, [1, None], "a", 1, True],
    "array": [[], [1], ["a", "b"]],
    "timestamp": [EPOCH, EPOCH + timedelta(microseconds=1), EPOCH - timedelta(days=40_000)],
}
ORDERED: tuple[FieldType, ...] = ("string", "text", "int", "float", "bool", "timestamp")


@dataclass(frozen=True)
class Stored:
    """A record of the list: all its data, and who may see it."""

    data: dict[str, Value]
    users: tuple[str, ...]


@dataclass(frozen=True)
class World:
    """A model and its records."""

    definition: ModelDefinition
    records: list[Stored]

    def object_of(self, record: Stored) -> dict[str, Value]:
        return written(self.definition, record.data, State(), record.users)


@st.composite
def worlds(draw: st.DrawFn, most: int = 12) -> World:
    types = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=4))
    fields = tuple(FieldDefinition(f"f{number}", kind) for number, kind in enumerate(types))
    options = Options(soft_delete=draw(st.booleans()), auth=draw(st.booleans()), timestamps=draw(st.booleans()))
    names = [one.name for one in fields]
    groups = st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True)
    indexes = tuple(
        IndexDefinition(tuple(draw(st.sampled_from(["", "-"])) + name for name in group))
        for group in draw(st.lists(groups, max_size=2))
    )
    placement = TablePlacement(sync_fields=tuple(names), indexes=indexes)
    definition = ModelDefinition("Thing", fields, options=options, d1=placement)
    return World(definition, draw(st.lists(_records(definition), max_size=most)))


@st.composite
def _records(draw: st.DrawFn, definition: ModelDefinition) -> Stored:
    data = new_data(definition)
    for one in definition.stored_fields:
        if one.name == "deleted_at":
            data[one.name] = draw(st.sampled_from([None, None, EPOCH]))
        elif one.name in {"created_at", "updated_at"}:
            data[one.name] = EPOCH + timedelta(seconds=draw(st.integers(0, 3)))
        elif one.name == "user_id":
            data[one.name] = draw(st.sampled_from([None, *USERS]))
        elif not one.primary:
            data[one.name] = draw(st.one_of(st.none(), st.sampled_from(VALUES[one.type])))
    return Stored(data, tuple(draw(st.lists(st.sampled_from(USERS), unique=True))))


# Conditions, beside what they mean.

Judge = Callable[[Mapping[str, Value]], bool]


@st.composite
def conditions(draw: st.DrawFn, definition: ModelDefinition) -> tuple[ex.Condition, Judge]:
    leaves = _leaves(definition)
    return draw(
        st.recursive(
            leaves,
            lambda inner: st.one_of(
                inner.map(lambda one: (ex.not_(one[0]), lambda data: not one[1](data))),
                st.lists(inner, max_size=3).map(
                    lambda many: (
                        ex.and_(*(one for one, _ in many)),
                        lambda data: all(judge(data) for _, judge in many),
                    )
                ),
                st.lists(inner, max_size=3).map(
                    lambda many: (ex.or_(*(one for one, _ in many)), lambda data: any(judge(data) for _, judge in many))
                ),
            ),
            max_leaves=5,
        )
    )


@st.composite
def _leaves(draw: st.DrawFn, definition: ModelDefinition) -> tuple[ex.Condition, Judge]:
    field = draw(st.sampled_from([one for one in definition.columns if one.name in definition.by_name]))
    name, kind = field.name, field.type
    column = ex.Column(name, draw(st.sampled_from(["", definition.name])))
    values = [None, *VALUES[kind]]
    which = draw(st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "in", "like"]))
    if which == "in":
        wanted = draw(st.lists(st.sampled_from(values), max_size=120 if draw(st.booleans()) else 3))
        return column.in_(wanted), lambda data: any(_same(kind, data[name], one) for one in wanted)
    if which == "like" and kind in {"string", "text"}:
        pattern = _pattern(draw)
        return column.like(pattern), lambda data: data[name] is not None and like(pattern, data[name])
    value = draw(st.sampled_from(values))
    if which not in {"=", "!="} and kind not in ORDERED:
        which = "="
    operator = "=" if which == "like" else which
    return ex.condition(name, operator, value), lambda data: compare(kind, operator, data[name], value)


def _pattern(draw: st.DrawFn) -> str:
    parts = st.sampled_from(["%", "_", "a", "A", "b", "ä", "\\%", "\\_", "\\\\", "1", "\n"])
    return "".join(draw(st.lists(parts, max_size=4)))


def compare(kind: FieldType, operator: str, left: Value, right: Value) -> bool:
    if operator in {"=", "!="}:
        return _same(kind, left, right) == (operator == "=")
    if left is None or right is None:
        return False
    return bool({"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator])


def _same(kind: FieldType, left: Value, right: Value) -> bool:
    if left is None or right is None:
        return left is right
    return json_text(left) == json_text(right) if kind in {"json", "array"} else bool(left == right)


def like(pattern: str, text: str) -> bool:
    """LIKE with the backslash as its escape, letter by letter."""
    if not pattern:
        return not text
    first, rest = pattern[0], pattern[1:]
    if first == "%":
        return any(like(rest, text[start:]) for start in range(len(text) + 1))
    if not text:
        return False
    if first == "\\":
        first, rest = rest[0], rest[1:]
        return _letter(first) == _letter(text[0]) and like(rest, text[1:])
    return (first == "_" or _letter(first) == _letter(text[0])) and like(rest, text[1:])


def _letter(character: str) -> str:
    return character.lower() if character in string.ascii_uppercase else character


# Queries.


@dataclass(frozen=True)
class Asked:
    """A query, and what it means."""

    selection: Selection
    judge: Judge
    reader: str | None

    def expected(self, world: World) -> list[Stored]:
        """All records of the query in order, whatever the limit."""
        found = [record for record in world.records if self._is_seen(world, record) and self.judge(record.data)]
        primary = world.definition.primary.name
        last_down = self.selection.order[-1].descending if self.selection.order else False
        # Sorting is stable: the least important first.
        found.sort(key=lambda record: record.data[primary], reverse=last_down)
        for one in reversed(self.selection.order):
            found.sort(key=lambda record: _rank(record.data[one.field]), reverse=one.descending)
        return found

    def _is_seen(self, world: World, record: Stored) -> bool:
        options = world.definition.options
        if options.auth and self.reader is not None and self.reader not in record.users:
            return False
        deleted = record.data.get("deleted_at") is not None
        return {"hidden": not deleted, "included": True, "only": deleted}[self.selection.deleted]


def _rank(value: Value) -> tuple[bool, Value]:
    return (value is not None, 0 if value is None else value)


@st.composite
def queries(draw: st.DrawFn, definition: ModelDefinition) -> Asked:
    made = draw(st.lists(conditions(definition), max_size=2))
    sortable = [one.name for one in definition.columns if one.type in ORDERED]
    order = [
        ex.Ordering(name, draw(st.booleans()))
        for name in draw(st.lists(st.sampled_from(sortable), max_size=3, unique=True))
    ]
    limit = draw(st.integers(1, 5))
    selection = Selection(
        conditions=tuple(one for one, _ in made),
        order=tuple(order),
        limit=limit,
        offset=draw(st.integers(0, 6)),
        page=draw(st.sampled_from([None, None, 1, 2, 3])),
        deleted=draw(st.sampled_from(["hidden", "included", "only"])),
        with_data=draw(st.booleans()),
    )
    return Asked(selection, lambda data: all(judge(data) for _, judge in made), draw(st.sampled_from([None, *USERS])))


@st.composite
def worlds_and_queries(draw: st.DrawFn) -> tuple[World, Asked]:
    world = draw(worlds())
    return world, draw(queries(world.definition))
