"""What is a migration: files and modules of a package, their statements, their order, and what is refused."""

from __future__ import annotations

import contextlib
import importlib
import sqlite3
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petra.errors import InvalidArgument
from petra.stores.discovery import find_migrations, split
from tests.stores.conftest import MakePackage

TRIGGER = """CREATE TRIGGER log AFTER INSERT ON notes WHEN NEW.id > 0
BEGIN
    INSERT INTO log VALUES (CASE WHEN NEW.id > 1 THEN 'many;' ELSE 'one' END); -- a comment; with semicolons
    UPDATE notes SET text = 'END;' WHERE id = NEW.id;
END;"""

PIECES = [
    "SELECT 1;",
    "SELECT ';', 'it''s;', \"a;b\", [c;d], `e;f`;",
    "/* a; comment */ SELECT 2;",
    "-- another; one\nSELECT 3;",
    TRIGGER,
    "CREATE TEMP TRIGGER t BEFORE DELETE ON notes BEGIN SELECT 1; END;",
    "CREATE TABLE trigger_of_nothing (begin_at TEXT);",
    "EXPLAIN SELECT 4;",
    "SELECT 'ключ';",
]


@given(st.lists(st.sampled_from(PIECES)), st.sampled_from(["", " ", "\n\n", "\t-- note; \n", "/* ; */", ";", "\n;;\n"]))
def test_statements_are_what_was_put_together(pieces: list[str], between: str) -> None:
    found = split(between + between.join(pieces) + between)
    assert len(found) == len(pieces)
    assert all(theirs.endswith(piece) for theirs, piece in zip(found, pieces, strict=True))


@given(st.text(alphabet="a;'\"-/*\n BEGINCREATTRIGGER[]`"))
def test_nothing_of_a_text_is_lost(text: str) -> None:
    try:
        found = split(text)
    except ValueError:
        return
    gaps, rest = [], text
    for statement in found:
        assert sqlite3.complete_statement(f"{statement}\n;")
        gap, _, rest = rest.partition(statement)
        gaps.append(gap)
    # What is between them is nothing to SQLite.
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        for gap in [*gaps, rest]:
            database.executescript(gap)


@pytest.mark.parametrize("text", ["SELECT 1", "SELECT 1 -- the end", "SELECT 1 /* the end */", "SELECT 1\n\n"])
def test_the_last_statement_needs_no_semicolon(text: str) -> None:
    assert split(text) == [text.strip()]


@pytest.mark.parametrize("text", ["", "  \n", ";;", "-- nothing", "/* nothing */ ;", "/* a */ /* b */"])
def test_comments_are_no_statements(text: str) -> None:
    assert split(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 'open",
        'SELECT "open;',
        TRIGGER.removesuffix("END;"),
        "SELECT 1; SELECT [a",
        "/* a; b",
        "-- a\nSELECT 1; /*",
    ],
)
def test_what_has_no_end_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="has no end"):
        split(text)


def test_files_and_modules_in_the_order_of_their_names(package: MakePackage) -> None:
    found = find_migrations(
        package(
            {
                "0010_last.sql": "SELECT 10",
                "0002_module.py": "statements = [f'CREATE TABLE t{n} (x); SELECT {n};' for n in range(2)]",
                "0001_first.sql": "\ufeffSELECT 1;\r\nSELECT 2;\r\n",
                "0003_text.py": "statements = 'SELECT 3; SELECT 4'",
                "_shared.py": "raise AssertionError('not imported')",
                "README.md": "SELECT 'no'",
                "0004.sql.orig": "SELECT 'no'",
            }
        )
    )
    assert [(one.name, one.statements) for one in found] == [
        ("0001_first", ("SELECT 1;", "SELECT 2;")),
        ("0002_module", ("CREATE TABLE t0 (x);", "SELECT 0;", "CREATE TABLE t1 (x);", "SELECT 1;")),
        ("0003_text", ("SELECT 3;", "SELECT 4")),
        ("0010_last", ("SELECT 10",)),
    ]


def test_a_package_may_be_given_as_a_module_and_be_empty(package: MakePackage) -> None:
    name = package({"1.sql": "SELECT 1"})
    assert find_migrations(importlib.import_module(name)) == find_migrations(name)
    assert find_migrations(package({})) == ()


def test_a_package_may_be_in_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("zipped_migrations/__init__.py", "")
        archive.writestr("zipped_migrations/1.sql", "SELECT 1")
        archive.writestr("zipped_migrations/m2.py", "statements = ['SELECT 2']")
    monkeypatch.syspath_prepend(str(tmp_path / "archive.zip"))
    assert [one.name for one in find_migrations("zipped_migrations")] == ["1", "m2"]
    del sys.modules["zipped_migrations"], sys.modules["zipped_migrations.m2"]


def test_checksums_tell_texts_apart_and_not_ends_of_lines(package: MakePackage) -> None:
    def checksum(files: dict[str, str]) -> str:
        (migration,) = find_migrations(package(files))
        return migration.checksum

    plain = checksum({"1.sql": "SELECT 1;\nSELECT 2"})
    assert checksum({"1.sql": "SELECT 1;\r\nSELECT 2\r\n"}) == plain
    assert checksum({"1.sql": "SELECT 1;\nSELECT 2 -- of them"}) != plain
    assert checksum({"1.sql": "SELECT 1;\nSELECT 2;"}) != plain
    assert checksum({"1.py": "statements = ['SELECT 1;', 'SELECT 2']"}) != plain
    # Whichever way it is written in a module.
    assert checksum({"1.py": "# numbers\nstatements = ('SELECT 1',)"}) == checksum({"1.sql": "SELECT 1"})


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"1.sql": "-- nothing"}, "'1' cannot be run: it has no statements"),
        ({"1.py": "STATEMENTS = []"}, "'1' cannot be run: a module has `statements`"),
        ({"1.py": "statements = [1]"}, "'1' cannot be run: a module has `statements`"),
        ({"1.py": "statements = [' ']"}, "'1' cannot be run: it has no statements"),
        ({"1.sql": "SELECT 'a"}, "'1' cannot be run: the last statement has no end: SELECT 'a"),
        ({"m1.py": "statements = 'SELECT 1'", "m1.sql": "SELECT 1"}, "'m1' cannot be run: there are two"),
    ],
)
def test_what_cannot_be_a_migration_is_named(package: MakePackage, files: dict[str, str], sentence: str) -> None:
    with pytest.raises(InvalidArgument, match=sentence) as caught:
        find_migrations(package(files))
    assert caught.value.field == "package"


def test_another_encoding_is_named(package: MakePackage, tmp_path: Path) -> None:
    name = package({})
    (tmp_path / name / "1.sql").write_bytes("SELECT 'ä'".encode("latin-1"))
    with pytest.raises(InvalidArgument, match="'1' cannot be run: its file is not in UTF-8"):
        find_migrations(name)


def test_no_such_package() -> None:
    with pytest.raises(ModuleNotFoundError):
        find_migrations("there_is_no_such_package")
