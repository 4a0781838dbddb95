"""SQL of a query: (definition, selection, reader) -> statements with their parameters. Pure.

Names come from the definition alone, and are quoted; every value is a parameter. A reader sees the records that the
access table names them for; the system, whose id is None, sees all.

How access is joined depends on how much there is of it, so there are two *branches*. By the table: records in the order
of an index, each looked up in the access table; good for whoever may see many. By the access rows: the records of the
reader, sorted; good for whoever may see few. The server decides by counting the reader's access rows up to
`FEW_RECORDS`: the LIMIT of the branch not taken is 0, which SQLite judges before it reads anything. So the rows of a
query are those of both its branches, one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

from petra.datamodel.cursors import Term
from petra.datamodel.definition import DELETED_AT, KEY_COLUMN, ModelDefinition, quoted
from petra.datamodel.expressions import Aggregate, Comparison, Condition, Every, Ordering
from petra.datamodel.predicates import Parameters, predicate
from petra.datamodel.selection import Selection, check_aggregate
from petra.sql import SqlValue, Statement

# With so many access rows, sorting what they lead to takes about a millisecond.
FEW_RECORDS: Final = 500

# The columns of a full object in a row.
DATA: Final = "petra:data"
VERSION: Final = "petra:version"

Branch: TypeAlias = Literal["table", "access", "only"]


@dataclass(slots=True)
class _Compiler:
    """One statement in the making."""

    definition: ModelDefinition
    selection: Selection
    reader: str | None
    branch: Branch
    parameters: Parameters = field(default_factory=Parameters)

    def source(self, after: Sequence[Term] = ()) -> str:
        """FROM and WHERE."""
        table = f"{quoted(self.definition.table)} AS t"
        found = [predicate(self.definition, one, self.parameters) for one in self.selection.conditions]
        found += [after_terms(after, self.parameters)] if after else []
        if DELETED_AT in self.definition.by_name:
            deleted = {"hidden": 't."deleted_at" IS NULL', "only": 't."deleted_at" IS NOT NULL', "included": ""}
            found += [deleted[self.selection.deleted]] if deleted[self.selection.deleted] else []
        elif self.selection.deleted == "only":
            found.append("0")
        if self.branch == "access":
            table = f"{self._access} AS a CROSS JOIN {table} ON t.{self._primary} = a.record_id"
            found.insert(0, f"a.user_id = {self._reader()}")
        elif self.reader is not None and self.definition.options.auth:
            found.append(
                f"EXISTS (SELECT 1 FROM {self._access} AS a"
                f" WHERE a.user_id = {self._reader()} AND a.record_id = t.{self._primary})"
            )
        return f"FROM {table}" + (f" WHERE {' AND '.join(found)}" if found else "")

    def limited(self, limit: int | None, offset: int = 0) -> str:
        """LIMIT and OFFSET; None is no limit."""
        shown = "-1" if limit is None else self.parameters.bind(limit)
        if self.branch != "only":
            own = f"SELECT 1 FROM {self._access} WHERE user_id = {self._reader()}"
            first, second = (shown, "0") if self.branch == "table" else ("0", shown)
            shown = f"CASE WHEN EXISTS ({own} LIMIT 1 OFFSET {FEW_RECORDS}) THEN {first} ELSE {second} END"
        elif limit is None and not offset:
            return ""
        return f" LIMIT {shown}" + (f" OFFSET {self.parameters.bind(offset)}" if offset else "")

    @property
    def _access(self) -> str:
        return quoted(self.definition.access_table)

    @property
    def _primary(self) -> str:
        return quoted(self.definition.primary.name)

    def _reader(self) -> str:
        return self.parameters.bind(self.reader, "reader")


def rows(
    definition: ModelDefinition,
    selection: Selection,
    reader: str | None,
    *,
    after: Sequence[SqlValue] | None = None,
    limit: int | None = None,
) -> list[Statement]:
    """The records of a page, in order. Their columns are those of `row_columns`, and DATA and VERSION with data.

    `after` are the values of `ordering` in the record before the first one; then the offset does not count. `limit`
    takes the place of the selection's.
    """
    order = ordering(definition, selection)
    terms = [
        Term(one.field, one.descending, value, one.field not in _always_set(definition))
        for one, value in zip(order, after or (), strict=after is not None)
    ]
    made = []
    for compiler in _branches(definition, selection, reader):
        shown = ", ".join(f"t.{quoted(name)}" for name in row_columns(definition, selection))
        by = ", ".join(f"t.{quoted(one.field)}{' DESC' if one.descending else ''}" for one in order)
        offset = 0 if after is not None else selection.first
        text = f"{shown} {compiler.source(terms)} ORDER BY {by}"
        text = f"SELECT {text}{compiler.limited(selection.limit if limit is None else limit, offset)}"
        made.append(Statement(_with_data(text, by) if selection.with_data else text, compiler.parameters.values))
    return made


def count(definition: ModelDefinition, selection: Selection, reader: str | None) -> list[Statement]:
    """How many records there are, whatever the limit: one row with one column."""
    return [
        Statement(f"SELECT count(*) {compiler.source()}{compiler.limited(None)}", compiler.parameters.values)
        for compiler in _branches(definition, selection, reader)
    ]


def exists(definition: ModelDefinition, selection: Selection, reader: str | None) -> list[Statement]:
    """Whether there is such a record: a row, or none."""
    return [
        Statement(f"SELECT 1 {compiler.source()}{compiler.limited(1)}", compiler.parameters.values)
        for compiler in _branches(definition, selection, reader)
    ]


def aggregates(
    definition: ModelDefinition, selection: Selection, reader: str | None, figures: Sequence[Aggregate]
) -> list[Statement]:
    """Figures over all records, whatever the limit: a row for each group, its fields first, in their order."""
    made = []
    for figure in figures:
        check_aggregate(definition, figure)
    for compiler in _branches(definition, selection, reader):
        groups = [f"t.{quoted(name)}" for name in selection.groups]
        shown = [*groups, *(_figure(figure) for figure in figures)]
        text = f"SELECT {', '.join(shown)} {compiler.source()}"
        if groups:
            text += f" GROUP BY {', '.join(groups)} ORDER BY {', '.join(groups)}"
        made.append(Statement(text + compiler.limited(None), compiler.parameters.values))
    return made


def ordering(definition: ModelDefinition, selection: Selection) -> tuple[Ordering, ...]:
    """The order asked for, and the primary key after it, in the direction of what is before it: so it is total."""
    made: dict[str, Ordering] = {}
    for one in selection.order:
        made.setdefault(one.field, replace(one, model=""))
    primary = definition.primary.name
    names = list(made)
    if primary in made:
        names = names[: names.index(primary) + 1]
        return tuple(made[name] for name in names)
    return (*made.values(), Ordering(primary, made[names[-1]].descending if names else False))


def row_columns(definition: ModelDefinition, selection: Selection) -> tuple[str, ...]:
    """The columns of a row: those asked for, those of the order, and the key of the full object.

    With data that has all the fields, and only what leads to it is asked for.
    """
    wanted = () if selection.with_data else selection.fields or definition.synced_names
    return tuple(dict.fromkeys((*wanted, *(one.field for one in ordering(definition, selection)), KEY_COLUMN)))


def _branches(definition: ModelDefinition, selection: Selection, reader: str | None) -> list[_Compiler]:
    branches: tuple[Branch, ...] = ("table", "access")
    if reader is None or not definition.options.auth or _finds_one(definition, selection):
        branches = ("only",)
    return [_Compiler(definition, selection, reader, branch) for branch in branches]


def _finds_one(definition: ModelDefinition, selection: Selection) -> bool:
    """Whether the conditions lead to a single record by an index, so that access is looked up for that one."""
    equal = set()
    pending: list[Condition] = list(selection.conditions)
    while pending:
        match pending.pop():
            case Every(conditions):
                pending.extend(conditions)
            case Comparison(field=name, operator="=", value=value) if value is not None:
                equal.add(name)
    unique = definition.d1.unique if selection.deleted == "hidden" else ()
    return any(equal.issuperset(names) for names in ((definition.primary.name,), *unique))


def _always_set(definition: ModelDefinition) -> set[str]:
    """The columns without absent values. One that is required may have them from before it was."""
    return {definition.primary.name, "created_at", "updated_at"}


def after_terms(terms: Sequence[Term], parameters: Parameters) -> str:
    """The condition for what comes after a record, whose values in the order are those of the terms.

    What the first term alone says stands before the rest, because an index can seek by it.
    """
    alternatives = []
    equal: list[str] = []
    for term in terms:
        beyond = _beyond(term, parameters)
        if beyond:
            alternatives.append(" AND ".join([*equal, beyond]))
        equal.append(_equal(term, parameters))
    rest = " OR ".join(f"({one})" for one in alternatives) or "0"
    first = terms[0]
    if first.value is None or (first.descending and first.nullable):
        return f"({rest})"
    bound = f"t.{quoted(first.name)} {'<=' if first.descending else '>='} {parameters.bind(first.value)}"
    return f"({bound} AND ({rest}))"


def _beyond(term: Term, parameters: Parameters) -> str:
    """That a column comes after the term's value; empty when nothing does. Absent values are less than all others."""
    column = f"t.{quoted(term.name)}"
    if term.value is None:
        return "" if term.descending else f"{column} IS NOT NULL"
    bound = parameters.bind(term.value)
    if not term.descending:
        return f"{column} > {bound}"
    return f"({column} < {bound} OR {column} IS NULL)" if term.nullable else f"{column} < {bound}"


def _equal(term: Term, parameters: Parameters) -> str:
    column = f"t.{quoted(term.name)}"
    return f"{column} IS NULL" if term.value is None else f"{column} = {parameters.bind(term.value)}"


def _figure(figure: Aggregate) -> str:
    return f"{figure.function}(t.{quoted(figure.field)})" if figure.field else "count(*)"


def _with_data(text: str, order: str) -> str:
    """The same rows with their objects, which are read for the page alone and not for all that was sorted."""
    key = f"t.{quoted(KEY_COLUMN)}"
    full = f'petra_value({key}) AS "{DATA}", petra_version({key}) AS "{VERSION}"'
    return f"WITH page AS MATERIALIZED ({text}) SELECT t.*, {full} FROM page AS t ORDER BY {order}"
