"""KVStore in both trees: sessions, states and codes to the last millisecond, on the server's clock."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import timedelta

import pytest

import petra.sync.stores
from petra import AsyncClient, Client
from petra.errors import InvalidArgument
from petra.ratelimit import RateLimited
from petra.stores import AlreadyExists, KVStore, SignedIn
from petra.testing import TestServer
from tests.support.layers import Tree

SECRET = "a secret of sixteen bytes or more"
WEEK = 7 * 86_400
TEN_MINUTES = 600
INSTANT = 0.001
ANN = "ann@example.org"


@pytest.fixture
def kv(tree: Tree) -> KVStore:
    return tree.make(KVStore, secret=SECRET)


class TestSessions:
    async def test_a_session_is_created_found_and_deleted(self, kv: KVStore, server: TestServer) -> None:
        made = await kv.create_session(None, "ann", ["c1", "c2"])
        assert (made.user, made.clusters) == ("ann", ("c1", "c2"))
        assert (made.created_at, made.expires_at) == (server.clock.now, server.clock.now + timedelta(days=7))
        assert await kv.get_session(made.session_id) == made
        assert await kv.delete_session(made.session_id)
        assert await kv.get_session(made.session_id) is None
        assert not await kv.delete_session(made.session_id)

    async def test_it_ends_after_seven_days_to_the_millisecond(self, kv: KVStore, server: TestServer) -> None:
        made = await kv.create_session(None, "ann")
        server.clock.advance(WEEK - INSTANT)
        # Use does not make it longer.
        assert await kv.get_session(made.session_id) == made
        server.clock.advance(INSTANT)
        assert await kv.get_session(made.session_id) is None
        assert not await kv.delete_session(made.session_id)

    async def test_ids_are_unguessable_and_not_stored(self, kv: KVStore, client: AsyncClient) -> None:
        made = [await kv.create_session(None, "ann", ["c1"]) for _ in range(10)]
        assert len({one.session_id for one in made}) == 10
        assert all(len(one.session_id) >= 43 for one in made)
        assert all(one.session_id not in repr(one) for one in made)
        stored = ""
        async for name in client.objects():
            stored += name + json.dumps([(e.key, e.value) async for e in client.object(name).list()])
        assert "c1" in stored
        assert not any(one.session_id in stored for one in made)

    @pytest.mark.parametrize("session_id", ["", "x", "x" * 80, "\udcff", "*", "' OR 1=1 --", None])
    async def test_what_was_made_up_or_is_missing_opens_nothing(self, kv: KVStore, session_id: str | None) -> None:
        await kv.create_session(None, "ann")
        assert await kv.get_session(session_id) is None  # type: ignore[arg-type]
        assert not await kv.delete_session(session_id)  # type: ignore[arg-type]

    async def test_an_id_of_the_program_s_own(self, kv: KVStore, server: TestServer) -> None:
        made = await kv.create_session("session \u2603 1", "ann", ["c1"])
        assert (made.session_id, made.user, made.clusters) == ("session \u2603 1", "ann", ("c1",))
        assert await kv.get_session("session \u2603 1") == made
        for again in ("ann", "bob"):
            with pytest.raises(AlreadyExists):
                await kv.create_session("session \u2603 1", again)
        assert (await kv.get_session("session \u2603 1")) == made
        assert await kv.delete_session("session \u2603 1")
        assert await kv.get_session("session \u2603 1") is None
        assert not await kv.delete_session("session \u2603 1")
        # Its end makes it free.
        assert (await kv.create_session("session \u2603 1", "bob")).user == "bob"
        server.clock.advance(WEEK - INSTANT)
        assert await kv.get_session("session \u2603 1") is not None
        server.clock.advance(INSTANT)
        assert await kv.get_session("session \u2603 1") is None

    async def test_an_id_of_the_program_s_own_is_taken_once(self, kv: KVStore) -> None:
        tries = [kv.create_session("one", f"user{number}") for number in range(8)]
        made = [one for one in await asyncio.gather(*tries, return_exceptions=True) if isinstance(one, SignedIn)]
        assert len(made) == 1
        assert await kv.get_session("one") == made[0]

    async def test_nothing_is_left_of_those_who_came_too_late(self, client: AsyncClient) -> None:
        kv = KVStore(client)
        tries = [kv.create_session("one", f"user{number}") for number in range(8)]
        await asyncio.gather(*tries, return_exceptions=True)
        assert sum([len(await kv.sessions.list(f"user{number}")) for number in range(8)]) == 1

    async def test_neither_id_of_a_session_is_stored(self, kv: KVStore, client: AsyncClient) -> None:
        await kv.create_session("a secret of the program", "ann")
        stored = json.dumps([(entry.key, entry.value) async for entry in client.list()])
        assert "session-alias:" in stored
        assert "a secret of the program" not in stored
        (hidden,) = [entry.value async for entry in client.list(prefix="session-alias:")]
        assert await kv.get_session(hidden) is None
        assert await kv.get_session(base64.b64decode(hidden).decode("latin1")) is None

    @pytest.mark.parametrize("session_id", ["", "\udcff", "x" * 1_025, 5])
    async def test_ids_that_cannot_be(self, kv: KVStore, session_id: str) -> None:
        with pytest.raises(InvalidArgument) as caught:
            await kv.create_session(session_id, "ann")
        assert caught.value.field == "session_id"

    async def test_the_rest_is_that_of_sessions(self, client: AsyncClient) -> None:
        kv = KVStore(client)
        made = await kv.create_session(None, "ann", ["c1"], device="Firefox", address="203.0.113.7")
        (info,) = await kv.sessions.list("ann")
        assert (info.device, info.address) == ("Firefox", "203.0.113.7")
        await kv.sessions.update(made.session_id, {"clusters": ["c2"]})
        changed = await kv.get_session(made.session_id)
        assert changed is not None
        assert changed.clusters == ("c2",)
        rotated = await kv.sessions.rotate(made.session_id)
        assert rotated is not None
        assert await kv.get_session(made.session_id) is None
        assert await kv.get_session(rotated.id) is not None
        assert await kv.sessions.delete_all("ann") == 1
        assert await kv.get_session(rotated.id) is None

    async def test_a_session_of_nobody_is_none_here(self, client: AsyncClient) -> None:
        kv = KVStore(client)
        assert await kv.get_session((await kv.sessions.create()).id) is None
        assert (await kv.get_session((await kv.sessions.create("ann")).id)) is not None

    async def test_what_is_refused(self, kv: KVStore) -> None:
        for clusters in ("c1", [1], [None]):
            with pytest.raises(InvalidArgument) as caught:
                await kv.create_session(None, "ann", clusters)  # type: ignore[arg-type]
            assert caught.value.field == "clusters"
        for user in ("", None):
            with pytest.raises(InvalidArgument) as caught:
                await kv.create_session(None, user)  # type: ignore[arg-type]
            assert caught.value.field == "user"


class TestStates:
    async def test_a_state_is_validated_once(self, kv: KVStore) -> None:
        made = await kv.create_state(return_to="/home", data={"provider": "example"})
        found = await kv.validate_state(made.state)
        assert found == made
        assert await kv.validate_state(made.state) is None
        assert await kv.validate_state("unknown") is None
        assert await kv.validate_state(None) is None  # type: ignore[arg-type]

    async def test_it_lives_ten_minutes_to_the_millisecond(self, kv: KVStore, server: TestServer) -> None:
        first, second = await kv.create_state(), await kv.create_state()
        server.clock.advance(TEN_MINUTES - INSTANT)
        assert await kv.validate_state(first.state) is not None
        server.clock.advance(INSTANT)
        assert await kv.validate_state(second.state) is None

    async def test_of_many_who_race_one_wins(self, kv: KVStore) -> None:
        made = await kv.create_state()
        found = await asyncio.gather(*(kv.validate_state(made.state) for _ in range(20)))
        assert sum(each is not None for each in found) == 1


class TestCodes:
    async def test_a_code_is_good_once_however_the_address_is_written(self, kv: KVStore) -> None:
        code = await kv.create_otp(" Ann@Example.org")
        assert len(code) == 6
        assert await kv.validate_otp("ANN@example.org ", code)
        assert not await kv.validate_otp(ANN, code)

    async def test_it_lives_ten_minutes_to_the_millisecond(self, kv: KVStore, server: TestServer) -> None:
        first, second = await kv.create_otp(ANN), await kv.create_otp("bob@example.org")
        server.clock.advance(TEN_MINUTES - INSTANT)
        assert await kv.validate_otp(ANN, first)
        server.clock.advance(INSTANT)
        assert not await kv.validate_otp("bob@example.org", second)

    async def test_the_sixth_attempt_fails(self, kv: KVStore) -> None:
        code = await kv.create_otp(ANN)
        wrong = "222222" if code != "222222" else "333333"
        assert [(await kv.validate_otp(ANN, wrong)).attempts_left for _ in range(5)] == [4, 3, 2, 1, 0]
        assert not await kv.validate_otp(ANN, code)

    async def test_a_new_code_ends_the_old_one(self, kv: KVStore) -> None:
        old = await kv.create_otp(ANN)
        new = await kv.create_otp(ANN)
        assert not await kv.validate_otp(ANN, old) or old == new
        assert await kv.validate_otp(ANN, new)

    async def test_an_address_is_sent_five_an_hour(self, kv: KVStore) -> None:
        for _ in range(5):
            await kv.create_otp(ANN)
        with pytest.raises(RateLimited):
            await kv.create_otp("ANN@example.org")

    async def test_what_is_no_address(self, kv: KVStore) -> None:
        with pytest.raises(InvalidArgument):
            await kv.create_otp("ann")
        assert not await kv.validate_otp("ann", "222222")

    async def test_codes_need_a_secret_and_the_rest_does_not(self, client: AsyncClient) -> None:
        kv = KVStore(client)
        with pytest.raises(InvalidArgument, match="secret=") as caught:
            await kv.create_otp(ANN)
        assert caught.value.field == "secret"
        with pytest.raises(InvalidArgument, match="secret="):
            await kv.validate_otp(ANN, "222222")
        with pytest.raises(InvalidArgument, match="16 bytes"):
            KVStore(client, secret="short")


async def test_the_other_tree_is_refused_by_name(client: AsyncClient, server: TestServer) -> None:
    with Client(server.address) as blocking, pytest.raises(TypeError, match=r"use petra\.sync\.stores"):
        KVStore(blocking)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"use petra\.stores"):
        petra.sync.stores.KVStore(client)  # type: ignore[arg-type]
