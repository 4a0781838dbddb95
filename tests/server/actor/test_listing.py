"""Pages and names over several actors, beside sorting."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from petra_server.actor import handlers, listing
from petra_server.actor.actor import Actor
from petra_server.actor.addresses import Address
from petra_server.actor.asking import ask
from petra_server.actor.listing import PageRequest, list_namespaces, list_objects, list_page
from petra_server.actor.operations import ENTRY_MESSAGE_BYTES, Operation, Reply, ScanReply, Set
from petra_server.actor.plans import set_many
from petra_server.actor.router import Router
from petra_server.errors import Reason, Refusal
from petra_server.storage.batch import Batch
from petra_server.storage.keys import prefix_end
from tests.server.actor.routing import Routed, routed


async def put_all(on: Routed, address: Address, keys: list[str], *, ttl_ms: int = 0, value: bytes = b"v") -> None:
    names = [key.encode() for key in keys]
    items = [Set(address.prefix + name, value, 1, ttl_ms) for name in names]
    await on.ask(set_many(address, names, items), sync=False)


@dataclass(frozen=True, slots=True)
class Ask:
    """Options of a listing."""

    lower: bytes = b""
    upper: bytes = b""
    limit: int = 1_000
    limit_bytes: int = 1 << 20
    reverse: bool = False

    def request(self, address: Address, resume: bytes | None) -> PageRequest:
        lower = address.prefix + self.lower
        upper = address.prefix + self.upper if self.upper else prefix_end(address.prefix)
        if resume is not None:
            if self.reverse:
                upper = address.prefix + resume
            else:
                lower = address.prefix + resume + b"\x00"
        return PageRequest(lower, upper, self.limit, self.limit_bytes, self.reverse, False)


async def pages(on: Routed, address: Address, ask: Ask) -> list[list[str]]:
    """All pages of a listing."""
    found: list[list[str]] = []
    resume: bytes | None = None
    while True:
        page = await list_page(on.router, address, ask.request(address, resume), deadline=None)
        found.append([key.decode() for key, _ in page.entries])
        assert len(page.entries) <= ask.limit
        if page.resume is None:
            return found
        assert page.resume != resume, "no progress"
        resume = page.resume


def joined(found: list[list[str]]) -> list[str]:
    return [key for page in found for key in page]


class TestPages:
    @pytest.mark.parametrize("seed", range(4))
    def test_merged_over_actors_are_the_sorted_keys_whatever_the_bounds(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
    ) -> None:
        chance = random.Random(seed)
        names = sorted({"".join(chance.choices("ab\0é", k=chance.randint(1, 5))) for _ in range(150)}, key=str.encode)
        expired = set(chance.sample(names, len(names) // 3))

        async def scenario() -> None:
            async with routed(tmp_path, actors=5) as on:
                flat = on.address()
                await put_all(on, flat, [name for name in names if name not in expired])
                await put_all(on, flat, sorted(expired), ttl_ms=5)
                await put_all(on, on.room, ["in another object"])
                on.clock.advance(5)
                live = [name for name in names if name not in expired]
                for _ in range(25):
                    monkeypatch.setattr(handlers, "SCAN_STEPS", chance.choice([2, 5, 10_000]))
                    monkeypatch.setattr(listing, "_ROUNDS", chance.choice([1, 2, 32]))
                    lower, upper = sorted(chance.choice(names).encode() for _ in range(2))
                    ask = Ask(
                        chance.choice([b"", lower]),
                        chance.choice([b"", upper]),
                        chance.choice([1, 2, 7, 50, 1_000]),
                        chance.choice([1, 200, 1 << 20]),
                        chance.choice([False, True]),
                    )
                    found = joined(await pages(on, flat, ask))
                    within = [
                        name
                        for name in live
                        if ask.lower <= name.encode() and (not ask.upper or name.encode() < ask.upper)
                    ]
                    assert found == (within[::-1] if ask.reverse else within), ask

        asyncio.run(scenario())

    def test_of_an_object_come_from_its_actor_alone(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path, actors=3) as on:
                await put_all(on, on.room, ["a", "b", "c"])
                await put_all(on, on.address(), ["flat"])
                assert await pages(on, on.room, Ask(limit=2)) == [["a", "b"], ["c"]]
                assert joined(await pages(on, on.room, Ask(reverse=True))) == ["c", "b", "a"]
                assert await pages(on, on.room, Ask(b"b", b"b")) == [[]]

        asyncio.run(scenario())

    @pytest.mark.parametrize("reverse", [False, True])
    def test_are_full_when_there_is_enough(self, tmp_path: Path, reverse: bool) -> None:
        async def scenario() -> None:
            async with routed(tmp_path, actors=4) as on:
                await put_all(on, on.address(), [f"{number:03}" for number in range(100)])
                found = await pages(on, on.address(), Ask(limit=30, reverse=reverse))
                assert [len(page) for page in found if page] == [30, 30, 30, 10]

        asyncio.run(scenario())

    def test_are_full_though_one_actor_has_it_all(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path, actors=4) as on:
                flat, actor = on.address(), on.router.actors[2]
                names = [f"{number:04}" for number in range(600)]
                own = [name for name in names if flat.actor_of(name.encode()) is actor]
                await put_all(on, flat, own)
                assert await pages(on, flat, Ask(limit=100)) == [own[:100], own[100:]]

        asyncio.run(scenario())

    def test_end_before_their_bytes_are_exceeded(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path, actors=3) as on:
                flat = on.address()
                await put_all(on, flat, [f"{number}" for number in range(9)], value=b"v" * 100)
                each = len(flat.prefix) + 1 + 100 + ENTRY_MESSAGE_BYTES
                found = await pages(on, flat, Ask(limit_bytes=4 * each))
                assert [len(page) for page in found if page] == [4, 4, 1]

        asyncio.run(scenario())

    def test_ask_each_actor_for_a_share_of_their_bytes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(listing, "_LEAST_SHARE_BYTES", 1)
        replies: list[int] = []

        async def noted(router: Router, actor: Actor, operation: Operation, *, deadline: float | None) -> Reply:
            reply = await ask(router, actor, operation, deadline=deadline)
            assert isinstance(reply, ScanReply)
            replies.append(sum(len(key) + len(record.value) + ENTRY_MESSAGE_BYTES for key, record in reply.entries))
            return reply

        monkeypatch.setattr(listing, "ask", noted)

        async def scenario() -> None:
            async with routed(tmp_path, actors=16) as on:
                flat = on.address()
                names = [f"{number:03}" for number in range(640)]
                await put_all(on, flat, names, value=bytes(200))
                page_bytes = 20_000
                request = Ask(limit_bytes=page_bytes).request(flat, None)
                page = await list_page(on.router, flat, request, deadline=None)
                assert [key.decode() for key, _ in page.entries] == names[: len(page.entries)]
                assert page.resume is not None
                assert max(replies) < page_bytes // 8
                # All of it together is nine times as much.
                assert sum(replies) < 3 * page_bytes

        asyncio.run(scenario())

    def test_meet_a_damaged_entry_with_a_refusal(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path, actors=3) as on:
                flat = on.address()
                on.partition.append(Batch(writes=[(flat.actor_of(b"k").index, flat.prefix + b"k", b"\x00")]))
                with pytest.raises(Refusal) as caught:
                    await pages(on, flat, Ask())
                assert caught.value.reason is Reason.STORAGE_CORRUPT

        asyncio.run(scenario())


class TestNames:
    PLACES = (
        ("alpha", "one"),
        ("alpha", "two"),
        ("alpha", "two\0"),
        ("alpha", "gone"),
        ("alphabet", ""),
        ("beta", ""),
        ("only expired", "x"),
        ("only expired", ""),
    )

    async def fill(self, on: Routed) -> None:
        for namespace, object_name in self.PLACES:
            expired = namespace == "only expired" or object_name == "gone"
            address = on.addresses.find(namespace, object_name)
            await put_all(on, address, [f"{number}" for number in range(8)], ttl_ms=5 if expired else 0)
        on.clock.advance(5)

    @pytest.mark.parametrize("steps", [1, 3, 10_000])
    @pytest.mark.parametrize("chunk", [1, 1_000])
    def test_are_those_with_an_entry_that_is_not_expired(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int, chunk: int
    ) -> None:
        monkeypatch.setattr(handlers, "SCAN_STEPS", steps)
        monkeypatch.setattr(listing, "_NAMES_A_TURN", chunk)

        async def scenario() -> None:
            async with routed(tmp_path, actors=3) as on:
                await self.fill(on)
                namespaces = await list_namespaces(on.router, prefix=b"", after=b"", limit=10)
                assert namespaces == ([b"alpha", b"alphabet", b"beta"], False)
                objects = await list_objects(on.router, b"alpha", prefix=b"", after=b"", limit=10)
                assert objects == ([b"one", b"two", b"two\0"], False)
                for namespace in (b"alphabet", b"only expired", b"none"):
                    assert await list_objects(on.router, namespace, prefix=b"", after=b"", limit=10) == ([], False)

        asyncio.run(scenario())

    def test_are_given_in_pages_after_a_name_and_by_prefix(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path, actors=3) as on:
                await self.fill(on)
                assert await list_namespaces(on.router, prefix=b"", after=b"", limit=2) == (
                    [b"alpha", b"alphabet"],
                    True,
                )
                assert await list_namespaces(on.router, prefix=b"", after=b"alpha", limit=2) == (
                    [b"alphabet", b"beta"],
                    False,
                )
                assert await list_namespaces(on.router, prefix=b"alphab", after=b"", limit=5) == ([b"alphabet"], False)
                assert await list_namespaces(on.router, prefix=b"a", after=b"alpha", limit=5) == ([b"alphabet"], False)
                assert await list_objects(on.router, b"alpha", prefix=b"two", after=b"two", limit=5) == (
                    [b"two\0"],
                    False,
                )

        asyncio.run(scenario())
