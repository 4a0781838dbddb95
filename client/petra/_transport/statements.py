"""Statements and their results on the wire, and what parameters may be. Pure.

Cells go in columns: what each one is, and the values of each kind in the order of the cells (petra.v1.Cells).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, repeat
from typing import Final, TypeAlias

from petra._transport.arguments import checked_key
from petra.errors import InternalError, InvalidArgument
from petra.sql import Column, Params, Result, Row, SqlValue, Statement, row_type
from petra.v1 import statements_pb2 as pb

# What a batch is made of.
Given: TypeAlias = Statement | str | tuple[str, Params]

_NULL, _INTEGER, _DOUBLE, _TEXT, _BLOB = range(5)
_KINDS: Final[Mapping[type, int]] = {type(None): _NULL, int: _INTEGER, float: _DOUBLE, str: _TEXT, bytes: _BLOB}
_INT64: Final = range(-(1 << 63), 1 << 63)
_ADVICE: Final[Mapping[str, str]] = {
    "datetime": "give its isoformat(), or its timestamp()",
    "date": "give its isoformat()",
    "time": "give its isoformat()",
    "timedelta": "give its total_seconds()",
    "Decimal": "give it as a str, or as a number of the smallest unit",
    "UUID": "give it as a str, or its bytes",
    "bytearray": "give bytes of it",
    "memoryview": "give bytes of it",
    "dict": "give the text that json.dumps makes of it",
    "list": "give the text that json.dumps makes of it",
    "tuple": "give the text that json.dumps makes of it",
}


# From statements to messages.


def statement_message(given: Given, where: str = "") -> pb.Statement:
    """A statement as it is sent. Raises InvalidArgument, whose field begins with `where`."""
    statement = _statement(given, where)
    prefix = f"{where}." if where else ""
    sql = checked_key(statement.sql, f"{prefix}sql")
    if statement.many is None:
        return _once(sql, statement.params, f"{prefix}params")
    if statement.params:
        raise InvalidArgument("Give params or many, not both.", field=f"{prefix}many")
    return many_message(sql, statement.many, f"{prefix}many")


def many_message(sql: str, many: Iterable[Params], name: str = "params") -> pb.Statement:
    """A statement that is executed once with each of the parameters."""
    if isinstance(many, str | bytes | Mapping) or not isinstance(many, Iterable):
        raise InvalidArgument(f"{name} are parameters for each execution: a list of tuples or of dicts.", field=name)
    rows = list(many)
    if not rows:
        # An empty text does nothing, as executing a text not even once does.
        return pb.Statement()
    first = rows[0]
    if isinstance(first, Mapping):
        names = list(first)
        shares: list[Sequence[SqlValue]] = [_by_names(row, names, f"{name}[{at}]") for at, row in enumerate(rows)]
        message = pb.Statement(sql=sql, names=_checked_names(names, f"{name}[0]"), times=len(rows))
    else:
        names = [str(at) for at in range(len(_by_position(first, f"{name}[0]")))]
        shares = [_as_many(row, len(names), f"{name}[{at}]") for at, row in enumerate(rows)]
        message = pb.Statement(sql=sql, times=len(rows))
    width = len(names)
    labels = [repr(each) for each in names] if message.names else names
    message.parameters.CopyFrom(
        cells_message(list(chain.from_iterable(shares)), lambda at: f"{name}[{at // width}][{labels[at % width]}]")
    )
    return message


def _statement(given: object, where: str) -> Statement:
    if isinstance(given, Statement):
        return given
    if isinstance(given, str):
        return Statement(given)
    if isinstance(given, tuple) and len(given) == 2:
        return Statement(*given)
    raise InvalidArgument(
        f"{where or 'A statement'} is a Statement, a str, or a tuple of a str and its parameters, not {given!r:.100}.",
        field=where,
    )


def _once(sql: str, params: Params, name: str) -> pb.Statement:
    if isinstance(params, Mapping):
        names = _checked_names(params, name)
        cells = cells_message(list(params.values()), lambda at: f"{name}[{names[at]!r}]")
        return pb.Statement(sql=sql, parameters=cells, names=names)
    values = _by_position(params, name)
    return pb.Statement(sql=sql, parameters=cells_message(values, lambda at: f"{name}[{at}]") if values else None)


def _by_position(params: object, name: str) -> Sequence[SqlValue]:
    if isinstance(params, Sequence) and not isinstance(params, str | bytes):
        return params
    raise InvalidArgument(
        f"{name} are a tuple or a list, or a dict for parameters by name, not {type(params).__name__}."
        " A single parameter is a tuple as well: (value,).",
        field=name,
    )


def _as_many(params: object, width: int, name: str) -> Sequence[SqlValue]:
    values = _by_position(params, name)
    if len(values) != width:
        raise InvalidArgument(f"{name} has {len(values)} parameters, and the first has {width}.", field=name)
    return values


def _by_names(params: object, names: Sequence[str], name: str) -> list[SqlValue]:
    if not isinstance(params, Mapping) or params.keys() != set(names):
        raise InvalidArgument(f"{name} has to name the same parameters as the first: {', '.join(names)}.", field=name)
    return [params[each] for each in names]


def _checked_names(names: Iterable[str], where: str) -> list[str]:
    return [checked_key(name, f"The name of a parameter in {where}") for name in names]


def cells_message(values: Sequence[object], name_of: Callable[[int], str]) -> pb.Cells:
    """Values in columns. Raises InvalidArgument for one that SQLite cannot hold, by what `name_of` calls its number."""
    try:
        kinds = [_KINDS[type(value)] for value in values]
    except KeyError:
        values = [_plain(value, name_of, at) for at, value in enumerate(values)]
        kinds = [_KINDS[type(value)] for value in values]
    integers, doubles, texts, blobs = (
        [value for value, one in zip(values, kinds, strict=True) if one == kind] if kind in kinds else []
        for kind in (_INTEGER, _DOUBLE, _TEXT, _BLOB)
    )
    try:
        return pb.Cells(kinds=kinds, integers=integers, doubles=doubles, texts=texts, blobs=blobs)  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        # One of them cannot be sent.
        for at, value in enumerate(values):
            _check(value, name_of(at))
        raise


def _plain(value: object, name_of: Callable[[int], str], at: int) -> SqlValue:
    """The value itself, where its type is derived from one of SQLite's."""
    # A bool is an int, and members of IntEnum and StrEnum are what they are derived from.
    match value:
        case None:
            return None
        case int():
            return int(value)
        case float():
            return float(value)
        case str():
            return str.__str__(value)
        case bytes():
            return bytes(value)
    kind_name = type(value).__name__
    advice = _ADVICE.get(kind_name, "give one of these")
    raise InvalidArgument(
        f"{name_of(at)} is a {kind_name}; SQLite holds None, int, float, str and bytes: {advice}.", field=name_of(at)
    )


def _check(value: object, name: str) -> None:
    """Raises InvalidArgument for what has the right type and cannot be sent."""
    if isinstance(value, int) and value not in _INT64:
        raise InvalidArgument(f"{name} is an int that does not fit into the 64 bits of SQLite's.", field=name)
    if isinstance(value, str):
        checked_key(value, name)


# From messages to results.


def result_of(message: pb.StatementResult, database_bytes: int | None = None) -> Result:
    columns = columns_of(message.columns)
    return Result(
        columns=columns,
        rows=rows_of(columns, message.cells),
        changes=message.changes,
        last_insert_rowid=message.last_insert_rowid,
        rows_read=message.rows_read,
        rows_written=message.rows_written,
        duration=message.duration_us / 1e6,
        database_bytes=database_bytes,
    )


def columns_of(messages: Iterable[pb.Column]) -> tuple[Column, ...]:
    return tuple(Column(message.name, message.declared_type) for message in messages)


def rows_of(columns: Sequence[Column], cells: pb.Cells) -> list[Row]:
    """Rows from cells. Raises InternalError for cells that do not fit together."""
    if not cells.kinds:
        return []
    # In the order of the kinds' numbers.
    sources = (
        repeat(None),
        iter(cells.integers),
        iter(cells.doubles),
        iter(cells.texts),
        iter(cells.blobs),
    )
    take = [source.__next__ for source in sources]
    try:
        values = [take[kind]() for kind in cells.kinds]
    except (StopIteration, IndexError):
        raise _unreadable() from None
    width = len(columns)
    if not width or len(values) % width or any(next(source, take) is not take for source in sources[1:]):
        raise _unreadable()
    made = row_type(tuple([column.name for column in columns]))
    return list(map(made, zip(*[iter(values)] * width, strict=True)))


def _unreadable() -> InternalError:
    return InternalError("The server's rows cannot be read: its cells do not fit together. Use a newer client.")
