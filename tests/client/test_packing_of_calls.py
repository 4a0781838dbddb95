"""How calls become messages: what a peer gets to see."""

from __future__ import annotations

import asyncio

import pytest

from petra import AsyncClient, Encoding, JSONCodec
from petra._transport.packing import MESSAGE_CALLS
from petra.errors import InvalidArgument
from petra.v1 import storage_pb2 as pb
from tests.client.peer import Peer, agree
from tests.client.waiting import PATIENCE_S


def stand_still() -> None:
    """Stops the clock of the loop: no timer ends, and nobody runs out of patience."""
    loop = asyncio.get_running_loop()
    now = loop.time()
    loop.time = lambda: now  # type: ignore[method-assign]


async def together(client: AsyncClient, keys: list[str]) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(client.increment(key)) for key in keys]
    await asyncio.sleep(0)
    return tasks


async def test_calls_of_one_tick_share_a_message() -> None:
    async with Peer(agree) as peer, AsyncClient(peer.address) as client:
        await client.connect()
        await client.increment("first")
        counts = await asyncio.gather(*(client.increment(f"key-{number}") for number in range(100)))
        assert counts == [100] * 100
        assert [len(message.ids) for message in peer.messages] == [1, 100]
        assert list(peer.messages[1].keys) == [f"key-{number}" for number in range(100)]


async def test_calls_of_all_handles_share_it_too() -> None:
    async with Peer(agree) as peer, AsyncClient(peer.address) as client:
        await client.connect()
        room = client.object("room")
        pipeline = room.pipeline()
        pipeline.increment("d")
        await asyncio.gather(
            client.increment("a"),
            room.increment("b"),
            client.namespace("other").object("room").increment("c"),
            pipeline.execute(),
        )
        (message,) = peer.messages
        addresses = [(address.namespace, address.object) for address in message.addresses]
        placed = {key: addresses[at] for key, at in zip(message.keys, message.address_indexes, strict=True)}
        assert placed == {"a": ("", ""), "b": ("", "room"), "c": ("other", "room"), "d": ("", "room")}


async def test_a_lone_call_waits_for_nothing() -> None:
    """Not for a timer, whose time would never come."""
    async with Peer(agree) as peer, AsyncClient(peer.address) as client:
        await client.connect()
        stand_still()
        for number in range(1, 6):
            assert await client.increment("key") == 1
            assert len(peer.messages) == number


async def test_messages_grow_while_answers_are_awaited() -> None:
    async with Peer() as peer, AsyncClient(peer.address) as client:
        await client.connect()
        stand_still()
        tasks: list[asyncio.Task[int]] = []
        for size in (1, 2, 3, 4):
            tasks += await together(client, ["key"] * size)
        first, second = await peer.next(), await peer.next()
        assert [len(message.ids) for _, message in (first, second)] == [1, 2]
        agree(*first)
        third = await peer.next()
        # What had gathered meanwhile.
        assert len(third[1].ids) == 7
        assert len(peer.messages) == 3
        agree(*third)
        agree(*second)
        assert sorted(await asyncio.gather(*tasks)) == [1, 2, 2, *[7] * 7]


async def test_slow_calls_do_not_hold_up_the_others() -> None:
    async with Peer() as peer, AsyncClient(peer.address) as client:
        slow = [asyncio.create_task(client.clear()) for _ in range(2)]
        pipeline, message = await peer.next()
        assert list(message.methods) == [pb.METHOD_CLEAR] * 2
        for _ in range(5):
            # Nobody has answered any of the clears.
            task = asyncio.create_task(client.increment("key"))
            agree(*await peer.next())
            assert await asyncio.wait_for(task, PATIENCE_S) == 1
        pipeline.answer(
            pb.PipelineResponse(ids=message.ids, values=[pb.ClearResponse(deleted=7).SerializeToString()] * 2)
        )
        assert await asyncio.gather(*slow) == [7, 7]


async def test_no_message_has_more_calls_than_the_server_takes() -> None:
    async with Peer(agree) as peer, AsyncClient(peer.address) as client:
        count = 3 * MESSAGE_CALLS + 5
        await asyncio.gather(*(client.increment(f"{number}") for number in range(count)))
        sizes = [len(message.ids) for message in peer.messages]
        assert max(sizes) == MESSAGE_CALLS
        assert sum(sizes) == count
        keys = [key for message in peer.messages for key in message.keys]
        assert keys == [f"{number}" for number in range(count)]


async def test_large_values_are_spread_over_messages() -> None:
    async with Peer(agree) as peer, AsyncClient(peer.address) as client:
        await asyncio.gather(*(client.set(f"{number}", bytes(200_000)) for number in range(9)))
        assert max(message.ByteSize() for message in peer.messages) < 600_000
        peer.messages.clear()
        await asyncio.gather(client.get("small"), client.set("large", bytes(1 << 20)), client.get("small"))
        (large,) = [message for message in peer.messages if message.ByteSize() > 1 << 20]
        assert list(large.keys)[-1] == "large"


class TestCancellation:
    async def test_before_it_is_sent_nothing_is_sent(self) -> None:
        async with Peer() as peer, AsyncClient(peer.address) as client:
            await client.connect()
            stand_still()
            under_way = [*await together(client, ["a"]), *await together(client, ["b"])]
            first, second = await peer.next(), await peer.next()
            group = asyncio.create_task(client.get_many([f"{number}" for number in range(10)]))
            cancelled, kept = await together(client, ["cancelled", "kept"])
            for task in (group, cancelled):
                task.cancel()
            await asyncio.wait((group, cancelled))
            agree(*first)
            agree(*second)
            third = await peer.next()
            assert list(third[1].keys) == ["kept"]
            agree(*third)
            assert await asyncio.gather(*under_way, kept) == [1, 1, 1]

    async def test_while_there_is_no_connection(self) -> None:
        async with Peer(agree) as peer, AsyncClient(peer.address) as client:
            cancelled, kept = await together(client, ["cancelled", "kept"])
            cancelled.cancel()
            assert await kept == 1
            assert [list(message.keys) for message in peer.messages] == [["kept"]]

    async def test_after_it_is_sent_its_answer_is_nobodys(self) -> None:
        async with Peer() as peer, AsyncClient(peer.address) as client:
            tasks = await together(client, ["a", "b", "c"])
            pipeline, message = await peer.next()
            tasks[1].cancel()
            await asyncio.wait((tasks[1],))
            pipeline.answer(pb.PipelineResponse(ids=message.ids, versions=[1] * 3, numbers=[10, 20, 30]))
            assert [await tasks[0], await tasks[2]] == [10, 30]
            # Nor is a second answer, or one to a question that nobody asked.
            pipeline.answer(pb.PipelineResponse(ids=[*message.ids, 99], versions=[1] * 4, numbers=[0] * 4))
            task = asyncio.create_task(client.increment("d"))
            agree(*await peer.next())
            assert await task == 1


class TestAnswers:
    async def test_in_any_order_and_any_parts(self) -> None:
        async with Peer() as peer, AsyncClient(peer.address) as client:
            tasks = await together(client, [f"{number}" for number in range(6)])
            pipeline, message = await peer.next()
            number_of = dict(zip(message.ids, range(6), strict=True))
            for ids in ([5, 1], [3], [], [0, 4, 2]):
                part = [id_ for id_, number in number_of.items() if number in ids]
                part.sort(reverse=True)
                numbers = [10 * number_of[id_] for id_ in part]
                pipeline.answer(pb.PipelineResponse(ids=part, versions=[1] * len(part), numbers=numbers))
            assert await asyncio.gather(*tasks) == [0, 10, 20, 30, 40, 50]

    @pytest.mark.parametrize(
        "answer",
        [b"\xff\xff\xff", pb.PipelineResponse(ids=[1, 2, 3], versions=[1]).SerializeToString()],
        ids=["no message", "columns that do not fit"],
    )
    async def test_one_that_cannot_be_read_costs_the_connection_and_no_call(self, answer: bytes) -> None:
        async with Peer() as peer, AsyncClient(peer.address) as client:
            tasks = await together(client, ["a", "b", "c"])
            pipeline, _ = await peer.next()
            pipeline.answer_raw(answer)
            again = await peer.next()
            assert again[0].connection is not pipeline.connection
            agree(*again)
            results = await asyncio.gather(*tasks)
            assert set(results[1:]) <= {2, 3}


async def test_a_value_that_cannot_be_packed_is_the_fault_of_its_own_call() -> None:
    class Wrong(JSONCodec):
        def encode(self, value: object) -> tuple[bytes, Encoding]:
            return str(value), Encoding.BYTES  # type: ignore[return-value] # that is what is wrong

    async with Peer(agree) as peer, AsyncClient(peer.address, codec=Wrong()) as client:
        await client.connect()
        outcomes = await asyncio.gather(
            client.increment("a"), client.set("b", 1), client.increment("c"), return_exceptions=True
        )
        assert [outcomes[0], outcomes[2]] == [2, 2]
        assert isinstance(outcomes[1], InvalidArgument)
        assert [list(message.keys) for message in peer.messages] == [["a", "c"]]
