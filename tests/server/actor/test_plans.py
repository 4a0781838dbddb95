"""Where things live, and how one request becomes parts of several actors and one answer again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from petra_server.actor import plans
from petra_server.actor.operations import CountReply, GetManyReply, Set, SetManyReply
from petra_server.errors import Reason, Refusal
from petra_server.storage.keys import actor_of_slot, slot_of
from tests.server.actor.routing import Routed, routed

NAMES = [b"%d" % number for number in range(40)]


def items_of(on: Routed, names: list[bytes]) -> list[Set]:
    return [Set(on.address().prefix + name, b"value of " + name, 1) for name in names]


class TestAddresses:
    def test_flat_keys_spread_by_their_slots_and_objects_stay_together(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path, actors=3) as on:
                flat, room = on.address(), on.room
                for name in NAMES:
                    assert flat.actor_of(name).index == actor_of_slot(slot_of(b"space", name), 3)
                    assert room.actor_of(name).index == actor_of_slot(slot_of(b"space", b"room"), 3)
                assert [actor.index for actor in flat.actors()] == [0, 1, 2]
                assert room.actors() == (room.owner,)

        asyncio.run(scenario())

    def test_an_empty_namespace_is_the_default_one(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                assert on.addresses.find("", "room") == on.addresses.find("default", "room")

        asyncio.run(scenario())

    @pytest.mark.parametrize(
        ("namespace", "object_name", "reason"),
        [("é" * 128, "", Reason.INVALID_NAMESPACE), ("n", "é" * 513, Reason.INVALID_OBJECT)],
    )
    def test_names_are_bounded_in_bytes(self, tmp_path: Path, namespace: str, object_name: str, reason: Reason) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                with pytest.raises(Refusal) as caught:
                    on.addresses.find(namespace, object_name)
                assert caught.value.reason is reason
                on.addresses.find("n" * 255, "o" * 1_024)

        asyncio.run(scenario())


class TestPlans:
    def test_flat_keys_are_answered_in_the_order_of_the_request(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path, actors=3) as on:
                flat = on.address()
                plan = plans.set_many(flat, NAMES, items_of(on, NAMES))
                assert len(plan.parts) == 3
                written = await on.ask(plan)
                assert isinstance(written, SetManyReply)
                asked = [*reversed(NAMES), b"gone", NAMES[0], NAMES[0]]
                found = await on.ask(plans.get_many(flat, asked, 1 << 20))
                assert isinstance(found, GetManyReply)
                versions = dict(zip(NAMES, written.versions, strict=True))
                expected = [(versions[name], b"value of " + name) if name in versions else None for name in asked]
                assert [record and (record.version, record.value) for record in found.records] == expected
                assert await on.ask(plans.delete_many(flat, [*NAMES[:5], b"gone"])) == CountReply(5)
                assert await on.ask(plans.clear(flat, b"1")) == CountReply(10)
                assert await on.ask(plans.clear(flat, b"")) == CountReply(len(NAMES) - 15)

        asyncio.run(scenario())

    def test_an_object_is_one_operation(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path, actors=3) as on:
                for plan in (
                    plans.get_many(on.room, NAMES, 1),
                    plans.set_many(on.room, NAMES, items_of(on, NAMES)),
                    plans.delete_many(on.room, NAMES),
                    plans.clear(on.room, b""),
                ):
                    assert [actor for actor, _ in plan.parts] == [on.actor]

        asyncio.run(scenario())

    def test_nothing_asked_is_nothing_answered(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path) as on:
                assert await on.ask(plans.get_many(on.address(), [], 1)) == GetManyReply(())
                assert await on.ask(plans.set_many(on.address(), [], [])) == SetManyReply(())
                assert await on.ask(plans.delete_many(on.address(), [])) == CountReply(0)

        asyncio.run(scenario())

    def test_the_parts_share_the_room_in_the_answer(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path, actors=3) as on:
                await on.ask(plans.set_many(on.address(), NAMES, items_of(on, NAMES)))
                with pytest.raises(Refusal) as caught:
                    await on.ask(plans.get_many(on.address(), NAMES, 1_000))
                assert caught.value.reason is Reason.RESPONSE_TOO_LARGE

        asyncio.run(scenario())

    def test_a_refusal_of_one_part_is_the_answer(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with routed(tmp_path, actors=3, max_mailbox_items=0) as on:
                on.router.hold(on.router.actors[1])
                with pytest.raises(Refusal) as caught:
                    await on.ask(plans.set_many(on.address(), NAMES, items_of(on, NAMES)))
                assert caught.value.reason is Reason.OVERLOADED

        asyncio.run(scenario())
