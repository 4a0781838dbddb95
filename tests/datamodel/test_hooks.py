"""Hooks: when they are called and with what, what they may change, and what comes of their errors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from petra import AsyncClient
from petra.datamodel import (
    Change,
    DataModel,
    Duplicate,
    Event,
    HookRefused,
    Model,
    ModelDefinition,
    Models,
    Record,
    ValidationError,
    define,
)
from petra.datamodel.definition import HOOK_NAMES
from petra.datamodel.typed import definition_of_class
from petra.datastore import Datastore, NotFoundOrNoAccess, Store
from petra.testing import TestServer
from tests.datamodel.agreement import make_tables, stored

NO_HOOKS: dict[str, object] = {}


def model_with(hooks: dict[str, object], **parts: object) -> ModelDefinition:
    fields = {"title": {"type": "string", "required": True}, "n": "int"}
    return define(
        {"name": "T", "fields": fields, "d1": {"unique": ["title"]}, "hooks": hooks, **parts}, registry=Models()
    )


class Calls:
    """Notes which hooks were called, in order."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, Change]]] = []

    def hook(self, record: Record, event: Event) -> None:
        assert event.model == "T"
        assert event.user_id == "ann"
        self.seen.append((event.name, dict(event.changes)))

    async def awaited(self, record: Record, event: Event) -> None:
        await asyncio.sleep(0)
        self.hook(record, event)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.seen]


@pytest.mark.parametrize("awaited", [False, True])
async def test_each_operation_calls_its_hooks(awaited: bool, ann: Store, datastore: Datastore) -> None:
    calls = Calls()
    hook = calls.awaited if awaited else calls.hook
    model = model_with(dict.fromkeys(HOOK_NAMES, hook))
    await make_tables(datastore, model)
    record = await DataModel.create(model, {"title": "a"}, ann)
    await record.set("n", 1).save()
    await record.save()
    await record.delete()
    await record.restore()
    await record.restore()
    await record.purge()
    assert calls.names == [
        "before_create",
        "after_create",
        "before_update",
        "after_update",
        "before_delete",
        "after_delete",
        "before_restore",
        "after_restore",
        "before_delete",
        "after_delete",
    ]
    seen = calls.seen
    assert seen[0][1]["title"] == Change(None, "a")
    assert seen[1][1]["user_id"] == Change(None, "ann")
    assert seen[2][1] == seen[3][1] == {"n": Change(None, 1)}
    assert seen[5][1]["deleted_at"].before is None
    assert seen[7][1]["deleted_at"].after is None


async def test_a_deleted_record_is_purged_without_hooks_of_deletion(ann: Store, datastore: Datastore) -> None:
    calls = Calls()
    model = model_with(dict.fromkeys(HOOK_NAMES, calls.hook))
    await make_tables(datastore, model)
    record = await DataModel.create(model, {"title": "a"}, ann)
    await record.delete()
    calls.seen.clear()
    await record.purge()
    assert calls.names == []


async def test_hooks_before_may_change_the_data_and_it_is_validated_then(ann: Store, datastore: Datastore) -> None:
    def trim(record: Record, event: Event) -> None:
        record.set("title", str(record.get("title")).strip())

    async def count(record: Record, event: Event) -> None:
        record.set("n", len(record.get("title")))

    model = model_with({"before_create": [trim, count], "before_update": count})
    await make_tables(datastore, model)
    record = await DataModel.create(model, {"title": "  abc "}, ann)
    value = (await stored(datastore.database, model))[record.get("id")]
    assert (value["title"], value["n"]) == ("abc", 3)
    await record.set("title", "ab").save()
    assert (await stored(datastore.database, model))[record.get("id")]["n"] == 2

    wrong = model_with({"before_create": lambda record, event: record.set("n", "many")})
    with pytest.raises(ValidationError):
        await DataModel.create(wrong, {"title": "x"}, ann)


async def test_hooks_before_may_refuse_and_nothing_is_written(ann: Store, datastore: Datastore) -> None:
    def refuse(record: Record, event: Event) -> None:
        event.refuse(f"no {event.name} on Sundays")

    plain = model_with(NO_HOOKS)
    await make_tables(datastore, plain)
    record = await DataModel.create(plain, {"title": "a"}, ann)
    deleted = await DataModel.create(plain, {"title": "b"}, ann)
    await deleted.delete()
    before = await stored(datastore.database, plain)
    strict = model_with({name: refuse for name in HOOK_NAMES if name.startswith("before")})
    attempts: list[tuple[str, Callable[[DataModel, DataModel], object]]] = [
        ("before_update", lambda live, dead: live.set("n", 1).save()),
        ("before_delete", lambda live, dead: live.delete()),
        ("before_delete", lambda live, dead: live.purge()),
        ("before_delete", lambda live, dead: DataModel.delete(strict, live.get("id"), ann)),
        ("before_restore", lambda live, dead: dead.restore()),
        ("before_create", lambda live, dead: DataModel.create(strict, {"title": "c"}, ann)),
        ("before_create", lambda live, dead: DataModel.bulk_create(strict, [{"title": "c"}], ann)),
        ("before_update", lambda live, dead: DataModel.bulk_update(strict, [{"id": live.get("id"), "n": 1}], ann)),
    ]
    for name, attempt in attempts:
        live = await DataModel.get(strict, record.get("id"), ann)
        dead = await DataModel.get(strict, deleted.get("id"), ann, include_deleted=True)
        assert live is not None
        assert dead is not None
        with pytest.raises(HookRefused, match=f"no {name} on Sundays"):
            await attempt(live, dead)  # type: ignore[misc]
        assert await stored(datastore.database, plain) == before


async def test_other_errors_of_hooks_before_are_raised_as_they_are(ann: Store, datastore: Datastore) -> None:
    def fail(record: Record, event: Event) -> None:
        raise ZeroDivisionError("oops")

    model = model_with({"before_create": fail})
    await make_tables(datastore, model)
    with pytest.raises(ZeroDivisionError, match="oops"):
        await DataModel.create(model, {"title": "a"}, ann)
    assert await stored(datastore.database, model) == {}


async def test_errors_of_hooks_after_are_logged_and_fail_nothing(
    ann: Store, datastore: Datastore, caplog: pytest.LogCaptureFixture
) -> None:
    calls = Calls()

    async def fail(record: Record, event: Event) -> None:
        raise ZeroDivisionError(event.name)

    model = model_with({name: [fail, calls.hook] for name in HOOK_NAMES if name.startswith("after")})
    await make_tables(datastore, model)
    with caplog.at_level(logging.ERROR, logger="petra.datastore"):
        record = await DataModel.create(model, {"title": "a"}, ann)
        await record.set("n", 1).save()
        await record.delete()
        await record.restore()
        await DataModel.bulk_create(model, [{"title": "b"}], ann)
        await DataModel.bulk_update(model, [{"id": record.get("id"), "n": 2}], ann)
    expected = ["after_create", "after_update", "after_delete", "after_restore", "after_create", "after_update"]
    assert calls.names == expected
    logged = [entry.exc_info[1] for entry in caplog.records if entry.exc_info]
    assert [str(error) for error in logged] == expected
    assert all(isinstance(error, ZeroDivisionError) for error in logged)


async def test_a_structured_logger_gets_the_error_in_fields(client: AsyncClient) -> None:
    class Structured:
        def __init__(self) -> None:
            self.errors: list[tuple[str, dict[str, object]]] = []

        def info(self, event: str, /, **fields: object) -> None: ...

        def warning(self, event: str, /, **fields: object) -> None: ...

        def error(self, event: str, /, **fields: object) -> None:
            self.errors.append((event, fields))

    failure, logger = ZeroDivisionError("oops"), Structured()

    def fail(record: Record, event: Event) -> None:
        raise failure

    model = model_with({"after_create": fail})
    datastore = Datastore(client, logger=logger)
    await make_tables(datastore, model)
    await DataModel.create(model, {"title": "a"}, datastore.auth("ann"))
    ((event, fields),) = logger.errors
    assert event == "datastore.hook.after_create"
    assert (fields["storage_class"], fields["outcome"], fields["exc_info"]) == ("T", "ZeroDivisionError", failure)


async def test_hooks_after_run_when_the_record_is_stored(ann: Store, datastore: Datastore) -> None:
    found: list[object] = []

    async def look(record: Record, event: Event) -> None:
        again = await DataModel.get(model, record.get("id"), event.store)
        found.append(None if again is None else again.get("n"))
        assert not record.is_new
        assert record.changes == {}

    model = model_with({"after_create": look, "after_update": look, "after_delete": look})
    await make_tables(datastore, model)
    record = await DataModel.create(model, {"title": "a", "n": 1}, ann)
    await record.set("n", 2).save()
    await record.delete()
    assert found == [1, 2, None]


async def test_hooks_after_run_only_for_what_was_written(ann: Store, datastore: Datastore) -> None:
    calls = Calls()
    model = model_with({name: calls.hook for name in HOOK_NAMES if name.startswith("after")})
    await make_tables(datastore, model)
    record = await DataModel.create(model, {"title": "a"}, ann)
    calls.seen.clear()
    with pytest.raises(Duplicate):
        await DataModel.create(model, {"title": "a"}, ann)
    with pytest.raises(ValidationError):
        await record.set("n", "x").save()
    with pytest.raises(NotFoundOrNoAccess):
        await DataModel.delete(model, "nobody", ann)
    assert calls.names == []


async def test_a_write_before_hooks_is_on_the_disk_whatever_the_client_says(server: TestServer, namespace: str) -> None:
    """The server does not tell how a write was acknowledged, so the call itself is looked at."""
    sent: list[object] = []
    async with AsyncClient(server.address, namespace=namespace, durability="buffered") as client:
        datastore = Datastore(client)
        store = datastore.auth("ann")
        hooked, plain = model_with({"after_create": lambda record, event: None}), model_with(NO_HOOKS, name="P")
        await make_tables(datastore, hooked, plain)
        transact = store.database.transact

        async def spy(function: object, **options: object) -> object:
            sent.append(options.get("durability"))
            return await transact(function, **options)  # type: ignore[arg-type]

        store.database.transact = spy  # type: ignore[method-assign,assignment]
        await DataModel.create(hooked, {"title": "a"}, store)
        await DataModel.bulk_create(hooked, [{"title": "b"}], store)
        await DataModel.create(plain, {"title": "a"}, store)
    assert sent == ["fsync", "fsync", None]


async def test_methods_of_a_class_are_its_hooks(ann: Store, datastore: Datastore) -> None:
    told: list[object] = []

    class Task(Model, registry=Models()):
        title: str
        words: int = 0

        def before_create(self, event: Event) -> None:
            self.words = len(self.title.split())
            if not self.words:
                event.refuse("a title has words")

        async def after_update(self, event: Event) -> None:
            told.append((self.title, event.changes))

    await make_tables(datastore, definition_of_class(Task))
    tasks = Task.using(ann)
    task = await tasks.create(title="wash the dog")
    assert task.words == 3
    with pytest.raises(HookRefused, match="a title has words"):
        await tasks.create(title="")
    task.title = "feed the dog"
    await task.save()
    assert told == [("feed the dog", {"title": Change("wash the dog", "feed the dog")})]
    loaded = await tasks.get(task.id)
    assert loaded is not None
    assert loaded.words == 3


async def test_a_deletion_by_id_that_was_overtaken_asks_the_hooks_again(ann: Store, datastore: Datastore) -> None:
    seen: list[object] = []

    async def meddle(record: Record, event: Event) -> None:
        seen.append(record.get("n"))
        if len(seen) == 1:
            other = await DataModel.get(plain, record.get("id"), ann)
            assert other is not None
            await other.set("n", 2).save()

    plain, model = model_with(NO_HOOKS), model_with({"before_delete": meddle})
    await make_tables(datastore, plain)
    record = await DataModel.create(plain, {"title": "a", "n": 1}, ann)
    await DataModel.delete(model, record.get("id"), ann)
    assert seen == [1, 2]
    assert await DataModel.get(plain, record.get("id"), ann) is None
