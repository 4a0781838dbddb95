"""Requests that a state machine draws: few addresses and keys, so that requests meet, and unkind ones."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import Message
from hypothesis import strategies as st

from petra.v1 import storage_pb2 as pb
from tests.support.pipelines import Request

# In place of a version in a condition: the machine puts in the present version, or one that is none.
PRESENT, WRONG = 2**64 - 1, 2**64 - 2

# Two names for one namespace, and names that run into each other where 0x00 is not escaped.
ADDRESSES = [("", ""), ("default", ""), ("", "o"), ("default", "o"), ("n", "\x00o"), ("n\x00", "o"), ("n", "")]

_LONG = "p/" * 20
# In no order; among them the ends of the range of UTF-8 and neighbours in it.
KEYS = [
    "a",
    "a\x00",
    "a\x00\x01",
    "ab",
    "b",
    "\x00",
    "\x7f",
    "é",
    "\uffff",
    "\U00010000",
    "\U0010ffff",
    f"{_LONG}x",
    f"{_LONG}y",
    "k" * 300,
]
PREFIXES = ["", "a", "a\x00", "p", _LONG, "\uffff", "\U0010ffff", "no such"]
VALUES = [b"", b"v", b"\x00\xff", b"7", b"-3", b"9223372036854775807", b"-9223372036854775808", b"1.5", b'"s"', b"{}"]
TTLS_MS = [0, 1, 1_000, 60_000, 3_155_000_000_000]
# A limit keeps its amount and period, because storage.proto leaves open what becomes of a state when they change.
LIMITS = {"a": (3, 1_000), "b": (7, 100), "é": (1, 60_000), "\uffff": (5, 7)}

ALGORITHMS = [
    pb.ALGORITHM_UNSPECIFIED,
    pb.ALGORITHM_GCRA,
    pb.ALGORITHM_FIXED_WINDOW,
    pb.ALGORITHM_SLIDING_WINDOW,
]

keys = st.sampled_from(KEYS)
encodings = st.sampled_from([pb.ENCODING_UNSPECIFIED, pb.ENCODING_BYTES, pb.ENCODING_JSON])
durabilities = st.sampled_from([pb.DURABILITY_UNSPECIFIED, pb.DURABILITY_FSYNC, pb.DURABILITY_BUFFERED])
ttls_ms = st.sampled_from(TTLS_MS)
versions = st.sampled_from([PRESENT, PRESENT, 0, WRONG])
if_versions = st.none() | versions
deltas = st.sampled_from([0, 1, -1, 5, 2**63 - 1, -(2**63)])
limits = st.sampled_from([1, 2, 3, 1_000])
prefixes = st.sampled_from(PREFIXES)


@st.composite
def set_items(draw: st.DrawFn, *, conditional: bool = True) -> pb.SetItem:
    keep_ttl = draw(st.booleans())
    return pb.SetItem(
        key=draw(keys),
        value=draw(st.sampled_from(VALUES)),
        encoding=draw(encodings),
        ttl_ms=0 if keep_ttl else draw(ttls_ms),
        keep_ttl=keep_ttl,
        if_version=draw(if_versions) if conditional else None,
    )


@st.composite
def throttle_items(draw: st.DrawFn) -> pb.ThrottleItem:
    key = draw(st.sampled_from(sorted(LIMITS)))
    limit, period_ms = LIMITS[key]
    algorithm = draw(st.sampled_from(ALGORITHMS))
    burst = draw(st.sampled_from([0, 1, 10])) if algorithm in (0, pb.ALGORITHM_GCRA) else 0
    return pb.ThrottleItem(
        key=key,
        algorithm=algorithm,
        limit=limit,
        period_ms=period_ms,
        burst=burst,
        cost=min(draw(st.sampled_from([0, 1, 2, 5])), burst or limit),
        peek=draw(st.booleans()),
    )


delete_items = st.builds(pb.DeleteItem, key=keys, if_version=if_versions)
increment_items = st.builds(pb.IncrementItem, key=keys, delta=deltas, initial=deltas, ttl_ms=ttls_ms)
touch_items = st.builds(pb.TouchItem, key=keys, ttl_ms=ttls_ms)
get_items = st.builds(pb.GetItem, key=keys)
operations = st.one_of(
    st.builds(pb.Operation, get=get_items),
    st.builds(pb.Operation, set=set_items()),
    st.builds(pb.Operation, delete=delete_items),
    st.builds(pb.Operation, increment=increment_items),
    st.builds(pb.Operation, touch=touch_items),
    st.builds(pb.Operation, throttle=throttle_items()),
)

addresses = st.sampled_from(ADDRESSES)
object_addresses = st.sampled_from([address for address in ADDRESSES if address[1]])

_R = TypeVar("_R", bound=Message)


def _filled(request: _R, address: tuple[str, str], item: Message | None = None, **fields: object) -> _R:
    """The request with the fields of an item, whose names are the same, and others."""
    given = {descriptor.name: value for descriptor, value in item.ListFields()} if item is not None else {}
    for name, value in {**given, "namespace": address[0], "object": address[1], **fields}.items():
        setattr(request, name, value)
    return request


def _one(kind: type[_R], items: st.SearchStrategy[Message], *, durable: bool) -> st.SearchStrategy[_R]:
    """Requests of a method on one key, out of the items of a transaction that do the same."""
    if durable:
        return st.builds(lambda *a: _filled(kind(), a[0], a[1], durability=a[2]), addresses, items, durabilities)
    return st.builds(lambda *a: _filled(kind(), a[0], a[1]), addresses, items)


gets = _one(pb.GetRequest, get_items, durable=False)
sets = _one(pb.SetRequest, set_items(), durable=True)
deletes = _one(pb.DeleteRequest, delete_items, durable=True)
increments = _one(pb.IncrementRequest, increment_items, durable=True)
touches = _one(pb.TouchRequest, touch_items, durable=False)


@st.composite
def several_limits(draw: st.DrawFn) -> pb.ThrottleRequest:
    key = draw(st.sampled_from(sorted(LIMITS)))
    limit, period_ms = LIMITS[key]
    address = draw(addresses)
    request = pb.ThrottleRequest(
        namespace=address[0],
        object=address[1],
        key=key,
        limits=[
            pb.ThrottleLimit(algorithm=draw(st.sampled_from(ALGORITHMS)), limit=limit, period_ms=period_ms),
            pb.ThrottleLimit(algorithm=draw(st.sampled_from(ALGORITHMS)), limit=2 * limit, period_ms=3 * period_ms),
        ],
        cost=min(draw(st.sampled_from([0, 1, 2])), limit),
        peek=draw(st.booleans()),
        durability=draw(durabilities),
    )
    del request.limits[draw(st.sampled_from([1, 2, 2])) :]
    return request


throttle_calls = _one(pb.ThrottleRequest, throttle_items(), durable=True) | several_limits()

_some_keys = st.lists(keys, max_size=6, unique=True)
_bounds = st.just("") | keys | st.sampled_from(["aa", "p", "z", "\ufffe"])


@st.composite
def get_manys(draw: st.DrawFn) -> pb.GetManyRequest:
    namespace, object_name = draw(addresses)
    return pb.GetManyRequest(namespace=namespace, object=object_name, keys=draw(_some_keys))


@st.composite
def set_manys(draw: st.DrawFn) -> pb.SetManyRequest:
    namespace, object_name = draw(addresses)
    items = st.lists(set_items(conditional=bool(object_name)), max_size=5, unique_by=lambda item: item.key)
    return pb.SetManyRequest(namespace=namespace, object=object_name, items=draw(items), durability=draw(durabilities))


@st.composite
def delete_manys(draw: st.DrawFn) -> pb.DeleteManyRequest:
    namespace, object_name = draw(addresses)
    return pb.DeleteManyRequest(
        namespace=namespace, object=object_name, keys=draw(_some_keys), durability=draw(durabilities)
    )


@st.composite
def clears(draw: st.DrawFn) -> pb.ClearRequest:
    namespace, object_name = draw(addresses)
    return pb.ClearRequest(
        namespace=namespace, object=object_name, prefix=draw(prefixes), durability=draw(durabilities)
    )


@st.composite
def lists(draw: st.DrawFn) -> pb.ListRequest:
    namespace, object_name = draw(addresses)
    start, start_after = draw(st.tuples(_bounds, st.just("")) | st.tuples(st.just(""), _bounds))
    return pb.ListRequest(
        namespace=namespace,
        object=object_name,
        prefix=draw(prefixes),
        start=start,
        start_after=start_after,
        end=draw(_bounds),
        limit=draw(limits),
        reverse=draw(st.booleans()),
        keys_only=draw(st.booleans()),
    )


@st.composite
def transacts(draw: st.DrawFn) -> pb.TransactRequest:
    namespace, object_name = draw(object_addresses)
    conditions = st.lists(st.builds(pb.Condition, key=keys, version=versions), max_size=2)
    return pb.TransactRequest(
        namespace=namespace,
        object=object_name,
        conditions=draw(conditions),
        operations=draw(st.lists(operations, max_size=6)),
        durability=draw(durabilities),
    )


single_calls: st.SearchStrategy[Request] = st.one_of(gets, sets, deletes, increments, touches, throttle_calls)
object_calls: st.SearchStrategy[Request] = st.one_of(
    transacts(), get_manys(), set_manys(), delete_manys(), clears()
).filter(lambda request: bool(request.object))
