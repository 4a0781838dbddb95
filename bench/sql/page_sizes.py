"""What page sizes cost, in one process without gRPC: `FOLDER SECONDS`.

For each: single upserts over pages in RocksDB (written, not flushed) and the bytes that they write; queries of 20 rows
and a scan of all rows with a page cache that holds nothing of them; a bulk load, and the size of the database.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from bench.sql.work import QUERY, SCHEMA, UPSERT, fill
from petra_server.settings import Settings
from petra_server.sql import database, pages
from petra_server.sql.database import Database, Stop
from petra_server.sql.statements import SqlLimits, Statement
from petra_server.storage.batch import Batch
from petra_server.storage.engine import Engine, EngineOptions
from petra_server.storage.keys import entry_prefix, page_key, page_prefix

SIZES = (1024, 2048, 4096, 8192, 16384)
_ROWS = 100_000


def _limits(settings: Settings) -> SqlLimits:
    return SqlLimits(
        max_sql_bytes=settings.max_sql_bytes,
        max_value_bytes=settings.max_sql_value_bytes,
        max_rows=settings.max_sql_rows,
        max_result_bytes=settings.max_sql_result_bytes,
        max_write_bytes=settings.max_sql_write_bytes,
        max_scratch_bytes=settings.max_sql_scratch_bytes,
        max_database_bytes=settings.max_sql_database_bytes,
    )


class _Store:
    """A database over an engine, stored after each list."""

    def __init__(self, folder: Path) -> None:
        settings = Settings()
        options = EngineOptions(
            block_cache_bytes=settings.block_cache_bytes,
            write_buffer_bytes=settings.write_buffer_bytes,
            wal_bytes=settings.wal_bytes,
            max_open_files=settings.max_open_files,
            point_in_time_recovery=False,
        )
        self._limits = _limits(settings)
        self._engine = Engine.open(folder, ["actor"], options, create=True)
        self._prefix = page_prefix(entry_prefix(b"default", b"bench"))
        self.written_bytes = 0
        self.database = self.open(16 << 20)

    def open(self, cache_bytes: int) -> Database:
        self.database = Database(
            lambda number: self._engine.get(0, page_key(self._prefix, number)),
            lambda key: None,
            self._limits,
            cache_bytes=cache_bytes,
        )
        return self.database

    def run(self, *texts: str) -> int:
        outcome = self.database.run([Statement(text) for text in texts], Stop(), now_ms=0)
        batch = Batch(writes=[(0, page_key(self._prefix, number), page) for number, page in outcome.pages.items()])
        if batch:
            self._engine.write(batch)
            self.written_bytes += sum(len(key) + len(value or b"") for _, key, value in batch.writes)
        self.database.stored()
        return outcome.database_bytes

    def rate(self, text: str, seconds: float) -> tuple[float, float]:
        """Statements a second, and bytes that each wrote."""
        count, before, started = 0, self.written_bytes, time.perf_counter()
        while time.perf_counter() - started < seconds:
            self.run(text)
            count += 1
        return count / (time.perf_counter() - started), (self.written_bytes - before) / count

    def close(self) -> None:
        self.database.close()
        self._engine.close()


def measure(folder: Path, seconds: float) -> dict[str, float]:
    found: dict[str, float] = {}
    for size in SIZES:
        pages.PAGE_BYTES = database.PAGE_BYTES = size  # type: ignore[attr-defined]
        store = _Store(folder / f"pages-{size}")
        store.run(*SCHEMA)
        started = time.perf_counter()
        database_bytes = store.run(fill(_ROWS))
        bulk_seconds = time.perf_counter() - started
        upserts, upsert_bytes = store.rate(UPSERT.replace("10000", str(_ROWS)), seconds)
        store.database.close()
        store.open(256 << 10)
        queries, _ = store.rate(QUERY.replace("% 490", "% 4990"), seconds)
        scans, _ = store.rate("SELECT sum(e) FROM t NOT INDEXED", seconds)
        store.close()
        found |= {
            f"{size}_upserts_per_second": upserts,
            f"{size}_upsert_kib": upsert_bytes / 1024,
            f"{size}_cold_queries_per_second": queries,
            f"{size}_cold_scan_ms": 1000 / scans,
            f"{size}_bulk_rows_per_second": _ROWS / bulk_seconds,
            f"{size}_database_mib": database_bytes / (1 << 20),
        }
    return found


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), float(sys.argv[2]))))
