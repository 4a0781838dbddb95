"""SQL over the wire, for tests: values into columns and back, and a connection that asks and gets rows or a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self, TypeAlias

import grpc

from petra.v1 import sql_pb2, statements_pb2
from petra.v1 import storage_pb2 as pb
from petra.v1.admin_pb2_grpc import AdminServiceStub
from petra.v1.sql_pb2_grpc import SqlServiceStub
from petra.v1.storage_pb2_grpc import StorageServiceStub
from tests.support.refusals import Refusal, refusal_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType

Value: TypeAlias = int | float | str | bytes | None
Row: TypeAlias = tuple[Value, ...]

# Only a server that hangs takes so long.
PATIENCE_S = 60


class Result(NamedTuple):
    """What one statement answered."""

    columns: list[str]
    rows: list[Row]
    changes: int
    rows_written: int
    rows_read: int
    last_insert_rowid: int


def to_cells(values: Iterable[Value]) -> statements_pb2.Cells:
    cells = statements_pb2.Cells()
    for value in values:
        match value:
            case None:
                cells.kinds.append(statements_pb2.VALUE_KIND_UNSPECIFIED)
            case int():
                cells.kinds.append(statements_pb2.VALUE_KIND_INTEGER)
                cells.integers.append(value)
            case float():
                cells.kinds.append(statements_pb2.VALUE_KIND_DOUBLE)
                cells.doubles.append(value)
            case str():
                cells.kinds.append(statements_pb2.VALUE_KIND_TEXT)
                cells.texts.append(value)
            case bytes():
                cells.kinds.append(statements_pb2.VALUE_KIND_BLOB)
                cells.blobs.append(value)
    return cells


def to_rows(width: int, cells: statements_pb2.Cells) -> list[Row]:
    nulls: list[Value] = [None] * list(cells.kinds).count(statements_pb2.VALUE_KIND_UNSPECIFIED)
    sources = [iter(nulls), iter(cells.integers), iter(cells.doubles), iter(cells.texts), iter(cells.blobs)]
    values: list[Value] = [next(sources[kind]) for kind in cells.kinds]
    assert all(next(source, source) is source for source in sources), "more values than kinds"
    return [tuple(values[at : at + width]) for at in range(0, len(values), width)] if width else []


def statement(
    sql: str, values: Sequence[Value] = (), named: Mapping[str, Value] | None = None, *, times: int = 0
) -> statements_pb2.Statement:
    if named is not None:
        return statements_pb2.Statement(sql=sql, parameters=to_cells(named.values()), names=list(named), times=times)
    return statements_pb2.Statement(sql=sql, parameters=to_cells(values), times=times)


def result_of(message: statements_pb2.StatementResult) -> Result:
    return Result(
        [column.name for column in message.columns],
        to_rows(len(message.columns), message.cells),
        message.changes,
        message.rows_written,
        message.rows_read,
        message.last_insert_rowid,
    )


class SqlConnection:
    """A channel of its own, and one object to talk about."""

    def __init__(self, address: str, object_name: str = "room") -> None:
        self.channel = grpc.insecure_channel(
            address, options=[("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
        )
        self.object_name = object_name
        self.sql = SqlServiceStub(self.channel)
        self.storage = StorageServiceStub(self.channel)
        self.admin = AdminServiceStub(self.channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.channel.close()

    def at(self, object_name: str) -> SqlConnection:
        """The same channel, about another object."""
        other = object.__new__(SqlConnection)
        other.__dict__.update(self.__dict__, object_name=object_name)
        return other

    def execute(
        self, *statements: str | statements_pb2.Statement, timeout_s: float = PATIENCE_S, request_id: bytes = b""
    ) -> list[Result] | Refusal:
        request = sql_pb2.ExecuteRequest(
            object=self.object_name, statements=map(_statement, statements), request_id=request_id
        )
        try:
            return [result_of(one) for one in self.sql.Execute(request, timeout=timeout_s).results]
        except grpc.RpcError as error:
            return refusal_of(error)

    def done(self, *statements: str | statements_pb2.Statement) -> list[Result]:
        """The results of statements that must not be refused."""
        outcome = self.execute(*statements)
        assert not isinstance(outcome, Refusal), outcome
        return outcome

    def rows(self, sql: str, *values: Value) -> list[Row]:
        return self.done(statement(sql, values))[-1].rows

    def refused(self, *statements: str | statements_pb2.Statement, timeout_s: float = PATIENCE_S) -> Refusal:
        outcome = self.execute(*statements, timeout_s=timeout_s)
        assert isinstance(outcome, Refusal), f"not refused: {outcome}"
        assert " " in outcome.message, f"no sentence: {outcome.message!r}"
        return outcome

    def query(self, sql: str, *values: Value, timeout_s: float = PATIENCE_S) -> list[Row] | Refusal:
        request = sql_pb2.QueryRequest(object=self.object_name, statement=statement(sql, values))
        rows: list[Row] = []
        columns: list[str] = []
        last = False
        try:
            for part in self.sql.Query(request, timeout=timeout_s):
                assert not last
                columns = columns or [column.name for column in part.columns]
                rows += to_rows(len(columns), part.cells)
                last = part.last
        except grpc.RpcError as error:
            return refusal_of(error)
        assert last
        return rows

    def transact(
        self, *operations: pb.Operation, conditions: Sequence[pb.Condition] = (), request_id: bytes = b""
    ) -> pb.TransactResponse | Refusal:
        request = pb.TransactRequest(
            object=self.object_name, operations=operations, conditions=conditions, request_id=request_id
        )
        try:
            answer: pb.TransactResponse = self.storage.Transact(request, timeout=PATIENCE_S)
        except grpc.RpcError as error:
            return refusal_of(error)
        return answer


def _statement(one: str | statements_pb2.Statement) -> statements_pb2.Statement:
    return statements_pb2.Statement(sql=one) if isinstance(one, str) else one
