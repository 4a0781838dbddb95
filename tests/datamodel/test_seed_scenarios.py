"""What the data layer was made for, told as stories: an application with users, projects and pages.

Each runs on a real server, in a namespace of its own, with models that are defined as plain data.
"""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from petra import AsyncClient
from petra.datamodel import DataModel, Event, ModelDefinition, Models, ValidationError, define, initialize, reconcile
from petra.datamodel.recipes import MigrationRefused
from petra.datastore import Datastore, NotFoundOrNoAccess, Store, composite_key
from petra.testing import TestServer

PAGE: dict[str, Any] = {
    "name": "PAGE",
    "fields": {
        "project_id": {"type": "string", "required": True},
        "url": {"type": "string", "required": True, "validation": "url"},
        "title": "string",
        "status": {"type": "string", "default": "pending", "validation": ["pending", "processing", "completed"]},
        "word_count": {"type": "int", "validation": {"min": 0}},
        "text": "text",
    },
    "kv": {"namespace": "page", "key_pattern": "{project_id}:{id}"},
    "d1": {"table": "pages", "indexes": [["project_id", "status"], ["-created_at"]], "unique": [["project_id", "url"]]},
}

Story = Callable[[Datastore], Any]


@pytest.fixture
def tell(petra_server: TestServer, petra_namespace: str) -> Callable[[Story], None]:
    """Runs a story on a datastore of its own."""

    async def told(story: Story) -> None:
        async with AsyncClient(petra_server.address, namespace=petra_namespace) as client:
            await story(Datastore(client))

    return lambda story: asyncio.run(told(story))


def model(base: Mapping[str, Any] = PAGE, **parts: Any) -> ModelDefinition:  # noqa: ANN401 - parts of a definition
    """The model as a new version of the program defines it."""
    return define({**base, **parts}, registry=Models())


def page(number: int, **fields: object) -> dict[str, object]:
    return {"project_id": "proj_123", "url": f"https://example.com/{number}", "title": f"Page {number}", **fields}


async def tables(datastore: Datastore) -> dict[str, list[dict[str, Any]]]:
    """All that the migrations have made, and recorded."""
    execute = datastore.system().D1.execute
    return {
        "schema": (await execute("SELECT * FROM sqlite_schema ORDER BY name")).results,
        "steps": (await execute("SELECT * FROM _petra_migrations ORDER BY id, run")).results,
    }


def test_a_project_is_invisible_to_others_until_it_is_shared(tell: Callable[[Story], None]) -> None:
    async def story(datastore: Datastore) -> None:
        ann, bob = datastore.auth("user_a"), datastore.auth("user_b")
        await ann.put("PROJECT", "proj_123", {"name": "Secret plans"})
        await ann.query_list_add_item("projects:user_a", "proj_123")
        assert await bob.get("PROJECT", "proj_123") is None
        assert await bob.exists("PROJECT", "proj_123") is False
        assert await bob.query_list_by_pointer("PROJECT", "projects:user_a") == []
        with pytest.raises(NotFoundOrNoAccess, match="Not found or no access"):
            await bob.put("PROJECT", "proj_123", {"name": "Mine"})
        with pytest.raises(NotFoundOrNoAccess, match="Not found or no access"):
            await bob.delete("PROJECT", "proj_123")
        found = await ann.query_list_by_pointer("PROJECT", "projects:user_a")
        assert [each["name"] for each in found] == ["Secret plans"]
        await ann.share("PROJECT", "proj_123", "user_b")
        shared = await bob.get("PROJECT", "proj_123")
        assert shared == {"name": "Secret plans", "_auth": ["user_a", "user_b"]}

    tell(story)


def test_pages_of_projects_have_composite_keys(tell: Callable[[Story], None]) -> None:
    async def story(datastore: Datastore) -> None:
        ann = datastore.auth("user_a")
        for project in ("proj_1", "proj_2"):
            await ann.put("PAGE", composite_key(project, "page_1"), {"of": project})
        # As an object of the datastore and as one of a model, a page has the same kind of key.
        await initialize(datastore, [model()])
        made = await DataModel.create(model(), page(1, project_id="proj_3"), ann)
        keys = [key async for key in datastore.database.list_keys(prefix="page:")]
        assert keys == ["page:proj_1:page_1", "page:proj_2:page_1", f"page:proj_3:{made.get('id')}"]
        assert (await ann.get("PAGE", composite_key("proj_2", "page_1")) or {})["of"] == "proj_2"
        assert (await ann.get("PAGE", composite_key("proj_3", made.get("id"))) or {})["title"] == "Page 1"

    tell(story)


class Receiver:
    """An HTTP server that a webhook is sent to."""

    def __init__(self) -> None:
        self.received: Future[tuple[str, dict[str, Any]]] = Future()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.received.set_result((self.path, body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"

    def __enter__(self) -> Receiver:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def test_a_page_is_completed_and_a_webhook_told(tell: Callable[[Story], None], receiver: Receiver) -> None:
    """after_update sees what changed, once it is durable."""

    def post(body: object) -> None:
        request = urllib.request.Request(
            receiver.url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
        )
        urllib.request.urlopen(request, timeout=20).close()

    async def notify(record: DataModel, event: Event) -> None:
        changed = event.changes.get("status")
        if changed is not None and changed.after == "completed":
            stored = await DataModel.get(pages, record.get("id"), event.store)
            assert stored is not None
            body = {"id": record.get("id"), "before": changed.before, "after": stored.get("status")}
            await asyncio.to_thread(post, body | {"user": event.user_id})

    pages = model(hooks={"after_update": notify})

    async def story(datastore: Datastore) -> None:
        await initialize(datastore, [pages])
        ann = datastore.auth("user_a")
        made = await DataModel.create(pages, page(1), ann)
        assert made.get("status") == "pending"
        found = await DataModel.get(pages, made.get("id"), ann)
        assert found is not None
        found.set({"status": "completed", "word_count": 420})
        assert {name: (change.before, change.after) for name, change in found.changes.items()} == {
            "status": ("pending", "completed"),
            "word_count": (None, 420),
        }
        await found.save()
        path, told = await asyncio.wait_for(asyncio.wrap_future(receiver.received), 20)
        assert path == "/hook"
        assert told == {"id": made.get("id"), "before": "pending", "after": "completed", "user": "user_a"}

    tell(story)


def test_a_webhook_that_fails_does_not_fail_the_save(
    tell: Callable[[Story], None], caplog: pytest.LogCaptureFixture
) -> None:
    def notify(record: DataModel, event: Event) -> None:
        raise ConnectionError("nobody is there")

    pages = model(hooks={"after_update": notify})

    async def story(datastore: Datastore) -> None:
        await initialize(datastore, [pages])
        ann = datastore.auth("user_a")
        made = await DataModel.create(pages, page(1), ann)
        await made.set("status", "completed").save()
        found = await DataModel.get(pages, made.get("id"), ann)
        assert found is not None
        assert found.get("status") == "completed"

    tell(story)
    assert "nobody is there" in caplog.text


def test_the_third_page_of_eight(tell: Callable[[Story], None]) -> None:
    async def story(datastore: Datastore) -> None:
        pages = model()
        await initialize(datastore, [pages])
        ann, bob = datastore.auth("user_a"), datastore.auth("user_b")
        await DataModel.bulk_create(pages, [page(number, word_count=number) for number in range(156)], ann)
        await DataModel.bulk_create(pages, [page(number, project_id="theirs") for number in range(30)], bob)
        query = DataModel.query(pages, ann).order_by("word_count").limit(20)
        listing = await query.page(3).list()
        assert [each["word_count"] for each in listing] == list(range(40, 60))
        assert listing.pagination.as_dict() == {
            "total": 156,
            "limit": 20,
            "offset": 40,
            "page": 3,
            "pages": 8,
            "has_next": True,
            "has_prev": True,
        }
        last = await query.page(8).list()
        assert [each["word_count"] for each in last] == list(range(140, 156))
        assert (last.pagination.has_next, last.pagination.has_prev) == (False, True)
        assert (await query.page(9).list()).data == []
        whole = await query.page(3).with_data().list()
        assert [each.get("url") for each in whole] == [f"https://example.com/{number}" for number in range(40, 60)]

    tell(story)


def test_deleted_restored_and_purged(tell: Callable[[Story], None]) -> None:
    async def story(datastore: Datastore) -> None:
        pages = model()
        await initialize(datastore, [pages])
        ann = datastore.auth("user_a")
        kept, gone = await DataModel.bulk_create(pages, [page(1), page(2)], ann)

        async def titles(query: Any) -> list[str]:  # noqa: ANN401 - a query, however it was refined
            return [each["title"] for each in await query.order_by("title").list()]

        def query() -> Any:  # noqa: ANN401
            return DataModel.query(pages, ann)

        await gone.delete()
        assert await titles(query()) == ["Page 1"]
        assert await titles(query().include_deleted()) == ["Page 1", "Page 2"]
        assert await titles(query().only_deleted()) == ["Page 2"]
        assert await DataModel.get(pages, gone.get("id"), ann) is None
        # What is deleted stands in nobody's way.
        again = await DataModel.create(pages, page(2, title="Page 2, again"), ann)
        await again.purge()
        await gone.restore()
        assert await titles(query()) == ["Page 1", "Page 2"]
        assert await titles(query().only_deleted()) == []
        await kept.purge()
        assert await titles(query().include_deleted()) == ["Page 2"]
        assert (await reconcile(datastore, pages)).agrees

    tell(story)


def test_initialized_twice(tell: Callable[[Story], None]) -> None:
    async def story(datastore: Datastore) -> None:
        pages = model(seeds={"strategy": "if_missing", "match": ["url"], "data": [page(0, title="Welcome")]})
        first = await initialize(datastore, [pages])
        assert first.tables_created == ("pages",)
        assert first.seeds_run == ("PAGE[0]",)
        assert len(first.indexes_created) >= 3
        assert first.duration_ms > 0
        before = await tables(datastore)
        second = await initialize(datastore, [pages])
        assert (second.tables_created, second.columns_added, second.indexes_created, second.seeds_run) == ((),) * 4
        assert {"pages", "PAGE[0]"} <= set(second.skipped)
        assert (await tables(datastore))["schema"] == before["schema"]
        assert await DataModel.query(pages, datastore.system()).count() == 1

    tell(story)


def test_a_field_is_added_to_a_live_model(tell: Callable[[Story], None]) -> None:
    """Records that are there get the field, in their rows as well, while others go on writing."""

    async def story(datastore: Datastore) -> None:
        old = model()
        await initialize(datastore, [old])
        ann = datastore.auth("user_a")
        made = await DataModel.bulk_create(old, [page(number) for number in range(300)], ann)
        fields = {**PAGE["fields"], "language": {"type": "string", "default": "en"}, "priority": "int"}
        new = model(fields=fields, d1={**PAGE["d1"], "indexes": [*PAGE["d1"]["indexes"], "language"]})

        async def write_on() -> None:
            for record in made[:50]:
                await record.set("status", "completed").save()

        done, _ = await asyncio.gather(initialize(datastore, [new]), write_on())
        assert sorted(done.columns_added) == ["pages.language", "pages.priority"]
        assert await DataModel.query(new, ann).where(language="en").count() == 300
        assert await DataModel.query(new, ann).where(priority=None, status="completed").count() == 50
        found = await DataModel.get(new, made[0].get("id"), ann)
        assert found is not None
        await found.set({"language": "de", "priority": 3}).save()
        assert await DataModel.query(new, ann).where(language="de").count() == 1
        assert (await reconcile(datastore, new)).agrees

    tell(story)


PERSON: dict[str, Any] = {
    "name": "PERSON",
    "fields": {"name": {"type": "string", "required": True}, "age": "int"},
    "d1": {"table": "people", "indexes": ["age"]},
}


def test_an_age_becomes_a_string_by_hand(tell: Callable[[Story], None]) -> None:
    """Initialize refuses to retype a column, and says how it is done; here it is done, with raw SQL."""

    async def story(datastore: Datastore) -> None:
        old = model(PERSON)
        new = model(PERSON, fields={**PERSON["fields"], "age": "string"})
        await initialize(datastore, [old])
        ann, sql = datastore.auth("user_a"), datastore.system().D1
        people = [{"name": f"Person {number}", "age": number if number % 3 else None} for number in range(90)]
        made = await DataModel.bulk_create(old, people, ann)
        with pytest.raises(MigrationRefused, match="age") as refused:
            await initialize(datastore, [new])
        (refusal,) = refused.value.refusals
        assert (refusal.kind, refusal.name) == ("retype", "people.age")
        assert any("people_backup" in step for step in refusal.recipe)

        await sql.execute('CREATE TABLE "people_backup" AS SELECT * FROM "people"')
        await sql.execute('ALTER TABLE "people" ADD COLUMN "age_new" TEXT')
        convert = """
            UPDATE "people" SET "age_new" = CAST("age" AS TEXT) WHERE "id" IN
            (SELECT "id" FROM "people" WHERE "age" IS NOT NULL AND "age_new" IS NULL LIMIT ?)
        """
        batches = 0
        while (await sql.execute(convert, [25])).meta.changes:
            batches += 1
        assert batches == 3
        left = await sql.execute('SELECT count(*) AS n FROM "people" WHERE "age" IS NOT NULL AND "age_new" IS NULL')
        assert left.results == [{"n": 0}]
        indexes = await sql.execute(
            "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'people' AND sql LIKE ?", ['%"age"%']
        )
        for index in indexes.results:
            await sql.execute(f'DROP INDEX "{index["name"]}"')
        await sql.batch(
            [
                'ALTER TABLE "people" DROP COLUMN "age"',
                'ALTER TABLE "people" RENAME COLUMN "age_new" TO "age"',
            ]
        )
        # The full objects have numbers still.
        for record in made:
            found = await DataModel.get(new, record.get("id"), ann)
            assert found is not None
            if found.get("age") is not None:
                await found.set("age", str(found.get("age"))).save()
        done = await initialize(datastore, [new])
        assert any("age" in name for name in done.indexes_created)
        assert (await reconcile(datastore, new)).agrees
        assert await DataModel.query(new, ann).where(age="7").count() == 1
        assert await DataModel.query(new, ann).where(age=None).count() == 30
        found = await DataModel.get(new, made[7].get("id"), ann)
        assert found is not None
        assert found.get("age") == "7"
        backup = await sql.execute('SELECT count(*) AS n, sum("age") AS ages FROM "people_backup"')
        assert backup.results == [{"n": 90, "ages": sum(each["age"] or 0 for each in people)}]  # type: ignore[misc]

    tell(story)


def test_everything_wrong_with_a_page_is_told_at_once(tell: Callable[[Story], None]) -> None:
    async def story(datastore: Datastore) -> None:
        pages = model()
        await initialize(datastore, [pages])
        ann: Store = datastore.auth("user_a")
        wrong = page(1, url="no url", status="done", word_count=-1, title=7)
        with pytest.raises(ValidationError) as caught:
            await DataModel.create(pages, wrong, ann)
        assert set(caught.value.errors) == {"url", "status", "word_count", "title"}
        assert await DataModel.query(pages, ann).count() == 0
        assert [key async for key in datastore.database.list_keys()] == []

    tell(story)
