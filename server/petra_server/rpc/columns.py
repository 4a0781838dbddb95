"""The columns of pipeline messages, read into operations; petra_server.rpc.answers writes them. Pure.

Columns because they are cheap in Python: to write and read 100 sets and their answers takes 1.9 us an operation, and
6.7 with one flat message for each, 8.7 with a nested request in it (medians; `python -m bench.pipeline_layout`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import TypeAlias, TypeVar

from petra.v1 import storage_pb2 as pb
from petra_server.actor.actor import Actor
from petra_server.actor.addresses import Address, Addresses
from petra_server.actor.operations import Operation
from petra_server.errors import Reason, Refusal
from petra_server.rpc.requests import Requests

_T = TypeVar("_T")

_GET, _SET, _DELETE, _INCREMENT, _TOUCH = (
    int(method) for method in (pb.METHOD_GET, pb.METHOD_SET, pb.METHOD_DELETE, pb.METHOD_INCREMENT, pb.METHOD_TOUCH)
)
BY_COLUMNS = frozenset((_GET, _SET, _DELETE, _INCREMENT, _TOUCH))
_WITHOUT_ENVELOPE = frozenset((_GET, _TOUCH))
_IF_VERSION = int(pb.OPERATION_OPTION_IF_VERSION)
_KEEP_TTL = int(pb.OPERATION_OPTION_KEEP_TTL)


# One operation of a PipelineRequest, its columns in the order of the message: id, method, address index, key, value,
# encoding, ttl_ms, if_version, options, durability, request id, number, initial, timeout_ms.
Row: TypeAlias = tuple[int, int, int, str, bytes, int, int, int, int, int, bytes, int, int, int]


# What a row asks: of whom, the entry prefix of its address, the operation, False for BUFFERED, its request id.
Asked: TypeAlias = tuple[Actor, bytes, Operation, bool, bytes]


class Columns:
    """A PipelineRequest whose columns fit together."""

    def __init__(self, message: pb.PipelineRequest, requests: Requests) -> None:
        """Raises Refusal INVALID_PIPELINE or BATCH_TOO_LARGE."""
        self.count = len(message.methods)
        requests.checks.batch(self.count, "methods")
        if len(message.ids) != self.count:
            raise _misfit("ids", len(message.ids), self.count)
        self._message = message
        self._checks = requests.checks
        self._max_key_bytes = requests.checks.limits.max_key_bytes
        requests.checks.batch(len(message.addresses), "addresses")
        indexes = self._column("address_indexes", message.address_indexes, 0)
        self._addresses = [_find(requests.addresses, address) for address in message.addresses or (pb.Address(),)]
        if max(message.address_indexes, default=0) >= len(self._addresses):
            raise Refusal(
                Reason.INVALID_PIPELINE,
                f"address_indexes points beyond the {len(self._addresses)} addresses of the message. Add the address.",
                field="address_indexes",
            )
        self._columns = (
            message.ids,
            message.methods,
            indexes,
            self._column("keys", message.keys, ""),
            self._column("values", message.values, b""),
            self._column("encodings", message.encodings, 0),
            self._column("ttl_ms", message.ttl_ms, 0),
            self._column("if_versions", message.if_versions, 0),
            self._column("options", message.options, 0),
            self._column("durabilities", message.durabilities, 0),
            self._column("request_ids", message.request_ids, b""),
            self._column("numbers", message.numbers, 0),
            self._column("initials", message.initials, 0),
            self._column("timeouts_ms", message.timeouts_ms, 0),
        )

    def namespaces(self) -> Iterable[tuple[str, int]]:
        """How many operations by columns name each namespace, by the addresses of the message; empty is the default."""
        message = self._message
        methods, indexes = message.methods, message.address_indexes
        names = [address.namespace for address in message.addresses] or [""]
        if not BY_COLUMNS.issuperset(methods):
            ours = [at for at, method in zip(indexes or repeat(0), methods, strict=False) if method in BY_COLUMNS]
            counts = Counter(ours)
        else:
            counts = Counter(indexes or {0: self.count})
        return ((names[at], count) for at, count in counts.items())

    def rows(self) -> Iterator[Row]:
        """The operations, in order."""
        return zip(*self._columns, strict=False)

    def entry(self, address_index: int, name: str) -> tuple[Actor, bytes] | None:
        """Where a key lives and its entry key; None when the address or the key is refused."""
        address = self._addresses[address_index]
        key = name.encode()
        if type(address) is Address and 0 < len(key) <= self._max_key_bytes:
            return address.actor_of(key), address.prefix + key
        return None

    def asked(self, row: Row) -> Asked:
        """What a row asks, unless it is a request message. Raises Refusal."""
        _, method, at, name, value, encoding, ttl_ms, version, options, durability, request_id, number, initial, _ = row
        address = self._addresses[at]
        if isinstance(address, Refusal):
            raise address
        checks = self._checks
        key = checks.key(name)
        operation: Operation
        if_version = version if options & _IF_VERSION else None
        if method == _SET:
            operation = checks.set(address, key, value, encoding, ttl_ms, if_version, bool(options & _KEEP_TTL))
        elif method == _GET:
            operation = checks.get(address, key)
        elif method == _DELETE:
            operation = checks.delete(address, key, if_version)
        elif method == _INCREMENT:
            operation = checks.increment(address, key, number, initial, ttl_ms)
        elif method == _TOUCH:
            operation = checks.touch(address, key, ttl_ms)
        else:
            raise Refusal(
                Reason.INVALID_PIPELINE,
                f"The method {method} is none that this server knows. Use one of petra.v1.Method.",
                field="methods",
            )
        sync = True
        if durability or request_id:
            if method in _WITHOUT_ENVELOPE:
                raise _no_envelope("durabilities" if durability else "request_ids")
            sync, request_id = checks.sync(durability), checks.request_id(request_id)
        return address.actor_of(key), address.prefix, operation, sync, request_id

    def _column(self, name: str, values: Sequence[_T], default: _T) -> Iterable[_T]:
        if not values:
            return repeat(default)
        if len(values) != self.count:
            raise _misfit(name, len(values), self.count)
        return values


def _find(addresses: Addresses, address: pb.Address) -> Address | Refusal:
    """A bad address is the fault of the operations that use it, not of the whole message."""
    try:
        return addresses.find(address.namespace, address.object)
    except Refusal as refusal:
        return refusal


def _no_envelope(field: str) -> Refusal:
    return Refusal(
        Reason.INVALID_PIPELINE,
        "A get or touch has neither durability nor request id. Leave them 0 and empty in its place.",
        field=field,
    )


def _misfit(name: str, length: int, count: int) -> Refusal:
    return Refusal(
        Reason.INVALID_PIPELINE,
        f"The column {name} has {length} elements, and methods has {count}."
        " Give every column that length, or leave it out.",
        field=name,
    )
