"""Users, clusters and instances in both trees: what is stored, what is refused, what goes with what, and pages."""

from __future__ import annotations

import asyncio
import pickle
from datetime import UTC, datetime, timedelta

import pytest

import petra.sync.stores
from petra import AsyncClient, Client
from petra.errors import EncodeError, InvalidArgument, SqlConstraint
from petra.objects import AsyncObject
from petra.stores import (
    AlreadyExists,
    DatabaseStore,
    EmailTaken,
    MigrationFailed,
    NotFound,
    NotInitialized,
    User,
)
from petra.testing import TestServer
from tests.stores.conftest import Stores


def is_now(moment: datetime) -> bool:
    """Rows have the time of the server's machine, which is this one."""
    return abs(datetime.now(UTC) - moment) < timedelta(minutes=5)


async def backdate(look: AsyncObject, table: str) -> None:
    """Makes rows an hour older."""
    await look.sql.execute(f"UPDATE {table} SET created_at = created_at - 3600000, updated_at = updated_at - 3600000")


class TestUsers:
    async def test_a_user_is_created_and_found(self, stores: Stores) -> None:
        ann = await stores.users.create(" Ann@Example.ORG ", name="Ann", data={"langs": ["de", "я"], "n": None})
        assert (ann.email, ann.name, ann.data) == ("ann@example.org", "Ann", {"langs": ["de", "я"], "n": None})
        assert is_now(ann.created_at)
        assert ann.created_at == ann.updated_at
        assert await stores.users.get(ann.id) == ann
        assert await stores.users.get_by_email("ANN@example.org") == ann

    async def test_nobody_is_none(self, stores: Stores) -> None:
        assert await stores.users.get("nobody") is None
        for address in ("bob@example.org", "no address", "", "\udcff@example.org"):
            assert await stores.users.get_by_email(address) is None

    async def test_an_id_may_be_given(self, stores: Stores) -> None:
        assert (await stores.users.create("ann@example.org", user_id="account-1")).id == "account-1"
        with pytest.raises(AlreadyExists) as caught:
            await stores.users.create("bob@example.org", user_id="account-1")
        assert not isinstance(caught.value, EmailTaken)
        assert await stores.users.get_by_email("bob@example.org") is None

    async def test_ids_are_not_guessed(self, stores: Stores) -> None:
        ids = {(await stores.users.create(f"{n}@example.org")).id for n in range(20)}
        assert len(ids) == 20
        assert all(len(one) >= 22 for one in ids)

    async def test_an_address_is_one_users(self, stores: Stores) -> None:
        ann = await stores.users.create("ann@example.org")
        with pytest.raises(EmailTaken) as caught:
            await stores.users.create("Ann@Example.org ")
        assert caught.value.email == "ann@example.org"
        bob = await stores.users.create("bob@example.org")
        with pytest.raises(EmailTaken):
            await stores.users.update(bob.id, email="ANN@example.org", name="Bob")
        assert await stores.users.get(bob.id) == bob
        assert await stores.users.delete(ann.id)
        assert (await stores.users.update(bob.id, email="ann@example.org")).email == "ann@example.org"

    async def test_of_many_who_race_for_an_address_one_gets_it(self, stores: Stores) -> None:
        outcomes = await asyncio.gather(
            *(stores.users.create(f"{'Aa'[n % 2]}nn@example.org") for n in range(20)), return_exceptions=True
        )
        assert sum(isinstance(each, EmailTaken) for each in outcomes) == 19
        assert len(await stores.users.list()) == 1

    async def test_an_update_changes_what_is_given(self, stores: Stores, look: AsyncObject) -> None:
        made = await stores.users.create("ann@example.org", name="Ann", data={"a": 1})
        await backdate(look, "users")
        before = made.created_at - timedelta(hours=1)
        named = await stores.users.update(made.id, name="Anne")
        assert (named.email, named.name, named.data) == ("ann@example.org", "Anne", {"a": 1})
        assert named.created_at == before
        assert is_now(named.updated_at)
        assert named.updated_at > named.created_at
        assert (await stores.users.update(made.id, data={})).data == {}
        assert (await stores.users.update(made.id, name="")).name == ""
        assert await stores.users.update(made.id) == await stores.users.get(made.id)
        with pytest.raises(NotFound):
            await stores.users.update("nobody", name="x")

    async def test_a_user_is_deleted_with_the_memberships(self, stores: Stores) -> None:
        ann = await stores.users.create("ann@example.org")
        cluster = await stores.clusters.create("one", owner=ann.id)
        assert await stores.users.delete(ann.id)
        assert not await stores.users.delete(ann.id)
        assert await stores.users.get(ann.id) is None
        assert await stores.clusters.get(cluster.id) == cluster
        assert len(await stores.clusters.members(cluster.id)) == 0

    @pytest.mark.parametrize(
        "email", ["", "ann", "@example.org", "ann@", "a b@example.org", "a@b\nc", "x" * 300 + "@b"]
    )
    async def test_what_is_no_address_is_refused(self, stores: Stores, email: str) -> None:
        with pytest.raises(InvalidArgument) as caught:
            await stores.users.create(email)
        assert caught.value.field == "email"

    async def test_what_else_is_refused(self, stores: Stores) -> None:
        with pytest.raises(InvalidArgument, match="at most 500 characters"):
            await stores.users.create("ann@example.org", name="x" * 501)
        with pytest.raises(InvalidArgument, match="user_id must not be empty"):
            await stores.users.create("ann@example.org", user_id="")
        with pytest.raises(InvalidArgument, match="data is a mapping, not list"):
            await stores.users.create("ann@example.org", data=["a"])  # type: ignore[arg-type]
        with pytest.raises(EncodeError):
            await stores.users.create("ann@example.org", data={"when": datetime.now})
        assert len(await stores.users.list()) == 0


class TestClusters:
    async def test_a_cluster_is_created_changed_and_deleted(self, stores: Stores, look: AsyncObject) -> None:
        made = await stores.clusters.create("one", data={"region": "eu"}, cluster_id="c1")
        assert (made.id, made.name, made.data) == ("c1", "one", {"region": "eu"})
        assert await stores.clusters.get("c1") == made
        await backdate(look, "clusters")
        changed = await stores.clusters.update("c1", name="two")
        assert (changed.name, changed.data) == ("two", {"region": "eu"})
        assert changed.updated_at > changed.created_at
        with pytest.raises(AlreadyExists):
            await stores.clusters.create("other", cluster_id="c1")
        assert await stores.clusters.delete("c1")
        assert not await stores.clusters.delete("c1")
        assert await stores.clusters.get("c1") is None
        with pytest.raises(NotFound):
            await stores.clusters.update("c1", name="three")

    async def test_an_owner_comes_with_it_or_nothing_does(self, stores: Stores) -> None:
        ann = await stores.users.create("ann@example.org", name="Ann")
        cluster = await stores.clusters.create("one", owner=ann.id)
        (member,) = await stores.clusters.members(cluster.id)
        assert (member.user_id, member.user_name, member.email, member.role) == (
            ann.id,
            "Ann",
            "ann@example.org",
            "owner",
        )
        assert (member.cluster_id, member.cluster_name) == (cluster.id, "one")
        with pytest.raises(NotFound):
            await stores.clusters.create("two", owner="nobody", cluster_id="two")
        assert await stores.clusters.get("two") is None

    async def test_users_are_in_many_clusters_with_roles(self, stores: Stores) -> None:
        ann, bob = [await stores.users.create(f"{name}@example.org") for name in ("ann", "bob")]
        clusters = [await stores.clusters.create(name) for name in ("one", "two", "three")]
        for cluster, role in zip(clusters, ("owner", "viewer", "editor"), strict=True):
            added = await stores.clusters.add_member(cluster.id, ann.id, role)
            assert added == await stores.clusters.member(cluster.id, ann.id)
        await stores.clusters.add_member(clusters[1].id, bob.id)
        assert [(one.cluster_name, one.role) for one in await stores.clusters.clusters_of(ann.id)] == [
            ("one", "owner"),
            ("two", "viewer"),
            ("three", "editor"),
        ]
        assert [(one.email, one.role) for one in await stores.clusters.members(clusters[1].id)] == [
            ("ann@example.org", "viewer"),
            ("bob@example.org", "member"),
        ]
        assert await stores.clusters.member(clusters[0].id, bob.id) is None

    async def test_roles_change_and_memberships_end(self, stores: Stores, look: AsyncObject) -> None:
        ann = await stores.users.create("ann@example.org")
        cluster = await stores.clusters.create("one", owner=ann.id)
        await backdate(look, "cluster_members")
        changed = await stores.clusters.set_role(cluster.id, ann.id, "viewer")
        assert changed.role == "viewer"
        assert changed.updated_at > changed.created_at
        with pytest.raises(AlreadyExists, match="member already"):
            await stores.clusters.add_member(cluster.id, ann.id, "owner")
        assert await stores.clusters.member(cluster.id, ann.id) == changed
        assert await stores.clusters.remove_member(cluster.id, ann.id)
        assert not await stores.clusters.remove_member(cluster.id, ann.id)
        with pytest.raises(NotFound, match="no member"):
            await stores.clusters.set_role(cluster.id, ann.id, "viewer")
        for pair in ((cluster.id, "nobody"), ("nowhere", ann.id)):
            with pytest.raises(NotFound):
                await stores.clusters.add_member(*pair)
        with pytest.raises(InvalidArgument, match="role must not be empty"):
            await stores.clusters.add_member(cluster.id, ann.id, "")

    async def test_a_cluster_goes_with_what_is_in_it(self, stores: Stores) -> None:
        ann = await stores.users.create("ann@example.org")
        one, two = [await stores.clusters.create(name, owner=ann.id) for name in ("one", "two")]
        gone, kept = [await stores.instances.create(cluster.id, "web") for cluster in (one, two)]
        assert await stores.clusters.delete(one.id)
        assert await stores.instances.get(gone.id) is None
        assert list(await stores.instances.list()) == [kept]
        assert [member.cluster_id for member in await stores.clusters.clusters_of(ann.id)] == [two.id]
        assert await stores.users.get(ann.id) == ann


class TestInstances:
    async def test_an_instance_is_created_changed_and_deleted(self, stores: Stores, look: AsyncObject) -> None:
        cluster = await stores.clusters.create("one")
        made = await stores.instances.create(cluster.id, "web", status="starting", data={"port": 80}, instance_id="i1")
        assert (made.id, made.cluster_id, made.name, made.status, made.data) == (
            "i1",
            cluster.id,
            "web",
            "starting",
            {"port": 80},
        )
        assert await stores.instances.get("i1") == made
        await backdate(look, "instances")
        changed = await stores.instances.update("i1", status="running")
        assert (changed.name, changed.status, changed.data) == ("web", "running", {"port": 80})
        assert changed.updated_at > changed.created_at
        with pytest.raises(AlreadyExists):
            await stores.instances.create(cluster.id, "other", instance_id="i1")
        assert await stores.instances.delete("i1")
        assert not await stores.instances.delete("i1")
        with pytest.raises(NotFound):
            await stores.instances.update("i1", status="stopped")

    async def test_it_is_of_a_cluster(self, stores: Stores) -> None:
        with pytest.raises(NotFound):
            await stores.instances.create("nowhere", "web")
        one, two = [await stores.clusters.create(name) for name in ("one", "two")]
        made = [await stores.instances.create(cluster.id, "web") for cluster in (one, two, one)]
        assert list(await stores.instances.list(one.id)) == [made[0], made[2]]
        assert list(await stores.instances.list()) == made
        assert list(await stores.instances.list("nowhere")) == []


class TestPages:
    async def test_a_list_is_read_page_by_page(self, stores: Stores) -> None:
        made = [await stores.users.create(f"{n}@example.org") for n in range(7)]
        read: list[User] = []
        cursor, sizes = None, []
        while True:
            page = await stores.users.list(limit=3, cursor=cursor)
            read += page.items
            sizes.append(len(page))
            if (cursor := page.next_cursor) is None:
                break
        assert read == made
        assert sizes == [3, 3, 1]
        assert (await stores.users.list(limit=7)).next_cursor is None

    async def test_what_happens_meanwhile_moves_no_page(self, stores: Stores) -> None:
        made = [await stores.clusters.create(str(n)) for n in range(6)]
        first = await stores.clusters.list(limit=2)
        # The last one that was read, one that was not, and a new one.
        await stores.clusters.delete(made[1].id)
        await stores.clusters.delete(made[3].id)
        await stores.clusters.create("new")
        second = await stores.clusters.list(limit=100, cursor=first.next_cursor)
        assert [one.name for one in (*first, *second)] == ["0", "1", "2", "4", "5", "new"]

    async def test_members_and_instances_have_pages(self, stores: Stores) -> None:
        cluster, other = [await stores.clusters.create(name) for name in ("one", "other")]
        users = [await stores.users.create(f"{n}@example.org") for n in range(5)]
        for n, user in enumerate(users):
            for each in (cluster, other):
                await stores.clusters.add_member(each.id, user.id)
                await stores.instances.create(each.id, str(n))
        first = await stores.clusters.members(cluster.id, limit=3)
        second = await stores.clusters.members(cluster.id, limit=3, cursor=first.next_cursor)
        assert [one.email[0] for one in (*first, *second)] == list("01234")
        page = await stores.instances.list(other.id, limit=3)
        rest = await stores.instances.list(other.id, cursor=page.next_cursor)
        assert [one.name for one in (*page, *rest)] == list("01234")
        mine = await stores.clusters.clusters_of(users[-1].id, limit=1)
        assert [one.cluster_name for one in mine] == ["one"]
        (last,) = await stores.clusters.clusters_of(users[-1].id, cursor=mine.next_cursor)
        assert last.cluster_name == "other"

    @pytest.mark.parametrize("limit", [0, -1, 1_001, True, "2", 2.0])
    async def test_a_limit_is_bounded(self, stores: Stores, limit: int) -> None:
        with pytest.raises(InvalidArgument, match="limit is a whole number from 1 to 1,000"):
            await stores.users.list(limit=limit)

    @pytest.mark.parametrize("cursor", ["", "x", "-1", "1 OR 1=1", "9" * 19, "9" * 40, "٣", 1])
    async def test_a_cursor_is_one_of_ours(self, stores: Stores, cursor: str) -> None:
        with pytest.raises(InvalidArgument, match="cursor is the next_cursor of a page"):
            await stores.users.list(cursor=cursor)


class TestTables:
    async def test_without_tables_it_says_so(self, client: AsyncClient) -> None:
        store = DatabaseStore(client.object("empty"))
        for call in (
            store.users.get("x"),
            store.users.create("ann@example.org"),
            store.clusters.list(),
            store.clusters.add_member("c", "u"),
            store.instances.delete("i"),
        ):
            with pytest.raises(NotInitialized, match=r"initialize\(\)"):
                await call

    async def test_they_are_made_once(self, stores: Stores) -> None:
        assert await stores.initialize() == []

    async def test_many_may_open_them_at_once(self, client: AsyncClient) -> None:
        place = client.object("new")
        opened = await asyncio.gather(*(DatabaseStore.open(place) for _ in range(10)))
        ann = await opened[0].users.create("ann@example.org")
        assert [await store.users.get(ann.id) for store in opened] == [ann] * 10

    async def test_the_migrations_are_returned(self, client: AsyncClient, server: TestServer, namespace: str) -> None:
        assert await DatabaseStore(client.object("a")).initialize() == ["0001_users_and_clusters"]
        with Client(server.address, namespace=namespace) as blocking:
            store = petra.sync.stores.DatabaseStore(blocking.object("b"))
            assert store.initialize() == ["0001_users_and_clusters"]

    async def test_tables_of_others_are_left_alone(self, look: AsyncObject) -> None:
        await look.sql.script("CREATE TABLE users (mine TEXT); INSERT INTO users VALUES ('kept')")
        with pytest.raises(MigrationFailed, match="table users already exists"):
            await DatabaseStore.open(look)
        assert (await look.sql.one("SELECT * FROM users")) == ("kept",)
        assert [row[0] for row in await look.sql.execute("SELECT name FROM sqlite_schema")] == ["users"]

    async def test_rows_of_the_application_may_refer_to_them(self, stores: Stores, look: AsyncObject) -> None:
        ann = await stores.users.create("ann@example.org")
        await look.sql.script("CREATE TABLE notes (text TEXT, author TEXT REFERENCES users (id) ON DELETE SET NULL)")
        await look.sql.execute("INSERT INTO notes VALUES ('hello', ?)", (ann.id,))
        with pytest.raises(SqlConstraint):
            await look.sql.execute("INSERT INTO notes VALUES ('hello', 'nobody')")
        await stores.users.delete(ann.id)
        assert (await look.sql.one("SELECT * FROM notes")) == ("hello", None)

    async def test_stores_in_two_objects_do_not_meet(self, client: AsyncClient) -> None:
        one, two = await DatabaseStore.open(client.object("one")), await DatabaseStore.open(client.object("two"))
        await one.users.create("ann@example.org")
        assert await two.users.get_by_email("ann@example.org") is None

    async def test_the_other_tree_is_refused_by_name(self, client: AsyncClient, server: TestServer) -> None:
        with Client(server.address) as blocking:
            with pytest.raises(TypeError, match=r"petra\.sync\.stores"):
                DatabaseStore(blocking.object("app"))  # type: ignore[arg-type]
            with pytest.raises(TypeError, match=r"client\.object\(name\)"):
                DatabaseStore(client)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"use petra\.stores"):
            petra.sync.stores.DatabaseStore(client.object("app"))  # type: ignore[arg-type]

    def test_errors_survive_pickling(self) -> None:
        taken = pickle.loads(pickle.dumps(EmailTaken("no", email="a@b")))
        assert (str(taken), taken.email) == ("no", "a@b")


INJECTIONS = [
    "'; DROP TABLE users; --",
    "' OR '1'='1",
    '" OR ""="',
    "x') RETURNING (SELECT group_concat(email) FROM users) --",
    "%",
    "_",
    "\x00",
    ":id",
    "?1",
    "петра ✨",
]


@pytest.mark.parametrize("text", INJECTIONS)
async def test_texts_are_never_statements(stores: Stores, look: AsyncObject, text: str) -> None:
    ann = await stores.users.create("ann@example.org")
    made = await stores.users.create("bob@example.org", name=text, data={text: text}, user_id=text)
    assert (made.name, made.data, made.id) == (text, {text: text}, text)
    assert await stores.users.get(text) == made
    assert await stores.users.get_by_email(text) is None
    cluster = await stores.clusters.create(text, owner=text, data={"x": text}, cluster_id=text)
    assert (await stores.clusters.set_role(text, text, text)).role == text
    instance = await stores.instances.create(text, text, status=text, instance_id=text)
    assert list(await stores.instances.list(text)) == [instance]
    assert await stores.clusters.get(text) == cluster
    assert [one.role for one in await stores.clusters.clusters_of(text)] == [text]
    assert not await stores.users.delete(f"{text} ")
    assert await stores.users.delete(text)
    assert await stores.users.get(ann.id) == ann
    assert (await look.sql.one("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM clusters)")) == (1, 1)
