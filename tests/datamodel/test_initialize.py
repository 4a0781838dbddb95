"""Tables, columns, backfills and seeds on a real server: done once, however often and by however many at once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import replace

import pytest

import petra.sync.datamodel as blocking
from petra import AsyncClient
from petra.datamodel import (
    DataModel,
    Duplicate,
    MigrationRefused,
    MissingVariable,
    ModelDefinition,
    NotInitialized,
    Progress,
    SeedDefinition,
    ValidationError,
    initialize,
    migration_history,
    migration_plan,
    reconcile,
)
from petra.datamodel.backfill import BATCH
from petra.datamodel.define import read_definition
from petra.datastore import Datastore, Store
from petra.errors import InvalidArgument
from petra.sync.datastore import Datastore as BlockingDatastore
from petra.testing import TestServer
from tests.cli.runner import environment
from tests.datamodel.agreement import stored
from tests.datamodel.models import PLAIN, Page, definition
from tests.datamodel.seeded import SEEDED

FIELDS: Mapping[str, object] = {"title": {"type": "string", "required": True}, "status": "string"}


def model(fields: Mapping[str, object] = FIELDS, seeds: object = None, **d1: object) -> ModelDefinition:
    return read_definition({"name": "ITEM", "fields": fields, "d1": {"table": "items", **d1}, "seeds": seeds})


async def titles(store: Store, made: ModelDefinition, **where: object) -> list[str]:
    found = await DataModel.query(made, store).where(**where).order_by("title").limit(1000).list()
    return [row["title"] for row in found]


async def test_the_first_time_makes_everything_and_the_second_nothing(datastore: Datastore) -> None:
    first = await initialize(datastore, [PLAIN, Page])
    assert first.tables_created == ("plain_pages", "pages")
    assert first.indexes_created == (
        "plain_pages(status,-created_at)",
        "unique plain_pages(project_id,slug)",
        "pages(status,-created_at)",
        "unique pages(project_id,slug)",
    )
    assert first.skipped == first.columns_added == ()
    assert first.duration_ms > 0
    second = await initialize(datastore, [PLAIN, Page])
    assert second.tables_created == second.indexes_created == second.columns_added == second.seeds_run == ()
    assert {*first.tables_created, *first.indexes_created} <= set(second.skipped)
    assert set(second.as_dict()) == {
        "tables_created",
        "columns_added",
        "indexes_created",
        "seeds_run",
        "skipped",
        "duration_ms",
    }


async def test_the_blocking_twin_does_the_same(blocking_datastore: BlockingDatastore, datastore: Datastore) -> None:
    seed = {"data": [{"title": "a"}]}

    def work() -> None:
        assert blocking.migration_plan(blocking_datastore, [model(seeds=seed)]).steps
        done = blocking.initialize(blocking_datastore, [model(seeds=seed)])
        assert (done.tables_created, done.seeds_run) == (("items",), ("ITEM[0]",))
        wider = model({**FIELDS, "owner": {"type": "string", "default": "x"}})
        assert blocking.initialize(blocking_datastore, [wider]).columns_added == ("items.owner",)
        assert blocking.reconcile(blocking_datastore, wider).agrees
        assert [step.kind for step in blocking.migration_history(blocking_datastore)]

    await asyncio.to_thread(work)
    assert await titles(datastore.system(), model()) == ["a"]


async def test_every_step_is_recorded(datastore: Datastore) -> None:
    assert await migration_history(datastore) == []
    await initialize(datastore, [model(indexes=["status"], seeds={"data": [{"title": "a"}]})])
    found = await migration_history(datastore)
    assert {(step.id, step.kind, step.run, step.state) for step in found} == {
        ("table:items", "table", 1, "done"),
        ("index:items(status)", "index", 1, "done"),
        ("seed:ITEM[0]", "seed", 1, "done"),
    }


async def test_before_it_queries_say_what_is_missing(datastore: Datastore) -> None:
    with pytest.raises(NotInitialized, match="initialize"):
        await DataModel.query(model(), datastore.system()).list()


async def test_a_new_field_is_filled_from_the_objects(datastore: Datastore, ann: Store) -> None:
    narrow = model({**FIELDS, "owner": "string", "tags": "array"}, sync_fields=["title"])
    await initialize(datastore, [narrow])
    count = BATCH + 5
    rows = [{"title": f"t{number:03}", "owner": f"o{number % 3}", "tags": [number]} for number in range(count)]
    await DataModel.bulk_create(narrow, rows, ann)
    gone = await DataModel.query(narrow, ann).where(title="t003").with_data().first()
    assert gone is not None
    await gone.delete()
    seen: list[Progress] = []
    wide = model(
        {**FIELDS, "owner": "string", "tags": "array", "age": {"type": "int", "default": 7}},
        sync_fields=["title", "owner", "tags", "age"],
        indexes=["owner"],
    )
    done = await initialize(datastore, [wide], progress=seen.append)
    assert done.columns_added == ("items.owner", "items.tags", "items.age")
    assert [(step.done, step.total) for step in seen] == [(BATCH, count), (count, count)]
    assert seen[0].fields == ("owner", "tags", "age")
    assert len(await titles(ann, wide, owner="o1", age=7)) == sum(number % 3 == 1 for number in range(count))
    assert await titles(ann, wide, tags=[4]) == ["t004"]
    assert (await reconcile(datastore, wide)).agrees
    assert (await migration_plan(datastore, [wide])).is_empty


async def test_an_interrupted_backfill_goes_on_where_it_was(datastore: Datastore, ann: Store) -> None:
    narrow = model({**FIELDS, "owner": "string"}, sync_fields=["title"])
    await initialize(datastore, [narrow])
    await DataModel.bulk_create(narrow, [{"title": f"t{number}", "owner": "o"} for number in range(2 * BATCH + 1)], ann)
    wide = model({**FIELDS, "owner": "string"})

    def interrupt(_progress: Progress) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError):
        await initialize(datastore, [wide], progress=interrupt)
    pending = (await migration_plan(datastore, [wide])).pending
    assert list(pending) == ["backfill:items(status,owner)"]
    assert await DataModel.query(wide, ann).where(owner="o").count() == BATCH
    seen: list[Progress] = []
    again = await initialize(datastore, [wide], progress=seen.append)
    assert again.columns_added == ()
    assert [(step.done, step.total) for step in seen] == [(2 * BATCH, 2 * BATCH + 1), (2 * BATCH + 1, 2 * BATCH + 1)]
    assert await DataModel.query(wide, ann).where(owner="o").count() == 2 * BATCH + 1


async def test_a_save_during_a_backfill_is_not_undone(datastore: Datastore, ann: Store) -> None:
    narrow = model({**FIELDS, "owner": "string"}, sync_fields=["title"])
    await initialize(datastore, [narrow])
    await DataModel.bulk_create(narrow, [{"title": f"t{number}", "owner": "o"} for number in range(BATCH + 50)], ann)
    wide = model({**FIELDS, "owner": "string"})
    stop = asyncio.Event()

    async def save() -> int:
        """Changes records all the time, in the way of the backfill."""
        saved = 0
        while not stop.is_set():
            for record in await DataModel.query(narrow, ann).limit(50).offset(saved % 200).with_data().list():
                full = await DataModel.using(narrow, ann).get(record.get("id"))
                assert full is not None
                await full.set("owner", f"new{saved}").save()
                saved += 1
        return saved

    saving = asyncio.create_task(save())
    await initialize(datastore, [wide])
    stop.set()
    assert await saving
    # An older program does not know the column: what it has saved since is reconciled.
    found = await reconcile(datastore, wide, repair=True)
    assert set(found.counts) <= {"row_differs"}
    assert (await reconcile(datastore, wide)).agrees


async def test_what_was_unique_only_in_thought_is_named(datastore: Datastore, ann: Store) -> None:
    await initialize(datastore, [model()])
    await DataModel.bulk_create(model(), [{"title": "same"}, {"title": "same"}], ann)
    with pytest.raises(Duplicate) as error:
        await initialize(datastore, [model(unique=["title"])])
    assert error.value.fields == ("title",)
    assert [step.name for step in (await migration_plan(datastore, [model(unique=["title"])])).steps]


async def test_what_is_deleted_does_not_stand_in_the_way_of_what_is_unique(datastore: Datastore, ann: Store) -> None:
    unique = model(unique=["title"])
    await initialize(datastore, [unique])
    first = await DataModel.create(unique, {"title": "a"}, ann)
    await first.delete()
    await DataModel.create(unique, {"title": "a"}, ann)
    with pytest.raises(Duplicate):
        await first.restore()


async def test_a_refusal_changes_nothing_of_any_model(datastore: Datastore) -> None:
    await initialize(datastore, [model()])
    with pytest.raises(MigrationRefused) as error:
        await initialize(datastore, [PLAIN, model({"title": "int"})])
    assert [refusal.kind for refusal in error.value.refusals] == ["retype", "drop"]
    assert "Backup" in str(error.value)
    assert (await migration_plan(datastore, [PLAIN])).steps


# Seeds.


async def test_seeds_for_an_empty_table_are_made_once(datastore: Datastore, system: Store) -> None:
    seed = {"strategy": "if_empty", "data": [{"title": "a"}, {"title": "b"}]}
    assert (await initialize(datastore, [model(seeds=seed)])).seeds_run == ("ITEM[0]",)
    more = {"strategy": "if_empty", "data": [{"title": "a"}, {"title": "b"}, {"title": "c"}]}
    again = await initialize(datastore, [model(seeds=more)])
    assert again.seeds_run == ()
    assert "ITEM[0]" in again.skipped
    assert await titles(system, model()) == ["a", "b"]


async def test_missing_seeds_are_made_and_others_stay_as_they_are(datastore: Datastore, system: Store) -> None:
    await initialize(datastore, [model(seeds={"match": ["title"], "data": [{"title": "a", "status": "x"}]})])
    made = await DataModel.query(model(), system).where(title="a").with_data().first()
    assert made is not None
    await made.set("status", "changed").save()
    wider = {"match": ["title"], "data": [{"title": "a", "status": "x"}, {"title": "b", "status": "y"}]}
    assert (await initialize(datastore, [model(seeds=wider)])).seeds_run == ("ITEM[0]",)
    assert (await initialize(datastore, [model(seeds=wider)])).seeds_run == ()
    assert await titles(system, model(), status="changed") == ["a"]
    assert await titles(system, model()) == ["a", "b"]


async def test_a_seed_that_was_deleted_does_not_come_back(datastore: Datastore, system: Store) -> None:
    seeds = model(seeds={"data": [{"title": "a"}]})
    await initialize(datastore, [seeds])
    made = await DataModel.query(seeds, system).with_data().first()
    assert made is not None
    await made.delete()
    assert (await initialize(datastore, [seeds])).seeds_run == ()
    assert await titles(system, seeds) == []


async def test_seeds_for_always_are_made_anew_each_time(datastore: Datastore, system: Store) -> None:
    seeds = model(seeds={"strategy": "always", "match": ["title"], "data": [{"title": "a", "status": "x"}]})
    await initialize(datastore, [seeds])
    made = await DataModel.query(seeds, system).with_data().first()
    assert made is not None
    await made.set("status", "changed").save()
    assert (await initialize(datastore, [seeds])).seeds_run == ("ITEM[0]",)
    assert await titles(system, seeds, status="x") == ["a"]
    (before,) = (await stored(datastore.database, seeds)).values()
    assert (await initialize(datastore, [seeds])).seeds_run == ("ITEM[0]",)
    assert [before] == list((await stored(datastore.database, seeds)).values())


async def test_variables_are_replaced_wherever_they_are(datastore: Datastore, system: Store) -> None:
    fields = {**FIELDS, "more": "json"}
    seeds = model(
        fields, seeds={"data": [{"title": "$${A}: ${A}-${B}", "status": "$A", "more": {"list": ["${A}", 1]}}]}
    )
    await initialize(datastore, [seeds], environment={"A": "x", "B": "${A}"})
    (made,) = (await stored(datastore.database, seeds)).values()
    assert (made["title"], made["status"], made["more"]) == ("${A}: x-${A}", "$A", {"list": ["x", 1]})


async def test_a_missing_variable_is_named_and_nothing_is_seeded(datastore: Datastore, system: Store) -> None:
    seeds = model(seeds={"data": [{"title": "a"}, {"title": "${PETRA_TEST_NOWHERE}"}]})
    with pytest.raises(MissingVariable, match="PETRA_TEST_NOWHERE") as error:
        await initialize(datastore, [seeds])
    assert error.value.field == "PETRA_TEST_NOWHERE"
    assert await titles(system, seeds) == []


async def test_variables_are_those_of_the_process(
    datastore: Datastore, system: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEEDED_TITLE", "from outside")
    await initialize(datastore, [model(seeds={"data": [{"title": "${SEEDED_TITLE}"}]})])
    assert await titles(system, model()) == ["from outside"]


async def test_a_seed_that_is_not_valid_says_so(datastore: Datastore, system: Store) -> None:
    with pytest.raises(ValidationError) as error:
        await initialize(datastore, [model(seeds={"data": [{"title": "a"}, {"title": None}]})])
    assert error.value.errors == {"title": ["is required"]}
    with pytest.raises(InvalidArgument, match="created_at"):
        await initialize(datastore, [model(seeds={"data": [{"title": "a", "created_at": None}]})])
    assert await titles(system, model()) == []


@pytest.mark.parametrize(
    ("data", "match"),
    [([{"title": "a"}, {"title": "a"}], []), ([{"title": "a"}, {"title": "a", "status": "x"}], ["title"])],
)
async def test_a_seed_that_means_one_record_twice_says_so(
    datastore: Datastore, system: Store, data: list[object], match: list[str]
) -> None:
    with pytest.raises(InvalidArgument, match="a record twice"):
        await initialize(datastore, [model(seeds={"match": match, "data": data})])
    assert await titles(system, model()) == []


async def test_a_seed_may_belong_to_a_user(datastore: Datastore, ann: Store, bob: Store) -> None:
    seeds = model(seeds={"data": [{"title": "a", "user_id": "${OWNER}"}]})
    await initialize(datastore, [seeds], environment={"OWNER": "ann"})
    assert await titles(ann, seeds) == ["a"]
    assert await titles(bob, seeds) == []


async def test_seeds_of_typed_models_are_validated_by_their_class(datastore: Datastore, system: Store) -> None:
    typed = definition("typed")

    def with_seed(**data: object) -> ModelDefinition:
        own = tuple(one for one in typed.fields if not one.built_in)
        return replace(typed, fields=own, seeds=(SeedDefinition((data,)),))

    with pytest.raises(ValidationError) as error:
        await initialize(datastore, [with_seed(project_id="p", slug="s", status="nonsense")])
    assert list(error.value.errors) == ["status"]
    await initialize(datastore, [with_seed(project_id="p", slug="s")])
    assert await Page.query().using(system).count() == 1


async def test_seeds_of_many_records_are_made_in_portions(datastore: Datastore, system: Store) -> None:
    seeds = model(seeds={"strategy": "if_empty", "data": [{"title": f"t{number:03}"} for number in range(250)]})
    await initialize(datastore, [seeds])
    assert await DataModel.query(seeds, system).count() == 250
    assert (await initialize(datastore, [seeds])).seeds_run == ()


# Several at once.


async def test_many_at_once_do_each_thing_once(
    server: TestServer, namespace: str, datastore: Datastore, system: Store
) -> None:
    await initialize(datastore, [model()])
    await DataModel.create(model(), {"title": "old"}, system)
    clients = [AsyncClient(server.address, namespace=namespace) for _ in range(6)]
    done = await asyncio.gather(*(initialize(Datastore(client), [SEEDED, PLAIN]) for client in clients))
    for client in clients:
        await client.close()
    for what in ("tables_created", "columns_added", "indexes_created"):
        made = [name for one in done for name in getattr(one, what)]
        assert len(made) == len(set(made)), what
    assert {name for one in done for name in one.tables_created} == {"plain_pages"}
    assert await titles(system, SEEDED) == ["always", "missing", "old"]
    assert await DataModel.query(SEEDED, system).where(owner="o").count() == 3
    assert (await reconcile(datastore, SEEDED)).agrees
    assert (await migration_plan(datastore, [SEEDED, PLAIN])).is_empty


async def test_many_at_once_on_a_fresh_database_seed_it_once(
    server: TestServer, namespace: str, datastore: Datastore, system: Store
) -> None:
    clients = [AsyncClient(server.address, namespace=namespace) for _ in range(6)]
    await asyncio.gather(*(initialize(Datastore(client), [SEEDED]) for client in clients))
    for client in clients:
        await client.close()
    assert await titles(system, SEEDED) == ["always", *(f"empty{number}" for number in range(5)), "missing"]
    assert (await reconcile(datastore, SEEDED)).agrees


_PROGRAM = """
import asyncio, sys
from petra import AsyncClient
from petra.datamodel import initialize
from petra.datastore import Datastore
from tests.datamodel.seeded import SEEDED

async def main():
    async with AsyncClient(sys.argv[1], namespace=sys.argv[2]) as client:
        await initialize(Datastore(client), [SEEDED])

asyncio.run(main())
"""


async def test_several_processes_may_start_at_once(
    server: TestServer, namespace: str, datastore: Datastore, system: Store
) -> None:
    command = [sys.executable, "-c", _PROGRAM, server.address, namespace]
    variables = environment()
    variables["PYTHONPATH"] += ":."
    started = [await asyncio.create_subprocess_exec(*command, env=variables) for _ in range(2)]
    assert [await process.wait() for process in started] == [0, 0]
    assert len(await titles(system, SEEDED)) == 7
    assert (await reconcile(datastore, SEEDED)).agrees
