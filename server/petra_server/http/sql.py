"""The endpoint of SQL: from a request to statements, and from their results to an answer."""

from __future__ import annotations

import math
from base64 import b64decode, b64encode
from typing import cast

from msgspec import UnsetType

from petra_server.actor.addresses import Addresses
from petra_server.actor.operations import Execute, ExecuteReply
from petra_server.actor.plans import Plan
from petra_server.errors import Reason, Refusal
from petra_server.http import bodies
from petra_server.http.asked import Ask, Asked
from petra_server.intake.checks import Checks
from petra_server.sql.cells import SqlValue
from petra_server.sql.statements import Statement, StatementResult
from petra_server.storage.keys import page_prefix

_INT64 = range(-(2**63), 2**63)


class Sql:
    """Answers requests about databases. Raises Refusal."""

    def __init__(self, addresses: Addresses, checks: Checks, ask: Ask) -> None:
        self._addresses = addresses
        self._checks = checks
        self._ask = ask

    async def execute(self, asked: Asked[bodies.InNamespace, bodies.SqlBody]) -> bodies.SqlAnswer:
        address = self._checks.database(self._addresses.find(asked.query.namespace, asked.name))
        assert address.owner is not None
        statements = tuple(self._statements(asked.body))
        plan = Plan([(address.owner, Execute(page_prefix(address.prefix), statements))])
        sync = asked.body.durability == "fsync"
        try:
            reply = cast(ExecuteReply, await self._ask(plan, asked, sync, address.prefix))
        except Refusal as refusal:
            # A single statement has no place in a list.
            single = isinstance(asked.body.statements, UnsetType)
            if single:
                raise refusal.at(refusal.field.removeprefix("statements[0].")) from None
            raise
        return bodies.SqlAnswer(data=bodies.ResultsData(results=[_result(result) for result in reply.results]))

    def _statements(self, body: bodies.SqlBody) -> list[Statement]:
        if isinstance(body.statements, UnsetType):
            if isinstance(body.sql, UnsetType):
                raise _misfit("sql", "There is neither sql nor statements. Send one of them.")
            return [self._statement(body.sql, [] if isinstance(body.params, UnsetType) else body.params)]
        if not (isinstance(body.sql, UnsetType) and isinstance(body.params, UnsetType)):
            raise _misfit("statements", "statements and sql with params exclude each other. Send one of them.")
        self._checks.batch(len(body.statements), "statements")
        statements = []
        for index, one in enumerate(body.statements):
            try:
                statements.append(self._statement(one.sql, one.params))
            except Refusal as refusal:
                raise refusal.within(f"statements[{index}]") from None
        return statements

    def _statement(self, sql: str, params: bodies.Parameters) -> Statement:
        self._checks.sql(sql)
        if isinstance(params, dict):
            values = tuple(_value(cell, f"params.{name}") for name, cell in params.items())
            return Statement(sql, values, tuple(params))
        return Statement(sql, tuple(_value(cell, f"params[{index}]") for index, cell in enumerate(params)))


def _value(cell: bodies.SqlCell, field: str) -> SqlValue:
    if isinstance(cell, bool):
        return int(cell)
    if isinstance(cell, int) and cell not in _INT64:
        raise _misfit(field, "A whole number must fit into 64 bits. Send a larger one as text.")
    if not isinstance(cell, bodies.Special):
        return cell
    if isinstance(cell.real, UnsetType) == isinstance(cell.base64, UnsetType):
        raise _misfit(field, "An object among the parameters has either base64 or real.")
    if not isinstance(cell.real, UnsetType):
        return float(cell.real)
    assert not isinstance(cell.base64, UnsetType)
    try:
        return b64decode(cell.base64, validate=True)
    except ValueError:
        raise _misfit(field, "base64 is no Base64 with padding.") from None


def _misfit(field: str, message: str) -> Refusal:
    return Refusal(Reason.INVALID_STATEMENT, message, field=field)


def _result(result: StatementResult) -> bodies.ResultData:
    return bodies.ResultData(
        columns=[bodies.ColumnData(name=name, declared_type=declared) for name, declared in result.columns],
        rows=[[_cell(value) for value in row] for row in result.rows],
        changes=result.changes,
        last_insert_rowid=result.last_insert_rowid,
        rows_read=result.rows_read,
        rows_written=result.rows_written,
    )


def _cell(value: SqlValue) -> bodies.SqlCell:
    if isinstance(value, bytes):
        return bodies.Special(base64=b64encode(value).decode())
    if isinstance(value, float) and not math.isfinite(value):
        return bodies.Special(real="Infinity" if value > 0 else "-Infinity")
    return value
