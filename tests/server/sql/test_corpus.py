"""The corpus: every statement and query of every file does what the file says."""

from __future__ import annotations

from pathlib import Path

import pytest

from petra_server.errors import Refusal
from petra_server.sql.statements import Statement
from tests.server.sql.boxes import Box
from tests.server.sql.sqllogic import Record, parse, shown

FILES = sorted((Path(__file__).parent / "corpus").glob("*.test"))
# So often the database is closed and opened from its pages.
_REOPEN_EVERY = 37


def records(file: Path) -> list[Record]:
    return list(parse(file.read_text(encoding="utf-8")))


def test_the_corpus_is_large() -> None:
    assert sum(len(records(file)) for file in FILES) >= 2_000


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_record_does_what_the_file_says(file: Path) -> None:
    box = Box()
    try:
        for number, record in enumerate(records(file)):
            if number % _REOPEN_EVERY == 0:
                box.reopen()
            assert _outcome(box, record) == record.expected, f"{file.name}:{record.line}: {record.sql}"
        assert box.rows("PRAGMA integrity_check") == [("ok",)]
        assert box.rows("PRAGMA foreign_key_check") == []
    finally:
        box.close()


def _outcome(box: Box, record: Record) -> list[str]:
    try:
        result = box.try_run(Statement(record.sql)).results[0]
    except Refusal:
        return ["error"]
    return shown(result.rows, record.types, rowsort=record.rowsort) if record.types else ["ok"]
