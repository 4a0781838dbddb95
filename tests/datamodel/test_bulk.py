"""Many records at once: in portions, each as a whole or not at all, and told how far they came."""

from __future__ import annotations

import asyncio

import pytest

from petra.datamodel import BulkFailed, DataModel, Duplicate, Models, ValidationError, define
from petra.datamodel.portions import PORTION_RECORDS
from petra.datastore import Datastore, NotFoundOrNoAccess, Store
from petra.errors import InvalidArgument
from tests.datamodel.agreement import make_tables, stored

MODEL = define(
    {
        "name": "ITEM",
        "fields": {"code": {"type": "string", "required": True}, "n": "int", "body": "text"},
        "d1": {"table": "items", "unique": ["code"]},
    },
    registry=Models(),
)
MANY = 2 * PORTION_RECORDS + 1


async def test_many_records_are_made_and_changed(ann: Store, bob: Store, datastore: Datastore) -> None:
    await make_tables(datastore, MODEL)
    items = await DataModel.bulk_create(MODEL, ({"code": f"c{n}", "n": n} for n in range(MANY)), ann)
    assert [item.get("n") for item in items] == list(range(MANY))
    assert not any(item.is_new or item.changes for item in items)
    assert len(await stored(datastore.database, MODEL)) == MANY
    rows = [{"id": item.get("id"), "n": -1} for item in items]
    changed = await DataModel.bulk_update(MODEL, rows, ann)
    assert [one.get("id") for one in changed] == [item.get("id") for item in items]
    values = await stored(datastore.database, MODEL)
    assert {value["n"] for value in values.values()} == {-1}
    assert {value["code"] for value in values.values()} == {f"c{n}" for n in range(MANY)}
    assert await DataModel.query(MODEL, bob).count() == 0
    await changed[0].set("n", 5).save()
    assert await DataModel.bulk_create(MODEL, [], ann) == []
    assert await DataModel.bulk_update(MODEL, [], ann) == []


async def test_records_that_are_large_together_are_written_in_several_portions(
    ann: Store, datastore: Datastore
) -> None:
    await make_tables(datastore, MODEL)
    body = "x" * 1_900_000
    items = await DataModel.bulk_create(MODEL, [{"code": f"c{n}", "body": body} for n in range(5)], ann)
    await DataModel.bulk_update(MODEL, [{"id": item.get("id"), "n": 1} for item in items[:2]], ann)
    values = await stored(datastore.database, MODEL)
    assert [len(value["body"]) for value in values.values()] == [len(body)] * 5  # type: ignore[arg-type]


async def test_all_are_validated_before_any_is_written(ann: Store, datastore: Datastore) -> None:
    await make_tables(datastore, MODEL)
    rows: list[dict[str, object]] = [{"code": f"c{n}"} for n in range(MANY)]
    rows[3] = {"n": 1}
    rows[MANY - 1] = {"code": 7, "n": "x"}
    with pytest.raises(ValidationError) as raised:
        await DataModel.bulk_create(MODEL, rows, ann)
    assert raised.value.errors.keys() == {"[3].code", f"[{MANY - 1}].code", f"[{MANY - 1}].n"}
    assert await stored(datastore.database, MODEL) == {}
    (item,) = await DataModel.bulk_create(MODEL, [{"code": "a"}], ann)
    with pytest.raises(ValidationError) as raised:
        await DataModel.bulk_update(MODEL, [{"id": item.get("id"), "n": "x"}], ann)
    assert raised.value.errors.keys() == {"[0].n"}


async def test_a_portion_that_fails_is_not_written_and_those_before_it_are(ann: Store, datastore: Datastore) -> None:
    await make_tables(datastore, MODEL)
    await DataModel.create(MODEL, {"code": "taken"}, ann)
    rows = [{"code": f"c{n}"} for n in range(MANY)]
    rows[PORTION_RECORDS + 5] = {"code": "taken"}
    with pytest.raises(BulkFailed) as raised:
        await DataModel.bulk_create(MODEL, rows, ann)
    assert raised.value.written == PORTION_RECORDS
    assert isinstance(raised.value.__cause__, Duplicate)
    values = await stored(datastore.database, MODEL)
    assert {value["code"] for value in values.values()} == {"taken", *(f"c{n}" for n in range(PORTION_RECORDS))}
    with pytest.raises(Duplicate):
        await DataModel.bulk_create(MODEL, [{"code": "new"}, {"code": "taken"}], ann)
    assert await stored(datastore.database, MODEL) == values


async def test_a_record_that_is_not_seen_stops_all(ann: Store, bob: Store, datastore: Datastore) -> None:
    await make_tables(datastore, MODEL)
    own = await DataModel.bulk_create(MODEL, [{"code": f"c{n}"} for n in range(MANY)], ann)
    foreign = await DataModel.create(MODEL, {"code": "bob's"}, bob)
    deleted = await DataModel.create(MODEL, {"code": "gone"}, ann)
    await deleted.delete()
    before = await stored(datastore.database, MODEL)
    for wrong in (foreign.get("id"), deleted.get("id"), "nobody"):
        rows = [{"id": item.get("id"), "n": 1} for item in own]
        with pytest.raises(NotFoundOrNoAccess):
            await DataModel.bulk_update(MODEL, [*rows, {"id": wrong, "n": 1}], ann)
        assert await stored(datastore.database, MODEL) == before


@pytest.mark.parametrize("rows", [[{"n": 1}], [{"id": 7}], [{"id": "a"}, {"id": "a"}]])
async def test_what_says_no_record_is_refused(rows: list[dict[str, object]], ann: Store) -> None:
    with pytest.raises(InvalidArgument):
        await DataModel.bulk_update(MODEL, rows, ann)


async def test_nothing_that_others_change_meanwhile_is_lost(ann: Store, datastore: Datastore) -> None:
    await make_tables(datastore, MODEL)
    items = await DataModel.bulk_create(MODEL, [{"code": f"c{n}"} for n in range(40)], ann)
    ids = [item.get("id") for item in items]
    await asyncio.gather(
        DataModel.bulk_update(MODEL, [{"id": one, "n": 1} for one in ids], ann),
        DataModel.bulk_update(MODEL, [{"id": one, "body": "b"} for one in reversed(ids)], ann),
        DataModel.bulk_update(MODEL, [{"id": one, "code": f"x{one}"} for one in ids], ann),
    )
    values = await stored(datastore.database, MODEL)
    assert [(values[one]["n"], values[one]["body"], values[one]["code"]) for one in ids] == [
        (1, "b", f"x{one}") for one in ids
    ]


async def test_records_that_move_are_moved(ann: Store, datastore: Datastore) -> None:
    model = define(
        {"name": "T", "fields": {"code": "string", "n": "int"}, "kv": {"key_pattern": "t:{code}"}}, registry=Models()
    )
    await make_tables(datastore, model)
    items = await DataModel.bulk_create(model, [{"code": f"c{n}"} for n in range(3)], ann)
    await DataModel.bulk_update(
        model, [{"id": item.get("id"), "code": f"d{n}", "n": n} for n, item in enumerate(items)], ann
    )
    values = await stored(datastore.database, model)
    assert sorted((value["code"], value["n"]) for value in values.values()) == [("d0", 0), ("d1", 1), ("d2", 2)]
