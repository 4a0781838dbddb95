"""RocksDB, through rocksdict. The only module that imports it; its exceptions stop here.

Measured on rocksdict 0.3.29: `write` and `get` take microseconds and hold the GIL; `flush_wal` takes as long as the
disk and releases it. So everything here is called on the loop, except `flush_wal`, which has a thread of its own, and
`get`, which SQL calls in its threads.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import cast

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)
from rocksdict import Snapshot as RocksSnapshot

from petra_server.errors import StorageCorrupt, StorageFailed
from petra_server.storage.batch import PARTITION_FAMILY, Batch

DEFAULT_FAMILY = "default"
# What the snapshots of rocksdict 0.3.29 say instead of answering with None.
_NO_SUCH_KEY = "key not found"

_OPTIONS_FILE = """\
[Version]
  rocksdb_version=9.8.4
  options_file_version=1.1

[DBOptions]
  track_and_verify_wals_in_manifest=true

[CFOptions "default"]

[TableOptions/BlockBasedTable "default"]
"""


class EngineStalled(Exception):
    """RocksDB asks writers to wait for its compactions. Nothing was written."""


class EngineOpenError(Exception):
    """RocksDB cannot open the directory; the message is its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """Budgets of the engine, in bytes where the name says so."""

    block_cache_bytes: int
    write_buffer_bytes: int
    wal_bytes: int
    max_open_files: int
    # False: refuse a write-ahead log that is damaged before its tail. True: keep what stands before the damage.
    point_in_time_recovery: bool


class Snapshot:
    """A column family as it was. Any thread may read it; it must be let go before the engine is closed."""

    __slots__ = ("_source",)

    def __init__(self, source: RocksSnapshot) -> None:
        self._source = source

    def get(self, key: bytes) -> bytes | None:
        """One value. Raises StorageCorrupt when its block is damaged."""
        try:
            value: bytes = self._source[key]
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing narrower
            if str(error) == _NO_SUCH_KEY:
                return None
            raise _read_error(error) from None
        return value


class Engine:
    """Column families of bytes. Use `open`."""

    def __init__(self, database: Rdict, families: list[str]) -> None:
        self._database = database
        self._families = [database.get_column_family(name) for name in families]
        self._default = database.get_column_family(DEFAULT_FAMILY)
        self._handles = {
            index: database.get_column_family_handle(name)
            for index, name in [*enumerate(families), (PARTITION_FAMILY, DEFAULT_FAMILY)]
        }
        self._write_options = WriteOptions()
        # A stall becomes an error for one call instead of a standstill for all.
        self._write_options.no_slowdown = True

    @staticmethod
    def families(path: Path) -> list[str]:
        """The column families in a directory, without opening it."""
        try:
            return Rdict.list_cf(str(path), Options(raw_mode=True))
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing narrower
            raise EngineOpenError(str(error)) from None

    @classmethod
    def open(cls, path: Path, families: list[str], options: EngineOptions, *, create: bool) -> Engine:
        """Opens a directory with these families, or makes it. Raises EngineOpenError."""
        block_cache = Cache(options.block_cache_bytes)
        try:
            database = Rdict(
                str(path),
                options=_database_options(options, block_cache, create=create),
                column_families={name: _family_options(options, block_cache) for name in [DEFAULT_FAMILY, *families]},
            )
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing narrower
            raise EngineOpenError(str(error)) from None
        return cls(database, families)

    def get(self, family: int, key: bytes) -> bytes | None:
        """One value. Raises StorageCorrupt when its block is damaged."""
        source = self._default if family == PARTITION_FAMILY else self._families[family]
        try:
            value: bytes | None = source.get(key)
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing narrower
            raise _read_error(error) from None
        return value

    def scan(self, family: int, lower: bytes, upper: bytes, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values from `lower` to before `upper`, in order or from the end: a snapshot of now.

        Raises StorageCorrupt when a block is damaged.
        """
        options = ReadOptions()
        # Only this bound: in rocksdict 0.3.29 `set_iterate_lower_bound` sets the upper one.
        options.set_iterate_upper_bound(upper)
        start = upper if reverse else lower
        # Made here and not in the generator, so that the snapshot is of now and not of the first step.
        source = self._families[family]
        items = _guarded(source.items(backwards=reverse, from_key=start, read_opt=options))
        items = _to_the_end(items, lambda last: _check_end(source, last or start, options, reverse=reverse))
        return takewhile(lambda item: item[0] >= lower, items) if reverse else items

    def snapshot(self, family: int) -> Snapshot:
        """What a family holds now, for as long as it is kept. It holds up the removal of what was overwritten since."""
        return Snapshot(self._families[family].snapshot())

    def write(self, batch: Batch) -> None:
        """Writes all of the batch or nothing, into the log of the operating system, not yet onto the disk.

        Raises EngineStalled when RocksDB wants to catch up first, StorageFailed when the write failed.
        """
        out = WriteBatch(raw_mode=True)
        handles = self._handles
        for family, first, end in batch.range_deletes:
            out.delete_range(first, end, handles[family])
        put, delete = out.put, out.delete
        for family, key, value in batch.writes:
            if value is None:
                delete(key, handles[family])
            else:
                put(key, value, handles[family])
        try:
            self._database.write(out, self._write_options)
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing narrower
            text = str(error)
            if "Result incomplete" in text or "Incomplete" in text:
                raise EngineStalled(text) from None
            raise StorageFailed(
                f"A write failed ({text}). The server stops; start it again when the disk is well."
            ) from None

    def flush_wal(self) -> None:
        """Puts everything written so far onto the disk. Blocks, without the GIL. Raises StorageFailed."""
        try:
            self._database.flush_wal(True)
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing narrower
            raise StorageFailed(
                f"A flush failed ({error}). The server stops; start it again when the disk is well."
            ) from None

    def estimated_keys(self, family: int) -> int:
        return self._families[family].property_int_value("rocksdb.estimate-num-keys") or 0

    def memtable_bytes(self) -> int:
        """Bytes that RocksDB still has to write into tables."""
        return sum(
            source.property_int_value("rocksdb.cur-size-all-mem-tables") or 0
            for source in [self._default, *self._families]
        )

    def close(self) -> None:
        """Closes the database. What was written and flushed is there at the next open.

        Raises StorageFailed when RocksDB could not write out the rest; it is closed even so.
        """
        failure = None
        for source in [*self._families, self._default, self._database]:
            try:
                source.close()
            except Exception as error:  # noqa: BLE001 - rocksdict raises nothing narrower
                failure = failure or StorageFailed(f"Closing failed ({error}). See whether the disk is well.")
        # The database stays locked while anything refers to it.
        self._families.clear()
        self._handles.clear()
        del self._default, self._database
        if failure is not None:
            raise failure


def _database_options(options: EngineOptions, block_cache: Cache, *, create: bool) -> Options:
    out = _tracking_options()
    _set_family_options(out, options, block_cache)
    out.create_if_missing(create)
    out.create_missing_column_families(create)
    out.set_db_write_buffer_size(options.write_buffer_bytes)
    out.set_max_total_wal_size(options.wal_bytes)
    out.set_max_open_files(options.max_open_files)
    out.set_max_background_jobs(4)
    out.set_wal_recovery_mode(
        DBRecoveryMode.point_in_time()
        if options.point_in_time_recovery
        else DBRecoveryMode.tolerate_corrupted_tail_records()
    )
    out.set_stats_dump_period_sec(0)
    out.set_keep_log_file_num(5)
    out.set_max_log_file_size(8 << 20)
    # Writes SST files out as they grow, instead of in one burst that foreground flushes would wait behind.
    out.set_bytes_per_sync(1 << 20)
    return out


def _tracking_options() -> Options:
    """Options with track_and_verify_wals_in_manifest, for which rocksdict has no setter, from a file of options.

    RocksDB then notes every log that it closes, with its size, and refuses to open when one is missing or too short.
    Without it a cut in a log before the newest one would be taken for a torn tail, and leave a hole in the history.
    """
    with tempfile.TemporaryDirectory(prefix="petra-options-") as scratch:
        (Path(scratch) / "OPTIONS-000001").write_text(_OPTIONS_FILE)
        (Path(scratch) / "rocksdict-config.json").write_text('{"raw_mode": true, "prefix_extractors": {}}')
        options, _ = Options.load_latest(scratch)
    return options


def _family_options(options: EngineOptions, block_cache: Cache) -> Options:
    out = Options(raw_mode=True)
    _set_family_options(out, options, block_cache)
    return out


def _set_family_options(out: Options, options: EngineOptions, block_cache: Cache) -> None:
    table = BlockBasedOptions()
    table.set_block_cache(block_cache)
    table.set_block_size(8 << 10)
    table.set_bloom_filter(10, False)
    table.set_format_version(5)
    # So that filters and indexes count against the block cache's budget, however many keys there are.
    table.set_cache_index_and_filter_blocks(True)
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    out.set_block_based_table_factory(table)
    out.set_compression_type(DBCompressionType.lz4())
    out.set_level_compaction_dynamic_level_bytes(True)
    out.set_write_buffer_size(max(options.write_buffer_bytes // 4, 64 << 10))
    # A stretch of mostly deleted keys is passed over on every scan until it is compacted: so that happens soon.
    out.add_compact_on_deletion_collector_factory(window_size=4_096, num_dels_trigger=2_048, deletion_ratio=0.5)
    # Many families share the budget, so each grows in small steps.
    out.set_arena_block_size(64 << 10)


def _guarded(items: Iterator[object]) -> Iterator[tuple[bytes, bytes]]:
    while True:
        try:
            item = cast(tuple[bytes, bytes] | None, next(items, None))
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing narrower
            raise _read_error(error) from None
        if item is None:
            return
        yield item


def _to_the_end(
    items: Iterator[tuple[bytes, bytes]], check_end: Callable[[bytes | None], None]
) -> Iterator[tuple[bytes, bytes]]:
    """The items, and after the last one a look at whether it is the last one."""
    last = None
    for item in items:
        last = item[0]
        yield item
    check_end(last)


def _check_end(source: Rdict, last: bytes, options: ReadOptions, *, reverse: bool) -> None:
    """Raises StorageCorrupt when damage is why nothing comes after a key: rocksdict's items just end there."""
    step = source.iter(options)
    (step.seek_for_prev if reverse else step.seek)(last)
    if step.valid():
        (step.prev if reverse else step.next)()
    try:
        step.status()
    except Exception as error:  # noqa: BLE001 - rocksdict raises nothing narrower
        raise _read_error(error) from None


def _read_error(error: Exception) -> StorageCorrupt | StorageFailed:
    text = str(error)
    if "Corruption" in text:
        return StorageCorrupt(f"A stored record is damaged ({text}). Restore the data directory from a backup.")
    return StorageFailed(f"A read failed ({text}). See whether the disk is well.")
