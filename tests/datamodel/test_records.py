"""Records of both kinds of models: what they hold, and what their methods leave in the store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from petra.datamodel import (
    Bound,
    Change,
    DataModel,
    Duplicate,
    NotInitialized,
    Record,
    UnknownField,
    ValidationError,
)
from petra.datastore import Datastore, NotFoundOrNoAccess, Store
from petra.errors import InvalidArgument, VersionConflict
from tests.datamodel.agreement import make_tables, stored
from tests.datamodel.models import KINDS, PLAIN, REGISTRY, Page, definition, using

NEW = {"project_id": "p1", "slug": "home"}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pages(kind: str, ann: Store) -> Bound[Record]:
    return using(kind, ann)


async def test_a_new_record_has_an_id_and_defaults_and_is_stored_nowhere(
    pages: Bound[Record], kind: str, datastore: Datastore
) -> None:
    await make_tables(datastore, definition(kind))
    page = pages.new(**NEW)
    assert page.is_new
    assert (page.get("status"), page.get("views"), page.get("tags")) == ("pending", 0, [])
    assert page.get("_auth") == []
    assert page.changes["slug"] == Change(None, "home")
    assert await stored(datastore.database, definition(kind)) == {}


async def test_save_writes_object_row_and_access(pages: Bound[Record], kind: str, datastore: Datastore) -> None:
    await make_tables(datastore, definition(kind))
    before = datetime.now(UTC)
    page = await pages.create(**NEW, tags=["a"], hidden=True, body="text")
    assert not page.is_new
    assert page.changes == {}
    objects = await stored(datastore.database, definition(kind))
    value = objects[page.get("id")]
    assert value == {
        "id": page.get("id"),
        "project_id": "p1",
        "slug": "home",
        "status": "pending",
        "views": 0,
        "hidden": True,
        "body": "text",
        "tags": ["a"],
        "user_id": "ann",
        "created_at": value["created_at"],
        "updated_at": value["created_at"],
        "deleted_at": None,
        "_auth": ["ann"],
    }
    created = page.get("created_at")
    assert before <= created <= datetime.now(UTC)
    assert datetime.fromisoformat(str(value["created_at"])) == created


async def test_what_is_got_is_what_was_saved(pages: Bound[Record], kind: str, datastore: Datastore) -> None:
    await make_tables(datastore, definition(kind))
    page = await pages.create(**NEW, tags=["a"], views=2**62)
    again = await pages.get(page.get("id"))
    assert again is not None
    assert again.get_data() == page.get_data()
    assert type(again) is type(page)
    assert not again.is_new
    assert await pages.get("no such id") is None


async def test_set_takes_a_field_or_a_mapping_and_changes_tells(
    pages: Bound[Record], kind: str, datastore: Datastore
) -> None:
    await make_tables(datastore, definition(kind))
    page = await pages.create(**NEW)
    assert page.set("status", "done").set({"views": 3, "tags": ["x"]}) is page
    page.set("slug", "home")
    assert page.changes == {
        "status": Change("pending", "done"),
        "views": Change(0, 3),
        "tags": Change([], ["x"]),
    }
    await page.save()
    assert page.changes == {}
    again = await pages.get(page.get("id"))
    assert again is not None
    assert (again.get("status"), again.get("views"), again.get("tags")) == ("done", 3, ["x"])
    assert again.get("updated_at") > again.get("created_at")
    await stored(datastore.database, definition(kind))


async def test_a_list_that_is_changed_in_place_is_a_change(
    pages: Bound[Record], kind: str, datastore: Datastore
) -> None:
    await make_tables(datastore, definition(kind))
    page = await pages.create(**NEW, tags=["a"])
    page.get("tags").append("b")
    expected = {"tags": Change(["a"], ["a", "b"])}
    if kind == "typed":
        # What `get` gives of a class is written as JSON, and the attribute is the list itself.
        assert page.changes == {}
        assert isinstance(page, Page)
        page.tags.append("b")
    assert page.changes == expected
    await page.save()
    again = await pages.get(page.get("id"))
    assert again is not None
    assert again.get("tags") == ["a", "b"]
    data = again.get_data()
    data["tags"].append("c")
    assert again.changes == {}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"titel": 1}, "no field 'titel'; it has id, project_id, slug"),
        ({'x" = 1; --': 1}, "no field"),
        ({"user_id": "bob"}, "kept by Petra"),
        ({"created_at": None}, "kept by Petra"),
        ({"deleted_at": None}, "kept by Petra"),
        ({"_auth": ["bob"]}, "share and unshare"),
    ],
)
async def test_what_cannot_be_set_is_refused_and_nothing_is_set(
    pages: Bound[Record], given: dict[str, object], words: str
) -> None:
    page = pages.new(**NEW)
    before = page.get_data()
    with pytest.raises((UnknownField, InvalidArgument), match=words):
        page.set({"status": "done", **given})
    assert page.get_data() == before
    with pytest.raises((UnknownField, InvalidArgument), match=words):
        pages.new(**NEW, **given)


async def test_the_id_may_be_chosen_once(pages: Bound[Record], kind: str, datastore: Datastore) -> None:
    await make_tables(datastore, definition(kind))
    page = await pages.create(**NEW, id="mine")
    assert (await stored(datastore.database, definition(kind))).keys() == {"mine"}
    with pytest.raises(InvalidArgument, match="id cannot be changed"):
        page.set("id", "other")
    if isinstance(page, Page):
        page.id = "other"
        with pytest.raises(ValidationError, match="cannot be changed"):
            await page.save()
    assert (await stored(datastore.database, definition(kind))).keys() == {"mine"}


async def test_built_in_fields_that_are_overwritten_stay_as_they_are(ann: Store, datastore: Datastore) -> None:
    await make_tables(datastore, definition("typed"))
    page = await Page.using(ann).create(project_id="p", slug="s")
    created = page.created_at
    page.user_id, page.created_at, page.deleted_at = "bob", None, datetime.now(UTC)
    page.views = 1
    await page.save()
    assert [page.get(name) for name in ("user_id", "created_at", "deleted_at")] == ["ann", created, None]
    value = (await stored(datastore.database, definition("typed")))[page.id]
    assert (value["user_id"], value["deleted_at"], value["views"]) == ("ann", None, 1)


async def test_invalid_data_is_refused_before_anything_is_written(
    pages: Bound[Record], kind: str, datastore: Datastore
) -> None:
    await make_tables(datastore, definition(kind))
    page = await pages.create(**NEW)
    before = await stored(datastore.database, definition(kind))
    page.set({"status": "lost", "views": "many", "slug": None})
    with pytest.raises(ValidationError) as raised:
        await page.save()
    assert set(raised.value.errors) == {"status", "views", "slug"}
    with pytest.raises(ValidationError) as raised:
        await pages.create(project_id="a:b", slug=7)
    assert set(raised.value.errors) == {"project_id", "slug"}
    assert await stored(datastore.database, definition(kind)) == before
    assert page.get("views") == "many", "what was set is still there to be corrected"


async def test_a_record_that_somebody_else_has_saved_is_not_overwritten(
    pages: Bound[Record], kind: str, datastore: Datastore
) -> None:
    await make_tables(datastore, definition(kind))
    page = await pages.create(**NEW)
    other = await pages.get(page.get("id"))
    assert other is not None
    await other.set("views", 1).save()
    page.set("status", "done")
    for operation in (page.save, page.delete, page.purge):
        with pytest.raises(VersionConflict) as raised:
            await operation()
        assert raised.value.version > 0
    value = (await stored(datastore.database, definition(kind)))[page.get("id")]
    assert (value["views"], value["status"]) == (1, "pending")
    assert page.changes == {"status": Change("pending", "done")}
    await page.load()
    await page.set("status", "done").save()
    value = (await stored(datastore.database, definition(kind)))[page.get("id")]
    assert (value["views"], value["status"]) == (1, "done")


async def test_force_overrides(pages: Bound[Record], kind: str, datastore: Datastore) -> None:
    await make_tables(datastore, definition(kind))
    page = await pages.create(**NEW)
    other = await pages.get(page.get("id"))
    assert other is not None
    await other.set("views", 1).save()
    await page.set("status", "done").save(force=True)
    value = (await stored(datastore.database, definition(kind)))[page.get("id")]
    assert (value["views"], value["status"]) == (0, "done")
    await page.set("views", 5).save()
    await other.load()
    assert other.get("views") == 5


async def test_force_brings_back_what_was_purged_and_moves_what_has_moved(
    pages: Bound[Record], kind: str, datastore: Datastore
) -> None:
    await make_tables(datastore, definition(kind))
    page = await pages.create(**NEW)
    other = await pages.get(page.get("id"))
    assert other is not None
    await other.purge()
    await page.set("views", 2).save(force=True)
    assert (await stored(datastore.database, definition(kind)))[page.get("id")]["views"] == 2
    other = await pages.get(page.get("id"))
    assert other is not None
    await other.set("project_id", "p2").save()
    await other.set("project_id", "p3").save(force=True)
    assert (await stored(datastore.database, definition(kind)))[page.get("id")]["project_id"] == "p3"


async def test_a_record_moves_when_a_field_of_its_key_changes(
    pages: Bound[Record], kind: str, datastore: Datastore
) -> None:
    await make_tables(datastore, definition(kind))
    page = await pages.create(**NEW)
    await page.set("project_id", "p2").save()
    objects = await stored(datastore.database, definition(kind))
    assert [value["project_id"] for value in objects.values()] == ["p2"]
    assert (await pages.get(page.get("id"))) is not None


async def test_a_save_without_changes_writes_nothing(pages: Bound[Record], kind: str, datastore: Datastore) -> None:
    await make_tables(datastore, definition(kind))
    page = await pages.create(**NEW)
    updated = page.get("updated_at")
    await page.save()
    assert page.get("updated_at") == updated
    await page.save(force=True)
    assert page.get("updated_at") > updated


async def test_delete_restore_purge(pages: Bound[Record], kind: str, datastore: Datastore) -> None:
    model = definition(kind)
    await make_tables(datastore, model)
    page = await pages.create(**NEW)
    record_id = page.get("id")
    page.set("views", 9)
    await page.delete()
    assert page.get("deleted_at") is not None
    assert page.changes == {"views": Change(0, 9)}, "what was not saved is not written by a deletion"
    assert await pages.get(record_id) is None
    gone = await pages.get(record_id, include_deleted=True)
    assert gone is not None
    assert gone.get("views") == 0
    assert (await stored(datastore.database, model))[record_id]["deleted_at"] is not None
    with pytest.raises(NotFoundOrNoAccess):
        await gone.delete()
    await gone.restore()
    await gone.restore()
    assert gone.get("deleted_at") is None
    assert await pages.get(record_id) is not None
    await gone.purge()
    assert gone.is_new
    assert await pages.get(record_id, include_deleted=True) is None
    assert await stored(datastore.database, model) == {}
    for operation in (gone.delete, gone.restore, gone.purge):
        with pytest.raises(NotFoundOrNoAccess):
            await operation()
    with pytest.raises(NotFoundOrNoAccess):
        await gone.load()


async def test_delete_by_id(pages: Bound[Record], kind: str, datastore: Datastore) -> None:
    await make_tables(datastore, definition(kind))
    page = await pages.create(**NEW)
    await pages.delete(page.get("id"))
    assert await pages.get(page.get("id")) is None
    for record_id in (page.get("id"), "no such id", "a:b"):
        with pytest.raises(NotFoundOrNoAccess):
            await pages.delete(record_id)


async def test_without_soft_delete_a_deletion_is_for_good(ann: Store, datastore: Datastore) -> None:
    from petra.datamodel import Models, define

    model = define({"name": "T", "fields": {"x": "int"}, "options": {"soft_delete": False}}, registry=Models())
    await make_tables(datastore, model)
    record = await DataModel.create(model, {"x": 1}, ann)
    await record.delete()
    assert record.is_new
    assert await stored(datastore.database, model) == {}


async def test_unique_values_are_told_by_their_fields(pages: Bound[Record], kind: str, datastore: Datastore) -> None:
    model = definition(kind)
    await make_tables(datastore, model)
    page = await pages.create(**NEW)
    other = await pages.create(**{**NEW, "slug": "other"})
    before = await stored(datastore.database, model)
    with pytest.raises(Duplicate) as raised:
        await pages.create(**NEW)
    assert raised.value.fields == ("project_id", "slug")
    with pytest.raises(Duplicate):
        await other.set("slug", "home").save()
    with pytest.raises(Duplicate):
        await other.save(force=True)
    with pytest.raises(Duplicate) as raised:
        await pages.create(project_id="p2", slug="x", id=page.get("id"))
    assert raised.value.fields == ("id",)
    with pytest.raises(Duplicate) as raised:
        await pages.create(project_id="p1", slug="x", id=page.get("id"))
    assert "id" in raised.value.fields
    assert await stored(datastore.database, model) == before
    await page.delete()
    await other.save()
    with pytest.raises(Duplicate):
        await page.restore()
    assert page.get("deleted_at") is not None


async def test_load_reads_again_or_another_one(pages: Bound[Record], kind: str, datastore: Datastore) -> None:
    await make_tables(datastore, definition(kind))
    page = await pages.create(**NEW)
    other = await pages.create(**{**NEW, "slug": "other"})
    page.set("views", 7)
    assert await page.load() is page
    assert page.changes == {}
    assert page.get("views") == 0
    await page.load(other.get("id"))
    assert page.get_data() == other.get_data()


async def test_before_initialize_the_error_says_so(pages: Bound[Record]) -> None:
    with pytest.raises(NotInitialized, match="Run initialize"):
        await pages.create(**NEW)
    with pytest.raises(NotInitialized):
        await pages.get("x")


async def test_fields_that_the_definition_does_not_know_survive(
    pages: Bound[Record], kind: str, datastore: Datastore
) -> None:
    await make_tables(datastore, definition(kind))
    page = await pages.create(**NEW)
    key = definition(kind).pattern.key(page.get_data())
    await datastore.database.update(key, lambda value: {**value, "added_later": {"a": 1}})
    await page.load()
    await page.set("views", 1).save()
    assert (await datastore.database.get(key))["added_later"] == {"a": 1}


async def test_a_field_that_is_newer_than_the_record_has_its_default(
    pages: Bound[Record], kind: str, datastore: Datastore
) -> None:
    await make_tables(datastore, definition(kind))
    page = await pages.create(**NEW, tags=["x"])
    key = definition(kind).pattern.key(page.get_data())
    older = ("status", "tags", "views", "body")
    await datastore.database.update(key, lambda value: {n: v for n, v in value.items() if n not in older})
    await page.load()
    assert (page.get("status"), page.get("tags"), page.get("views"), page.get("body")) == ("pending", [], 0, None)
    await page.set("body", "b").save()
    assert (await datastore.database.get(key))["status"] == "pending"


async def test_what_is_stored_wrong_can_be_read_and_corrected(
    pages: Bound[Record], kind: str, datastore: Datastore
) -> None:
    await make_tables(datastore, definition(kind))
    page = await pages.create(**NEW)
    key = definition(kind).pattern.key(page.get_data())
    await datastore.database.update(key, lambda value: {**value, "views": "many", "created_at": "once"})
    await page.load()
    assert page.get("views") == "many"
    with pytest.raises(ValidationError) as raised:
        await page.set("status", "done").save()
    assert "views" in raised.value.errors


async def test_the_functions_of_the_class_take_a_store(ann: Store, bob: Store, datastore: Datastore) -> None:
    from petra.datamodel import define

    model = define({"name": "TEST_RECORDS_NOTE", "fields": {"title": "string", "n": "int"}}, replace=True)
    await make_tables(datastore, model)
    name = model.name
    note = await DataModel.create(name, {"title": "a", "n": 1}, ann)
    found = await DataModel.get(name, note.get("id"), ann)
    assert found is not None
    assert found.get("title") == "a"
    assert await DataModel.get(name, note.get("id"), bob) is None
    made = await DataModel.bulk_create(name, [{"n": 2}, {"n": 3}], ann)
    await DataModel.bulk_update(name, [{"id": one.get("id"), "n": 9} for one in made], ann)
    listing = await DataModel.query(name, ann).where(n=9).list()
    assert listing.pagination.total == 2
    await DataModel.delete(name, note.get("id"), ann)
    assert await DataModel.get(name, note.get("id"), ann) is None
    assert await DataModel.get(name, note.get("id"), ann, include_deleted=True) is not None


async def test_a_record_without_a_store_says_so(ann: Store, datastore: Datastore) -> None:
    await make_tables(datastore, definition("typed"), definition("plain"))
    loose: list[tuple[Record, Callable[[], Bound[Record]]]] = [
        (Page(project_id="p", slug="s"), lambda: using("typed", ann)),
        (DataModel(PLAIN).set({"project_id": "p", "slug": "s"}), lambda: using("plain", ann)),
    ]
    for record, bound in loose:
        for operation in (record.save, record.delete, record.load):
            with pytest.raises(InvalidArgument, match="bound to no store"):
                await operation()
        assert await bound().save(record) is record
        assert not record.is_new
        await record.set("views", 1).save()


async def test_copies_of_a_record_know_nothing_of_each_other(ann: Store, datastore: Datastore) -> None:
    await make_tables(datastore, definition("typed"))
    page = await Page.using(ann).create(project_id="p", slug="s")
    copy = page.model_copy()
    await page.set("views", 1).save()
    copy.status = "done"
    with pytest.raises(VersionConflict):
        await copy.save()


async def test_times_of_other_zones_are_one_moment(ann: Store, datastore: Datastore) -> None:
    from datetime import timezone

    from petra.datamodel import Models, define

    model = define({"name": "T", "fields": {"at": "timestamp"}}, registry=Models())
    await make_tables(datastore, model)
    moment = datetime(2026, 2, 28, 14, 5, tzinfo=timezone(timedelta(hours=1)))
    record = await DataModel.create(model, {"at": moment}, ann)
    assert record.get("at") == moment
    assert record.set("at", moment.astimezone(UTC)).changes == {}
    assert (await stored(datastore.database, model))[record.get("id")]["at"] == "2026-02-28T13:05:00.000000Z"


def test_the_registry_of_a_test_is_not_that_of_all_models() -> None:
    assert "PLAIN_PAGE" in REGISTRY
    assert "Page" in REGISTRY
