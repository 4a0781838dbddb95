"""The table of what the HTTP API offers: what each endpoint takes, answers, and can refuse.

The routes, the reading of requests and the OpenAPI document are all made from it, so they cannot differ. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from petra_server.errors import Reason
from petra_server.http import bodies
from petra_server.http.status import AnyReason, HttpReason

# What can happen to any request.
ALWAYS: frozenset[AnyReason] = frozenset(
    {
        HttpReason.INVALID_PARAMETER,
        HttpReason.ORIGIN_NOT_ALLOWED,
        HttpReason.METHOD_NOT_ALLOWED,
        HttpReason.TIMED_OUT,
        Reason.INVALID_NAMESPACE,
        Reason.INVALID_OBJECT,
        Reason.INVALID_REQUEST_ID,
        Reason.OVERLOADED,
        Reason.DRAINING,
        Reason.STORAGE_FAILED,
        Reason.STORAGE_CORRUPT,
        Reason.DEADLINE_PASSED,
        Reason.INTERNAL_ERROR,
    }
)
_READS = ALWAYS
_WRITES: frozenset[AnyReason] = ALWAYS | {Reason.DISK_FULL, Reason.INVALID_DURABILITY}
_ONCE: frozenset[AnyReason] = frozenset({Reason.REQUEST_ID_REUSED})
_BODY: frozenset[AnyReason] = frozenset(
    {
        HttpReason.BODY_TOO_LARGE,
        HttpReason.UNSUPPORTED_MEDIA_TYPE,
        Reason.MALFORMED_MESSAGE,
    }
)
_VALUE: frozenset[AnyReason] = frozenset(
    {Reason.INVALID_TTL, Reason.INVALID_ENCODING, Reason.VALUE_TOO_LARGE, Reason.INVALID_CONDITION}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One method of one path."""

    # As in the figures, and as its operationId.
    name: str
    verb: str
    path: str
    summary: str
    query: type[bodies.Reading]
    answer: type[bodies.Answer]
    reasons: frozenset[AnyReason]
    body: type[bodies.Reading] | None = None
    # Whether it may come without one, which is then an empty object.
    body_optional: bool = False
    # Whether an Idempotency-Key has it done once only.
    once: bool = False
    # What stands in the path: the name of it and what it is.
    in_path: tuple[str, str] | None = None
    tag: str = "storage"
    # Unique, unlike the name: a key can be named in two places.
    operation_id: str = ""


_KEY = ("key", "The key, percent-encoded: `%2F` for a slash. A path of a reserved name is not a key.")

GET = Endpoint(
    name="Get",
    verb="GET",
    path="/storage/{key}",
    summary="The value of a key",
    query=bodies.Address,
    answer=bodies.GetAnswer,
    reasons=_READS | {Reason.INVALID_KEY, HttpReason.KEY_NOT_FOUND},
    in_path=_KEY,
)
SET = Endpoint(
    name="Set",
    verb="POST",
    path="/storage/{key}",
    summary="Sets the value of a key",
    query=bodies.Address,
    body=bodies.SetBody,
    answer=bodies.SetAnswer,
    reasons=_WRITES | _ONCE | _BODY | _VALUE | {Reason.INVALID_KEY, Reason.VERSION_CONFLICT},
    once=True,
    in_path=_KEY,
)
DELETE = Endpoint(
    name="Delete",
    verb="DELETE",
    path="/storage/{key}",
    summary="Deletes a key",
    query=bodies.DeleteQuery,
    answer=bodies.DeleteAnswer,
    reasons=_WRITES | _ONCE | {Reason.INVALID_KEY, Reason.INVALID_CONDITION, Reason.VERSION_CONFLICT},
    once=True,
    in_path=_KEY,
)
BATCH_GET = Endpoint(
    name="GetMany",
    verb="POST",
    path="/storage/batch/get",
    summary="The entries of several keys, in their order, without those that are not there",
    query=bodies.Address,
    body=bodies.BatchKeys,
    answer=bodies.BatchGetAnswer,
    reasons=_READS | _BODY | {Reason.INVALID_KEY, Reason.BATCH_TOO_LARGE, Reason.RESPONSE_TOO_LARGE},
)
BATCH_SET = Endpoint(
    name="SetMany",
    verb="POST",
    path="/storage/batch/set",
    summary="Sets several keys; all or none in an object",
    query=bodies.Address,
    body=bodies.BatchSet,
    answer=bodies.BatchSetAnswer,
    reasons=_WRITES
    | _ONCE
    | _BODY
    | _VALUE
    | {Reason.INVALID_KEY, Reason.BATCH_TOO_LARGE, Reason.DUPLICATE_KEY, Reason.VERSION_CONFLICT},
    once=True,
)
BATCH_DELETE = Endpoint(
    name="DeleteMany",
    verb="POST",
    path="/storage/batch/delete",
    summary="Deletes several keys",
    query=bodies.Address,
    body=bodies.BatchDelete,
    answer=bodies.CountAnswer,
    reasons=_WRITES | _ONCE | _BODY | {Reason.INVALID_KEY, Reason.BATCH_TOO_LARGE},
    once=True,
)
LIST = Endpoint(
    name="List",
    verb="GET",
    path="/storage/list",
    summary="Entries in the order of their keys, a page at a time",
    query=bodies.ListQuery,
    answer=bodies.ListAnswer,
    reasons=_READS | {Reason.INVALID_RANGE, Reason.INVALID_LIMIT, Reason.INVALID_PAGE_TOKEN},
)
CLEAR = Endpoint(
    name="Clear",
    verb="POST",
    path="/storage/clear",
    summary="Deletes all keys of an object or all flat keys of a namespace, or those with a prefix",
    query=bodies.Address,
    body=bodies.ClearBody,
    body_optional=True,
    answer=bodies.CountAnswer,
    reasons=_WRITES | _BODY | {Reason.INVALID_RANGE},
)
SQL = Endpoint(
    name="Execute",
    verb="POST",
    path="/sql/{object}",
    summary="Statements on the database of an object, all or none",
    query=bodies.InNamespace,
    body=bodies.SqlBody,
    answer=bodies.SqlAnswer,
    reasons=_WRITES
    | _ONCE
    | _BODY
    | {
        Reason.INVALID_STATEMENT,
        Reason.BATCH_TOO_LARGE,
        Reason.SQL_ERROR,
        Reason.SQL_CONSTRAINT,
        Reason.SQL_NOT_ALLOWED,
        Reason.SQL_TOO_LARGE,
        Reason.RESULT_TOO_LARGE,
    },
    once=True,
    in_path=("object", "The object, percent-encoded."),
    tag="sql",
)
HEALTHZ = Endpoint(
    name="healthz",
    verb="GET",
    path="/healthz",
    summary="Whether the server is alive",
    query=bodies.Nothing,
    answer=bodies.StateAnswer,
    reasons=frozenset({HttpReason.METHOD_NOT_ALLOWED, Reason.STORAGE_FAILED}),
    tag="operation",
)
READYZ = Endpoint(
    name="readyz",
    verb="GET",
    path="/readyz",
    summary="Whether the server takes requests, as the gRPC health service says",
    query=bodies.Nothing,
    answer=bodies.StateAnswer,
    reasons=HEALTHZ.reasons | {Reason.DRAINING},
    tag="operation",
)

# The same with the key or the object as a parameter, which can be any.
_BY_PARAMETER = {
    GET: replace(GET, path="/storage", query=bodies.AddressOfKey, in_path=None, operation_id="GetByParameter"),
    SET: replace(SET, path="/storage", query=bodies.AddressOfKey, in_path=None, operation_id="SetByParameter"),
    DELETE: replace(
        DELETE, path="/storage", query=bodies.DeleteQueryOfKey, in_path=None, operation_id="DeleteByParameter"
    ),
    SQL: replace(SQL, path="/sql", query=bodies.AddressOfObject, in_path=None, operation_id="ExecuteByParameter"),
}

ENDPOINTS = (
    *(GET, SET, DELETE, BATCH_GET, BATCH_SET, BATCH_DELETE, LIST, CLEAR, SQL),
    *_BY_PARAMETER.values(),
    *(HEALTHZ, READYZ),
)
