"""A thousand objects with a database each: those that are open are bounded in number and memory, and all are whole."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from petra.v1 import admin_pb2
from tests.support.server import ServerProcess
from tests.support.sql import PATIENCE_S, SqlConnection, statement

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20
_OBJECTS = 1_000
_OPEN = 64
_CACHE = 8 * MIB
# Beside the idle ones: those in use, their transactions, and what SQLite has for itself.
_SLACK = 16 * MIB


def test_a_thousand_databases_touched_at_random(tmp_path: Path) -> None:
    limits = ("--sql-open-databases", f"{_OPEN}", "--sql-cache-bytes", f"{_CACHE}")
    choices = random.Random(1)
    with ServerProcess(tmp_path / "data", *limits) as server, SqlConnection(server.address) as connection:
        most_open = most_bytes = 0

        def make(number: int) -> None:
            connection.at(f"object-{number:04}").done(
                "CREATE TABLE t (id INTEGER PRIMARY KEY, n INT, pad TEXT)",
                "CREATE INDEX by_n ON t (n)",
                statement("INSERT INTO t (n, pad) VALUES (?, hex(zeroblob(20000)))", [number]),
            )

        def touch(number: int) -> None:
            assert connection.at(f"object-{number:04}").rows(
                "UPDATE t SET n = n + 1000 WHERE n % 1000 = ? RETURNING n % 1000, length(pad)", number
            ) == [(number, 40_000)]

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(make, range(_OBJECTS)))
            for _ in range(8):
                list(pool.map(touch, choices.sample(range(_OBJECTS), 200)))
                info = connection.admin.GetInfo(admin_pb2.GetInfoRequest(), timeout=PATIENCE_S)
                most_open, most_bytes = max(most_open, info.open_databases), max(most_bytes, info.sql_memory_bytes)
        assert 0 < most_open <= _OPEN
        assert most_bytes < _CACHE + _SLACK
        listed = connection.admin.ListDatabases(admin_pb2.ListDatabasesRequest(limit=1000), timeout=PATIENCE_S)
        assert [info.object for info in listed.databases] == [f"object-{number:04}" for number in range(_OBJECTS)]
        assert {tuple(info.tables) for info in listed.databases} == {("t",)}
        for number in choices.sample(range(_OBJECTS), 20):
            assert connection.at(f"object-{number:04}").rows("PRAGMA integrity_check") == [("ok",)]
