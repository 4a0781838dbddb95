"""The methods of a pipeline: what they are called, and which of them have a request message as their value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from petra.v1 import sql_pb2
from petra.v1 import storage_pb2 as pb
from petra_server.actor.operations import Operation
from petra_server.rpc.requests import Prepared, Requests

EMBEDDED: dict[int, tuple[Any, Callable[[Requests, Any], Prepared]]] = {
    pb.METHOD_GET_MANY: (pb.GetManyRequest, Requests.get_many),
    pb.METHOD_SET_MANY: (pb.SetManyRequest, Requests.set_many),
    pb.METHOD_DELETE_MANY: (pb.DeleteManyRequest, Requests.delete_many),
    pb.METHOD_CLEAR: (pb.ClearRequest, Requests.clear),
    pb.METHOD_THROTTLE: (pb.ThrottleRequest, Requests.throttle),
    pb.METHOD_TRANSACT: (pb.TransactRequest, Requests.transact),
    pb.METHOD_EXECUTE: (sql_pb2.ExecuteRequest, Requests.execute),
}


# As in petra.v1.Method, and as the unary methods are called.
_NAMES = {number: name.removeprefix("METHOD_").title().replace("_", "") for name, number in pb.Method.items()}


def method_name(asked: int | Operation) -> str:
    """Of an operation by columns, its kind is its method."""
    return _NAMES.get(asked, "unknown") if isinstance(asked, int) else type(asked).__name__


EMBEDDED_METHODS = frozenset((*EMBEDDED, pb.METHOD_LIST))
