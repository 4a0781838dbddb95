"""Migrations in both trees: run once, in order, whole or not at all, and only where package and database agree."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import petra.sync.stores
from petra import AsyncClient, Client
from petra.errors import SqlConstraint, SqlError, SqlNotAllowed
from petra.objects import AsyncObject
from petra.stores import MigrationConflict, MigrationFailed, Migrations
from petra.testing import TestServer
from tests.stores.conftest import MakePackage

Make = Callable[..., Migrations]

FIRST = {
    "0001_notes.sql": """
        CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
        CREATE TABLE log (text TEXT);
        CREATE TRIGGER logged AFTER INSERT ON notes BEGIN
            INSERT INTO log VALUES (NEW.text || ';');
        END;
    """,
    "0002_first.py": "statements = [f\"INSERT INTO notes (text) VALUES ('{n}')\" for n in range(3)]",
}


async def tables(place: AsyncObject) -> set[str]:
    return {row["name"] for row in await place.sql.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}


async def states(migrations: Migrations, database: AsyncObject) -> list[tuple[str, str]]:
    return [(one.name, one.state) for one in await migrations.status(database)]


async def test_they_run_once_and_in_order(
    migrations: Make, database: AsyncObject, look: AsyncObject, package: MakePackage
) -> None:
    ours = migrations(package(FIRST))
    assert await states(ours, database) == [("0001_notes", "pending"), ("0002_first", "pending")]
    assert await tables(look) == set()
    assert await ours.migrate(database) == ["0001_notes", "0002_first"]
    assert await ours.migrate(database) == []
    assert [row["text"] for row in await look.sql.execute("SELECT text FROM log")] == ["0;", "1;", "2;"]
    assert await states(ours, database) == [("0001_notes", "applied"), ("0002_first", "applied")]


async def test_of_many_at_once_each_migration_is_one_callers(
    migrations: Make, database: AsyncObject, look: AsyncObject, package: MakePackage
) -> None:
    ours = migrations(package(FIRST))
    done = await asyncio.gather(*(ours.migrate(database) for _ in range(20)))
    assert sorted(name for names in done for name in names) == ["0001_notes", "0002_first"]
    assert await look.sql.one("SELECT count(*) FROM notes") == (3,)


async def test_they_are_recorded(
    migrations: Make, database: AsyncObject, look: AsyncObject, package: MakePackage
) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    name = package(FIRST)
    ours = migrations(name)
    await ours.migrate(database)
    rows = (await look.sql.execute("SELECT * FROM _migrations ORDER BY number")).mappings()
    assert [(row["source"], row["number"], row["name"]) for row in rows] == [
        (name, 1, "0001_notes"),
        (name, 2, "0002_first"),
    ]
    assert all(len(row["checksum"]) == 64 for row in rows)
    for status in await ours.status(database):
        assert status.applied_at is not None
        assert before <= status.applied_at <= datetime.now(UTC) + timedelta(seconds=1)


async def test_later_ones_are_added(
    migrations: Make, database: AsyncObject, look: AsyncObject, package: MakePackage
) -> None:
    await migrations(package(FIRST), source="app").migrate(database)
    more = migrations(package({**FIRST, "0003_more.sql": "ALTER TABLE notes ADD COLUMN more"}), source="app")
    assert (await states(more, database))[2:] == [("0003_more", "pending")]
    assert await more.migrate(database) == ["0003_more"]
    assert (await look.sql.one("SELECT count(more), count(*) FROM notes")) == (0, 3)


async def test_packages_do_not_meet_in_one_object(
    migrations: Make, database: AsyncObject, package: MakePackage
) -> None:
    one, other = package({"0001.sql": "CREATE TABLE one (x)"}), package({"0001.sql": "CREATE TABLE other (x)"})
    assert await migrations(one).migrate(database) == ["0001"]
    assert await migrations(other).migrate(database) == ["0001"]
    assert await states(migrations(one), database) == [("0001", "applied")]


REFUSED = [
    ("edited", {**FIRST, "0001_notes.sql": FIRST["0001_notes.sql"] + "-- a word"}, "0001_notes", "was changed"),
    ("edited", {**FIRST, "0002_first.py": "statements = 'SELECT 2'"}, "0002_first", "was changed"),
    ("missing", {"0002_first.py": FIRST["0002_first.py"]}, "0001_notes", "is not in the package"),
    ("missing", {"0001_notes.sql": FIRST["0001_notes.sql"]}, "0002_first", "is not in the package"),
    ("missing", {}, "0001_notes", "is not in the package"),
    ("out_of_order", {**FIRST, "0001_later.sql": "CREATE TABLE later (x)"}, "0001_later", "comes before"),
]


@pytest.mark.parametrize(("state", "files", "name", "sentence"), REFUSED)
async def test_a_package_that_does_not_fit_is_refused(
    migrations: Make,
    database: AsyncObject,
    look: AsyncObject,
    package: MakePackage,
    state: str,
    files: dict[str, str],
    name: str,
    sentence: str,
) -> None:
    await migrations(package(FIRST), source="app").migrate(database)
    # There is something to do as well, which is not done.
    other = migrations(package({**files, "0009_new.sql": "CREATE TABLE new (x)"}), source="app")
    with pytest.raises(MigrationConflict, match=f"'{name}' .*{sentence}") as caught:
        await other.migrate(database)
    assert (caught.value.name, caught.value.state) == (name, state)
    assert {(name, state), ("0009_new", "pending")} <= set(await states(other, database))
    assert "new" not in await tables(look)
    # Nothing is broken by that: the right package goes on.
    assert await migrations(package(FIRST), source="app").migrate(database) == []


async def test_a_file_that_is_edited_in_its_place(
    migrations: Make, database: AsyncObject, package: MakePackage, tmp_path: Path
) -> None:
    name = package({"0001.sql": "CREATE TABLE a (x)"})
    await migrations(name).migrate(database)
    (tmp_path / name / "0001.sql").write_text("CREATE TABLE a (x, y)")
    with pytest.raises(MigrationConflict, match="'0001' was changed after it had been applied"):
        await migrations(name).migrate(database)


BAD = [
    ("SELEKT 1", SqlError),
    ("INSERT INTO good VALUES (1); INSERT INTO good VALUES (1)", SqlConstraint),
    ("COMMIT", SqlNotAllowed),
    ("CREATE TABLE half (x)", SqlError),
]


@pytest.mark.parametrize(("statement", "kind"), BAD)
async def test_one_that_fails_leaves_nothing(
    migrations: Make,
    database: AsyncObject,
    look: AsyncObject,
    package: MakePackage,
    statement: str,
    kind: type[Exception],
) -> None:
    good = {"0001.sql": "CREATE TABLE good (x PRIMARY KEY)"}
    bad = migrations(package({**good, "0002.sql": f"CREATE TABLE half (x); {statement}; SELECT 1"}), source="app")
    with pytest.raises(MigrationFailed, match=r"'0002' failed, and nothing of it was done, at ") as caught:
        await bad.migrate(database)
    assert (caught.value.name, caught.value.statement) == ("0002", f"{statement.rpartition('; ')[2]};")
    assert isinstance(caught.value.__cause__, kind)
    assert "half" not in await tables(look)
    assert await states(bad, database) == [("0001", "applied"), ("0002", "pending")]
    # It was never done, so it may be corrected.
    corrected = migrations(package({**good, "0002.sql": "CREATE TABLE half (x)"}), source="app")
    assert await corrected.migrate(database) == ["0002"]


async def test_one_that_fails_as_a_whole(
    migrations: Make, database: AsyncObject, look: AsyncObject, package: MakePackage
) -> None:
    deferred = """
        CREATE TABLE parent (id INTEGER PRIMARY KEY);
        CREATE TABLE child (parent REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
        INSERT INTO child VALUES (1);
    """
    with pytest.raises(MigrationFailed, match="FOREIGN KEY") as caught:
        await migrations(package({"0001.sql": deferred})).migrate(database)
    assert caught.value.statement == ""
    assert await tables(look) == set()


async def test_who_knows_one_more_in_between_loses(
    migrations: Make, database: AsyncObject, look: AsyncObject, package: MakePackage
) -> None:
    """Two versions of a program start together, and one has a migration that comes before the last of the other."""
    base = {f"000{n}.sql": f"CREATE TABLE t{n} (x)" for n in (1, 2, 4)}
    older = migrations(package(base), source="app")
    newer = migrations(package({**base, "0003.sql": "CREATE TABLE t3 (x)"}), source="app")
    for _ in range(10):
        outcomes = await asyncio.gather(older.migrate(database), newer.migrate(database), return_exceptions=True)
        conflicts = [each for each in outcomes if isinstance(each, MigrationConflict)]
        assert len(conflicts) == 1
        names = [row[0] for row in await look.sql.execute("SELECT name FROM _migrations ORDER BY number")]
        # Either has recorded all in its own order, and the other one refuses.
        assert names in (["0001", "0002", "0004"], ["0001", "0002", "0003", "0004"])
        assert await tables(look) == {"_migrations", *(f"t{name[-1]}" for name in names)}
        await look.clear()


async def test_a_thousand_statements(migrations: Make, database: AsyncObject, package: MakePackage) -> None:
    many = {f"{n:04}.py": f"statements = ['CREATE TABLE IF NOT EXISTS t{n} (x)'] * 1_000" for n in range(3)}
    assert len(await migrations(package(many)).migrate(database)) == 3
    with pytest.raises(MigrationFailed, match=r"1,?024"):
        await migrations(package({"1.py": "statements = ['SELECT 1'] * 1_024"})).migrate(database)


def test_errors_survive_pickling() -> None:
    conflict = pickle.loads(pickle.dumps(MigrationConflict("no", name="0001", state="edited")))
    assert (str(conflict), conflict.name, conflict.state) == ("no", "0001", "edited")
    failed = pickle.loads(pickle.dumps(MigrationFailed("no", name="0001", statement="SELECT 1")))
    assert (str(failed), failed.name, failed.statement) == ("no", "0001", "SELECT 1")


async def test_the_other_tree_is_refused_by_name(client: AsyncClient, server: TestServer, package: MakePackage) -> None:
    name = package(FIRST)
    with Client(server.address) as blocking:
        for wrong in (blocking.object("app"), client):
            with pytest.raises(TypeError, match=r"an object of a blocking Client use petra\.sync\.stores"):
                await Migrations(name).migrate(wrong)  # type: ignore[arg-type]
        for other in (client.object("app"), blocking):
            with pytest.raises(TypeError, match=r"an object of an AsyncClient use petra\.stores"):
                petra.sync.stores.Migrations(name).migrate(other)  # type: ignore[arg-type]
