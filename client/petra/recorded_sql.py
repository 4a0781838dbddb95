"""SQL of a transaction: statements that are recorded until it commits. Pure; both client trees use it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from petra._transport.sql_requests import batch_messages
from petra._transport.statements import Given, many_message, result_of, statement_message
from petra.deferred import Deferred
from petra.sql import Params, Result
from petra.v1 import storage_pb2 as pb
from petra.v1.statements_pb2 import Statement

T = TypeVar("T")


class _Record(Protocol):
    """Takes operations, and how what they answer becomes one result."""

    def __call__(
        self, operations: Sequence[pb.Operation], read: Callable[[Sequence[pb.OperationResult]], T], /
    ) -> Deferred[T]: ...


class RecordedSql:
    """The statements of a transaction on its object's database, done in their order among its other writes.

    Rows that a statement returns are known only when the transaction has committed. What the function has to know
    before, it reads outside of it, and guards by a key that changes with the rows (`get` or `check`): the conditions
    of a transaction are about keys.
    """

    def __init__(self, record: _Record) -> None:
        """Made by a transaction."""
        self._record = record

    def execute(self, sql: str, params: Params = ()) -> Deferred[Result]:
        """Executes a statement. Its errors are raised by `transact`, and nothing is changed then."""
        return self._record([_operation(statement_message((sql, params)))], _only)

    def executemany(self, sql: str, params: Iterable[Params]) -> Deferred[Result]:
        """Executes a statement once with each of the parameters."""
        return self._record([_operation(many_message(sql, params))], _only)

    def batch(self, statements: Iterable[Given]) -> Deferred[list[Result]]:
        """Executes statements in order; the results are theirs."""
        return self._record([_operation(each) for each in batch_messages(statements)], _all)


def _operation(statement: Statement) -> pb.Operation:
    return pb.Operation(sql=statement)


def _only(results: Sequence[pb.OperationResult]) -> Result:
    (result,) = results
    return result_of(result.sql)


def _all(results: Sequence[pb.OperationResult]) -> list[Result]:
    return [result_of(result.sql) for result in results]
