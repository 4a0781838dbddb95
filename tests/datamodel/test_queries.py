"""Queries through a server: what they return, to whom, and what they refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings

import petra.sync.datamodel as blocking
from petra import AsyncClient
from petra.datamodel import (
    Avg,
    Bound,
    Column,
    Count,
    DataModel,
    Max,
    Min,
    Sum,
    UnknownField,
    and_,
    col,
    condition,
    escape_like,
    initialize,
    not_,
    or_,
)
from petra.datamodel.compile import FEW_RECORDS
from petra.datamodel.define import read_definition
from petra.datamodel.lookups import Found
from petra.datamodel.query import Query
from petra.datamodel.state import read
from petra.datamodel.writes import Save, record_save
from petra.datastore import Datastore, Store
from petra.errors import DataLoss, InvalidArgument
from petra.sync.datastore import Datastore as BlockingDatastore
from petra.testing import TestServer
from petra.transaction import AsyncTransaction
from tests.datamodel.models import PLAIN, Page
from tests.datamodel.random_queries import Asked, Stored, World, worlds_and_queries

Pages = Bound[DataModel]


@pytest.fixture
def pages(datastore: Datastore, ann: Store, runner: asyncio.Runner) -> Pages:
    """Ten pages of ann's, of which bob sees two."""
    bound = DataModel.using(PLAIN, ann)

    async def make() -> None:
        await initialize(datastore, [PLAIN, Page])
        rows = [
            {
                "project_id": f"p{number % 2}",
                "slug": f"s{number}",
                "status": "done" if number % 3 else "pending",
                "views": number,
                "hidden": number == 9,
            }
            for number in range(10)
        ]
        for record in (await bound.bulk_create(rows))[4:6]:
            await record.share("bob")

    runner.run(make())
    return bound


async def slugs(query: Query[Any, Any]) -> list[str]:
    return [row["slug"] for row in await query.order_by("slug").list()]


async def test_a_query_returns_the_synced_fields(pages: Pages) -> None:
    row = await pages.query().where(slug="s4").first()
    assert row is not None
    assert set(row) == set(PLAIN.synced_names)
    assert "body" not in row
    assert "_key" not in row
    assert (row["views"], row["hidden"], row["user_id"], row["deleted_at"]) == (4, False, "ann", None)
    assert isinstance(row["created_at"], datetime)
    assert row["created_at"].tzinfo is UTC


async def test_with_data_returns_records_that_can_be_saved(pages: Pages) -> None:
    found = await pages.query().where(slug="s4").with_data().list()
    (record,) = found
    assert isinstance(record, DataModel)
    assert record.get("tags") == []
    await record.set("body", "long").save()
    again = await pages.query().where(slug="s4").with_data().first()
    assert again is not None
    assert again.get("body") == "long"


async def test_typed_models_are_queried_by_their_fields(pages: Pages, ann: Store) -> None:
    await Page.using(ann).create(project_id="p", slug="a%b", views=3)
    await Page.using(ann).create(project_id="p", slug="axb", status="done")
    done = await Page.where(Page.status == "done").using(ann).with_data().list()
    assert [page.slug for page in done] == ["axb"]
    assert isinstance(done.data[0], Page)
    matching = Page.where(col(Page.slug).like(escape_like("a%") + "%")).using(ann)
    assert await slugs(matching) == ["a%b"]
    assert await slugs(Page.where(Page.views > 1, Page.status != "done").using(ann)) == ["a%b"]
    assert await slugs(Page.where(or_(Page.views > 1, Page.status == "done")).using(ann)) == ["a%b", "axb"]
    assert await slugs(Page.where(~(col(Page.views) > 1) & col(Page.slug).is_not_null()).using(ann)) == ["axb"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (condition("views", ">=", 8), ["s8", "s9"]),
        (condition("views", "<", 1), ["s0"]),
        (condition("slug", "in", ["s1", "s2", "nowhere"]), ["s1", "s2"]),
        (condition("slug", "not in", [f"s{number}" for number in range(2, 10)]), ["s0", "s1"]),
        (condition("slug", "LIKE", "S_"), [f"s{number}" for number in range(10)]),
        (condition("slug", "not like", "s%"), []),
        (condition("deleted_at", "is not", None), []),
        (condition("deleted_at", "=", None), [f"s{number}" for number in range(10)]),
        (and_(Column("views") > 2, Column("views") < 5), ["s3", "s4"]),
        (or_(), []),
        (not_(or_(Column("views") > 2, Column("status") == "done")), ["s0"]),
        (Column("hidden") == True, ["s9"]),  # noqa: E712
    ],
)
async def test_conditions(pages: Pages, wanted: Any, expected: list[str]) -> None:  # noqa: ANN401 - a bool for the checker
    assert await slugs(pages.where(wanted)) == expected


async def test_where_takes_mappings_words_and_operators_and_joins_them(pages: Pages) -> None:
    assert await slugs(pages.where({"status": "done", "deleted_at": None}, project_id="p1")) == ["s1", "s5", "s7"]
    assert await slugs(pages.query().where("views", ">", 6).where("status", "!=", "done")) == ["s9"]
    assert await slugs(pages.query().where_in("views", range(3))) == ["s0", "s1", "s2"]
    assert await slugs(pages.query().where_in("views", [])) == []
    assert await slugs(pages.query().where_in("slug", [f"s{number}" for number in range(3, 5_000)])) == [
        f"s{number}" for number in range(3, 10)
    ]


async def test_orders_are_by_several_fields(pages: Pages) -> None:
    found = await pages.query().order_by("status DESC, project_id", "-views").list()
    assert [row["views"] for row in found] == [6, 0, 9, 3, 8, 4, 2, 7, 5, 1]
    by_columns = await Page.query().using(pages.store).order_by(Page.status, col(Page.views).desc()).list()
    assert by_columns.data == []


async def test_pages_are_counted(pages: Pages) -> None:
    third = await pages.query().order_by("views").limit(4).page(3).list()
    assert [row["views"] for row in third] == [8, 9]
    assert third.pagination.as_dict() == {
        "total": 10,
        "limit": 4,
        "offset": 8,
        "page": 3,
        "pages": 3,
        "has_next": False,
        "has_prev": True,
    }
    first = await pages.query().order_by("views").limit(4).list()
    assert (first.pagination.has_next, first.pagination.has_prev, len(first)) == (True, False, 4)
    beyond = await pages.query().offset(30).list()
    assert (beyond.data, beyond.pagination.total, beyond.pagination.page) == ([], 10, 2)
    none = await pages.where(slug="nowhere").list()
    assert (none.pagination.pages, none.pagination.page, none.pagination.has_next) == (0, 1, False)
    assert (await pages.query().list()).pagination.limit == 20


async def test_cursors_are_stable_while_records_come_and_go(pages: Pages) -> None:
    query = pages.query().order_by("status", "views DESC").limit(3)
    seen: list[int] = []
    cursor: str | None = None
    for number in range(20):
        page = await query.page_after(cursor)
        seen += [row["views"] for row in page]
        # One before where the cursor is, which is not seen, and one behind it, which is.
        await pages.create(project_id=f"new{number}", slug="before", status="done", views=100 + number)
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert seen == [8, 7, 5, 4, 2, 1, 9, 6, 3, 0]


@pytest.mark.parametrize("order", ["owner DESC", "owner", "owner DESC, n", "owner, n DESC"])
async def test_absent_values_are_less_than_all_others(datastore: Datastore, system: Store, order: str) -> None:
    model = read_definition({"name": "ITEM", "fields": {"owner": "string", "n": "int"}, "options": {"auth": False}})
    await initialize(datastore, [model])
    rows = [{"owner": owner, "n": n} for n, owner in enumerate([None, "a", None, "b", "a", None, "b"])]
    await DataModel.bulk_create(model, rows, system)
    query = DataModel.query(model, system).order_by(order).limit(2)
    seen: list[str | None] = []
    page = await query.page_after()
    while True:
        seen += [row["owner"] for row in page]
        if page.next_cursor is None:
            break
        page = await query.page_after(page.next_cursor)
    down = order.startswith("owner DESC")
    assert seen == (["b", "b", "a", "a", None, None, None] if down else [None, None, None, "a", "a", "b", "b"])
    assert await query.where("owner", "!=", "a").count() == 5
    assert await query.where(not_(Column("owner") > "a")).count() == 5
    assert await query.where("owner", ">=", None).count() == 0


async def test_a_cursor_of_another_order_is_refused(pages: Pages) -> None:
    page = await pages.query().order_by("views").limit(3).page_after()
    assert page.next_cursor is not None
    assert len(page) == 3
    assert [row["views"] for row in page] == [0, 1, 2]
    for query in (pages.query().order_by("-views"), pages.query(), pages.query().order_by("views").offset(2)):
        with pytest.raises(InvalidArgument):
            await query.page_after(page.next_cursor)
    with pytest.raises(InvalidArgument):
        await pages.query().order_by("views").page_after(page.next_cursor[:-2])


async def test_first_count_exists(pages: Pages) -> None:
    query = pages.where(status="done")
    assert await query.count() == await query.limit(1).page(2).count() == 6
    assert await query.exists()
    assert not await pages.where(slug="nowhere").exists()
    assert await pages.where(slug="nowhere").first() is None
    last = await query.order_by("-views").first()
    assert last is not None
    assert last["views"] == 8


async def test_deleted_records_are_seen_only_when_asked_for(pages: Pages) -> None:
    await pages.delete((await pages.where(slug="s3").list()).data[0]["id"])
    assert await pages.query().count() == 9
    assert await pages.query().include_deleted().count() == 10
    only = await pages.query().only_deleted().list()
    assert [row["slug"] for row in only] == ["s3"]
    assert only.data[0]["deleted_at"] is not None


async def test_a_reader_sees_only_what_names_them(pages: Pages, bob: Store, system: Store) -> None:
    assert await slugs(DataModel.query(PLAIN, bob)) == ["s4", "s5"]
    assert await DataModel.query(PLAIN, bob).sum("views") == 9
    assert not await DataModel.query(PLAIN, bob).where(slug="s3").exists()
    assert await DataModel.query(PLAIN, bob).where(id="nowhere").first() is None
    assert await DataModel.query(PLAIN, system).count() == 10


async def test_a_reader_of_many_sees_the_same(pages: Pages, bob: Store, datastore: Datastore) -> None:
    access = [(user, f"x{number}") for user in ("ann", "bob") for number in range(FEW_RECORDS)]
    await datastore.database.sql.executemany('INSERT INTO "plain_pages__auth" VALUES (?, ?)', access)
    query = pages.query().order_by("-views").limit(3).page(2)
    found = await query.list()
    assert ([row["views"] for row in found], found.pagination.total) == ([6, 5, 4], 10)
    assert [record.get("views") for record in await query.with_data().list()] == [6, 5, 4]
    assert await slugs(DataModel.query(PLAIN, bob)) == ["s4", "s5"]
    assert await DataModel.query(PLAIN, bob).count() == 2
    assert await DataModel.query(PLAIN, bob).where(project_id="p1", slug="s3").first() is None
    assert await pages.where(status="done").count() == 6
    assert await pages.query().group_by("status").aggregate(n=Count()) == [
        {"status": "done", "n": 6},
        {"status": "pending", "n": 4},
    ]


async def test_some_fields_can_be_selected(pages: Pages) -> None:
    found = await pages.query().order_by("views").select("slug", Column("hidden")).limit(2).list()
    assert found.data == [{"slug": "s0", "hidden": False}, {"slug": "s1", "hidden": False}]


async def test_figures(pages: Pages) -> None:
    query = pages.where(project_id="p1")
    assert (await query.sum("views"), await query.avg("views")) == (25, 5.0)
    assert (await query.min("views"), await query.max("slug"), await query.max("hidden")) == (1, "s9", True)
    assert isinstance(await query.max("created_at"), datetime)
    assert await query.count_of("deleted_at") == 0
    nothing = pages.where(slug="nowhere")
    assert (await nothing.sum("views"), await nothing.avg("views"), await nothing.max("views")) == (0, None, None)
    grouped = (
        await pages.query()
        .group_by("project_id", "hidden")
        .aggregate(n=Count(), total=Sum("views"), mean=Avg("views"), least=Min("views"), most=Max(Column("views")))
    )
    assert grouped == [
        {"project_id": "p0", "hidden": False, "n": 5, "total": 20, "mean": 4.0, "least": 0, "most": 8},
        {"project_id": "p1", "hidden": False, "n": 4, "total": 16, "mean": 4.0, "least": 1, "most": 7},
        {"project_id": "p1", "hidden": True, "n": 1, "total": 9, "mean": 9.0, "least": 9, "most": 9},
    ]


async def test_explain_shows_statements_parameters_and_plans(pages: Pages) -> None:
    found = await pages.where(status="done").order_by("-created_at").explain()
    assert len(found.statements) == 4
    by_table = found.statements[2]
    assert "done" in by_table.params.values()
    assert "done" not in by_table.sql
    assert "SEARCH t USING INDEX plain_pages(status,-created_at) (status=?)" in by_table.plan
    assert not [line for line in by_table.plan if "TEMP B-TREE" in line]
    assert "SEARCH t USING INDEX" in str(found)


@pytest.mark.parametrize("name", ["body", "nowhere", "_auth", "_key", "rowid", 'views"', "", "VIEWS", "views--"])
async def test_what_is_not_synced_is_refused_with_what_is(pages: Pages, name: str) -> None:
    query = pages.query()
    calls: list[Callable[[], object]] = [
        lambda: query.where({name: 1}),
        lambda: query.where(name, "=", 1),
        lambda: query.where(not_(or_(Column(name) == 1))),
        lambda: query.where_in(name, [1]),
        lambda: query.order_by(Column(name)),
        lambda: query.select(name),
        lambda: query.group_by(name),
    ]
    for refused in calls:
        with pytest.raises(UnknownField, match="project_id, slug, status, views, hidden"):
            refused()
    if name:
        with pytest.raises(UnknownField, match="project_id"):
            await query.sum(name)


async def test_what_makes_no_sense_is_refused(pages: Pages, ann: Store, datastore: Datastore) -> None:
    query = pages.query()
    calls: list[Callable[[], object]] = [
        lambda: query.limit(0),
        lambda: query.limit(1_001),
        lambda: query.limit(True),
        lambda: query.offset(-1),
        lambda: query.page(0),
        query.order_by,
        lambda: query.order_by("views sideways"),
        lambda: query.order_by("-views DESC"),
        query.select,
        lambda: query.where(False),
        lambda: query.where("views", "~", 1),
        lambda: query.where("views"),  # type: ignore[call-overload]
        lambda: query.where_in("views", "abc"),
        lambda: query.where(Column("views", "Other") == 1),
        lambda: query.where(Column("views") == Column("slug")),
        lambda: Column("slug").like("a\\"),
        lambda: col("slug"),
    ]
    for refused in calls:
        with pytest.raises(InvalidArgument):
            refused()
    for unfit in (
        query.where(views="many"),
        query.where(views=[1]),
        query.where(hidden=1),
        query.where("views", "like", "1%"),
        query.where_in("views", range(10_001)),
        query.where("slug", "like", "x" * 2_000),
        query.where(created_at="yesterday"),
    ):
        with pytest.raises(InvalidArgument):
            await unfit.list()
    with pytest.raises(InvalidArgument, match="no sum"):
        await query.sum("slug")
    with pytest.raises(InvalidArgument):
        await query.aggregate()
    with pytest.raises(InvalidArgument, match="using"):
        await Page.query().list()
    with pytest.raises(TypeError, match=r"petra\.datastore"):
        Page.query().using(datastore)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"petra\.datastore"):
        await initialize(ann, [PLAIN])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="and_"):
        bool(Column("views") == 1)


async def test_conditions_may_be_deep_and_not_endless(pages: Pages) -> None:
    deep = Column("views") == 1
    for _ in range(90):
        deep = not_(deep)
    assert await slugs(pages.where(deep)) == ["s1"]
    for _ in range(20):
        deep = not_(deep)
    with pytest.raises(InvalidArgument, match="deep"):
        await pages.where(deep).list()


async def test_a_row_without_its_object_is_told(pages: Pages, datastore: Datastore) -> None:
    row = await pages.where(slug="s1").first()
    assert row is not None
    await datastore.database.delete(f"plain:p1:{row['id']}")
    with pytest.raises(DataLoss, match="reconcile"):
        await pages.where(slug="s1").with_data().list()


def test_the_blocking_twin_has_the_same_queries(pages: Pages, blocking_datastore: BlockingDatastore) -> None:
    query = blocking.DataModel.query(PLAIN, blocking_datastore.auth("ann")).order_by("-views").limit(4)
    found = query.page(2).list()
    assert ([row["views"] for row in found], found.pagination.pages) == ([5, 4, 3, 2], 3)
    first = query.page_after()
    assert [row["views"] for row in query.page_after(first.next_cursor)] == [5, 4, 3, 2]
    assert (query.count(), query.exists(), query.sum("views"), query.avg("views")) == (10, True, 45, 4.5)
    assert (query.min("views"), query.max("views"), query.count_of("views")) == (0, 9, 10)
    assert query.group_by("hidden").aggregate(n=Count())[1] == {"hidden": True, "n": 1}
    record = query.with_data().first()
    assert record is not None
    assert record.set("body", "b").save().get("views") == 9
    assert query.select("slug").first() == {"slug": "s9"}
    assert query.explain().statements


# Random models, data and queries.


@pytest.fixture(scope="module")
def one_client(server: TestServer) -> Iterator[tuple[asyncio.Runner, AsyncClient]]:
    with asyncio.Runner() as runner:
        client = AsyncClient(server.address)
        yield runner, client
        runner.run(client.close())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(worlds_and_queries())
def test_random_queries_are_filters_over_a_list(
    one_client: tuple[asyncio.Runner, AsyncClient], case: tuple[World, Asked]
) -> None:
    runner, client = one_client
    runner.run(compare(Datastore(client, uuid4().hex), *case))


async def compare(datastore: Datastore, world: World, asked: Asked) -> None:
    definition, selection = world.definition, asked.selection
    await initialize(datastore, [definition])
    await store(datastore, world)
    reader = datastore.system() if asked.reader is None else datastore.auth(asked.reader)
    query: Query[Found, Any] = Query(definition, lambda _, found: found, store=reader, selection=selection)
    expected = asked.expected(world)
    found = await query.list()
    page = expected[selection.first :][: selection.limit]
    assert found.data == [shown(world, asked, record) for record in page]
    assert found.pagination.total == await query.count() == len(expected)
    assert await query.exists() == bool(expected)
    walked: list[object] = []
    cursor: str | None = None
    # From its first record on, whatever page it was to be.
    while (step := await query.offset(0).page_after(cursor)).next_cursor is not None:
        walked += step.data
        cursor = step.next_cursor
    assert [*walked, *step.data] == [shown(world, asked, record) for record in expected]


async def store(datastore: Datastore, world: World) -> None:
    """Writes the records as they are, without what a save would make of them."""
    definition = world.definition
    saves = [
        Save(definition, definition.pattern.key(record.data), record.data, world.object_of(record), None)
        for record in world.records
    ]

    async def write(transaction: AsyncTransaction) -> None:
        for save in saves:
            record_save(transaction, save)

    await datastore.database.transact(write)


def shown(world: World, asked: Asked, record: Stored) -> object:
    """A record as the query returns it."""
    definition = world.definition
    if not asked.selection.with_data:
        return {name: record.data[name] for name in definition.synced_names}
    data, _ = read(definition, "", 0, world.object_of(record))
    return Matching(data, record.users if definition.options.auth else ())


class Matching:
    """Equal to what was found of a record."""

    def __init__(self, data: dict[str, Any], users: tuple[str, ...]) -> None:
        self.data, self.users = data, users

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Found) and (other.data, other.state.users) == (self.data, self.users)

    def __hash__(self) -> int:
        return hash(self.users)
