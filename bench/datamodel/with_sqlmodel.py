"""Articles as records of SQLModel, in sessions of SQLAlchemy's asyncio over asyncpg.

Each operation has a session and a transaction of its own, as a request of a web application has. What Petra's models do
is done here as well: a user and times on each record, soft deletion, a table of who sees what, ids that are UUIDs, and
a version that guards an update against lost ones.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from sqlalchemy import Column, DateTime, Index, Integer, Select, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlmodel import Field, SQLModel, col

from bench.datamodel import work
from bench.datamodel.work import PAGE_SIZE, USER, Found, Totals

# Rows of one statement when the table is filled.
_PORTION: Final = 1_000
# The mapper compares and counts it.
_VERSION: Final = Column("version", Integer, nullable=False)


def _now() -> datetime:
    return datetime.now(UTC)


class Article(SQLModel, table=True):
    __tablename__ = "articles"
    __table_args__ = (Index("articles_by_priority", "project", "status", text("priority DESC")),)
    __mapper_args__ = {"version_id_col": _VERSION}

    id: str = Field(default_factory=lambda: str(uuid4()), primary_key=True)
    user_id: str
    title: str
    project: int
    status: str
    priority: int
    updates: int = 0
    body: str
    version: int = Field(default=1, sa_column=_VERSION)
    created_at: datetime = Field(default_factory=_now, sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(default_factory=_now, sa_type=DateTime(timezone=True))
    deleted_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class ArticleAccess(SQLModel, table=True):
    __tablename__ = "articles_access"

    user_id: str = Field(primary_key=True)
    record_id: str = Field(primary_key=True)


class SqlModelArticles:
    def __init__(self, engine: AsyncEngine, projects: int) -> None:
        self._projects = projects
        self._engine = engine
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)

    async def prepare(self) -> None:
        async with self._engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all)

    async def fill(self, first: int, count: int) -> None:
        for start in range(first, first + count, _PORTION):
            numbers = range(start, min(start + _PORTION, first + count))
            articles = [
                Article(id=work.article_id(number), user_id=USER, **work.fields(number, self._projects)).model_dump()
                for number in numbers
            ]
            access = [{"user_id": USER, "record_id": each["id"]} for each in articles]
            async with self._engine.begin() as connection:
                await connection.execute(insert(Article), articles)
                await connection.execute(insert(ArticleAccess), access)

    async def settle(self) -> None:
        """Statistics of what was filled in: the planner knows nothing else of it yet."""
        async with self._engine.connect() as connection:
            outside = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await outside.execute(text("VACUUM ANALYZE"))

    async def create(self, number: int) -> str:
        article = Article(user_id=USER, **work.fields(number, self._projects))
        async with self._sessions.begin() as session:
            session.add_all([article, ArticleAccess(user_id=USER, record_id=article.id)])
        return article.id

    async def get(self, article_id: str) -> str:
        async with self._sessions() as session:
            article = (await session.execute(_seen(article_id))).scalar_one()
        return article.title

    async def update(self, article_id: str) -> int:
        async with self._sessions.begin() as session:
            article = (await session.execute(_seen(article_id))).scalar_one()
            article.updates += 1
            article.updated_at = _now()
        return article.updates

    async def page(self, project: int, status: str) -> Found:
        wanted = _visible().where(col(Article.project) == project, col(Article.status) == status)
        count = wanted.with_only_columns(func.count())
        rows = wanted.order_by(col(Article.priority).desc()).limit(PAGE_SIZE).offset(PAGE_SIZE)
        async with self._sessions() as session:
            total = (await session.execute(count)).scalar_one()
            articles = (await session.execute(rows)).scalars().all()
        return Found(total, [(each.id, each.project, each.status, each.priority) for each in articles])

    async def totals(self) -> Totals:
        async with self._sessions() as session:
            found = await session.execute(select(func.count(), func.sum(col(Article.updates))))
            articles, updates = found.one()
        return Totals(articles, int(updates or 0))


def _visible() -> Select[Article]:
    """The articles that the user sees."""
    access = select(ArticleAccess).where(
        col(ArticleAccess.user_id) == USER, col(ArticleAccess.record_id) == col(Article.id)
    )
    return select(Article).where(col(Article.deleted_at).is_(None), access.exists())


def _seen(article_id: str) -> Select[Article]:
    return _visible().where(col(Article.id) == article_id)


@asynccontextmanager
async def opened(address: str, connections: int, projects: int) -> AsyncIterator[SqlModelArticles]:
    """One pool of so many connections, for whose turn the tasks wait."""
    engine = create_async_engine(
        f"postgresql+asyncpg://postgres@{address}/postgres", pool_size=connections, max_overflow=0, pool_timeout=60
    )
    try:
        yield SqlModelArticles(engine, projects)
    finally:
        await engine.dispose()
