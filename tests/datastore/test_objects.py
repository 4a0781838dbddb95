"""Objects of users, wherever their class is stored: as an entry of the database, as a flat key, as a row."""

from __future__ import annotations

import asyncio
import pickle
from datetime import UTC, datetime

import pytest

from petra import AsyncClient
from petra.datastore import Datastore, LastOwner, NotFoundOrNoAccess, Store, composite_key
from petra.errors import EncodeError, InvalidArgument, PetraError
from petra.values import Value


@pytest.fixture(params=["PAGE", "SESSION", "LOG"])
def cls(request: pytest.FixtureRequest) -> str:
    """A class of each placement."""
    return str(request.param)


def data_of(stored: dict[str, Value] | None) -> dict[str, Value] | None:
    """What was put: without the fields that the store adds."""
    if stored is None:
        return None
    own = ("_auth", "id", "created_at", "updated_at")
    return {name: value for name, value in stored.items() if name not in own}


class TestReadingAndWriting:
    async def test_what_is_put_is_read_with_who_put_it(self, ann: Store, cls: str) -> None:
        data = {
            "title": "Tea",
            "tags": ["a", None],
            "depth": {"n": 1.5, "big": 2**60, "yes": True},
            "text": "ä\"'\\ 😀",
        }
        made = await ann.put(cls, "key", data)
        found = await ann.get(cls, "key")
        assert made == found
        assert data_of(found) == data
        assert found is not None
        assert found["_auth"] == ["ann"]
        assert await ann.exists(cls, "key") is True

    async def test_what_is_not_there(self, ann: Store, cls: str) -> None:
        assert await ann.get(cls, "nothing") is None
        assert await ann.exists(cls, "nothing") is False
        assert await ann.get_many(cls, ["nothing"]) == {}

    async def test_a_put_replaces_the_whole(self, ann: Store, cls: str) -> None:
        await ann.put(cls, "key", {"a": 1, "b": 2})
        await ann.put(cls, "key", {"b": 3})
        assert data_of(await ann.get(cls, "key")) == {"b": 3}

    async def test_what_was_read_can_be_put_again(self, ann: Store, cls: str) -> None:
        await ann.put(cls, "key", {"n": 1})
        found = await ann.get(cls, "key")
        assert found is not None
        await ann.put(cls, "key", {**found, "n": 2})
        assert data_of(await ann.get(cls, "key")) == {"n": 2}

    async def test_a_removed_object_is_gone_and_can_be_made_anew_by_anybody(
        self, ann: Store, bob: Store, cls: str
    ) -> None:
        await ann.put(cls, "key", {"n": 1})
        await ann.delete(cls, "key")
        assert await ann.get(cls, "key") is None
        await bob.put(cls, "key", {"n": 2})
        assert await ann.get(cls, "key") is None
        assert data_of(await bob.get(cls, "key")) == {"n": 2}

    async def test_many_in_one_call(self, ann: Store, bob: Store, cls: str) -> None:
        items = {f"key-{number}": {"n": number} for number in range(50)}
        made = await ann.put_many(cls, items)
        assert {key: data_of(each) for key, each in made.items()} == items
        await bob.put(cls, "hers", {})
        found = await ann.get_many(cls, ["key-7", "hers", "key-3", "nothing", "key-7"])
        assert list(found) == ["key-7", "key-3"]
        assert data_of(found["key-3"]) == {"n": 3}
        assert await ann.put_many(cls, {}) == {}
        assert await ann.get_many(cls, []) == {}

    async def test_a_thousand_in_one_call(self, ann: Store, bob: Store, cls: str) -> None:
        items = {f"key-{number}": {"n": number, "pad": "x" * 5_000} for number in range(1_000)}
        await ann.put_many(cls, items)
        await ann.put_many(cls, items)
        found = await ann.get_many(cls, items)
        assert {key: data_of(each) for key, each in found.items()} == items
        with pytest.raises(NotFoundOrNoAccess):
            await bob.put_many(cls, {"free": {}, "key-999": {}})
        assert await bob.exists(cls, "free") is False

    async def test_puts_of_many_beside_each_other_leave_whole_ones(self, ann: Store, cls: str) -> None:
        await asyncio.gather(*(ann.put_many(cls, {key: {"n": n} for key in "abc"}) for n in range(10)))
        numbers = {(data_of(each) or {})["n"] for each in (await ann.get_many(cls, "abc")).values()}
        # Flat keys live in many actors, and are written one by one.
        assert len(numbers) == 1 or cls == "SESSION"

    async def test_objects_of_two_databases_never_meet(self, ann: Store, client: AsyncClient, cls: str) -> None:
        await ann.put(cls, "key", {"n": 1})
        other = Datastore(client, "other").auth("ann")
        assert await other.get(cls, "key") is None
        await other.put(cls, "key", {"n": 2})
        assert data_of(await ann.get(cls, "key")) == {"n": 1}

    async def test_concurrent_puts_leave_one_of_them_whole(self, ann: Store, cls: str) -> None:
        await asyncio.gather(*(ann.put(cls, "key", {"a": n, "b": n}) for n in range(20)))
        found = data_of(await ann.get(cls, "key"))
        assert found is not None
        assert found["a"] == found["b"]

    async def test_only_one_of_two_users_makes_an_object(self, ann: Store, bob: Store, cls: str) -> None:
        outcomes = await asyncio.gather(
            ann.put(cls, "key", {"by": "ann"}), bob.put(cls, "key", {"by": "bob"}), return_exceptions=True
        )
        (refused,) = [each for each in outcomes if isinstance(each, Exception)]
        assert isinstance(refused, NotFoundOrNoAccess)
        (made,) = [each for each in outcomes if isinstance(each, dict)]
        assert made["_auth"] == [made["by"]]


class TestOthers:
    async def test_somebody_else_sees_nothing(self, ann: Store, bob: Store, cls: str) -> None:
        await ann.put(cls, "key", {"n": 1})
        assert await bob.get(cls, "key") is None
        assert await bob.exists(cls, "key") is False
        assert await bob.get_many(cls, ["key"]) == {}

    async def test_somebody_else_changes_nothing(self, ann: Store, bob: Store, cls: str) -> None:
        before = await ann.put(cls, "key", {"n": 1})
        for attempt in (
            bob.put(cls, "key", {"n": 2}),
            bob.put(cls, "key", {"n": 2, "_auth": ["bob", "ann"]}),
            bob.put_many(cls, {"free": {"n": 2}, "key": {"n": 2}}),
            bob.delete(cls, "key"),
            bob.share(cls, "key", "bob"),
            bob.unshare(cls, "key", "ann"),
        ):
            with pytest.raises(NotFoundOrNoAccess, match=r"^Not found or no access$"):
                await attempt
        assert await ann.get(cls, "key") == before
        assert await bob.get(cls, "free") is None

    async def test_what_is_missing_is_refused_in_the_same_words(self, ann: Store, cls: str) -> None:
        for attempt in (ann.delete(cls, "key"), ann.share(cls, "key", "bob"), ann.unshare(cls, "key", "ann")):
            with pytest.raises(NotFoundOrNoAccess, match=r"^Not found or no access$") as caught:
                await attempt
            assert isinstance(caught.value, PetraError)
            assert (caught.value.storage_class, caught.value.key) == (cls, "key")
            copied = pickle.loads(pickle.dumps(caught.value))
            assert (str(copied), copied.key) == ("Not found or no access", "key")

    async def test_the_system_sees_and_does_everything(self, ann: Store, system: Store, cls: str) -> None:
        await ann.put(cls, "key", {"n": 1})
        assert data_of(await system.get(cls, "key")) == {"n": 1}
        assert await system.exists(cls, "key")
        await system.put(cls, "key", {"n": 2})
        found = await ann.get(cls, "key")
        assert found is not None
        assert (data_of(found), found["_auth"]) == ({"n": 2}, ["ann"])
        await system.delete(cls, "key")
        assert await ann.get(cls, "key") is None

    async def test_what_the_system_makes_names_nobody_unless_it_says_so(
        self, ann: Store, bob: Store, system: Store, cls: str
    ) -> None:
        await system.put_many(cls, {"secret": {"n": 1}, "given": {"n": 2, "_auth": ["bob", "ann", "bob"]}})
        assert await ann.get(cls, "secret") is None
        with pytest.raises(NotFoundOrNoAccess):
            await ann.put(cls, "secret", {"n": 3})
        found = await bob.get(cls, "given")
        assert found is not None
        assert found["_auth"] == ["bob", "ann"]
        await system.put(cls, "given", {"n": 4, "_auth": ["ann"]})
        assert await bob.get(cls, "given") is None
        assert data_of(await ann.get(cls, "given")) == {"n": 4}

    @pytest.mark.parametrize("users", ["ann", ["ann", 1], [""], {"ann": 1}])
    async def test_the_system_names_users_by_their_ids(self, system: Store, cls: str, users: Value) -> None:
        with pytest.raises(InvalidArgument, match="_auth is a list of user ids"):
            await system.put(cls, "key", {"_auth": users})

    async def test_a_user_gives_access_by_sharing_alone(self, ann: Store, bob: Store, cls: str) -> None:
        made = await ann.put(cls, "key", {"n": 1, "_auth": ["ann", "bob"]})
        assert made["_auth"] == ["ann"]
        assert await bob.get(cls, "key") is None
        made = await ann.put(cls, "key", {"n": 1, "_auth": []})
        assert made["_auth"] == ["ann"]


class TestSharing:
    async def test_whom_it_names_sees_and_changes_it(self, ann: Store, bob: Store, cls: str) -> None:
        await ann.put(cls, "key", {"n": 1})
        assert await ann.share(cls, "key", "bob") == ["ann", "bob"]
        assert data_of(await bob.get(cls, "key")) == {"n": 1}
        made = await bob.put(cls, "key", {"n": 2})
        assert made["_auth"] == ["ann", "bob"]
        assert data_of(await ann.get(cls, "key")) == {"n": 2}

    async def test_sharing_twice_names_a_user_once(self, ann: Store, cls: str) -> None:
        await ann.put(cls, "key", {"n": 1})
        assert await ann.share(cls, "key", "bob") == ["ann", "bob"]
        assert await ann.share(cls, "key", "bob") == ["ann", "bob"]
        assert await ann.share(cls, "key", "ann") == ["ann", "bob"]
        assert await ann.unshare(cls, "key", "carl") == ["ann", "bob"]

    async def test_what_is_no_longer_shared(self, ann: Store, bob: Store, cls: str) -> None:
        await ann.put(cls, "key", {"n": 1})
        await ann.share(cls, "key", "bob")
        assert await ann.unshare(cls, "key", "bob") == ["ann"]
        assert await bob.get(cls, "key") is None

    async def test_one_may_leave_and_so_may_who_made_it(self, ann: Store, bob: Store, cls: str) -> None:
        await ann.put(cls, "key", {"n": 1})
        await ann.share(cls, "key", "bob")
        assert await ann.unshare(cls, "key", "ann") == ["bob"]
        assert await ann.get(cls, "key") is None
        assert data_of(await bob.get(cls, "key")) == {"n": 1}

    async def test_the_last_owner_stays(self, ann: Store, system: Store, cls: str) -> None:
        before = await ann.put(cls, "key", {"n": 1})
        with pytest.raises(LastOwner, match="Delete it instead"):
            await ann.unshare(cls, "key", "ann")
        assert await ann.get(cls, "key") == before
        assert await system.unshare(cls, "key", "ann") == []
        assert await ann.get(cls, "key") is None
        assert data_of(await system.get(cls, "key")) == {"n": 1}

    async def test_two_who_leave_at_once_do_not_both(self, ann: Store, bob: Store, system: Store, cls: str) -> None:
        await ann.put(cls, "key", {"n": 1})
        await ann.share(cls, "key", "bob")
        outcomes = await asyncio.gather(
            ann.unshare(cls, "key", "ann"), bob.unshare(cls, "key", "bob"), return_exceptions=True
        )
        assert sorted(type(each).__name__ for each in outcomes) == ["LastOwner", "list"]
        found = await system.get(cls, "key")
        assert found is not None
        assert len(found["_auth"]) == 1

    async def test_many_who_share_at_once_lose_nobody(self, ann: Store, cls: str) -> None:
        await ann.put(cls, "key", {"n": 1})
        await asyncio.gather(*(ann.share(cls, "key", f"user-{number}") for number in range(20)))
        found = await ann.get(cls, "key")
        assert found is not None
        assert sorted(found["_auth"]) == sorted(["ann", *(f"user-{number}" for number in range(20))])

    async def test_a_put_beside_a_share_takes_nothing_back(self, ann: Store, bob: Store, cls: str) -> None:
        await ann.put(cls, "key", {"n": 0})
        puts = [ann.put(cls, "key", {"n": number}) for number in range(10)]
        await asyncio.gather(*puts[:5], ann.share(cls, "key", "bob"), *puts[5:])
        assert await bob.exists(cls, "key")


class TestWhatIsRefused:
    @pytest.mark.parametrize("key", ["", None, 7, b"key"])
    async def test_a_key_is_a_string_that_is_not_empty(self, ann: Store, cls: str, key: Value) -> None:
        for attempt in (ann.get(cls, key), ann.put(cls, key, {}), ann.delete(cls, key), ann.get_many(cls, [key])):
            with pytest.raises(InvalidArgument, match="key "):
                await attempt

    @pytest.mark.parametrize("data", [None, "text", [1], {1: 2}])
    async def test_an_object_is_a_mapping_with_names(self, ann: Store, cls: str, data: Value) -> None:
        with pytest.raises(InvalidArgument, match="data "):
            await ann.put(cls, "key", data)
        with pytest.raises(InvalidArgument, match="data "):
            await ann.put_many(cls, {"other": {}, "key": data})
        assert await ann.get_many(cls, ["key", "other"]) == {}

    async def test_a_value_that_is_no_json_names_its_part(self, ann: Store, cls: str) -> None:
        with pytest.raises(EncodeError, match="sizes"):
            await ann.put(cls, "key", {"sizes": {"S", "M"}})
        assert await ann.get(cls, "key") is None

    async def test_values_are_written_as_the_client_writes_them(self, ann: Store, cls: str) -> None:
        await ann.put(cls, "key", {"at": datetime(2030, 1, 1, tzinfo=UTC), "pair": (1, 2)})
        assert data_of(await ann.get(cls, "key")) == {"at": "2030-01-01T00:00:00+00:00", "pair": [1, 2]}


async def test_rows_have_the_store_s_own_fields(ann: Store) -> None:
    first = await ann.put("LOG", "key", {"n": 1, "created_at": "never", "id": "key"})
    second = await ann.put("LOG", "key", {"n": 2})
    assert first["id"] == second["id"] == "key"
    assert first["created_at"] == first["updated_at"] == second["created_at"] <= second["updated_at"]
    with pytest.raises(InvalidArgument, match="the id 'other', and its key is 'key'"):
        await ann.put("LOG", "key", {"id": "other"})


async def test_what_another_program_wrote_is_no_object_of_anybody(ann: Store, client: AsyncClient) -> None:
    room = client.object("main")
    await room.set_many({"page:text": "text", "page:bare": {"n": 1}, "page:odd": {"_auth": "ann"}})
    for key in ("text", "bare", "odd"):
        assert await ann.get("PAGE", key) is None
        with pytest.raises(NotFoundOrNoAccess):
            await ann.put("PAGE", key, {})


async def test_where_objects_are(ann: Store, client: AsyncClient) -> None:
    """The places that the documents promise."""
    await ann.put("USER", "user_123", {})
    await ann.put("PAGE", composite_key("proj_123", "page_456"), {"n": 1})
    await ann.put("SESSION", "abc", {})
    await ann.query_list_add_item("projects:user_123", "proj_123")
    assert [key async for key in client.object("main").list_keys()] == ["page:proj_123:page_456", "user:user_123"]
    assert [key async for key in client.list_keys()] == ["main:list:projects:user_123", "main:session:abc"]
    assert await client.object("main").get("page:proj_123:page_456") == {"n": 1, "_auth": ["ann"]}


@pytest.mark.parametrize("user_id", ["", None, 7])
def test_nobody_is_not_the_system(datastore: Datastore, user_id: Value) -> None:
    with pytest.raises(InvalidArgument, match="user_id"):
        datastore.auth(user_id)


def test_without_auth_there_is_no_way_in(datastore: Datastore) -> None:
    assert not {"get", "put", "delete", "exists", "KV", "D1"} & set(dir(Datastore))
    assert datastore.system().user_id is None
    assert datastore.auth("ann").user_id == "ann"
    assert (repr(datastore.auth("ann")), repr(datastore.system())) == (
        "<Store of the user 'ann' on 'main'>",
        "<Store of the system on 'main'>",
    )
