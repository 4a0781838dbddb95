"""Every request that the server refuses by itself, as a table: what is asked, and what the refusal has to say.

The data that the rows are about is made by `PREPARED`; the rows leave it unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

from petra.v1 import storage_pb2 as pb

if TYPE_CHECKING:
    from tests.support.pipelines import Request

INVALID = grpc.StatusCode.INVALID_ARGUMENT
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION

OBJECT = "o"
TAKEN_ID = b"taken"
OVER_100_YEARS_MS = 101 * 366 * 86_400_000
# No entry ever gets so far.
NO_VERSION = 1 << 62
LARGEST_VALUE = 2 * 1024 * 1024

# What is there: rows refer to it, and none of it may change.
PREPARED: list[Request] = [
    pb.SetRequest(key="text", value=b"no number", ttl_ms=3_600_000_000),
    pb.SetRequest(key="count", value=b"9223372036854775807", encoding=pb.ENCODING_JSON),
    pb.SetRequest(object=OBJECT, key="text", value=b"no number"),
    pb.SetRequest(object=OBJECT, key="count", value=b"-9223372036854775808", encoding=pb.ENCODING_JSON),
    pb.SetRequest(key="once", value=b"1", request_id=TAKEN_ID),
    pb.SetRequest(namespace="other", key="k", value=b"v"),
    *(pb.SetRequest(object="large", key=f"k{n}", value=bytes(LARGEST_VALUE)) for n in range(9)),
]


@dataclass(frozen=True, slots=True)
class Row:
    """`field` is the one that is named as wrong, "" where it is the request as a whole."""

    name: str
    request: Request
    reason: str
    field: str
    code: grpc.StatusCode = INVALID


def _addresses() -> list[Row]:
    long_namespace, long_object, long_key = "n" * 256, "o" * 1_025, "k" * 2_049
    rows = []
    for kind in (pb.GetRequest, pb.SetRequest, pb.DeleteRequest, pb.IncrementRequest, pb.TouchRequest):
        name = kind.__name__.removesuffix("Request").lower()
        rows += [
            Row(f"{name}-long-namespace", kind(namespace=long_namespace, key="k"), "INVALID_NAMESPACE", "namespace"),
            Row(f"{name}-long-object", kind(object=long_object, key="k"), "INVALID_OBJECT", "object"),
            Row(f"{name}-no-key", kind(), "INVALID_KEY", "key"),
            Row(f"{name}-long-key", kind(key=long_key), "INVALID_KEY", "key"),
        ]
    return [
        *rows,
        # Limits are in bytes, not in characters.
        Row("get-key-of-long-characters", pb.GetRequest(key="é" * 1_025), "INVALID_KEY", "key"),
        Row("throttle-no-key", pb.ThrottleRequest(limit=1, period_ms=1), "INVALID_KEY", "key"),
        Row("get-many-no-key", pb.GetManyRequest(keys=["k", ""]), "INVALID_KEY", "keys[1]"),
        Row("set-many-no-key", pb.SetManyRequest(items=[pb.SetItem()]), "INVALID_KEY", "items[0].key"),
        Row("delete-many-long-key", pb.DeleteManyRequest(keys=[long_key]), "INVALID_KEY", "keys[0]"),
        Row("get-many-long-object", pb.GetManyRequest(object=long_object), "INVALID_OBJECT", "object"),
        Row("list-long-namespace", pb.ListRequest(namespace=long_namespace), "INVALID_NAMESPACE", "namespace"),
        Row("clear-long-object", pb.ClearRequest(object=long_object), "INVALID_OBJECT", "object"),
        Row("transact-no-object", pb.TransactRequest(), "INVALID_OBJECT", "object"),
        Row(
            "transact-condition-no-key",
            pb.TransactRequest(object=OBJECT, conditions=[pb.Condition()]),
            "INVALID_KEY",
            "conditions[0].key",
        ),
        Row(
            "transact-operation-no-key",
            pb.TransactRequest(object=OBJECT, operations=[pb.Operation(get=pb.GetItem())]),
            "INVALID_KEY",
            "operations[0].get.key",
        ),
    ]


def _values() -> list[Row]:
    large = bytes(LARGEST_VALUE + 1)
    return [
        Row("set-negative-ttl", pb.SetRequest(key="text", ttl_ms=-1), "INVALID_TTL", "ttl_ms"),
        Row("set-endless-ttl", pb.SetRequest(key="text", ttl_ms=OVER_100_YEARS_MS), "INVALID_TTL", "ttl_ms"),
        Row("set-both-ttls", pb.SetRequest(key="text", ttl_ms=1, keep_ttl=True), "INVALID_TTL", "keep_ttl"),
        Row("touch-negative-ttl", pb.TouchRequest(key="text", ttl_ms=-1), "INVALID_TTL", "ttl_ms"),
        Row("increment-negative-ttl", pb.IncrementRequest(key="n", ttl_ms=-1), "INVALID_TTL", "ttl_ms"),
        Row(
            "set-many-negative-ttl",
            pb.SetManyRequest(items=[pb.SetItem(key="a"), pb.SetItem(key="b", ttl_ms=-1)]),
            "INVALID_TTL",
            "items[1].ttl_ms",
        ),
        Row("set-encoding", pb.SetRequest(key="text", encoding=3), "INVALID_ENCODING", "encoding"),  # type: ignore[arg-type]
        Row("set-durability", pb.SetRequest(key="text", durability=3), "INVALID_DURABILITY", "durability"),  # type: ignore[arg-type]
        Row("clear-durability", pb.ClearRequest(durability=-1), "INVALID_DURABILITY", "durability"),  # type: ignore[arg-type]
        Row("set-value", pb.SetRequest(key="text", value=large), "VALUE_TOO_LARGE", "value"),
        Row(
            "set-many-value",
            pb.SetManyRequest(items=[pb.SetItem(key="a", value=large)]),
            "VALUE_TOO_LARGE",
            "items[0].value",
        ),
        Row(
            "set-request-id",
            pb.SetRequest(key="text", request_id=bytes(33)),
            "INVALID_REQUEST_ID",
            "request_id",
        ),
        Row(
            "set-reused-request-id",
            pb.SetRequest(key="once", value=b"2", request_id=TAKEN_ID),
            "REQUEST_ID_REUSED",
            "request_id",
        ),
    ]


def _batches() -> list[Row]:
    keys = [f"k{n}" for n in range(1_025)]
    too_many = "BATCH_TOO_LARGE"
    operations = [pb.Operation(get=pb.GetItem(key=key)) for key in keys[:1_024]]
    return [
        Row("get-many", pb.GetManyRequest(keys=keys), too_many, "keys"),
        Row("delete-many", pb.DeleteManyRequest(keys=keys), too_many, "keys"),
        Row("set-many", pb.SetManyRequest(items=[pb.SetItem(key=key) for key in keys]), too_many, "items"),
        Row(
            "transact",
            pb.TransactRequest(object=OBJECT, conditions=[pb.Condition(key="k")], operations=operations),
            too_many,
            "operations",
        ),
        Row(
            "set-many-twice",
            pb.SetManyRequest(items=[pb.SetItem(key="a"), pb.SetItem(key="a")]),
            "DUPLICATE_KEY",
            "items[1].key",
        ),
        Row(
            "set-many-flat-condition",
            pb.SetManyRequest(items=[pb.SetItem(key="a", if_version=0)]),
            "INVALID_CONDITION",
            "items[0].if_version",
        ),
        Row(
            "transact-no-operation",
            pb.TransactRequest(object=OBJECT, operations=[pb.Operation()]),
            "INVALID_OPERATION",
            "operations[0]",
        ),
        Row(
            "get-many-answer",
            pb.GetManyRequest(object="large", keys=[f"k{n}" for n in range(9)]),
            "RESPONSE_TOO_LARGE",
            "",
        ),
    ]


def _lists() -> list[Row]:
    return [
        Row("both-starts", pb.ListRequest(start="a", start_after="a"), "INVALID_RANGE", "start_after"),
        Row("long-start", pb.ListRequest(start="k" * 2_049), "INVALID_RANGE", "start"),
        Row("long-start-after", pb.ListRequest(start_after="k" * 2_049), "INVALID_RANGE", "start_after"),
        Row("long-end", pb.ListRequest(end="k" * 2_049), "INVALID_RANGE", "end"),
        Row("long-prefix", pb.ListRequest(prefix="k" * 2_049), "INVALID_RANGE", "prefix"),
        Row("clear-long-prefix", pb.ClearRequest(prefix="k" * 2_049), "INVALID_RANGE", "prefix"),
        Row("limit", pb.ListRequest(limit=10_001), "INVALID_LIMIT", "limit"),
        Row("page-token", pb.ListRequest(page_token=b"no token"), "INVALID_PAGE_TOKEN", "page_token"),
    ]


def _throttles() -> list[Row]:
    def row(name: str, field: str, request: pb.ThrottleRequest) -> Row:
        request.key = "limit"
        return Row(f"throttle-{name}", request, "INVALID_THROTTLE", field)

    window = pb.ALGORITHM_FIXED_WINDOW
    return [
        row("algorithm", "algorithm", pb.ThrottleRequest(algorithm=9, limit=1, period_ms=1)),  # type: ignore[arg-type]
        row("no-limit", "limit", pb.ThrottleRequest(period_ms=1)),
        row("no-period", "period_ms", pb.ThrottleRequest(limit=1)),
        row("negative-period", "period_ms", pb.ThrottleRequest(limit=1, period_ms=-1)),
        row("long-period", "period_ms", pb.ThrottleRequest(limit=1, period_ms=366 * 86_400_000 + 1)),
        row("cost", "cost", pb.ThrottleRequest(limit=1, period_ms=1, cost=2)),
        row("cost-over-burst", "cost", pb.ThrottleRequest(limit=9, period_ms=1, burst=2, cost=3)),
        row("window-cost", "cost", pb.ThrottleRequest(algorithm=window, limit=1, period_ms=1, cost=2)),
        *(row(f"several-{name}", field, request) for name, field, request in _several_limits()),
    ]


def _several_limits() -> list[tuple[str, str, pb.ThrottleRequest]]:
    def request(*limits: pb.ThrottleLimit, **fields: int) -> pb.ThrottleRequest:
        return pb.ThrottleRequest(limits=limits, **fields)  # type: ignore[arg-type]

    good = pb.ThrottleLimit(limit=1, period_ms=1)
    window = pb.ThrottleLimit(limit=1, period_ms=2, burst=1, algorithm=pb.ALGORITHM_FIXED_WINDOW)
    many = [pb.ThrottleLimit(limit=1, period_ms=number) for number in range(1, 18)]
    return [
        ("and-one", "limits", request(good, limit=1)),
        ("alike", "limits", request(good, pb.ThrottleLimit(limit=2, period_ms=1, algorithm=pb.ALGORITHM_GCRA))),
        ("many", "limits", request(*many)),
        ("no-limit", "limits[1].limit", request(good, pb.ThrottleLimit(period_ms=2))),
        ("burst", "limits[1].burst", request(good, window)),
        (
            "cost",
            "cost",
            request(pb.ThrottleLimit(limit=2, period_ms=1), pb.ThrottleLimit(limit=1, period_ms=2), cost=2),
        ),
    ]


def _preconditions() -> list[Row]:
    aborted = grpc.StatusCode.ABORTED
    increment = pb.IncrementItem(key="text", delta=1)
    first = pb.Operation(set=pb.SetItem(key="first", value=b"1"))
    return [
        Row("set-conflict", pb.SetRequest(key="text", if_version=0), "VERSION_CONFLICT", "if_version", aborted),
        Row(
            "delete-conflict",
            pb.DeleteRequest(key="text", if_version=NO_VERSION),
            "VERSION_CONFLICT",
            "if_version",
            aborted,
        ),
        Row(
            "set-many-conflict",
            pb.SetManyRequest(object=OBJECT, items=[pb.SetItem(key="new"), pb.SetItem(key="text", if_version=0)]),
            "VERSION_CONFLICT",
            "if_version",
            aborted,
        ),
        Row("increment-text", pb.IncrementRequest(key="text", delta=1), "NOT_AN_INTEGER", "key", PRECONDITION),
        Row("increment-over", pb.IncrementRequest(key="count", delta=1), "INTEGER_OVERFLOW", "delta", PRECONDITION),
        Row(
            "increment-under",
            pb.IncrementRequest(object=OBJECT, key="count", delta=-1),
            "INTEGER_OVERFLOW",
            "delta",
            PRECONDITION,
        ),
        Row(
            "increment-initial-over",
            pb.IncrementRequest(key="absent", initial=2**63 - 1, delta=1),
            "INTEGER_OVERFLOW",
            "delta",
            PRECONDITION,
        ),
        Row(
            "throttle-text",
            pb.ThrottleRequest(key="text", limit=1, period_ms=1),
            "NOT_A_THROTTLE",
            "key",
            PRECONDITION,
        ),
        Row(
            "transact-increment-text",
            pb.TransactRequest(object=OBJECT, operations=[first, pb.Operation(increment=increment)]),
            "NOT_AN_INTEGER",
            "operations[1].increment.key",
            PRECONDITION,
        ),
    ]


ROWS = [*_addresses(), *_values(), *_batches(), *_lists(), *_throttles(), *_preconditions()]
