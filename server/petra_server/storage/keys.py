"""The keys on disk, byte by byte. Pure.

Every actor has a column family of its own. The first byte of a key is its kind:

    01  entry         01 part(namespace) part(object) key           -> petra_server.storage.records.Record
    02  expiry index  02 expires_at_ms (8 bytes, big-endian) entry  -> empty; `entry` is the whole entry key
    03  request       03 bucket (4 bytes, big-endian) part(namespace) part(object) request_id -> reply
    04  SQL page      04 part(namespace) part(object) number (4 bytes, big-endian, from 1) -> the page
    05  alarm         reserved
    06  log position  reserved

`part(x)` is x with every 00 written as 00 FF, and then 00 01. So parts compare as their originals do, a part never
continues another one, and any byte can stand in a name. The key of an entry comes last and needs no escaping: the
entries of one object lie together in the order of the bytes of their keys, and a prefix of a key is a prefix on disk.

The bucket of a request is the time of its first answer divided by REQUEST_TTL_MS: a replay looks into the present
bucket and the one before, and whole buckets are dropped by one range deletion, with no index to keep.

The `default` column family holds the partition's own records under names in ASCII; see petra_server.storage.partition.
"""

from __future__ import annotations

import struct
from zlib import crc32

KIND_ENTRY = b"\x01"
KIND_EXPIRY = b"\x02"
KIND_REQUEST = b"\x03"
KIND_PAGE = b"\x04"

SLOTS = 1 << 14
REQUEST_TTL_MS = 10 * 60 * 1000

_TERMINATOR = b"\x00\x01"
_EXPIRY_HEAD = struct.Struct(">cQ")
_REQUEST_HEAD = struct.Struct(">cI")
_PAGE_NUMBER = struct.Struct(">I")

# The range of all requests.
REQUEST_BOUNDS = (KIND_REQUEST, bytes((KIND_REQUEST[0] + 1,)))


def part(name: bytes) -> bytes:
    """A name as a self-delimiting part of a key."""
    return name.replace(b"\x00", b"\x00\xff") + _TERMINATOR


def read_part(key: bytes, start: int) -> tuple[bytes, int]:
    """The name that stands at `start`, and where the next part begins. Raises ValueError when there is none."""
    end = key.index(_TERMINATOR, start)
    return key[start:end].replace(b"\x00\xff", b"\x00"), end + len(_TERMINATOR)


def namespace_prefix(namespace: bytes) -> bytes:
    """What the keys of all entries of a namespace begin with, flat ones and those in objects."""
    return KIND_ENTRY + part(namespace)


def entry_prefix(namespace: bytes, object_name: bytes) -> bytes:
    """What the keys of all entries of an object begin with. An empty object name means the flat keys."""
    return KIND_ENTRY + part(namespace) + part(object_name)


def split_entry(entry_key: bytes) -> tuple[bytes, bytes, bytes]:
    """Namespace, object and key of an entry key. Raises ValueError when it is none."""
    namespace, start = read_part(entry_key, 1)
    object_name, start = read_part(entry_key, start)
    return namespace, object_name, entry_key[start:]


def expiry_key(expires_at_ms: int, entry_key: bytes) -> bytes:
    """The key in the expiry index of an entry that expires then."""
    return _EXPIRY_HEAD.pack(KIND_EXPIRY, expires_at_ms) + entry_key


def split_expiry(key: bytes) -> tuple[int, bytes]:
    """When an entry expires, and its entry key."""
    return _EXPIRY_HEAD.unpack_from(key)[1], key[_EXPIRY_HEAD.size :]


def expiry_bounds(from_ms: int, until_ms: int) -> tuple[bytes, bytes]:
    """The range of the expiry index from `from_ms` to `until_ms`, both inclusive."""
    return _EXPIRY_HEAD.pack(KIND_EXPIRY, from_ms), _EXPIRY_HEAD.pack(KIND_EXPIRY, until_ms + 1)


def request_bucket(now_ms: int) -> int:
    """The bucket that requests answered now are kept in."""
    return now_ms // REQUEST_TTL_MS


def request_key(bucket: int, scope: bytes, request_id: bytes) -> bytes:
    """The key of a request's record. `scope` is the entry prefix of its namespace and object."""
    return _REQUEST_HEAD.pack(KIND_REQUEST, bucket) + scope[1:] + request_id


def bucket_of_request(key: bytes) -> int:
    """The bucket that a request's record is kept in."""
    bucket: int = _REQUEST_HEAD.unpack_from(key)[1]
    return bucket


def request_bounds(before_bucket: int) -> tuple[bytes, bytes]:
    """The range of all requests in buckets before this one."""
    return KIND_REQUEST, _REQUEST_HEAD.pack(KIND_REQUEST, before_bucket)


def page_prefix(entries: bytes) -> bytes:
    """What the keys of all pages of an object's database begin with, made of the object's entry prefix."""
    return KIND_PAGE + entries[1:]


def page_namespace_prefix(namespace: bytes) -> bytes:
    """What the keys of the pages of all databases of a namespace begin with."""
    return KIND_PAGE + part(namespace)


def page_key(prefix: bytes, number: int) -> bytes:
    """The key of a page, whose numbers count from 1."""
    return prefix + _PAGE_NUMBER.pack(number)


def prefix_end(prefix: bytes) -> bytes:
    """The least key greater than every key with this prefix, which must hold a byte below FF, as kinds do."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes((trimmed[-1] + 1,))


def slot_of(namespace: bytes, name: bytes) -> int:
    """The slot of an object, or of a flat key: crc32(namespace 00 name) modulo 16,384."""
    return crc32(name, slot_seed(namespace)) & (SLOTS - 1)


def slot_seed(namespace: bytes) -> int:
    """The running crc32 of a namespace, for `slot_of` to go on from."""
    return crc32(namespace + b"\x00")


def actor_of_slot(slot: int, actors: int) -> int:
    """The actor that owns a slot."""
    return slot * actors // SLOTS


def slots_of_actor(index: int, actors: int) -> tuple[int, int]:
    """The first and last slot of an actor, both inclusive."""
    return -(-index * SLOTS // actors), -(-(index + 1) * SLOTS // actors) - 1
