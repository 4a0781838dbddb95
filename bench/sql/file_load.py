"""A plain SQLite file in one process, WAL and synchronous=FULL, each statement a transaction: `FOLDER NAME SECONDS`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import apsw

from bench.runs import percentile
from bench.sql.work import SCHEMA, STATEMENTS, fill


def measure(folder: Path, name: str, seconds: float) -> dict[str, float]:
    """The rate of a statement, and its latencies."""
    made = (folder / "plain.db").exists()
    connection = apsw.Connection(str(folder / "plain.db"))
    connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL").fetchall()
    if not made:
        for statement in (*SCHEMA, fill()):
            connection.execute(statement)
    text, latencies = STATEMENTS[name], []
    started = last = time.perf_counter()
    while last - started < seconds:
        connection.execute(text).fetchall()
        now = time.perf_counter()
        latencies.append((now - last) * 1000)
        last = now
    connection.close()
    latencies.sort()
    return {
        "rate": len(latencies) / (last - started),
        "p50_ms": percentile(latencies, 0.5),
        "p99_ms": percentile(latencies, 0.99),
    }


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]))))
