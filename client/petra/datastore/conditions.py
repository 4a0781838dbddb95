"""Queries on a class's table: what to find, in which order, how much of it. Pure.

Fields are the columns id, created_at and updated_at, and whatever the data holds, with dots between the parts of a
path. Their names are checked, letter by letter, and stand in the statement: so SQLite finds an index on the same
expression. Values are parameters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from petra.datastore.access import AUTH, UserId
from petra.datastore.classes import StorageClass
from petra.datastore.keys import checked_count
from petra.datastore.tables import COLUMNS, Bound, as_parameter, shown_columns, table_of
from petra.errors import InvalidArgument
from petra.sql import SqlValue
from petra.values import Value

# The operators of a condition, as a query writes them and as SQL does.
OPERATORS: Final = {"=": "IS", "!=": "IS NOT", "<": "<", "<=": "<=", ">": ">", ">=": ">=", "like": "LIKE"}
# As many rows as the server answers with in one message.
MOST_ROWS: Final = 10_000

_FIELD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*", re.ASCII)
_DIRECTIONS: Final = {"": "ASC", "ASC": "ASC", "DESC": "DESC"}


def query(
    storage_class: StorageClass,
    where: Mapping[str, Value] | None,
    order_by: str | Sequence[str] | None,
    limit: int,
    offset: int,
    user_id: UserId,
) -> Bound:
    """Reads the objects that the user sees and that meet all conditions. Raises InvalidArgument."""
    if where is not None and not isinstance(where, Mapping):
        raise InvalidArgument(f"where is a mapping of fields, not {type(where).__name__}.", field="where")
    table, parameters = table_of(storage_class), _Parameters()
    sql = f"SELECT {shown_columns(table)} FROM {table}"
    if user_id is not None:
        user = parameters.take(user_id)
        sql += f" JOIN {table}__auth AS a ON a.user_id = {user} AND a.record_id = {table}.id"
    conditions = [
        condition
        for field, wanted in (where or {}).items()
        for condition in _conditions(table, field, wanted, parameters)
    ]
    sql += f" WHERE {' AND '.join(conditions)}" if conditions else ""
    sql += f" ORDER BY {_order(table, order_by)}"
    sql += f" LIMIT {parameters.take(checked_count(limit, 'limit', MOST_ROWS))}"
    sql += f" OFFSET {parameters.take(checked_count(offset, 'offset'))}"
    return sql, parameters.values


class _Parameters:
    """The parameters of one statement, by names that are made here."""

    def __init__(self) -> None:
        self.values: dict[str, SqlValue] = {}

    def take(self, value: SqlValue) -> str:
        """Adds a value, and returns what stands for it in the statement."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f":{name}"


def _conditions(table: str, field: str, wanted: Value, parameters: _Parameters) -> list[str]:
    """What a field must be: a value, one of a list, or what a mapping of operators says."""
    if isinstance(wanted, list | tuple | set | frozenset):
        values = [parameters.take(as_parameter(value, field)) for value in wanted]
        return [f"{_expression(table, field)} IN ({', '.join(values)})"]
    operators = wanted if isinstance(wanted, Mapping) else {"=": wanted}
    for operator in operators:
        if operator not in OPERATORS:
            raise InvalidArgument(f"{operator!r} is no operator; there are {', '.join(OPERATORS)}.", field="where")
    return [
        f"{_expression(table, field)} {OPERATORS[operator]} {parameters.take(as_parameter(value, field))}"
        for operator, value in operators.items()
    ]


def _order(table: str, order_by: str | Sequence[str] | None) -> str:
    """The terms of ORDER BY. Objects that are equal in them stay in the order in which they were first put."""
    if order_by is not None and not isinstance(order_by, Sequence):
        raise InvalidArgument(f"order_by is text, or a list of it, not {type(order_by).__name__}.", field="order_by")
    terms, direction = [], "ASC"
    for term in order_by.split(",") if isinstance(order_by, str) else order_by or ():
        field, _, given = str(term).strip().partition(" ")
        if given.strip().upper() not in _DIRECTIONS:
            raise InvalidArgument(
                f'order_by has {term!r}; a term is "field", "field ASC" or "field DESC".', field="order_by"
            )
        direction = _DIRECTIONS[given.strip().upper()]
        terms.append(f"{_expression(table, field)} {direction}")
    return ", ".join([*terms, f"{table}.rowid {direction}"])


def _expression(table: str, field: object) -> str:
    if not isinstance(field, str) or _FIELD.fullmatch(field) is None:
        raise InvalidArgument(
            f"{field!r} is no field; its name is made of letters, digits and underscores, with dots between the parts"
            " of a path.",
            field="field",
        )
    if field == AUTH:
        raise InvalidArgument(f"{AUTH} cannot be queried: what comes back is what names the user.", field="field")
    if field in COLUMNS:
        return f"{table}.{field}"
    path = "".join(f'."{part}"' for part in field.split("."))
    return f"json_extract({table}.data, '${path}')"
