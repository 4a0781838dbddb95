"""Who sees a record: only those whom it names, by whatever way they ask, and nobody changes what they do not see."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from petra.datamodel import DataModel, Duplicate, Models, Record, define
from petra.datastore import Datastore, LastOwner, NotFoundOrNoAccess, Store
from petra.errors import InvalidArgument, PetraError
from tests.datamodel.agreement import make_tables, stored
from tests.datamodel.models import KINDS, definition, using

NEW = {"project_id": "p1", "slug": "home"}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_others_see_nothing_and_change_nothing(kind: str, ann: Store, bob: Store, datastore: Datastore) -> None:
    model = definition(kind)
    await make_tables(datastore, model)
    page = await using(kind, ann).create(**NEW)
    record_id = page.get("id")
    before = await stored(datastore.database, model)
    pages = using(kind, bob)
    assert await pages.get(record_id) is None
    assert await pages.query().count() == 0
    copy = await using(kind, ann).get(record_id)
    assert copy is not None
    refused: list[Callable[[], Awaitable[object]]] = [
        lambda: pages.delete(record_id),
        lambda: pages.bulk_update([{"id": record_id, "views": 1}]),
        lambda: pages.save(copy.set("views", 1)),
        lambda: pages.save(copy, force=True),
        copy.delete,
        copy.purge,
        copy.restore,
        copy.load,
        lambda: copy.share("bob"),
        lambda: copy.unshare("ann"),
    ]
    for operation in refused:
        with pytest.raises(NotFoundOrNoAccess):
            await operation()
    assert await stored(datastore.database, model) == before


async def test_saving_over_somebody_elses_record_is_refused(
    kind: str, ann: Store, bob: Store, datastore: Datastore
) -> None:
    model = definition(kind)
    await make_tables(datastore, model)
    page = await using(kind, ann).create(**NEW, body="hers")
    before = await stored(datastore.database, model)
    pages = using(kind, bob)
    # The same key; then the same id at another key; each with and without force, and many at once.
    at_the_key = {**NEW, "id": page.get("id"), "slug": "mine"}
    elsewhere = {**at_the_key, "project_id": "p2"}
    attempts: list[tuple[Callable[[], Awaitable[object]], type[PetraError]]] = [
        (lambda: pages.create(**at_the_key), PetraError),
        (lambda: pages.new(**at_the_key).save(force=True), NotFoundOrNoAccess),
        (lambda: pages.create(**elsewhere), Duplicate),
        (lambda: pages.new(**elsewhere).save(force=True), Duplicate),
        (lambda: pages.bulk_create([{**NEW, "slug": "fine"}, at_the_key]), PetraError),
        (lambda: pages.bulk_create([{**NEW, "slug": "fine"}, elsewhere]), Duplicate),
    ]
    for operation, error in attempts:
        with pytest.raises(error) as raised:
            await operation()
        assert isinstance(raised.value, NotFoundOrNoAccess | Duplicate)
        assert await stored(datastore.database, model) == before


async def test_a_record_cannot_move_to_the_key_of_somebody_elses(
    kind: str, ann: Store, bob: Store, datastore: Datastore
) -> None:
    model = define(
        {"name": "T", "fields": {"code": "string", "x": "int"}, "kv": {"key_pattern": "t:{code}"}}, registry=Models()
    )
    await make_tables(datastore, model)
    await DataModel.create(model, {"code": "a"}, ann)
    own = await DataModel.create(model, {"code": "b"}, bob)
    before = await stored(datastore.database, model)
    for force in (False, True):
        with pytest.raises(NotFoundOrNoAccess):
            await own.set("code", "a").save(force=force)
        assert await stored(datastore.database, model) == before
    with pytest.raises(NotFoundOrNoAccess):
        await DataModel.create(model, {"code": "a"}, bob)
    # Her own she may write over: it is the same object then, with another id.
    other = DataModel(model, ann, {"code": "a", "x": 1})
    with pytest.raises(Duplicate):
        await other.save()
    await other.save(force=True)
    after = await stored(datastore.database, model)
    assert {value["code"]: value["x"] for value in after.values()} == {"a": 1, "b": None}
    assert other.get("id") in after


async def test_a_shared_record_is_seen_and_changed_by_both(
    kind: str, ann: Store, bob: Store, datastore: Datastore
) -> None:
    model = definition(kind)
    await make_tables(datastore, model)
    page = await using(kind, ann).create(**NEW)
    page.set("views", 5)
    await page.share("bob")
    await page.share("bob")
    assert page.get("_auth") == ["ann", "bob"]
    assert page.changes.keys() == {"views"}
    shared = await using(kind, bob).get(page.get("id"))
    assert shared is not None
    assert shared.get("views") == 0
    assert await using(kind, bob).query().count() == 1
    await page.save()
    await shared.load()
    await shared.set("status", "done").save()
    value = (await stored(datastore.database, model))[page.get("id")]
    assert (value["_auth"], value["status"], value["views"], value["user_id"]) == (["ann", "bob"], "done", 5, "ann")
    await page.load()
    await page.unshare("bob")
    await page.unshare("bob")
    assert await using(kind, bob).get(page.get("id")) is None
    assert await using(kind, bob).query().count() == 0
    with pytest.raises(NotFoundOrNoAccess):
        await shared.load()
    with pytest.raises(LastOwner):
        await page.unshare("ann")
    await stored(datastore.database, model)
    await page.set("views", 6).save()


async def test_sharing_a_record_that_has_changed_keeps_the_guard(kind: str, ann: Store, datastore: Datastore) -> None:
    from petra.errors import VersionConflict

    await make_tables(datastore, definition(kind))
    page = await using(kind, ann).create(**NEW)
    other = await using(kind, ann).get(page.get("id"))
    assert other is not None
    await other.set("views", 1).save()
    await page.share("bob")
    with pytest.raises(VersionConflict):
        await page.set("status", "done").save()
    value = (await stored(datastore.database, definition(kind)))[page.get("id")]
    assert (value["views"], value["status"], value["_auth"]) == (1, "pending", ["ann", "bob"])


async def test_the_system_sees_all(kind: str, ann: Store, bob: Store, system: Store, datastore: Datastore) -> None:
    model = definition(kind)
    await make_tables(datastore, model)
    page = await using(kind, ann).create(**NEW)
    pages = using(kind, system)
    seen = await pages.get(page.get("id"))
    assert seen is not None
    await seen.set("views", 1).save()
    await seen.share("bob")
    await seen.unshare("ann")
    await seen.unshare("bob")
    assert await pages.query().count() == 1
    own: Record = await pages.create(project_id="p", slug="of nobody")
    assert (own.get("user_id"), own.get("_auth")) == (None, [])
    assert await using(kind, ann).query().count() == 0
    await stored(datastore.database, model)
    await own.share("ann")
    assert await using(kind, ann).get(own.get("id")) is not None


@pytest.mark.parametrize("user", ["", None, 7])
async def test_a_record_is_shared_with_users_alone(kind: str, ann: Store, datastore: Datastore, user: str) -> None:
    await make_tables(datastore, definition(kind))
    page = await using(kind, ann).create(**NEW)
    with pytest.raises(InvalidArgument):
        await page.share(user)


async def test_without_access_everybody_sees_all(ann: Store, bob: Store, datastore: Datastore) -> None:
    model = define({"name": "T", "fields": {"x": "int"}, "options": {"auth": False}}, registry=Models())
    await make_tables(datastore, model)
    record = await DataModel.create(model, {"x": 1}, ann)
    assert "_auth" not in record.get_data()
    seen = await DataModel.get(model, record.get("id"), bob)
    assert seen is not None
    await seen.set("x", 2).save()
    assert await DataModel.query(model, bob).count() == 1
    value = (await stored(datastore.database, model))[record.get("id")]
    assert (value["x"], value["user_id"]) == (2, "ann")
    assert "_auth" not in value
    with pytest.raises(InvalidArgument, match="auth is off"):
        await seen.share("carl")


async def test_what_another_program_has_put_at_a_key_is_not_seen(ann: Store, datastore: Datastore) -> None:
    model = define({"name": "T", "fields": {"x": "int"}}, registry=Models())
    await make_tables(datastore, model)
    for value in (b"bytes", "text", 7, ["ann"], {"_auth": "ann"}, {"x": 1}):
        await datastore.database.set("t:1", value)
        assert await DataModel.get(model, "1", ann) is None
        with pytest.raises((NotFoundOrNoAccess, Duplicate)):
            await DataModel.create(model, {"id": "1"}, ann)
        assert await datastore.database.get("t:1") == value


def test_a_model_is_used_with_a_store_of_its_own_tree(kind: str, datastore: Datastore) -> None:
    from petra.sync.datastore import Datastore as BlockingDatastore

    blocking: object = BlockingDatastore.__new__(BlockingDatastore)
    for wrong in (datastore, blocking, None, "ann"):
        with pytest.raises(TypeError, match="with a Store"):
            using(kind, wrong)  # type: ignore[arg-type]
