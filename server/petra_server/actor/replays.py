"""How the answer to a request with an id is kept for its replays: MessagePack, stable across releases. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zlib import crc32

import msgpack

from petra_server.actor.operations import (
    CountReply,
    Delete,
    DeleteMany,
    DeleteReply,
    Execute,
    ExecuteReply,
    Get,
    GetReply,
    Increment,
    IncrementReply,
    Operation,
    Reply,
    Set,
    SetMany,
    SetManyReply,
    SetReply,
    Throttle,
    ThrottleAll,
    ThrottleAllReply,
    ThrottleReply,
    Touch,
    TouchReply,
    Transact,
    TransactReply,
)
from petra_server.sql.cells import NO_CELLS, Cells
from petra_server.sql.statements import Column, Statement, StatementResult
from petra_server.storage.records import Record

# On disk: numbers are only ever added.
_REPLY_TYPES: dict[int, Any] = {
    1: SetReply,
    2: DeleteReply,
    3: IncrementReply,
    4: TouchReply,
    5: ThrottleReply,
    6: GetReply,
    7: SetManyReply,
    8: CountReply,
    9: TransactReply,
    10: Record,
    11: ExecuteReply,
    12: StatementResult,
    13: Column,
    14: Cells,
    15: ThrottleAllReply,
}
_REPLY_CODES = {kind: code for code, kind in _REPLY_TYPES.items()}
_OPERATION_CODES: dict[Any, int] = {
    kind: code
    for code, kind in enumerate(
        (
            Set,
            Delete,
            Increment,
            Touch,
            Throttle,
            Get,
            SetMany,
            DeleteMany,
            Transact,
            Execute,
            Statement,
            ThrottleAll,
        ),
        start=1,
    )
}
# The replies of single steps hold no tuples; they are the many.
_FLAT_REPLIES = frozenset((SetReply, DeleteReply, IncrementReply, ThrottleReply))
_TUPLE = 0

# To make a packer takes as long as to use it.
_pack: Callable[[object], bytes] = msgpack.Packer().pack


def fingerprint(operation: Operation, sync: bool) -> int:
    """A checksum that tells one request from another under the same id. Durability is a part of what was asked."""
    fields = _tagged_steps(operation) if isinstance(operation, Transact) else operation
    return crc32(_pack((_OPERATION_CODES[type(operation)], sync, fields)))


def pack_reply(reply: Reply) -> bytes:
    kind = type(reply)
    return _pack((_REPLY_CODES[kind], *reply) if kind in _FLAT_REPLIES else _to_wire(reply))


def unpack_reply(data: bytes) -> Reply:
    reply: Reply = _from_wire(msgpack.unpackb(data))
    return reply


def _tagged_steps(transact: Transact) -> object:
    """The steps of a transaction carry their kind: two kinds may have equal fields."""
    return (transact.conditions, [(_OPERATION_CODES[type(step)], step) for step in transact.steps])


def _to_wire(value: object) -> object:
    if isinstance(value, Cells):
        # Its columns hold plain values, and may be long.
        return [_REPLY_CODES[Cells], msgpack.packb(tuple(value))]
    if isinstance(value, tuple):
        return [_REPLY_CODES.get(type(value), _TUPLE), *map(_to_wire, value)]
    return value


def _from_wire(value: object) -> Any:  # noqa: ANN401 - whatever was packed
    if isinstance(value, list):
        code, *fields = value
        if code == _REPLY_CODES[Cells]:
            cells = Cells(*msgpack.unpackb(fields[0]))
            return cells if cells.kinds else NO_CELLS
        items = map(_from_wire, fields)
        return tuple(items) if code == _TUPLE else _REPLY_TYPES[code](*items)
    return value
