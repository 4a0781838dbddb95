"""Requests as a pipeline carries them, and its answers as those of the unary calls. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from petra.v1 import storage_pb2 as pb
from tests.support.refusals import Refusal, refusal_of_operation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Request = (
    pb.GetRequest
    | pb.SetRequest
    | pb.DeleteRequest
    | pb.GetManyRequest
    | pb.SetManyRequest
    | pb.DeleteManyRequest
    | pb.ListRequest
    | pb.ClearRequest
    | pb.IncrementRequest
    | pb.TouchRequest
    | pb.ThrottleRequest
    | pb.TransactRequest
)
Response = (
    pb.GetResponse
    | pb.SetResponse
    | pb.DeleteResponse
    | pb.GetManyResponse
    | pb.SetManyResponse
    | pb.DeleteManyResponse
    | pb.ListResponse
    | pb.ClearResponse
    | pb.IncrementResponse
    | pb.TouchResponse
    | pb.ThrottleResponse
    | pb.TransactResponse
)
Outcome = Response | Refusal

METHODS: Final[Mapping[type[Request], tuple[str, type[Response]]]] = {
    pb.GetRequest: ("Get", pb.GetResponse),
    pb.SetRequest: ("Set", pb.SetResponse),
    pb.DeleteRequest: ("Delete", pb.DeleteResponse),
    pb.GetManyRequest: ("GetMany", pb.GetManyResponse),
    pb.SetManyRequest: ("SetMany", pb.SetManyResponse),
    pb.DeleteManyRequest: ("DeleteMany", pb.DeleteManyResponse),
    pb.ListRequest: ("List", pb.ListResponse),
    pb.ClearRequest: ("Clear", pb.ClearResponse),
    pb.IncrementRequest: ("Increment", pb.IncrementResponse),
    pb.TouchRequest: ("Touch", pb.TouchResponse),
    pb.ThrottleRequest: ("Throttle", pb.ThrottleResponse),
    pb.TransactRequest: ("Transact", pb.TransactResponse),
}
_COLUMN_METHODS: Final[Mapping[type[Request], pb.Method]] = {
    pb.GetRequest: pb.METHOD_GET,
    pb.SetRequest: pb.METHOD_SET,
    pb.DeleteRequest: pb.METHOD_DELETE,
    pb.IncrementRequest: pb.METHOD_INCREMENT,
    pb.TouchRequest: pb.METHOD_TOUCH,
}
_EMBEDDED_METHODS: Final[Mapping[type[Request], pb.Method]] = {
    pb.GetManyRequest: pb.METHOD_GET_MANY,
    pb.SetManyRequest: pb.METHOD_SET_MANY,
    pb.DeleteManyRequest: pb.METHOD_DELETE_MANY,
    pb.ListRequest: pb.METHOD_LIST,
    pb.ClearRequest: pb.METHOD_CLEAR,
    pb.ThrottleRequest: pb.METHOD_THROTTLE,
    pb.TransactRequest: pb.METHOD_TRANSACT,
}
_COLUMNS: Final[Mapping[str, str]] = {
    "key": "keys",
    "value": "values",
    "encoding": "encodings",
    "if_version": "if_versions",
    "durability": "durabilities",
    "request_id": "request_ids",
    "delta": "numbers",
    "initial": "initials",
}

_T = TypeVar("_T")


def pack(ids: Sequence[int], requests: Sequence[Request], *, dense: bool) -> pb.PipelineRequest:
    """The requests as columns. A column of nothing but defaults is left out unless dense."""
    addresses = list(dict.fromkeys(_address(request) for request in requests))
    message = pb.PipelineRequest(ids=ids)
    message.addresses.extend(pb.Address(namespace=namespace, object=name) for namespace, name in addresses)
    columns: dict[str, list[object]] = {"address_indexes": [addresses.index(_address(request)) for request in requests]}
    for position, request in enumerate(requests):
        method = _COLUMN_METHODS.get(type(request)) or _EMBEDDED_METHODS[type(request)]
        message.methods.append(method)
        for name, value in _cells(request).items():
            columns.setdefault(name, [_default(name)] * len(requests))[position] = value
    if dense:
        for name in ("keys", "values", "encodings", "ttl_ms", "if_versions", "options", "durabilities", "request_ids"):
            columns.setdefault(name, [_default(name)] * len(requests))
    for name, column in columns.items():
        if dense or any(column):
            getattr(message, name).extend(column)
    return message


def _default(column: str) -> object:
    return {"keys": "", "values": b"", "request_ids": b""}.get(column, 0)


def _address(request: Request) -> tuple[str, str]:
    return ("", "") if type(request) in _EMBEDDED_METHODS else (request.namespace, request.object)


def _cells(request: Request) -> dict[str, object]:
    """What each column holds for this request."""
    if type(request) in _EMBEDDED_METHODS:
        return {"values": request.SerializeToString()}
    options = 0
    cells: dict[str, object] = {}
    for descriptor, value in request.ListFields():
        if descriptor.name == "if_version":
            options |= pb.OPERATION_OPTION_IF_VERSION
        if descriptor.name == "keep_ttl":
            options |= pb.OPERATION_OPTION_KEEP_TTL
        elif descriptor.name not in ("namespace", "object"):
            cells[_COLUMNS.get(descriptor.name, descriptor.name)] = value
    return {**cells, "options": options}


def unpack(answer: pb.PipelineResponse, asked: Mapping[int, Request], outcomes: dict[int, Outcome]) -> None:
    """Adds the outcomes in one answer to those that came before."""
    for position, id_ in enumerate(answer.ids):
        assert id_ not in outcomes, f"operation {id_} is answered twice"
        outcomes[id_] = _response(asked[id_], answer, position)
    for error in answer.errors:
        assert error.id not in outcomes, f"operation {error.id} is answered twice"
        assert error.id in asked
        outcomes[error.id] = refusal_of_operation(error)


def _response(request: Request, answer: pb.PipelineResponse, position: int) -> Response:
    """One answer of a pipeline as the answer of the unary call."""
    n = len(answer.ids)
    version = _cell(answer.versions, position, n)
    match request:
        case pb.GetRequest():
            if not version:
                return pb.GetResponse()
            return pb.GetResponse(
                entry=pb.Entry(
                    key=request.key,
                    value=_cell(answer.values, position, n) or b"",
                    encoding=_cell(answer.encodings, position, n) or pb.ENCODING_UNSPECIFIED,
                    version=version,
                    expires_at_ms=_cell(answer.expires_at_ms, position, n) or 0,
                )
            )
        case pb.SetRequest():
            return pb.SetResponse(version=version or 0)
        case pb.DeleteRequest():
            return pb.DeleteResponse(deleted=bool(_cell(answer.numbers, position, n)))
        case pb.IncrementRequest():
            return pb.IncrementResponse(value=_cell(answer.numbers, position, n) or 0, version=version or 0)
        case pb.TouchRequest():
            found, expires_at_ms = _cell(answer.numbers, position, n), _cell(answer.expires_at_ms, position, n)
            return pb.TouchResponse(found=bool(found), expires_at_ms=expires_at_ms or 0)
        case _:
            return METHODS[type(request)][1].FromString(_cell(answer.values, position, n) or b"")


def _cell(column: Sequence[_T], position: int, n: int) -> _T | None:
    """An element of a column, None for one that is left out."""
    assert len(column) in (0, n), "the columns of the answer do not fit together"
    return column[position] if column else None
