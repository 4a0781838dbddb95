# Written by tools/blocking.py from petra/stores/execution.py: change that, and run make blocking.
"""How the stores reach their tables: one object's database, with errors that say what they mean here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from petra.errors import SqlConstraint, SqlError
from petra.sql import Result, Row, SqlValue
from petra.stores.arguments import number_of, page_size
from petra.stores.records import Page, page_of
from petra.stores.tables import meaning
from petra.sync.objects import Object

T = TypeVar("T")
Bound = tuple[str, Mapping[str, SqlValue]]


class Tables:
    """The tables in one object. All stores of a DatabaseStore share one; nothing is kept here."""

    def __init__(self, database: Object) -> None:
        self._sql = database.sql

    def execute(self, sql: str, params: Mapping[str, SqlValue], *, email: str | None = None) -> Result:
        """One statement. Raises the errors of petra.stores; `email` is what EmailTaken names."""
        try:
            return self._sql.execute(sql, params)
        except (SqlError, SqlConstraint) as error:
            raise meaning(error, email) from error

    def batch(self, statements: Iterable[Bound]) -> list[Result]:
        """Several statements in one atomic step."""
        try:
            return self._sql.batch(statements)
        except (SqlError, SqlConstraint) as error:
            raise meaning(error, None) from error

    def page(
        self,
        sql: str,
        params: Mapping[str, SqlValue],
        record_of: Callable[[Row], T],
        *,
        limit: int,
        cursor: str | None,
    ) -> Page[T]:
        """A page of a list. Raises InvalidArgument for a limit or a cursor that cannot be."""
        size = page_size(limit)
        result = self.execute(sql, {**params, "after": number_of(cursor), "limit": size + 1})
        return page_of(result.rows, size, record_of)
