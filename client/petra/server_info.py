"""What a server tells about itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a server, in bytes and in numbers of entries."""

    namespace_bytes: int
    object_bytes: int
    key_bytes: int
    value_bytes: int
    batch_items: int
    message_bytes: int
    page_entries: int
    page_bytes: int


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a server is, and how it is doing.

    `now` is its clock. `writable` is False while its disk is nearly full: `disk_free_bytes` is then less than
    `disk_reserve_bytes`.
    """

    version: str
    data_id: str
    created_at: datetime
    started_at: datetime
    now: datetime
    format_version: int
    actors: int
    writable: bool
    disk_free_bytes: int
    disk_reserve_bytes: int
    limits: Limits


@dataclass(frozen=True, slots=True)
class ActorInfo:
    """One actor: its slots, its load, and its cache. Counts are since the server began."""

    index: int
    first_slot: int
    last_slot: int
    queue_depth: int
    keys: int
    keys_estimated: bool
    version: int
    cache_bytes: int
    cache_entries: int
    cache_hits: int
    cache_misses: int
    turns: int
    operations: int
    swept: int
