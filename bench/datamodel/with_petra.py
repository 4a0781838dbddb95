"""Articles as records of a Petra model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.datamodel.work import PAGE_SIZE, USER, Found, Totals, article_id, fields
from petra import AsyncClient
from petra.datamodel import Bound, Model, initialize
from petra.datastore import Datastore

# As many as `bulk_create` writes in one portion.
_PORTION = 250


class Article(
    Model,
    table="articles",
    key="article:{id}",
    sync=("title", "project", "status", "priority", "updates"),
    indexes=(("project", "status", "-priority"),),
):
    """The body is in the full object alone, which a page reads in its own round trip."""

    title: str
    project: int
    status: str
    priority: int
    updates: int = 0
    body: str


class PetraArticles:
    def __init__(self, datastore: Datastore, projects: int) -> None:
        self._projects = projects
        self._datastore = datastore
        self._articles: Bound[Article] = Article.using(datastore.auth(USER))

    async def prepare(self) -> None:
        await initialize(self._datastore, [Article])

    async def fill(self, first: int, count: int) -> None:
        for start in range(first, first + count, _PORTION):
            numbers = range(start, min(start + _PORTION, first + count))
            await self._articles.bulk_create(
                {"id": article_id(number), **fields(number, self._projects)} for number in numbers
            )

    async def settle(self) -> None:
        """There is nothing to do."""

    async def create(self, number: int) -> str:
        return (await self._articles.create(**fields(number, self._projects))).id

    async def get(self, article_id: str) -> str:
        article = await self._articles.get(article_id)
        assert article is not None
        return article.title

    async def update(self, article_id: str) -> int:
        article = await self._articles.get(article_id)
        assert article is not None
        article.updates += 1
        return (await article.save()).updates

    async def page(self, project: int, status: str) -> Found:
        query = self._articles.where(Article.project == project, Article.status == status)
        found = await query.order_by("-priority").limit(PAGE_SIZE).page(2).with_data().list()
        articles = [(each.id, each.project, each.status, each.priority) for each in found]
        return Found(found.pagination.total, articles)

    async def totals(self) -> Totals:
        query = self._articles.query()
        return Totals(await query.count(), await query.sum("updates"))


@asynccontextmanager
async def opened(address: str, connections: int, projects: int) -> AsyncIterator[PetraArticles]:
    """One client, which has one connection whatever is asked for."""
    async with AsyncClient(address, timeout=30) as client:
        yield PetraArticles(Datastore(client), projects)
