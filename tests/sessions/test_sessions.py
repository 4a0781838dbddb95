"""Sessions in both trees: their lives, their edges, and what is stored of them. The time is the server's."""

from __future__ import annotations

import asyncio
import base64
import builtins
import hashlib
import json
from datetime import timedelta

import pytest

import petra.sync.sessions
from petra import AsyncClient, Client, VersionConflict
from petra.errors import DeadlineExceeded, EncodeError, InvalidArgument
from petra.sessions import Session, SessionInfo, Sessions
from petra.sessions.ids import SessionId
from petra.testing import TestServer
from tests.support.layers import Tree

WEEK = 7 * 86_400
INSTANT = 0.001


async def everything_stored(client: AsyncClient) -> str:
    """All keys and values of the test's namespace, as text."""
    found = [f"{entry.key}={json.dumps(entry.value)}" async for entry in client.list()]
    async for name in client.objects():
        found += [f"{name}/{entry.key}={json.dumps(entry.value)}" async for entry in client.object(name).list()]
    return "\n".join(found)


async def must(session: Session | None) -> Session:
    assert session is not None
    return session


class TestLife:
    async def test_it_is_created_and_found(self, tree: Tree, server: TestServer) -> None:
        sessions = tree.make(Sessions)
        made = await sessions.create("ann", {"cart": [1, 2]}, device="Firefox", address="203.0.113.7")
        assert (made.user, made.data, made.device, made.address) == ("ann", {"cart": [1, 2]}, "Firefox", "203.0.113.7")
        assert made.created_at == made.last_seen_at == server.clock.now
        assert made.expires_at == server.clock.now + timedelta(days=7)
        assert await sessions.get(made.id) == made

    async def test_it_may_be_nobodys(self, tree: Tree) -> None:
        sessions = tree.make(Sessions)
        made = await sessions.create()
        assert (made.user, made.data) == (None, {})
        assert await sessions.get(made.id) == made

    async def test_it_is_deleted(self, tree: Tree, client: AsyncClient) -> None:
        sessions = tree.make(Sessions)
        made = await sessions.create("ann")
        other = await sessions.create("ann")
        assert await sessions.delete(made.id)
        assert await sessions.get(made.id) is None
        assert not await sessions.delete(made.id)
        assert await sessions.get(other.id) is not None
        assert await sessions.delete(other.id)
        assert await everything_stored(client) == ""

    @pytest.mark.parametrize(
        "what", ["", "x", "é" * 80, "A" * 79, "A" * 80, "A" * 81, "=" * 80, "../../etc", "A\x00" * 40]
    )
    async def test_what_is_no_id_opens_nothing(self, tree: Tree, what: str) -> None:
        sessions = tree.make(Sessions)
        assert await sessions.get(what) is None
        assert await sessions.update(what, {"a": 1}) is None
        assert await sessions.rotate(what) is None
        assert not await sessions.delete(what)

    async def test_an_id_with_another_secret_opens_nothing(self, tree: Tree) -> None:
        sessions = tree.make(Sessions)
        made = await sessions.create("ann")
        raw = bytearray(base64.urlsafe_b64decode(made.id))
        raw[-1] ^= 1
        forged = base64.urlsafe_b64encode(bytes(raw)).decode()
        assert await sessions.get(forged) is None
        assert not await sessions.delete(forged)
        assert await sessions.update(forged, {"a": 1}) is None
        assert await sessions.rotate(forged) is None
        assert await sessions.get(made.id) == made


class TestSecrecy:
    async def test_ids_differ_in_256_bits(self, tree: Tree) -> None:
        sessions = tree.make(Sessions)
        ids = [(await sessions.create("ann")).id for _ in range(20)]
        secrets = {base64.urlsafe_b64decode(each)[-32:] for each in ids}
        assert len(secrets) == 20
        # Nearly every bit is now this, now that: that 4 of them stay the same by chance in 20 draws happens never.
        ones = [sum(secret[bit // 8] >> bit % 8 & 1 for secret in secrets) for bit in range(256)]
        assert sum(count in {0, 20} for count in ones) < 4

    async def test_only_its_hash_is_stored(self, tree: Tree, client: AsyncClient) -> None:
        sessions = tree.make(Sessions)
        made = await sessions.create("ann", {"a": 1})
        await sessions.get(made.id)
        stored = await everything_stored(client)
        assert hashlib.sha256(made.id.encode()).hexdigest() in stored
        raw = base64.urlsafe_b64decode(made.id)
        for secret in (made.id, made.id[-40:], raw[-32:].hex(), base64.b64encode(raw[-32:]).decode()[:20]):
            assert secret not in stored

    async def test_it_is_not_shown(self, tree: Tree) -> None:
        made = await tree.make(Sessions).create("ann")
        assert made.id not in repr(made)


class TestData:
    async def test_changes_are_merged(self, tree: Tree, server: TestServer) -> None:
        sessions = tree.make(Sessions)
        made = await sessions.create("ann", {"a": 1, "b": {"x": 1}, "c": 3})
        server.clock.advance(60)
        changed = await must(await sessions.update(made.id, {"b": {"y": 2}, "d": 4}, remove=["c", "nothing"]))
        assert changed.data == {"a": 1, "b": {"y": 2}, "d": 4}
        assert changed.version > made.version
        assert (changed.created_at, changed.expires_at) == (made.created_at, made.expires_at)
        assert await sessions.get(made.id) == changed

    async def test_concurrent_changes_all_count(self, tree: Tree) -> None:
        sessions = tree.make(Sessions)
        made = await sessions.create("ann")
        await asyncio.gather(*(sessions.update(made.id, {f"n{number}": number}) for number in range(20)))
        assert (await must(await sessions.get(made.id))).data == {f"n{number}": number for number in range(20)}

    async def test_a_version_guards_against_lost_changes(self, tree: Tree) -> None:
        sessions = tree.make(Sessions)
        made = await sessions.create("ann", {"count": 1})
        changed = await must(await sessions.update(made.id, {"count": 2}, if_version=made.version))
        with pytest.raises(VersionConflict) as caught:
            await sessions.update(made.id, {"count": 3}, if_version=made.version)
        assert caught.value.version == changed.version
        assert (await must(await sessions.get(made.id))).data == {"count": 2}

    async def test_an_ended_one_is_not_revived(self, tree: Tree, client: AsyncClient) -> None:
        sessions = tree.make(Sessions)
        made = await sessions.create("ann")
        await sessions.delete(made.id)
        assert await sessions.update(made.id, {"a": 1}) is None
        assert await everything_stored(client) == ""

    async def test_data_that_cannot_be_kept(self, tree: Tree) -> None:
        sessions = tree.make(Sessions)
        with pytest.raises(InvalidArgument):
            await sessions.create("ann", {1: 2})  # type: ignore[dict-item]
        with pytest.raises(EncodeError):
            await sessions.create("ann", {"a": {1, 2}})

    async def test_notes_of_strangers_are_cut(self, tree: Tree) -> None:
        made = await tree.make(Sessions).create("ann", device="x" * 10_000, address="y" * 10_000)
        assert (len(made.device), len(made.address)) == (500, 500)


class TestRotation:
    async def test_the_old_id_is_dead(self, tree: Tree, server: TestServer) -> None:
        sessions = tree.make(Sessions)
        made = await sessions.create("ann", {"a": 1}, device="Firefox")
        server.clock.advance(60)
        turned = await must(await sessions.rotate(made.id))
        assert turned.id != made.id
        assert (turned.handle, turned.user, turned.data, turned.device) == (made.handle, "ann", {"a": 1}, "Firefox")
        # Whoever has stolen the old one can do nothing with it.
        assert await sessions.get(made.id) is None
        assert await sessions.update(made.id, {"a": 2}) is None
        assert await sessions.rotate(made.id) is None
        assert not await sessions.delete(made.id)
        assert await sessions.get(turned.id) == turned

    async def test_the_absolute_end_stays(self, tree: Tree, server: TestServer) -> None:
        sessions = tree.make(Sessions)
        made = await sessions.create("ann")
        for _ in range(3):
            server.clock.advance(WEEK / 4)
            made = await must(await sessions.rotate(made.id))
        assert made.expires_at == made.created_at + timedelta(days=7)
        server.clock.advance(WEEK / 4 - INSTANT)
        assert await sessions.get(made.id) is not None
        server.clock.advance(INSTANT)
        assert await sessions.get(made.id) is None

    async def test_of_two_who_rotate_one_wins(self, tree: Tree) -> None:
        sessions = tree.make(Sessions)
        for _ in range(5):
            made = await sessions.create("ann")
            turned = await asyncio.gather(*(sessions.rotate(made.id) for _ in range(4)))
            (winner,) = (each for each in turned if each is not None)
            assert await sessions.get(winner.id) == winner

    async def test_signing_in_makes_it_the_users(self, tree: Tree, server: TestServer) -> None:
        sessions = tree.make(Sessions)
        anonymous = await sessions.create(data={"cart": [1]}, device="Firefox")
        server.clock.advance(3_600)
        theirs = await must(await sessions.rotate(anonymous.id, user="ann"))
        assert (theirs.user, theirs.data, theirs.device) == ("ann", {"cart": [1]}, "Firefox")
        assert theirs.created_at == server.clock.now
        assert await sessions.get(anonymous.id) is None
        assert [info.handle for info in await sessions.list("ann")] == [theirs.handle]


class TestTimeOuts:
    async def test_the_absolute_one_to_the_millisecond(self, tree: Tree, server: TestServer) -> None:
        sessions = tree.make(Sessions)
        made = await sessions.create("ann")
        server.clock.advance(WEEK - INSTANT)
        assert await sessions.get(made.id) is not None
        assert await sessions.update(made.id, {"a": 1}) is not None
        server.clock.advance(INSTANT)
        assert await sessions.get(made.id) is None
        assert await sessions.update(made.id, {"a": 1}) is None
        assert await sessions.list("ann") == []

    async def test_the_idle_one_to_the_millisecond(self, tree: Tree, server: TestServer) -> None:
        sessions = tree.make(Sessions, idle=1_800)
        made = await sessions.create("ann")
        assert made.expires_at == server.clock.now + timedelta(minutes=30)
        server.clock.advance(1_800 - INSTANT)
        assert await sessions.get(made.id) is not None
        server.clock.advance(1_800 - INSTANT)
        assert await sessions.get(made.id) is not None
        server.clock.advance(1_800)
        assert await sessions.get(made.id) is None
        assert await sessions.list("ann") == []

    async def test_use_cannot_outlast_the_absolute_one(self, tree: Tree, server: TestServer) -> None:
        sessions = tree.make(Sessions, absolute=timedelta(hours=1), idle=timedelta(minutes=50))
        made = await sessions.create("ann")
        server.clock.advance(2_700)
        assert await sessions.get(made.id) is not None
        renewed = await must(await sessions.get(made.id))
        assert renewed.last_seen_at == server.clock.now
        assert renewed.expires_at == made.created_at + timedelta(hours=1)
        server.clock.advance(900 - INSTANT)
        assert await sessions.get(made.id) is not None
        server.clock.advance(INSTANT)
        assert await sessions.get(made.id) is None

    async def test_use_writes_only_now_and_then(self, tree: Tree, server: TestServer, client: AsyncClient) -> None:
        sessions = tree.make(Sessions, idle=timedelta(minutes=30))

        async def versions() -> list[tuple[str, int, object]]:
            (place,) = [name async for name in client.objects()]
            return [(entry.key, entry.version, entry.expires_at) async for entry in client.object(place).list()]

        made = await sessions.create("ann")
        before = await versions()
        for _ in range(10):
            server.clock.advance(17.999)
            assert await must(await sessions.get(made.id)) == made
            assert await versions() == before
        # A tenth of the idle time-out is over: this use is written down.
        server.clock.advance(0.01)
        await sessions.get(made.id)
        assert await versions() != before
        assert (await must(await sessions.get(made.id))).last_seen_at == server.clock.now

    async def test_how_often_may_be_said(self, tree: Tree, server: TestServer) -> None:
        sessions = tree.make(Sessions, touch_every=10)
        made = await sessions.create("ann")
        server.clock.advance(9.999)
        await sessions.get(made.id)
        assert (await must(await sessions.get(made.id))).last_seen_at == made.created_at
        server.clock.advance(0.001)
        await sessions.get(made.id)
        assert (await must(await sessions.get(made.id))).last_seen_at == server.clock.now

    async def test_those_of_a_session_are_those_it_began_with(self, tree: Tree, server: TestServer) -> None:
        made = await tree.make(Sessions, absolute=3_600, idle=600, touch_every=60).create("ann")
        others = tree.make(Sessions, absolute=60, idle=10)
        server.clock.advance(599)
        await others.get(made.id)
        found = await must(await others.get(made.id))
        assert found.created_at == made.created_at
        assert found.last_seen_at == server.clock.now
        assert found.expires_at == server.clock.now + timedelta(seconds=600)

    async def test_so_its_use_by_others_keeps_it_open(self, tree: Tree, server: TestServer) -> None:
        made = await tree.make(Sessions, idle=60).create("ann")
        others = tree.make(Sessions)
        for _ in range(10):
            server.clock.advance(50)
            assert await others.get(made.id) is not None
        turned = await must(await others.rotate(made.id))
        assert turned.expires_at == server.clock.now + timedelta(seconds=60)
        server.clock.advance(60)
        assert await others.get(turned.id) is None

    @pytest.mark.parametrize(
        ("options", "field"),
        [
            ({"absolute": 0}, "absolute"),
            ({"idle": -1}, "idle"),
            ({"idle": 60, "touch_every": 60}, "touch_every"),
            ({"touch_every": "often"}, "touch_every"),
        ],
    )
    def test_what_makes_no_sense(self, tree: Tree, options: dict[str, object], field: str) -> None:
        with pytest.raises(InvalidArgument) as caught:
            tree.make(Sessions, **options)
        assert caught.value.field == field


class TestUsers:
    async def test_their_sessions_are_listed(self, tree: Tree, server: TestServer) -> None:
        sessions = tree.make(Sessions, touch_every=1)
        first = await sessions.create("ann", device="Firefox", address="203.0.113.7")
        server.clock.advance(60)
        second = await sessions.create("ann", {"a": 1}, device="Safari", address="203.0.113.8")
        await sessions.create("bob")
        infos = await sessions.list("ann")
        assert [(info.handle, info.device, info.address) for info in infos] == [
            (second.handle, "Safari", "203.0.113.8"),
            (first.handle, "Firefox", "203.0.113.7"),
        ]
        assert [info.created_at for info in infos] == [second.created_at, first.created_at]
        server.clock.advance(60)
        await sessions.get(first.id)
        assert [info.handle for info in await sessions.list("ann")] == [first.handle, second.handle]
        assert (await sessions.list("ann"))[0].last_seen_at == server.clock.now

    async def test_one_is_ended_by_its_handle(self, tree: Tree) -> None:
        sessions = tree.make(Sessions)
        first, second = [await sessions.create("ann") for _ in range(2)]
        assert not await sessions.end("bob", first.handle)
        assert await sessions.end("ann", first.handle)
        assert not await sessions.end("ann", first.handle)
        assert await sessions.get(first.id) is None
        assert [info.handle for info in await sessions.list("ann")] == [second.handle]

    async def test_all_are_ended(self, tree: Tree, client: AsyncClient) -> None:
        sessions = tree.make(Sessions)
        theirs = [await sessions.create("ann") for _ in range(5)]
        other = await sessions.create("bob")
        assert await sessions.delete_all("ann") == 5
        assert [await sessions.get(each.id) for each in theirs] == [None] * 5
        assert await sessions.delete_all("ann") == 0
        assert await sessions.get(other.id) is not None
        await sessions.delete(other.id)
        assert await everything_stored(client) == ""

    async def test_all_but_one_are_ended(self, tree: Tree) -> None:
        sessions = tree.make(Sessions)
        theirs = [await sessions.create("ann") for _ in range(4)]
        assert await sessions.delete_all("ann", keep=theirs[2].id) == 3
        assert [await sessions.get(each.id) is not None for each in theirs] == [False, False, True, False]
        # What is nobody's session, or somebody else's, keeps nothing.
        other = await sessions.create("bob")
        assert await sessions.delete_all("ann", keep=other.id) == 1
        assert await sessions.list("ann") == []

    async def test_one_that_a_list_of_many_pages_misses_is_ended_too(self, client: AsyncClient) -> None:
        """The new id of a session that is rotated between two pages may lie on the one that was read already."""

        class Rotating(Sessions):
            async def list(self, user: str) -> builtins.list[SessionInfo]:
                return [info for info in await super().list(user) if info.handle != missed.handle]

        sessions = Rotating(client)
        kept, missed = [await sessions.create("ann") for _ in range(2)]
        await sessions.delete_all("ann", keep=kept.id)
        assert await sessions.get(missed.id) is None
        assert await sessions.get(kept.id) is not None

    async def test_none_survives_by_rotating_meanwhile(self, tree: Tree) -> None:
        sessions = tree.make(Sessions)
        for _ in range(5):
            theirs = [await sessions.create("ann") for _ in range(6)]
            *turned, count = await asyncio.gather(
                *(sessions.rotate(each.id) for each in theirs), sessions.delete_all("ann")
            )
            assert isinstance(count, int)
            ids = [each.id for each in [*theirs, *turned] if isinstance(each, Session)]
            assert [await sessions.get(each) for each in ids] == [None] * len(ids)
            assert await sessions.list("ann") == []

    async def test_a_session_that_is_over_at_once_is_not_begun_for_ever(
        self, client: AsyncClient, server: TestServer
    ) -> None:
        class Late(Sessions):
            async def _read(self, sid: SessionId) -> Session | None:
                server.clock.advance(1)
                return await super()._read(sid)

        with pytest.raises(DeadlineExceeded):
            await Late(client, absolute=1).create("ann")

    async def test_users_are_any_strings(self, tree: Tree) -> None:
        sessions = tree.make(Sessions)
        users = ["", "ann", "Ann", "a/b:c", "ключ", "x" * 5_000]
        made = {user: await sessions.create(user) for user in users}
        for user in users:
            assert [info.handle for info in await sessions.list(user)] == [made[user].handle]


async def test_the_other_tree_is_refused_by_name(client: AsyncClient, server: TestServer) -> None:
    with Client(server.address) as blocking, pytest.raises(TypeError, match=r"petra\.sync\.sessions"):
        Sessions(blocking)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"use petra\.sessions"):
        petra.sync.sessions.Sessions(client)  # type: ignore[arg-type]
