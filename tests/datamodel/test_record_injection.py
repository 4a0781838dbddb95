"""What a user may pass is data: no string of it becomes SQL, another key, or another model's field."""

from __future__ import annotations

import pytest

from petra.datamodel import DataModel, DefinitionError, Model, Models, UnknownField, UnknownModel, define
from petra.datamodel.typed import definition_of_class
from petra.datastore import Datastore, NotFoundOrNoAccess, Store
from petra.errors import InvalidArgument, PetraError
from tests.datamodel.agreement import make_tables, stored

ATTACKS = [
    "'; DROP TABLE notes; --",
    '"; DROP TABLE "notes"; --',
    "notes WHERE 1=1; DELETE FROM notes; --",
    "x') ON CONFLICT DO UPDATE SET title = 'hacked' --",
    "' OR '1'='1",
    "1 UNION SELECT * FROM notes__auth",
    "%",
    "_",
    "note:victim",
    "../victim",
    "{id}",
    "{0.__class__}",
    "${HOME}",
    "?",
    ":user",
    "\x00victim",
    "victim\x00",
    "victim ",
    "\u202evictim",
    "_auth",
    "__auth",
    "sqlite_master",
    "a" * 3_000,
]
MODEL = define(
    {
        "name": "NOTE",
        "fields": {"title": "string", "n": "int", "body": "json"},
        "kv": {"key_pattern": "note:{id}"},
        "d1": {"table": "notes", "unique": ["title"]},
    },
    registry=Models(),
)


class Doc(Model, table="docs", registry=Models()):
    title: str
    n: int = 0


async def victim(datastore: Datastore, bob: Store) -> dict[str, dict[str, object]]:
    await make_tables(datastore, MODEL, definition_of_class(Doc))
    await DataModel.create(MODEL, {"id": "victim", "title": "mine", "n": 1}, bob)
    return await stored(datastore.database, MODEL)


async def test_ids(ann: Store, bob: Store, datastore: Datastore) -> None:
    before = await victim(datastore, bob)
    for attack in ATTACKS:
        assert await DataModel.get(MODEL, attack, ann) is None
        with pytest.raises(PetraError):
            await DataModel.delete(MODEL, attack, ann)
        with pytest.raises(PetraError):
            await DataModel.bulk_update(MODEL, [{"id": attack, "n": 9}], ann)
        assert await stored(datastore.database, MODEL) == before


async def test_ids_of_new_records(ann: Store, bob: Store, datastore: Datastore) -> None:
    before = await victim(datastore, bob)
    for attack in ATTACKS:
        try:
            record = await DataModel.create(MODEL, {"id": attack, "title": attack}, ann)
        except InvalidArgument:
            assert await stored(datastore.database, MODEL) == before
            continue
        found = await DataModel.get(MODEL, attack, ann)
        assert found is not None
        assert found.get("title") == attack
        assert await DataModel.get(MODEL, attack, bob) is None
        await record.purge()
        assert await stored(datastore.database, MODEL) == before


async def test_values_and_users(ann: Store, bob: Store, datastore: Datastore) -> None:
    before = await victim(datastore, bob)
    for attack in ATTACKS:
        record = await DataModel.create(MODEL, {"title": attack, "body": {attack: [attack]}}, ann)
        await record.share(attack)
        found = await DataModel.get(MODEL, record.get("id"), datastore.auth(attack))
        assert found is not None
        assert (found.get("title"), found.get("body")) == (attack, {attack: [attack]})
        assert found.get("_auth") == ["ann", attack]
        assert (await stored(datastore.database, MODEL)).keys() == {"victim", record.get("id")}
        assert await DataModel.get(MODEL, "victim", datastore.auth(attack)) is None
        await found.unshare(attack)
        await record.load()
        doc = await Doc.using(datastore.auth(attack)).create(title=attack)
        assert (await Doc.using(datastore.auth(attack)).get(doc.id)) == doc
        await record.purge()
        await doc.purge()
        assert await stored(datastore.database, MODEL) == before


async def test_names_of_fields_and_models(ann: Store, bob: Store, datastore: Datastore) -> None:
    before = await victim(datastore, bob)
    record = DataModel(MODEL, ann, {"title": "t"})
    for attack in ATTACKS:
        with pytest.raises((UnknownField, InvalidArgument)):
            record.set(attack, 1)
        with pytest.raises((UnknownField, InvalidArgument)):
            await DataModel.create(MODEL, {attack: 1}, ann)
        with pytest.raises((UnknownField, InvalidArgument)):
            await DataModel.bulk_create(MODEL, [{attack: 1}], ann)
        with pytest.raises((UnknownField, InvalidArgument, NotFoundOrNoAccess)):
            await DataModel.bulk_update(MODEL, [{"id": "victim", attack: 1}], bob)
        with pytest.raises((UnknownField, InvalidArgument)):
            await Doc.using(ann).create(title="t", **{attack: 1})
        if attack != "_auth":
            with pytest.raises(UnknownField):
                record.get(attack)
        with pytest.raises(UnknownModel):
            await DataModel.get(attack, "victim", ann)
        assert await stored(datastore.database, MODEL) == before


@pytest.mark.parametrize("attack", ATTACKS)
def test_names_in_definitions(attack: str) -> None:
    # Some of these are fine as the name of a model, which is in no statement, or of a field.
    fine_names = {"_", "_auth", "__auth", "sqlite_master"}
    for parts in (
        {"name": attack, "d1": {"table": attack if attack in fine_names else "t"}},
        {"fields": {attack: "nothing" if attack == "sqlite_master" else "string"}},
        {"d1": {"table": attack}},
        {"d1": {"sync_fields": [attack]}},
        {"d1": {"indexes": [attack]}},
        {"d1": {"unique": [[attack]]}},
        {"kv": {"key_pattern": f"{attack}:" if attack == "{id}" else attack}},
    ):
        with pytest.raises(DefinitionError):
            define({"name": "M", "fields": {"x": "int"}, **parts}, registry=Models())
