"""The server is killed at random moments under transactions that change keys and rows together: both or neither."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Final

import pytest

from petra.v1 import storage_pb2 as pb
from tests.crash.conftest import SECONDS_A_ROUND
from tests.support.refusals import Refusal
from tests.support.server import ServerProcess
from tests.support.sql import SqlConnection, statement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# So small that tables are written, merged and logs dropped all the time.
_SMALL: Final = ("--write-buffer-bytes", "1MiB", "--wal-bytes", "1MiB", "--sql-cache-bytes", "1MiB")
_WRITERS: Final = 6
_MOST_ANSWERS: Final = 60


class Pair:
    """One object, whose key `n` and newest row in `t` hold the number of the same transaction."""

    def __init__(self, number: int, seed: str) -> None:
        self.name = f"pair-{number}"
        self._random = random.Random(f"{seed}/{number}")
        self._number = 0
        # The number of the last transaction that was answered, and the one that was not.
        self.answered = 0
        self._open: tuple[int, bytes, int] | None = None
        self.answers = 0
        self.done_unanswered = 0

    def prepare(self, connection: SqlConnection) -> None:
        connection.at(self.name).done(
            "CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, pad TEXT, half INT)",
            "CREATE INDEX IF NOT EXISTS halves ON t (half)",
            "CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(word)",
        )

    def write(self, connection: SqlConnection) -> bool:
        """One transaction. False when there is no answer."""
        self._number += 1
        self._open = self._number, self._random.randbytes(16), self._random.choice((10, 500, 20_000))
        return self._send(connection)

    def _send(self, connection: SqlConnection) -> bool:
        assert self._open is not None
        number, request_id, size = self._open
        answer = connection.at(self.name).transact(
            pb.Operation(set=pb.SetItem(key="n", value=b"%d" % number)),
            pb.Operation(
                sql=statement("INSERT INTO t VALUES (?1, printf('%0' || ?2 || 'd', ?1), ?1 / 2)", [number, size])
            ),
            pb.Operation(sql=statement("DELETE FROM t WHERE n < ?", [number - 50])),
            pb.Operation(increment=pb.IncrementItem(key="count", delta=1)),
            pb.Operation(sql=statement("INSERT INTO words VALUES (?)", [f"w{number}"])),
            request_id=request_id,
        )
        if isinstance(answer, Refusal):
            return False
        assert answer.committed
        self.answered, self._open = number, None
        self.answers += 1
        return True

    def recover(self, connection: SqlConnection) -> None:
        """After a restart: looks at what is there, and sends once more what was not answered."""
        room = connection.at(self.name)
        assert room.rows("PRAGMA integrity_check") == [("ok",)]
        found = self._check(room)
        if self._open is None:
            assert found == self.answered
            return
        number = self._open[0]
        assert found in (self.answered, number)
        self.done_unanswered += found == number
        assert self._send(connection), "the server died again"
        assert self._check(room) == number

    def _check(self, room: SqlConnection) -> int:
        """The number that keys and rows agree upon."""
        entries = {
            entry.key: int(entry.value)
            for entry in room.storage.GetMany(
                pb.GetManyRequest(object=self.name, keys=["n", "count"]), timeout=20
            ).entries
        }
        number = entries.get("n", 0)
        assert entries.get("count", 0) == number, "a transaction was done twice, or only a part of it"
        rows = room.rows("SELECT n, half FROM t INDEXED BY halves ORDER BY n")
        assert rows == [(n, n // 2) for n in range(max(1, number - 50), number + 1)]
        assert room.rows("SELECT count(*) FROM words WHERE words MATCH 'w' || ?", number) == [(min(1, number),)]
        return number


@pytest.mark.crash
def test_keys_and_rows_survive_kills_together(
    tmp_path: Path, crash_rounds: int, crash_seed: str, crash_report: list[str]
) -> None:
    choices = random.Random(crash_seed)
    pairs = [Pair(number, crash_seed) for number in range(_WRITERS)]
    for number in range(crash_rounds):
        with ServerProcess(tmp_path / "data", *_SMALL) as server, SqlConnection(server.address) as connection:
            for pair in pairs:
                if not number:
                    pair.prepare(connection)
                pair.recover(connection)
            _write_and_kill(server, connection, pairs, choices)
    with ServerProcess(tmp_path / "data", *_SMALL) as server, SqlConnection(server.address) as connection:
        for pair in pairs:
            pair.recover(connection)
    answers = sum(pair.answers for pair in pairs)
    assert answers > crash_rounds
    crash_report.append(
        f"{crash_rounds} kills under transactions of keys and rows, {answers} of them answered,"
        f" {sum(pair.done_unanswered for pair in pairs)} unanswered ones were done"
    )


def _write_and_kill(
    server: ServerProcess, connection: SqlConnection, pairs: Sequence[Pair], choices: random.Random
) -> None:
    """Everyone writes; after so many answers, and a moment that has to do with nothing, the server is killed."""
    enough = threading.Event()
    left = threading.Semaphore(choices.randrange(1, _MOST_ANSWERS))
    failures: list[BaseException] = []

    def write_on(pair: Pair) -> None:
        try:
            while pair.write(connection):
                if not left.acquire(blocking=False):
                    enough.set()
        except BaseException as failure:  # noqa: BLE001 - raised again below
            failures.append(failure)
            enough.set()

    writers = [threading.Thread(target=write_on, args=(pair,)) for pair in pairs]
    for writer in writers:
        writer.start()
    enough.wait(SECONDS_A_ROUND)
    threading.Event().wait(choices.uniform(0, 0.01))
    server.kill()
    for writer in writers:
        writer.join()
    if failures:
        raise failures[0]
