"""Models as programs use them. It runs in the tests, and type checkers read it at their strictest."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import pytest

from petra import AsyncClient, Client
from petra.datamodel import DataModel, Event, Model, Models, Options, ValidationError, and_, col, define, or_
from petra.datamodel.schema import create_tables, indexes
from petra.datamodel.typed import definition_of_class
from petra.datastore import Datastore
from petra.sync import datamodel as blocking
from petra.sync.datastore import Datastore as BlockingDatastore


class Article(
    Model,
    table="articles",
    key="article:{project_id}:{id}",
    indexes=["status", ("status", "-created_at")],
    unique=[("project_id", "slug")],
    options=Options(primary="uuid7"),
    registry=Models(),
):
    project_id: str
    slug: str
    status: Literal["draft", "done"] = "draft"
    words: int | None = None
    due: datetime | None = None

    def before_create(self, event: Event) -> None:
        if not self.slug:
            event.refuse("An article has a slug.")

    async def after_update(self, event: Event) -> None:
        if "status" in event.changes:
            self.words = (self.words or 0) + 1


NOTE = define({"name": "TYPICAL_NOTE", "fields": {"title": "string"}, "d1": {"table": "typical_notes"}}, replace=True)


async def use_asyncio(address: str, namespace: str) -> None:
    async with AsyncClient(address, namespace=namespace) as client:
        datastore = Datastore(client)
        store = datastore.auth("ann")
        for model in (definition_of_class(Article), NOTE):
            await datastore.database.sql.batch([*create_tables(model), *(index.sql for index in indexes(model))])
        articles = Article.using(store)
        article = await articles.create(project_id="p", slug="intro")
        article.status = "done"
        await article.save()
        words: int | None = article.words
        assert words == 1
        found: Article | None = await articles.get(article.id)
        assert found is not None
        assert found.slug.upper() == "INTRO"
        query = Article.where(Article.status == "done").where(or_(col(Article.slug).like("in%"), Article.words == 3))
        first = await query.with_data().using(store).first()
        assert first is not None
        assert first.created_at is not None
        listing = await articles.where(and_(Article.status == "done", col(Article.words).is_null())).list()
        titles: list[str] = [row["slug"] for row in listing.data]
        assert titles == ["intro"]
        made: list[Article] = await articles.bulk_create([{"project_id": "p", "slug": "a"}])
        await made[0].share("bob")
        await made[0].delete()
        with pytest.raises(ValidationError) as raised:
            await articles.save(Article(project_id="a:b", slug="x"))
        wrong: list[str] = raised.value.errors["project_id"]
        assert wrong
        note = await DataModel.create("TYPICAL_NOTE", {"title": "t"}, store)
        again: DataModel | None = await DataModel.get("TYPICAL_NOTE", note.get("id"), store)
        assert again is not None
        assert again.get("title") == "t"
        await again.set("title", "u").save(force=True)
        await again.delete()
        await DataModel.delete("TYPICAL_NOTE", (await DataModel.create(NOTE, {"title": "v"}, store)).get("id"), store)


class Country(blocking.Model, primary="code", registry=Models()):
    code: str
    title: str


def use_blocking(address: str, namespace: str) -> None:
    with Client(address, namespace=namespace) as client:
        datastore = BlockingDatastore(client)
        store = datastore.auth("ann")
        model = definition_of_class(Country)
        datastore.database.sql.batch([*create_tables(model), *(index.sql for index in indexes(model))])
        countries = Country.using(store)
        country = countries.create(code="nl", title="Netherlands")
        country.title = country.title.upper()
        saved: Country = country.save()
        assert saved.title == "NETHERLANDS"
        found: Country | None = countries.get("nl")
        assert found is not None
        assert Country.where(Country.code == "nl").using(store).count() == 1
