"""Many writers of one record: no change of anybody is lost."""

from __future__ import annotations

import asyncio

import pytest

from petra.datamodel import Bound, DataModel, Event, HookRefused, Models, Record, define
from petra.datamodel.errors import Duplicate
from petra.datastore import Datastore, Store
from petra.errors import VersionConflict
from tests.datamodel.agreement import make_tables, stored
from tests.datamodel.models import KINDS, definition, using

WRITERS = 50


@pytest.mark.parametrize("kind", KINDS)
async def test_fifty_writers_of_one_record_lose_nothing(kind: str, ann: Store, datastore: Datastore) -> None:
    model = definition(kind)
    await make_tables(datastore, model)
    pages = using(kind, ann)
    page = await pages.create(project_id="p", slug="s")
    conflicts = 0

    async def write(number: int) -> None:
        nonlocal conflicts
        while True:
            own = await pages.get(page.get("id"))
            assert own is not None
            own.set({"views": own.get("views") + 1, "tags": [*own.get("tags"), f"w{number}"]})
            try:
                await own.save()
            except VersionConflict:
                conflicts += 1
            else:
                return

    await asyncio.gather(*(write(number) for number in range(WRITERS)))
    value = (await stored(datastore.database, model))[page.get("id")]
    assert value["views"] == WRITERS
    tags = value["tags"]
    assert isinstance(tags, list)
    assert sorted(tags) == sorted(f"w{number}" for number in range(WRITERS))
    assert conflicts > 0, "the writers met"


async def test_of_many_who_create_the_same_record_one_does(ann: Store, bob: Store, datastore: Datastore) -> None:
    model = definition("plain")
    await make_tables(datastore, model)

    async def create(number: int) -> Record | None:
        pages = using("plain", ann if number % 2 else bob)
        try:
            return await pages.create(project_id="p", slug="same")
        except Duplicate:
            return None

    made = [one for one in await asyncio.gather(*(create(number) for number in range(20))) if one is not None]
    assert len(made) == 1
    assert (await stored(datastore.database, model)).keys() == {made[0].get("id")}


async def test_savers_deleters_and_sharers_of_one_record_leave_it_whole(ann: Store, datastore: Datastore) -> None:
    model = definition("plain")
    await make_tables(datastore, model)
    pages = using("plain", ann)
    page = await pages.create(project_id="p", slug="s")

    async def work(number: int) -> None:
        for step in range(5):
            own = await pages.get(page.get("id"), include_deleted=True)
            assert own is not None
            try:
                await _operate(own, number, step)
            except VersionConflict:
                continue

    await asyncio.gather(*(work(number) for number in range(12)))
    value = (await stored(datastore.database, model))[page.get("id")]
    users = value["_auth"]
    assert isinstance(users, list)
    assert {"ann", *(f"user{number}-{step}" for number in range(0, 12, 4) for step in range(5))} == set(users)


async def _operate(own: Record, number: int, step: int) -> None:
    match number % 4:
        case 0:
            await own.share(f"user{number}-{step}")
        case 1:
            await own.set("views", number * 100 + step).save()
        case 2 if own.get("deleted_at") is None:
            await own.delete()
        case _:
            await own.restore()


async def test_a_deletion_and_a_purge_by_others_are_conflicts(ann: Store, datastore: Datastore) -> None:
    model = definition("plain")
    await make_tables(datastore, model)
    pages = using("plain", ann)
    page = await pages.create(project_id="p", slug="s")
    other = await pages.get(page.get("id"))
    assert other is not None
    await other.delete()
    with pytest.raises(VersionConflict):
        await page.set("views", 1).save()
    await other.purge()
    with pytest.raises(VersionConflict) as raised:
        await page.save()
    assert raised.value.version == 0
    assert await stored(datastore.database, model) == {}


async def test_forced_saves_at_once_all_succeed(ann: Store, datastore: Datastore) -> None:
    model = definition("plain")
    await make_tables(datastore, model)
    pages = using("plain", ann)
    page = await pages.create(project_id="p", slug="s")
    copies = [await pages.get(page.get("id")) for _ in range(20)]
    await asyncio.gather(
        *(copy.set("views", number).save(force=True) for number, copy in enumerate(copies) if copy is not None)
    )
    value = (await stored(datastore.database, model))[page.get("id")]
    assert value["views"] in range(20)


async def test_a_refusal_in_the_middle_of_others_leaves_all_whole(ann: Store, datastore: Datastore) -> None:
    def odd_alone(record: Record, event: Event) -> None:
        if record.get("n") % 2 == 0:
            event.refuse("odd numbers alone")

    model = define({"name": "T", "fields": {"n": "int"}, "hooks": {"before_create": odd_alone}}, registry=Models())
    await make_tables(datastore, model)
    bound: Bound[DataModel] = DataModel.using(model, ann)
    outcomes = await asyncio.gather(*(bound.create(n=n) for n in range(20)), return_exceptions=True)
    assert [isinstance(outcome, HookRefused) for outcome in outcomes] == [n % 2 == 0 for n in range(20)]
    assert sorted(str(value["n"]) for value in (await stored(datastore.database, model)).values()) == sorted(
        str(n) for n in range(1, 20, 2)
    )
