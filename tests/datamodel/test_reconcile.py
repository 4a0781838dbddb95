"""Reconciling: nothing to find after the models' own writes, and each kind of damage found, told and mended."""

from __future__ import annotations

import asyncio

import pytest

import petra.sync.datamodel as blocking
from petra.datamodel import Bound, DataModel, NotInitialized, initialize, reconcile
from petra.datamodel.define import read_definition
from petra.datastore import Datastore, Store
from petra.sync.datastore import Datastore as BlockingDatastore
from tests.datamodel.agreement import stored
from tests.datamodel.models import PLAIN, Page

Pages = Bound[DataModel]


@pytest.fixture
def pages(datastore: Datastore, ann: Store, runner: asyncio.Runner) -> Pages:
    bound = DataModel.using(PLAIN, ann)

    async def make() -> None:
        await initialize(datastore, [PLAIN, Page])
        await bound.bulk_create([{"project_id": "p", "slug": f"s{number}", "views": number} for number in range(6)])

    runner.run(make())
    return bound


async def key_of(pages: Pages, slug: str) -> tuple[str, str]:
    """The id and the key of a record."""
    row = await pages.where(slug=slug).first()
    assert row is not None
    return row["id"], f"plain:p:{row['id']}"


async def kinds(datastore: Datastore) -> dict[str, int]:
    return dict((await reconcile(datastore, PLAIN)).counts)


async def mend(datastore: Datastore) -> int:
    """Mends what is wrong; everything agrees then."""
    found = await reconcile(datastore, PLAIN, repair=True)
    assert (await reconcile(datastore, PLAIN)).agrees
    assert await stored(datastore.database, PLAIN)
    return found.repaired


async def test_what_models_write_agrees(pages: Pages, datastore: Datastore) -> None:
    (first, second, third, *_) = await pages.query().with_data().list()
    await first.set("views", 100).save()
    await second.share("bob")
    await third.delete()
    seen: list[int] = []
    found = await reconcile(datastore, PLAIN, progress=seen.append)
    assert found.agrees
    assert (found.model, found.rows, found.differences, found.repaired, seen) == ("PLAIN_PAGE", 6, (), 0, [6])


async def test_a_row_that_differs(pages: Pages, datastore: Datastore) -> None:
    record_id, key = await key_of(pages, "s1")
    await datastore.database.sql.execute("UPDATE plain_pages SET views = 99, status = 'x' WHERE id = ?", [record_id])
    found = await reconcile(datastore, PLAIN)
    assert [(one.kind, one.key, one.detail) for one in found.differences] == [("row_differs", key, "status, views")]
    assert await mend(datastore) == 1


async def test_a_row_without_an_object(pages: Pages, datastore: Datastore) -> None:
    _, key = await key_of(pages, "s1")
    await datastore.database.delete(key)
    assert await kinds(datastore) == {"object_missing": 1, "access_extra": 1}
    assert await mend(datastore) == 2
    assert await pages.query().count() == 5


async def test_an_object_without_a_row(pages: Pages, datastore: Datastore) -> None:
    record_id, key = await key_of(pages, "s1")
    await datastore.database.sql.execute("DELETE FROM plain_pages WHERE id = ?", [record_id])
    await datastore.database.sql.execute("DELETE FROM plain_pages__auth WHERE record_id = ?", [record_id])
    found = await reconcile(datastore, PLAIN)
    assert [(one.kind, one.key) for one in found.differences] == [("row_missing", key)]
    assert await mend(datastore) == 1
    assert await pages.where(slug="s1").count() == 1


async def test_a_row_of_another_id(pages: Pages, datastore: Datastore) -> None:
    record_id, _ = await key_of(pages, "s1")
    await datastore.database.sql.execute("UPDATE plain_pages SET id = 'other' WHERE id = ?", [record_id])
    assert (await kinds(datastore))["row_differs"] == 1
    await mend(datastore)
    assert (await key_of(pages, "s1"))[0] == record_id


async def test_access_rows(pages: Pages, datastore: Datastore, bob: Store) -> None:
    (one, _), (other, _) = await key_of(pages, "s1"), await key_of(pages, "s2")
    await datastore.database.sql.execute("DELETE FROM plain_pages__auth WHERE record_id = ?", [one])
    await datastore.database.sql.execute("INSERT INTO plain_pages__auth VALUES ('bob', ?), ('bob', 'nothing')", [other])
    found = await reconcile(datastore, PLAIN)
    assert found.counts == {"access_missing": 1, "access_extra": 2}
    assert {(one.kind, one.detail) for one in found.differences} == {("access_missing", "ann"), ("access_extra", "bob")}
    assert await mend(datastore) == 3
    assert await DataModel.query(PLAIN, bob).count() == 0
    assert await pages.query().count() == 6


async def test_an_object_that_does_not_fit_is_left_to_people(pages: Pages, datastore: Datastore) -> None:
    (_, one), (_, other) = await key_of(pages, "s1"), await key_of(pages, "s2")
    await datastore.database.set(one, await datastore.database.get(one) | {"views": "many"})
    await datastore.database.set(other, b"\x00")
    found = await reconcile(datastore, PLAIN, repair=True)
    assert found.counts["object_invalid"] == 2
    details = {one.detail for one in found.differences if one.kind == "object_invalid"}
    assert details == {"no JSON object", "views must be a whole number"}
    assert (await kinds(datastore))["object_invalid"] == 2


async def test_what_another_record_makes_impossible_stays_and_is_told(pages: Pages, datastore: Datastore) -> None:
    record_id, _ = await key_of(pages, "s1")
    await datastore.database.sql.execute("UPDATE plain_pages SET slug = 'moved' WHERE id = ?", [record_id])
    await pages.create(project_id="p", slug="s1")
    found = await reconcile(datastore, PLAIN, repair=True)
    assert (found.counts, found.repaired) == ({"row_differs": 1}, 0)


async def test_keys_of_others_are_not_taken_for_records(pages: Pages, datastore: Datastore) -> None:
    for key in ("plain:", "plain:p", "plain:p:x", "plain:p:x:y", "other"):
        await datastore.database.set(key, {"id": "y", "project_id": "q"})
    await datastore.database.set("plain:p:bytes", b"\x00")
    assert (await reconcile(datastore, PLAIN, repair=True)).agrees
    assert await pages.query().count() == 6


async def test_many_records_and_large_ones(datastore: Datastore, ann: Store) -> None:
    await initialize(datastore, [PLAIN])
    pages = DataModel.using(PLAIN, ann)
    body = "x" * 100_000
    rows = [{"project_id": "p", "slug": f"s{number}", "body": body if number % 2 else None} for number in range(240)]
    await pages.bulk_create(rows)
    await datastore.database.sql.execute("UPDATE plain_pages SET views = 1")
    await datastore.database.sql.execute("DELETE FROM plain_pages__auth")
    found = await reconcile(datastore, PLAIN, repair=True)
    assert found.counts == {"row_differs": 240, "access_missing": 240}
    assert (len(found.differences), found.repaired, found.rows) == (480, 480, 240)
    assert (await reconcile(datastore, PLAIN)).agrees


async def test_it_finds_nothing_while_others_write(pages: Pages, datastore: Datastore) -> None:
    stop = asyncio.Event()

    async def write(number: int) -> None:
        while not stop.is_set():
            record = await pages.create(project_id=f"w{number}", slug="s")
            await record.set("views", 1).save()
            await record.share("bob")
            await record.purge()

    async with asyncio.TaskGroup() as tasks:
        for number in range(4):
            tasks.create_task(write(number))
        found = [await reconcile(datastore, PLAIN, repair=True) for _ in range(10)]
        stop.set()
    assert not [one.differences for one in found if not one.agrees]


async def test_models_without_access_or_tables(datastore: Datastore, system: Store) -> None:
    public = read_definition({"name": "PUBLIC", "fields": {"a": "string"}, "options": {"auth": False}})
    with pytest.raises(NotInitialized):
        await reconcile(datastore, public)
    await initialize(datastore, [public])
    await DataModel.create(public, {"a": "b"}, system)
    assert (await reconcile(datastore, public)).rows == 1


def test_the_blocking_twin(pages: Pages, blocking_datastore: BlockingDatastore) -> None:
    blocking_datastore.database.sql.execute("UPDATE plain_pages SET views = 99")
    assert blocking.reconcile(blocking_datastore, PLAIN, repair=True).repaired == 6
    assert blocking.reconcile(blocking_datastore, PLAIN).agrees
