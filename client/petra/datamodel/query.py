"""Queries of models, run against a store: each call is one round trip, and sees one moment of the database."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Generic, Self, TypeAlias, TypeVar, cast

import petra.datamodel.compile as compiled
from petra.datamodel.answers import decode_figures, decode_row, found_in_row, scope
from petra.datamodel.cursors import decode_cursor, encode_cursor
from petra.datamodel.definition import ModelDefinition
from petra.datamodel.expressions import Aggregate, Avg, Count, Max, Min, Sum
from petra.datamodel.faults import explained
from petra.datamodel.lookups import Found
from petra.datamodel.pages import CursorPage, Explained, Explanation, Listing, Pagination
from petra.datamodel.selection import Refining, Selection
from petra.datastore import Store
from petra.errors import InvalidArgument
from petra.sql import Result, Row, Statement
from petra.values import Value

M = TypeVar("M")
R = TypeVar("R")

# A row as its reader has it: the synced fields, by their names.
Fields: TypeAlias = dict[str, Value]


class Query(Refining, Generic[M, R]):
    """A query of a model. Refining it makes another one; what awaits runs it. M is a record, R what it returns.

    It returns the synced fields of each record as a dict, or with `with_data` the records themselves. Only records are
    seen that name the store's user; the system sees all.

    What runs raises InvalidArgument for a query that is bound to no store, NotInitialized when the tables are not
    there, and what all calls of the client raise.
    """

    def __init__(
        self,
        definition: ModelDefinition,
        make: Callable[[Store, Found], M],
        *,
        store: Store | None = None,
        selection: Selection | None = None,
    ) -> None:
        """Made by a model. `make` makes a record of what was found."""
        super().__init__(definition, selection or Selection())
        self._make = make
        self._store = store

    def __repr__(self) -> str:
        where = "no store" if self._store is None else repr(self._store)
        return f"<{type(self).__name__} of {self._definition.name} on {where}>"

    def using(self, store: Store) -> Self:
        """The same query, to be run on a store. Raises TypeError for what is no store of this tree."""
        return type(self)(self._definition, self._make, store=checked_store(store), selection=self._selection)

    def with_data(self) -> Query[M, M]:
        """Returns the records, with all their fields; they are read in the same round trip."""
        return Query(
            self._definition,
            self._make,
            store=self._store,
            selection=replace(self._selection, with_data=True, fields=()),
        )

    def select(self, *fields: object) -> Query[M, Fields]:
        """Returns these synced fields alone. Raises UnknownField."""
        return Query(self._definition, self._make, store=self._store, selection=self._selected(fields))

    async def list(self) -> Listing[R]:
        """A page of records, and how many there are in all."""
        definition, reader = self._definition, self._reader()
        count = compiled.count(definition, self._selection, reader)
        results = await self._run([*count, *compiled.rows(definition, self._selection, reader)])
        total = _only(results[: len(count)])
        pagination = Pagination.of(total, self._selection.limit, self._selection.first)
        return Listing([self._made(row) for row in _rows(results[len(count) :])], pagination)

    async def page_after(self, cursor: str | None = None) -> CursorPage[R]:
        """The page after the one that this cursor came with; the first one for None.

        It does not count the records, and takes as long for the last page as for the first where an index has the
        order. However many records come and go, one that stays is seen once. Raises InvalidArgument for a cursor of
        another model or order, and for one that was changed.
        """
        definition, selection = self._definition, self._selection
        if selection.first:
            raise InvalidArgument("A query with an offset or a page has no cursors: leave them out.", field="offset")
        order = compiled.ordering(definition, selection)
        where = scope(definition, order)
        after = None if cursor is None else decode_cursor(where, cursor, len(order))
        statements = compiled.rows(definition, selection, self._reader(), after=after, limit=selection.limit + 1)
        rows = _rows(await self._run(statements))
        more = len(rows) > selection.limit
        rows = rows[: selection.limit]
        following = encode_cursor(where, [rows[-1][one.field] for one in order]) if more else None
        return CursorPage([self._made(row) for row in rows], following)

    async def first(self) -> R | None:
        """The first record, or None."""
        rows = _rows(await self._run(compiled.rows(self._definition, self._selection, self._reader(), limit=1)))
        return self._made(rows[0]) if rows else None

    async def count(self) -> int:
        """How many records there are, whatever the limit."""
        return _only(await self._run(compiled.count(self._definition, self._selection, self._reader())))

    async def exists(self) -> bool:
        """Whether there is a record."""
        return bool(_rows(await self._run(compiled.exists(self._definition, self._selection, self._reader()))))

    async def aggregate(self, **figures: Aggregate) -> builtins.list[Fields]:
        """Figures by their names, over all records whatever the limit: `aggregate(n=Count(), total=Sum("price"))`.

        One dict for each group of `group_by`, with the group's fields, in their order; exactly one without groups.
        """
        definition, selection = self._definition, self._selection
        wanted = list(figures.values())
        clash = next((name for name in figures if name in selection.groups), None)
        if not figures or clash:
            raise InvalidArgument("aggregate takes figures, each under a name that no group has.", field=clash or "")
        results = await self._run(compiled.aggregates(definition, selection, self._reader(), wanted))
        return [decode_figures(definition, selection.groups, figures, row) for row in _rows(results)]

    async def sum(self, field: object) -> Value:
        """The sum of a field of numbers; 0 when there is no record."""
        return await self._figure(Sum(field))

    async def avg(self, field: object) -> Value:
        """The mean of a field of numbers, or None."""
        return await self._figure(Avg(field))

    async def min(self, field: object) -> Value:
        """The least value of a field, or None."""
        return await self._figure(Min(field))

    async def max(self, field: object) -> Value:
        """The greatest value of a field, or None."""
        return await self._figure(Max(field))

    async def count_of(self, field: object) -> int:
        """How many records have a value in a field."""
        return cast("int", await self._figure(Count(field)))

    async def explain(self) -> Explanation:
        """The statements that `list` would run, with their parameters and SQLite's plans. None of them is run."""
        definition, reader = self._definition, self._reader()
        statements = [
            *compiled.count(definition, self._selection, reader),
            *compiled.rows(definition, self._selection, reader),
        ]
        results = await self._run([replace(one, sql=f"EXPLAIN QUERY PLAN {one.sql}") for one in statements])
        return Explanation(
            tuple(
                Explained(one.sql, dict(cast("dict[str, object]", one.params)), tuple(row["detail"] for row in plan))
                for one, plan in zip(statements, results, strict=True)
            )
        )

    def _refined(self, selection: Selection) -> Self:
        return type(self)(self._definition, self._make, store=self._store, selection=selection)

    def _reader(self) -> str | None:
        return self._bound().user_id

    def _bound(self) -> Store:
        if self._store is None:
            raise InvalidArgument(
                f"This query of {self._definition.name} is bound to no store: query.using(store).", field="store"
            )
        return self._store

    async def _figure(self, figure: Aggregate) -> Value:
        (row,) = await self._refined(replace(self._selection, groups=())).aggregate(figure=figure)
        return row["figure"]

    async def _run(self, statements: Sequence[Statement]) -> builtins.list[Result]:
        store = self._bound()
        with explained(self._definition), store.log.operation("query", self._definition.name, ""):
            return await store.database.sql.batch(statements)

    def _made(self, row: Row) -> R:
        if self._selection.with_data:
            return cast("R", self._make(self._bound(), found_in_row(self._definition, self._reader(), row)))
        return cast("R", decode_row(self._definition, self._selection.fields, row))


def checked_store(store: object) -> Store:
    """A store of this tree. Raises TypeError for anything else."""
    if isinstance(store, Store):
        return store
    raise TypeError(
        f"A model is used with a Store, such as datastore.auth(user_id), not with a {type(store).__name__};"
        f" here that is one of {Store.__module__.rsplit('.', 1)[0]}."
    )


def _rows(results: Sequence[Result]) -> builtins.list[Row]:
    """The rows of both branches of a query: one of them has none."""
    return [row for result in results for row in result.rows]


def _only(results: Sequence[Result]) -> int:
    (row,) = _rows(results)
    return cast("int", row[0])
