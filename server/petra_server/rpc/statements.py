"""SQL on the wire: from messages to statements, checked, and from results to messages. Pure."""

from __future__ import annotations

from petra.v1 import sql_pb2, statements_pb2
from petra_server.actor.addresses import Address, Addresses
from petra_server.actor.operations import Execute, ExecuteReply, Query
from petra_server.actor.plans import Plan
from petra_server.errors import Reason, Refusal
from petra_server.intake.checks import Checks
from petra_server.sql.cells import Cells
from petra_server.sql.statements import Column, Statement, StatementResult
from petra_server.storage.keys import page_prefix


def execute_plan(addresses: Addresses, checks: Checks, request: sql_pb2.ExecuteRequest) -> tuple[Address, Plan]:
    """Raises Refusal."""
    address = checks.database(addresses.find(request.namespace, request.object))
    checks.batch(len(request.statements), "statements")
    statements = []
    for index, message in enumerate(request.statements):
        try:
            statements.append(statement(message, checks))
        except Refusal as refusal:
            raise refusal.within(f"statements[{index}]") from None
    assert address.owner is not None
    return address, Plan([(address.owner, Execute(page_prefix(address.prefix), tuple(statements)))])


def query_plan(addresses: Addresses, checks: Checks, request: sql_pb2.QueryRequest) -> tuple[Address, Query]:
    """Raises Refusal."""
    address = checks.database(addresses.find(request.namespace, request.object))
    try:
        asked = statement(request.statement, checks)
        if asked.times != 1:
            raise _misfit("times", "A query is executed once. Leave times out.")
    except Refusal as refusal:
        raise refusal.within("statement") from None
    return address, Query(page_prefix(address.prefix), asked)


def statement(message: statements_pb2.Statement, checks: Checks) -> Statement:
    """Raises Refusal."""
    checks.sql(message.sql)
    parameters = message.parameters
    columns = Cells(parameters.kinds[:], parameters.integers, parameters.doubles, parameters.texts, parameters.blobs)
    try:
        values = tuple(columns.values())
    except ValueError as error:
        raise _misfit("parameters", f"The columns of the parameters do not fit together: {error}.") from None
    names, times = tuple(message.names), message.times or 1
    if times > 1:
        _check_times(times, len(values), checks)
    if names and len(names) * times != len(values):
        raise _misfit("names", f"There are {len(names)} names for {len(values) // times} parameters. Name each once.")
    return Statement(message.sql, values, names, times)


def _check_times(times: int, parameters: int, checks: Checks) -> None:
    if not parameters:
        checks.batch(times, "times")
    elif parameters % times:
        raise _misfit("times", f"{parameters} parameters cannot be shared out among {times} executions.")


def _misfit(field: str, message: str) -> Refusal:
    return Refusal(Reason.INVALID_STATEMENT, message, field=field)


def execute_response(reply: ExecuteReply) -> sql_pb2.ExecuteResponse:
    return sql_pb2.ExecuteResponse(
        results=[statement_result(result) for result in reply.results], database_bytes=reply.database_bytes
    )


def statement_result(result: StatementResult) -> statements_pb2.StatementResult:
    columns, cells, changes, last_insert_rowid, rows_read, rows_written, duration_us = result
    return statements_pb2.StatementResult(
        columns=column_messages(columns),
        cells=cells_message(cells),
        changes=changes,
        last_insert_rowid=last_insert_rowid,
        rows_read=rows_read,
        rows_written=rows_written,
        duration_us=duration_us,
    )


def column_messages(columns: tuple[Column, ...]) -> list[statements_pb2.Column]:
    return [statements_pb2.Column(name=name, declared_type=declared) for name, declared in columns]


def cells_message(cells: Cells) -> statements_pb2.Cells | None:
    if not cells.kinds:
        return None
    kinds, integers, doubles, texts, blobs = cells
    return statements_pb2.Cells(
        kinds=kinds,  # type: ignore[arg-type]
        integers=integers,
        doubles=doubles,
        texts=texts,
        blobs=blobs,
    )
