"""Cursors of keyset paging: opaque text that says after which record the next page begins. Pure.

A cursor holds the values that the last record has in the order, and belongs to a model and an order. It grants nothing:
its values are compared like any others, and access is judged anew for each page. The checksum is there to refuse
cleanly what was cut off or made up, and is no secret.
"""

from __future__ import annotations

import binascii
import json
import math
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from petra.errors import InvalidArgument
from petra.sql import SqlValue

_CHECKSUM_BYTES: Final = 8
# An order by a few texts of some kilobytes each.
_LONGEST: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Term:
    """A column of the order, and its value in the record after which a page begins."""

    name: str
    descending: bool
    value: SqlValue
    # Whether there may be records without a value.
    nullable: bool


def encode_cursor(scope: str, values: Sequence[SqlValue]) -> str:
    """The cursor of a record. `scope` says which model and order it belongs to."""
    data = json.dumps(list(values), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    return urlsafe_b64encode(_checksum(scope, data) + data).rstrip(b"=").decode()


def decode_cursor(scope: str, cursor: object, length: int) -> list[SqlValue]:
    """The values of a cursor, as many as `length`. Raises InvalidArgument for what is no cursor of this scope."""
    refusal = InvalidArgument(
        "The cursor is none of this query's: give the one that the page before came with, and the same order.",
        field="cursor",
    )
    if not isinstance(cursor, str) or len(cursor) > _LONGEST:
        raise refusal
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError):
        raise refusal from None
    checksum, data = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
    if checksum != _checksum(scope, data) or urlsafe_b64encode(raw).rstrip(b"=").decode() != cursor:
        raise refusal
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        raise refusal from None
    if not isinstance(values, list) or len(values) != length or not all(_is_value(value) for value in values):
        raise refusal
    return values


def _is_value(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return not isinstance(value, bool) and -(2**63) <= value < 2**63
    return value is None or isinstance(value, str)


def _checksum(scope: str, data: bytes) -> bytes:
    return blake2b(scope.encode() + b"\x00" + data, digest_size=_CHECKSUM_BYTES, person=b"petra.cursor").digest()
