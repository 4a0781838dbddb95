"""The six core workloads as a table, and what their records look like. Pure."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bench.ycsb.distributions import fnv64

FIELDS = 10
FIELD_BYTES = 100
MOST_SCANNED = 100

# The number of the record, how often it was incremented, and the id of the write that left it so.
_HEAD = struct.Struct(">QQQ")


class Kind(StrEnum):
    """What an operation does."""

    READ = "read"
    UPDATE = "update"
    INSERT = "insert"
    SCAN = "scan"
    READ_MODIFY_WRITE = "read-modify-write"


class Requests(StrEnum):
    """How the record of an operation is chosen."""

    ZIPFIAN = "zipfian"
    LATEST = "latest"


class Layout(StrEnum):
    """Where the records are."""

    # Flat keys: they spread over all actors.
    FLAT = "flat"
    # All records in one object: one actor, one order.
    ONE_OBJECT = "one object"
    # An object for each record: they spread over all actors, and each can be in a transaction.
    OBJECT_EACH = "object each"


@dataclass(frozen=True, slots=True)
class Workload:
    """A mix of operations; the shares add up to 1."""

    name: str
    about: str
    mix: Mapping[Kind, float]
    requests: Requests
    layout: Layout


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("A", "update heavy", {Kind.READ: 0.5, Kind.UPDATE: 0.5}, Requests.ZIPFIAN, Layout.FLAT),
        Workload("B", "read mostly", {Kind.READ: 0.95, Kind.UPDATE: 0.05}, Requests.ZIPFIAN, Layout.FLAT),
        Workload("C", "read only", {Kind.READ: 1.0}, Requests.ZIPFIAN, Layout.FLAT),
        Workload("D", "read latest", {Kind.READ: 0.95, Kind.INSERT: 0.05}, Requests.LATEST, Layout.FLAT),
        Workload("E", "short scans", {Kind.SCAN: 0.95, Kind.INSERT: 0.05}, Requests.ZIPFIAN, Layout.ONE_OBJECT),
        Workload(
            "F",
            "read-modify-write",
            {Kind.READ: 0.5, Kind.READ_MODIFY_WRITE: 0.5},
            Requests.ZIPFIAN,
            Layout.OBJECT_EACH,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it is stored, without its filling."""

    number: int
    counter: int
    write: int


def pack(record: Record, filling: bytes) -> bytes:
    """A value: the record's head and its ten fields."""
    return _HEAD.pack(record.number, record.counter, record.write) + filling


def unpack(value: bytes) -> Record:
    """The head of a value. ValueError when it is no value of this benchmark."""
    if len(value) != _HEAD.size + FIELDS * FIELD_BYTES:
        raise ValueError(f"a record of {len(value)} bytes")
    return Record(*_HEAD.unpack_from(value))


def record_key(number: int) -> str:
    """The name of a record: hashed, so that records made one after the other are no neighbours."""
    return f"user{fnv64(number):020d}"


def place(layout: Layout, number: int) -> tuple[str, str]:
    """The object and the key of a record."""
    name = record_key(number)
    if layout is Layout.FLAT:
        return "", name
    return ("usertable", name) if layout is Layout.ONE_OBJECT else (name, "record")
