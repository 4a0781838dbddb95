"""From the arguments of the methods of SQL to their calls, and how their answers are read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from petra._transport.arguments import durability_number
from petra._transport.calls import TIMEOUTS, VALUES, Address, Answer, Retry
from petra._transport.ids import next_request_id
from petra._transport.operations import Embedded
from petra._transport.statements import Given, columns_of, many_message, result_of, rows_of, statement_message
from petra.errors import InternalError, InvalidArgument
from petra.sql import Column, Params, Result, Row
from petra.v1 import sql_pb2 as pb
from petra.v1 import statements_pb2, storage_pb2
from petra.values import Durability

QUERY: Final = "/petra.v1.SqlService/Query"


class Execute(Embedded[list[Result]]):
    """Answers with the results, one for each statement. The server interrupts it when its time is over."""

    method = int(storage_pb2.METHOD_EXECUTE)
    retry = Retry.ONCE
    mutates = True
    columns = VALUES | TIMEOUTS
    interruptible = True

    def read(self, answer: Answer) -> list[Result]:
        response = pb.ExecuteResponse.FromString(answer.value)
        return [result_of(result, response.database_bytes) for result in response.results]


class SqlRequests:
    """Builds the calls of one object's database."""

    def __init__(self, address: Address, durability: Durability | None) -> None:
        self.address = address
        self._durability = durability_number(durability)

    def execute(self, sql: str, params: Params, durability: Durability | None) -> Execute:
        return self._execute([statement_message((sql, params))], durability)

    def executemany(self, sql: str, params: Iterable[Params], durability: Durability | None) -> Execute:
        return self._execute([many_message(sql, params)], durability)

    def batch(self, statements: Iterable[Given], durability: Durability | None) -> Execute:
        return self._execute(batch_messages(statements), durability)

    def query(self, sql: str, params: Params) -> bytes:
        request = pb.QueryRequest(statement=statement_message((sql, params)))
        request.namespace, request.object = self.address
        return request.SerializeToString()

    def _execute(self, statements: Sequence[statements_pb2.Statement], durability: Durability | None) -> Execute:
        request = pb.ExecuteRequest(
            statements=statements,
            durability=self._durability if durability is None else durability_number(durability),
            request_id=next_request_id(),
        )
        request.namespace, request.object = self.address
        return Execute(self.address, request.SerializeToString())


def batch_messages(statements: Iterable[Given]) -> list[statements_pb2.Statement]:
    """Statements as they are sent. Raises InvalidArgument."""
    if isinstance(statements, str):
        raise InvalidArgument(
            "statements are several: give a list of them, or call execute or script.", field="statements"
        )
    return [statement_message(given, f"statements[{at}]") for at, given in enumerate(statements)]


class QueryParts:
    """The parts of the answer to a Query, read in their order."""

    def __init__(self) -> None:
        self.columns: tuple[Column, ...] | None = None
        # Those of the newest part that are not handed out.
        self.rows: Iterator[Row] = iter(())
        self._last = False
        self.closed = False

    def take(self, data: bytes | None) -> bool:
        """Takes the next part, or None when there is none; returns whether there may be rows in it.

        Raises InternalError for the end of a stream whose last part is missing.
        """
        if self.closed:
            return False
        if data is None:
            self.close()
            if not self._last:
                raise InternalError("The server ended its rows before the last one.")
            return False
        part = pb.QueryResponse.FromString(data)
        if self.columns is None:
            self.columns = columns_of(part.columns)
        self._last = part.last
        self.rows = iter(rows_of(self.columns, part.cells))
        return True

    def close(self) -> None:
        """Drops what it holds. No row comes any more."""
        self.closed = True
        self.rows = iter(())
