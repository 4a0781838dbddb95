"""The SQL database of an object, for asyncio. Its twin petra.sync.database is for threads."""

from __future__ import annotations

from collections.abc import Iterable

from petra._transport.binding import Binding
from petra._transport.calls import Address
from petra._transport.sql_requests import SqlRequests
from petra._transport.statements import Given
from petra.rows import AsyncRows
from petra.sql import Params, Result, Row
from petra.values import Durability, Seconds, to_timeout


class AsyncSql:
    """The SQLite database of an object. It is there when a statement has written into it, and goes with its object.

    Parameters are a tuple or a list for those by position (`?`), or a dict for those by name (`:name`). They may be
    None, int (64 bits), float, str or bytes. A call is one atomic step of the object, done once however often the
    client had to send it, and acknowledged as its `durability` says; when it raises, nothing was changed, unless
    `outcome_unknown`. Statements are interrupted when the time-out is over.

    Every method raises SqlError for what SQLite does not understand, SqlConstraint, SqlNotAllowed, InvalidArgument for
    what is too large, and what all calls raise. `field` of an error says which statement it was.
    """

    def __init__(self, binding: Binding, address: Address, durability: Durability | None) -> None:
        """Made by an object."""
        self._binding = binding
        self._requests = SqlRequests(address, durability)

    async def execute(
        self,
        sql: str,
        params: Params = (),
        *,
        durability: Durability | None = None,
        timeout: Seconds | None = None,
    ) -> Result:
        """Executes a statement, and returns its rows and what it did.

        What answers with more rows than the server's limits allow (10,000, or 8 MiB of them, unless its settings say
        otherwise) is refused with InvalidArgument and changes nothing: `query` streams rows.
        """
        call = self._requests.execute(sql, params, durability)
        (result,) = await self._binding.call(call, to_timeout(timeout))
        return result

    async def executemany(
        self,
        sql: str,
        params: Iterable[Params],
        *,
        durability: Durability | None = None,
        timeout: Seconds | None = None,
    ) -> Result:
        """Executes a statement once with each of the parameters, and returns the sum of what that did.

        All of it is one step and one message: what does not fit into a message of the server's (16 MiB unless its
        settings say otherwise) is refused. Share more than that out among several calls.
        """
        call = self._requests.executemany(sql, params, durability)
        (result,) = await self._binding.call(call, to_timeout(timeout))
        return result

    async def one(
        self,
        sql: str,
        params: Params = (),
        *,
        durability: Durability | None = None,
        timeout: Seconds | None = None,
    ) -> Row:
        """Executes a statement that returns exactly one row, and returns that.

        Raises NoRow or SeveralRows otherwise, which are NotOneRow; what the statement has changed is changed then.
        """
        return (await self.execute(sql, params, durability=durability, timeout=timeout)).one()

    async def script(
        self, text: str, *, durability: Durability | None = None, timeout: Seconds | None = None
    ) -> Result:
        """Executes statements with semicolons between them, such as a schema, in one step: all of them or none.

        Returns the rows of the last one, and the sum of what all did.
        """
        return await self.execute(text, durability=durability, timeout=timeout)

    async def batch(
        self,
        statements: Iterable[Given],
        *,
        durability: Durability | None = None,
        timeout: Seconds | None = None,
    ) -> list[Result]:
        """Executes statements in order and in one step, all of them or none, and returns their results.

        Each is a str, a tuple of a str and its parameters, or a Statement.
        """
        call = self._requests.batch(statements, durability)
        return await self._binding.call(call, to_timeout(timeout))

    def query(self, sql: str, params: Params = (), *, timeout: Seconds | None = None) -> AsyncRows:
        """The rows of a statement that only reads, however many they are, as an iterator that fetches them lazily.

        They are those of one moment: what is written meanwhile is not among them. `timeout` is for all of them
        together, from the first one on. Until a row was handed out the query is made again where that helps; an error
        in the middle is raised there. A statement that writes is refused with SqlNotAllowed.
        """
        return AsyncRows(self._binding, self._requests.query(sql, params), to_timeout(timeout))
