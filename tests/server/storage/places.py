"""Engines and partitions of tests: with budgets so small that they are made in no time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from petra_server.clock import ManualClock
from petra_server.storage.engine import EngineOptions
from petra_server.storage.partition import Partition, PartitionOptions
from tests.server.storage.logs import Witness

FAMILIES = ["actor-0000", "actor-0001"]

ENGINE_OPTIONS = EngineOptions(
    block_cache_bytes=1 << 20,
    write_buffer_bytes=4 << 20,
    wal_bytes=4 << 20,
    max_open_files=64,
    point_in_time_recovery=False,
)


def partition_options(path: Path, *, actors: int = 2, disk_reserve_bytes: int = 1 << 20) -> PartitionOptions:
    return PartitionOptions(
        path=path,
        actors=actors,
        engine=ENGINE_OPTIONS,
        cache_bytes=1 << 20,
        disk_reserve_bytes=disk_reserve_bytes,
        buffered_flush_ms=1,
    )


@asynccontextmanager
async def open_partition(
    path: Path, counts: list[int] | None = None, *, actors: int = 2, disk_reserve_bytes: int = 1 << 20
) -> AsyncIterator[Partition]:
    """An open partition, closed at the end with these counts of entries."""
    options = partition_options(path, actors=actors, disk_reserve_bytes=disk_reserve_bytes)
    partition = Partition.open(options, ManualClock())
    partition.committer.start(Witness())
    try:
        yield partition
    finally:
        await partition.close(counts or [0] * partition.meta.actors)
