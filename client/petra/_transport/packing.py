"""From calls to the bytes of a PipelineRequest, and from a PipelineResponse to answers. Pure.

Columns that no call of a message needs are left out; the server takes the defaults for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any

from petra._transport.calls import (
    CONDITIONS,
    DURABILITIES,
    ENCODINGS,
    INITIALS,
    NUMBERS,
    REQUEST_IDS,
    TIMEOUTS,
    TTLS,
    VALUES,
    Address,
    Answer,
    Call,
)
from petra.v1 import storage_pb2 as pb

# Operations of one message, as the server's default limit has it.
MESSAGE_CALLS = 1_024
# A message is closed when it has grown to this. A larger call goes alone.
MESSAGE_BYTES = 512 << 10

_DEFAULT_ADDRESS = Address("", "")
_LARGEST_TIMEOUT_MS = (1 << 32) - 1
# What the server breaks off ends so much before the call is given up here, so that its word on the outcome arrives.
_INTERRUPT_SECONDS = 0.25


def pack(calls: Sequence[Call[Any]], first_id: int, now: float) -> bytes:
    """One message with the calls, whose ids count up from `first_id`. `now` is the time of the loop's clock."""
    columns = 0
    for call in calls:
        columns |= call.columns
    message = pb.PipelineRequest(
        ids=range(first_id, first_id + len(calls)),
        methods=[call.method for call in calls],  # type: ignore[misc] # plain numbers are quicker than enum members
        keys=[call.key for call in calls],
    )
    _pack_addresses(message, calls)
    if columns & VALUES:
        message.values.extend([call.value for call in calls])
    if columns & REQUEST_IDS:
        message.request_ids.extend([call.request_id for call in calls])
    if columns & ~(VALUES | REQUEST_IDS):
        _pack_seldom(message, calls, columns, now)
    return message.SerializeToString()


def _pack_addresses(message: pb.PipelineRequest, calls: Sequence[Call[Any]]) -> None:
    addresses = dict.fromkeys([call.address for call in calls])
    if len(addresses) > 1:
        indexes = {address: index for index, address in enumerate(addresses)}
        message.address_indexes.extend([indexes[call.address] for call in calls])
    elif _DEFAULT_ADDRESS in addresses:
        return
    message.addresses.extend(pb.Address(namespace=namespace, object=name) for namespace, name in addresses)


def _pack_seldom(message: pb.PipelineRequest, calls: Sequence[Call[Any]], columns: int, now: float) -> None:
    """The columns that most messages do without."""
    if columns & ENCODINGS:
        message.encodings.extend([call.encoding for call in calls])  # type: ignore[misc]
    if columns & TTLS:
        message.ttl_ms.extend([call.ttl_ms for call in calls])
    if columns & CONDITIONS:
        message.if_versions.extend([call.if_version for call in calls])
        message.options.extend([call.options for call in calls])
    if columns & DURABILITIES:
        message.durabilities.extend([call.durability for call in calls])  # type: ignore[misc]
    if columns & NUMBERS:
        message.numbers.extend([call.number for call in calls])
    if columns & INITIALS:
        message.initials.extend([call.initial for call in calls])
    if columns & TIMEOUTS:
        message.timeouts_ms.extend([_timeout_ms(call, now) for call in calls])


def _timeout_ms(call: Call[Any], now: float) -> int:
    left = call.deadline - now
    if call.interruptible:
        left -= min(_INTERRUPT_SECONDS, left / 10)
    return min(_LARGEST_TIMEOUT_MS, max(1, int(left * 1_000)))


def withdrawal(call_id: int) -> bytes:
    """A message that has the server end what a call began."""
    return pb.PipelineRequest(withdrawn=[call_id]).SerializeToString()


def unpack(message: pb.PipelineResponse) -> Iterator[tuple[int, Answer]]:
    """The answers of a message with their ids; its errors are not among them."""
    answers = map(
        Answer._make,
        zip(
            message.versions or repeat(0, len(message.ids)),
            message.values or repeat(b""),
            message.encodings or repeat(0),
            message.expires_at_ms or repeat(0),
            message.numbers or repeat(0),
            strict=False,
        ),
    )
    return zip(message.ids, answers, strict=True)
