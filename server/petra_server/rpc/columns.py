"""The columns of pipeline messages, read into operations; petra_server.rpc.answers writes them. Pure.

Columns because they are cheap in Python: to write and read 100 sets and their answers takes 1.9 us an operation, and
6.7 with one flat message for each, 8.7 with a nested request in it (medians; `python -m bench.pipeline_layout`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import NamedTuple, TypeAlias, TypeVar

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
_WITHOUT_ENVELOPE = frozenset((_GET, _TOUCH))
_IF_VERSION = int(pb.OPERATION_OPTION_IF_VERSION)
_KEEP_TTL = int(pb.OPERATION_OPTION_KEEP_TTL)


class Row(NamedTuple):
    """One operation of a PipelineRequest; the columns in the order of the message."""

    op_id: int
    method: int
    address_index: int
    key: str
    value: bytes
    encoding: int
    ttl_ms: int
    if_version: int
    options: int
    durability: int
    request_id: bytes
    number: int
    initial: int
    timeout_ms: int


# The fields of a Row.
Fields: TypeAlias = tuple[int, int, int, str, bytes, int, int, int, int, int, bytes, int, int, int]


class Columns:
    """A PipelineRequest whose columns fit together."""

    def __init__(self, message: pb.PipelineRequest, requests: Requests) -> None:
        """Raises Refusal INVALID_PIPELINE or BATCH_TOO_LARGE."""
        self.count = len(message.methods)
        requests.checks.batch(self.count, "methods")
        if len(message.ids) != self.count:
            raise _misfit("ids", len(message.ids), self.count)
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

    def rows(self) -> Iterator[Fields]:
        """The operations, in order, as the fields of rows: Gets are answered without making one."""
        return zip(*self._columns, strict=False)

    def entry(self, address_index: int, name: str) -> tuple[Actor, bytes] | None:
        """Where a key lives and its entry key; None when the address or the key is refused."""
        address = self._addresses[address_index]
        key = name.encode()
        if type(address) is Address and 0 < len(key) <= self._max_key_bytes:
            return address.actor_of(key), address.prefix + key
        return None

    def operation(self, row: Row) -> tuple[Address, bytes, Operation]:
        """The operation of a row, its key as the user wrote it, and its address. Raises Refusal."""
        address = self._addresses[row.address_index]
        if isinstance(address, Refusal):
            raise address
        checks = self._checks
        method = row.method
        key = checks.key(row.key)
        if method == _GET:
            return address, key, checks.get(address, key)
        if method == _SET:
            if_version = row.if_version if row.options & _IF_VERSION else None
            keep_ttl = bool(row.options & _KEEP_TTL)
            return address, key, checks.set(address, key, row.value, row.encoding, row.ttl_ms, if_version, keep_ttl)
        if method == _DELETE:
            return address, key, checks.delete(address, key, row.if_version if row.options & _IF_VERSION else None)
        if method == _INCREMENT:
            return address, key, checks.increment(address, key, row.number, row.initial, row.ttl_ms)
        if method == _TOUCH:
            return address, key, checks.touch(address, key, row.ttl_ms)
        raise Refusal(
            Reason.INVALID_PIPELINE,
            f"The method {method} is none that this server knows. Use one of petra.v1.Method.",
            field="methods",
        )

    def envelope(self, row: Row) -> tuple[bool, bytes]:
        """Whether an operation is FSYNC, and its request id. Raises Refusal, also when its method has neither."""
        if not row.durability and not row.request_id:
            return True, b""
        if row.method in _WITHOUT_ENVELOPE:
            raise Refusal(
                Reason.INVALID_PIPELINE,
                "A get or touch has neither durability nor request id. Leave them 0 and empty in its place.",
                field="durabilities" if row.durability else "request_ids",
            )
        return self._checks.sync(row.durability), self._checks.request_id(row.request_id)

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


def _misfit(name: str, length: int, count: int) -> Refusal:
    return Refusal(
        Reason.INVALID_PIPELINE,
        f"The column {name} has {length} elements, and methods has {count}."
        " Give every column that length, or leave it out.",
        field=name,
    )
