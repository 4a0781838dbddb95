"""The blocking tree: every call of models, bound models and records, for threads."""

from __future__ import annotations

import inspect
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import Field

import petra.datamodel
import petra.sync.datamodel
from petra.datamodel import Change, Duplicate, HookRefused, Models, NotInitialized, UnknownField, ValidationError
from petra.datamodel.definition import ModelDefinition
from petra.datamodel.schema import create_tables, indexes
from petra.datamodel.typed import definition_of_class
from petra.datastore import Datastore as AsyncDatastore
from petra.datastore import NotFoundOrNoAccess
from petra.errors import VersionConflict
from petra.sync.datamodel import DataModel, Event, Model, Record, define
from petra.sync.datastore import Datastore, Store

REGISTRY = Models()
TOLD: list[object] = []


class Page(Model, key="page:{project_id}:{id}", unique=[("project_id", "slug")], registry=REGISTRY):
    project_id: str
    slug: str
    views: int = 0
    tags: list[str] = Field(default_factory=list)

    def before_create(self, event: Event) -> None:
        if self.slug == "bad":
            event.refuse("no such slug")

    def after_update(self, event: Event) -> None:
        TOLD.append(event.changes)


PLAIN = define(
    {"name": "NOTE", "fields": {"title": {"type": "string", "required": True}, "n": "int"}}, registry=REGISTRY
)


def make_tables(datastore: Datastore, *models: ModelDefinition) -> None:
    for model in models:
        datastore.database.sql.batch([*create_tables(model), *(index.sql for index in indexes(model))])


@pytest.fixture
def ann(blocking_datastore: Datastore) -> Store:
    make_tables(blocking_datastore, definition_of_class(Page), PLAIN)
    return blocking_datastore.auth("ann")


@pytest.fixture
def bob(blocking_datastore: Datastore) -> Store:
    return blocking_datastore.auth("bob")


def test_records_of_a_class(ann: Store, bob: Store) -> None:
    pages = Page.using(ann)
    page = pages.create(project_id="p", slug="s")
    page.views = 1
    page.tags.append("a")
    assert page.changes == {"views": Change(0, 1), "tags": Change([], ["a"])}
    assert page.save() is page
    assert {"views": Change(0, 1), "tags": Change([], ["a"])} in TOLD
    again = pages.get(page.id)
    assert again == page
    page.set("views", 2).save()
    assert again is not None
    with pytest.raises(VersionConflict):
        again.set({"views": 9}).save()
    again.save(force=True)
    assert page.load().views == 9
    assert Page.using(bob).get(page.id) is None
    page.share("bob")
    shared = Page.using(bob).get(page.id)
    assert shared is not None
    assert shared.get("_auth") == ["ann", "bob"]
    page.unshare("bob")
    with pytest.raises(NotFoundOrNoAccess):
        Page.using(bob).delete(page.id)
    pages.delete(page.id)
    page.load()
    page.restore()
    page.delete()
    assert pages.get(page.id) is None
    assert pages.get(page.id, include_deleted=True) is not None
    page.purge()
    assert page.is_new
    loose = Page(project_id="p", slug="loose")
    assert pages.save(loose).get_data()["slug"] == "loose"
    assert Page.where(Page.slug == "loose").using(ann).count() == 1
    assert pages.where(slug="loose").exists()


def test_errors_are_the_same(ann: Store) -> None:
    pages = Page.using(ann)
    pages.create(project_id="p", slug="s")
    with pytest.raises(Duplicate):
        pages.create(project_id="p", slug="s")
    with pytest.raises(HookRefused, match="no such slug"):
        pages.create(project_id="p", slug="bad")
    with pytest.raises(ValidationError):
        pages.create(project_id=1, slug=2)
    with pytest.raises(UnknownField):
        pages.create(project_id="p", slug="x", nothing=1)


def test_before_initialize(blocking_datastore: Datastore) -> None:
    with pytest.raises(NotInitialized):
        Page.using(blocking_datastore.auth("ann")).create(project_id="p", slug="s")


def test_records_of_a_plain_definition(ann: Store) -> None:
    note = DataModel.create(PLAIN, {"title": "a"}, ann)
    assert note.set("n", 1).save().get("n") == 1
    found = DataModel.get(PLAIN, note.get("id"), ann)
    assert found is not None
    assert found.get_data() == note.get_data()
    made = DataModel.bulk_create(PLAIN, [{"title": f"t{n}", "n": n} for n in range(5)], ann)
    changed = DataModel.bulk_update(PLAIN, [{"id": one.get("id"), "n": 7} for one in made], ann)
    assert [one.get("n") for one in changed] == [7] * 5
    assert DataModel.query(PLAIN, ann).where(n=7).count() == 5
    DataModel.delete(PLAIN, note.get("id"), ann)
    assert DataModel.get(PLAIN, note.get("id"), ann) is None
    assert DataModel.get(PLAIN, note.get("id"), ann, include_deleted=True) is not None


def test_threads_that_write_one_record_lose_nothing(ann: Store) -> None:
    pages = Page.using(ann)
    page = pages.create(project_id="p", slug="s")

    def write(number: int) -> None:
        while True:
            own = pages.get(page.id)
            assert own is not None
            own.views += 1
            own.tags.append(str(number))
            try:
                own.save()
            except VersionConflict:
                continue
            return

    with ThreadPoolExecutor(10) as threads:
        list(threads.map(write, range(20)))
    assert page.load().views == 20
    assert sorted(page.tags, key=int) == [str(number) for number in range(20)]


def test_coroutines_are_no_hooks_here(ann: Store, caplog: pytest.LogCaptureFixture) -> None:
    async def hook(record: Record, event: Event) -> None: ...

    before = define(
        {"name": "NOTE", "fields": {"title": "string"}, "hooks": {"before_create": hook}}, registry=Models()
    )
    with pytest.raises(TypeError, match="is a coroutine function, and this client is blocking"):
        DataModel.create(before, {"title": "a"}, ann)
    after = define({"name": "NOTE", "fields": {"title": "string"}, "hooks": {"after_create": hook}}, registry=Models())
    with caplog.at_level(logging.ERROR, logger="petra.datastore"):
        assert not DataModel.create(after, {"title": "a"}, ann).is_new
    assert "hook.after_create" in caplog.text


def test_stores_of_the_other_tree_are_refused(ann: Store, datastore: AsyncDatastore) -> None:
    other: object = datastore.auth("ann")
    with pytest.raises(TypeError, match="is used with a Store"):
        Page.using(other)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="is used with a Store"):
        DataModel(PLAIN, other)  # type: ignore[arg-type]


def test_both_packages_have_the_same_names() -> None:
    assert petra.sync.datamodel.__all__ == petra.datamodel.__all__


@pytest.mark.parametrize("name", ["Bound", "DataModel", "Model", "Query", "Record"])
def test_both_trees_have_the_same_methods(name: str) -> None:
    asynchronous, blocking = [
        {
            member: [(one.name, one.kind) for one in inspect.signature(found).parameters.values()]
            for member, found in inspect.getmembers(getattr(module, name), callable)
            if not member.startswith("_")
        }
        for module in (petra.datamodel, petra.sync.datamodel)
    ]
    assert asynchronous == blocking
    assert asynchronous
