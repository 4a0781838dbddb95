"""Texts that try to be SQL, wherever a query or a migration takes text: they are refused or are plain values."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from petra.datamodel import (
    Column,
    Count,
    DataModel,
    DefinitionError,
    UnknownField,
    condition,
    initialize,
    migration_plan,
    reconcile,
)
from petra.datamodel.define import read_definition
from petra.datastore import Datastore, Store
from petra.errors import InvalidArgument
from tests.datamodel.models import PLAIN

HOSTILE = [
    "'; DROP TABLE plain_pages; --",
    '"; DROP TABLE plain_pages; --',
    "views; DELETE FROM plain_pages",
    "views) OR 1=1 --",
    "' OR '1'='1",
    "1 UNION SELECT value FROM sqlite_master",
    "views COLLATE NOCASE",
    "(SELECT 1)",
    "petra_value('plain:p:x')",
    "views\x00; DROP TABLE plain_pages",
    ":reader",
    "?1",
    "$reader",
    "%",
    "_",
    "*",
    "\\",
    "{id}",
]


@pytest.fixture
def secret(datastore: Datastore, bob: Store, runner: asyncio.Runner) -> None:
    """A record of bob's, which ann must not see."""

    async def make() -> None:
        await initialize(datastore, [PLAIN])
        await DataModel.create(PLAIN, {"project_id": "p", "slug": "secret"}, bob)

    runner.run(make())


async def everything(datastore: Datastore) -> list[list[tuple[object, ...]]]:
    """The whole database."""
    found = await datastore.database.sql.execute("SELECT name, sql FROM sqlite_master ORDER BY name")
    tables = ["plain_pages", "plain_pages__auth", "_petra_migrations"]
    rows = [await datastore.database.sql.execute(f'SELECT * FROM "{table}" ORDER BY 1') for table in tables]
    return [[tuple(row) for row in found], *([tuple(row) for row in result] for result in rows)]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.usefixtures("secret")
async def test_queries(datastore: Datastore, ann: Store, text: str) -> None:
    before = await everything(datastore)
    query = DataModel.query(PLAIN, ann)
    for name in ("project_id", "slug", "id", "user_id"):
        for wanted in (
            Column(name) == text,
            Column(name) != "x" if text == "%" else Column(name) > text,
            Column(name).in_([text] * 150),
            condition(name, "not in", [text]),
            Column(name).like(text.replace("\\", "\\\\")),
        ):
            assert (await query.where(wanted).include_deleted().list()).data == []
    calls: list[Callable[[], object]] = [
        lambda: query.where({text: text}),
        lambda: query.where("slug", text, text),
        lambda: query.where_in(text, [text]),
        lambda: query.order_by(text),
        lambda: query.order_by(f"slug {text}"),
        lambda: query.order_by(Column(text).desc()),
        lambda: query.select(text),
        lambda: query.group_by(text),
        lambda: query.where(Column("slug", text) == "x"),
    ]
    for refused in calls:
        with pytest.raises((UnknownField, InvalidArgument)):
            refused()
    with pytest.raises(UnknownField):
        await query.sum(text)
    with pytest.raises(InvalidArgument):
        await query.page_after(text)
    figures = await query.aggregate(**{text: Count()})
    assert figures == [{text: 0}]
    assert (await DataModel.query(PLAIN, datastore.auth(text)).list()).data == []
    assert await everything(datastore) == before


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.usefixtures("secret")
async def test_seeds_and_defaults_are_values(datastore: Datastore, system: Store, text: str) -> None:
    before = await everything(datastore)
    fields = {"slug": "string"}
    narrow = read_definition({"name": "OTHER", "fields": fields, "d1": {"table": "others"}})
    await initialize(datastore, [narrow])
    await DataModel.create(narrow, {"slug": text}, system)
    wide = read_definition(
        {
            "name": "OTHER",
            "fields": {**fields, "more": {"type": "string", "default": text}},
            "d1": {"table": "others"},
            "seeds": {"match": ["slug"], "data": [{"slug": text}, {"slug": "${HOSTILE}", "more": "x"}]},
        }
    )
    await initialize(datastore, [wide], environment={"HOSTILE": f"seed {text}"})
    found = await DataModel.query(wide, system).order_by("-more").list()
    assert {(row["slug"], row["more"]) for row in found} == {(text, text), (f"seed {text}", "x")}
    assert (await reconcile(datastore, wide)).agrees
    assert (await migration_plan(datastore, [wide])).is_empty
    after = await everything(datastore)
    assert after[1:3] == before[1:3]
    assert [row for row in after[0] if "others" not in str(row)] == before[0]


@pytest.mark.parametrize("text", HOSTILE)
def test_names_of_definitions(text: str) -> None:
    for given in (
        {"name": text, "fields": {"a": "string"}},
        {"name": "X", "fields": {text: "string"}},
        {"name": "X", "fields": {"a": text}},
        {"name": "X", "fields": {"a": "string"}, "d1": {"table": text}},
        {"name": "X", "fields": {"a": "string"}, "d1": {"sync_fields": [text]}},
        {"name": "X", "fields": {"a": "string"}, "d1": {"indexes": [text]}},
        {"name": "X", "fields": {"a": "string"}, "d1": {"indexes": [f"-{text}"]}},
        {"name": "X", "fields": {"a": "string"}, "d1": {"unique": [["a", text]]}},
        {"name": "X", "fields": {"a": "string"}, "seeds": {"data": [{text: "a"}]}},
        {"name": "X", "fields": {"a": "string"}, "seeds": {"match": [text], "data": [{"a": "a"}]}},
    ):
        with pytest.raises((DefinitionError, UnknownField)):
            read_definition(given)
