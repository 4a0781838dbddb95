"""The rows of a query, streamed, for asyncio. Its twin petra.sync.rows is for threads."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from petra._transport.binding import Binding
from petra._transport.reading import Reading
from petra._transport.sql_requests import QUERY, QueryParts
from petra.sql import Column, Row


class AsyncRows:
    """The rows of a query, in one consistent snapshot of the database, as an iterator.

    The server is asked when the first row, or `columns`, is. Rows come as fast as they are taken: some MiB of them wait
    on this side at most, and the server waits with the others. The call ends with its last row, with an error, with its
    time-out, when it is closed, and when nobody holds these rows any more, as after a `break`.
    """

    def __init__(self, binding: Binding, request: bytes, timeout: float | None) -> None:
        """Made by `query`."""
        self._binding = binding
        self._request = request
        self._timeout = timeout
        self._reading: Reading | None = None
        self._parts = QueryParts()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Row:
        """The next row. Raises what `execute` raises, also in the middle."""
        for row in self._parts.rows:
            return row
        while await self._advance():
            for row in self._parts.rows:
                return row
        raise StopAsyncIteration

    async def columns(self) -> tuple[Column, ...]:
        """The columns of the rows, also where there are none. Raises what `execute` raises."""
        if self._parts.columns is None:
            await self._advance()
        return self._parts.columns or ()

    async def aclose(self) -> None:
        """Ends the call; no row comes any more. It may be called again."""
        self._parts.close()
        if self._reading is not None:
            self._reading.discard()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if self._reading is not None:
            self._reading.discard()

    async def _advance(self) -> bool:
        """Takes the next part of the rows. Returns whether there was one."""
        if self._parts.closed:
            return False
        if self._reading is None:
            self._reading = self._binding.reading(QUERY, self._request, self._timeout)
        return self._parts.take(await self._reading.next())
