"""The values on disk, byte by byte. Pure.

    entry    encoding (1 byte: 1 bytes, 2 JSON)  version (8)  expires_at_ms (8, 0: never)  value
    request  expires_at_ms (8)  fingerprint of the request (4)  reply (MessagePack; petra_server.actor.replies)

Integers are big-endian and unsigned.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from petra_server.errors import StorageCorrupt

ENCODING_BYTES = 1
ENCODING_JSON = 2

_ENTRY_HEAD = struct.Struct(">BQQ")
_REQUEST_HEAD = struct.Struct(">QI")


class Record(NamedTuple):
    """An entry as it is kept. `expires_at_ms` 0 means that it does not expire."""

    version: int
    expires_at_ms: int
    encoding: int
    value: bytes


def pack_record(record: Record) -> bytes:
    version, expires_at_ms, encoding, value = record
    return _ENTRY_HEAD.pack(encoding, version, expires_at_ms) + value


def unpack_record(data: bytes) -> Record:
    """Raises StorageCorrupt when the bytes are no record."""
    if len(data) < _ENTRY_HEAD.size or data[0] not in (ENCODING_BYTES, ENCODING_JSON):
        raise StorageCorrupt("A stored entry is damaged. Restore the data directory from a backup.")
    encoding, version, expires_at_ms = _ENTRY_HEAD.unpack_from(data)
    return Record(version, expires_at_ms, encoding, data[_ENTRY_HEAD.size :])


def pack_request(expires_at_ms: int, fingerprint: int, reply: bytes) -> bytes:
    return _REQUEST_HEAD.pack(expires_at_ms, fingerprint) + reply


def unpack_request(data: bytes) -> tuple[int, int, bytes]:
    """When the request is forgotten, its fingerprint, and its packed reply."""
    if len(data) < _REQUEST_HEAD.size:
        raise StorageCorrupt("The record of an earlier request is damaged. Use a new request id.")
    expires_at_ms, fingerprint = _REQUEST_HEAD.unpack_from(data)
    return expires_at_ms, fingerprint, data[_REQUEST_HEAD.size :]
