"""Time-outs: of the client, of a call, of what was sent and of what was not, and of servers that are never there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from petra import AsyncClient
from petra._transport import link as links
from petra.errors import DeadlineExceeded, PetraError, Unavailable
from petra.v1 import storage_pb2 as pb
from tests.client.peer import Peer, agree
from tests.client.waiting import PATIENCE_S
from tests.support.ports import free_port

SOON = 0.05


@asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """The address of one that takes connections and never says anything."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with server:
        yield "{}:{}".format(*server.sockets[0].getsockname())


async def failure(call: Awaitable[object]) -> PetraError:
    """What a call fails with, well before anybody loses patience."""
    with pytest.raises(PetraError) as caught:
        await asyncio.wait_for(call, PATIENCE_S)
    return caught.value


class TestWithoutAnAnswer:
    @pytest.mark.parametrize("timeout", [SOON, timedelta(seconds=SOON)])
    async def test_the_clients_own_and_that_of_a_call(self, timeout: float | timedelta) -> None:
        async with Peer() as peer:
            async with AsyncClient(peer.address, timeout=timeout) as client:
                assert f"within {SOON:g} s" in str(await failure(client.get("key")))
            async with AsyncClient(peer.address, timeout=600) as client:
                assert f"within {SOON:g} s" in str(await failure(client.get("key", timeout=timeout)))
                # One with little time does not take that of others.
                long = asyncio.create_task(client.increment("long"))
                told = await peer.next()
                while "long" not in told[1].keys:
                    told = await peer.next()
                assert isinstance(await failure(client.get("short", timeout=timeout)), DeadlineExceeded)
                assert not long.done()
                agree(*told)
                assert await long == 1

    @pytest.mark.parametrize(
        ("make", "doubted"),
        [
            (lambda client: client.get("key"), False),
            (lambda client: client.get_many(["a", "b"]), False),
            (lambda client: client.object("o").get_many(["a", "b"]), False),
            (lambda client: anext(client.list()), False),
            (lambda client: client.throttle("key", 1, 1, peek=True), False),
            (lambda client: client.set("key", 1), True),
            (lambda client: client.delete("key"), True),
            (lambda client: client.increment("key"), True),
            (lambda client: client.set_many({"a": 1}), True),
            (lambda client: client.delete_many(["a"]), True),
            (lambda client: client.throttle("key", 1, 1), True),
            (lambda client: client.clear(), True),
            (lambda client: client.touch("key", 1), True),
        ],
    )
    async def test_who_has_sent_a_mutation_is_told_that_it_is_in_doubt(
        self, make: Callable[[AsyncClient], Awaitable[object]], doubted: bool
    ) -> None:
        async with Peer() as peer, AsyncClient(peer.address, timeout=SOON) as client:
            await client.connect(timeout=PATIENCE_S)
            error = await failure(make(client))
            assert type(error) is DeadlineExceeded
            assert error.outcome_unknown is doubted
            assert ("not known whether it was applied" in str(error)) is doubted
            assert peer.address in str(error)
            assert isinstance(error, TimeoutError)

    async def test_each_of_a_pipeline_has_its_own_outcome(self) -> None:
        async with Peer() as peer, AsyncClient(peer.address) as client:
            await client.connect()
            pipeline = client.pipeline()
            pipeline.increment("answered")
            pipeline.increment("not answered")
            pipeline.get("nor read")
            results = asyncio.create_task(pipeline.execute(timeout=0.5))
            stream, message = await peer.next()
            stream.answer(pb.PipelineResponse(ids=message.ids[:1], versions=[1], numbers=[5]))
            answered, *others = await asyncio.wait_for(results, PATIENCE_S)
            assert answered == 5
            assert [type(other) for other in others] == [DeadlineExceeded] * 2
            assert [isinstance(other, PetraError) and other.outcome_unknown for other in others] == [True, False]

    async def test_an_answer_that_comes_too_late_is_nobodys(self) -> None:
        async with Peer() as peer, AsyncClient(peer.address) as client:
            await client.connect()
            await failure(client.increment("late", timeout=SOON))
            told = await peer.next()
            task = asyncio.create_task(client.increment("next"))
            again = await peer.next()
            agree(*told)
            assert not task.done()
            agree(*again)
            assert await task == 1

    async def test_many_at_once(self) -> None:
        async with Peer() as peer, AsyncClient(peer.address, timeout=0.2) as client:
            calls = [client.increment("key") for _ in range(500)]
            calls += [client.increment("key", timeout=0.1 + number / 1_000) for number in range(100)]
            outcomes = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), PATIENCE_S)
            assert {type(outcome) for outcome in outcomes} == {DeadlineExceeded}


class TestUnsent:
    async def test_what_waits_behind_a_deaf_server_was_not_applied(self) -> None:
        async with Peer(agree) as peer, AsyncClient(peer.address) as client:
            await client.increment("first")
            peer.credits = False
            large = [asyncio.create_task(client.set("large", bytes(1 << 19))) for _ in range(3)]
            error = await failure(client.increment("key", timeout=SOON))
            assert type(error) is DeadlineExceeded
            assert not error.outcome_unknown
            assert "was not applied" in str(error)
            assert not any("key" in message.keys for message in peer.messages)
            for task in large:
                task.cancel()
            await asyncio.wait(large)

    async def test_a_server_that_is_not_there(self) -> None:
        address = f"127.0.0.1:{free_port()}"
        async with AsyncClient(address, timeout=0.3) as client:
            error = await failure(client.increment("key"))
            assert type(error) is Unavailable
            assert str(error) == f"{address} refused the connection. Is the server running there? Tried for 0.3 s."
            assert not error.outcome_unknown
            # Whoever wants to know at once, asks for the connection.
            error = await failure(client.connect(timeout=PATIENCE_S))
            assert type(error) is Unavailable
            assert str(error) == f"{address} refused the connection. Is the server running there?"

    async def test_a_name_that_is_not_known(self) -> None:
        async with AsyncClient("nowhere.invalid:7475", timeout=0.3) as client:
            error = await failure(client.connect(timeout=PATIENCE_S))
            assert type(error) is Unavailable
            assert str(error).startswith("nowhere.invalid:7475 cannot be reached: the host name is not known")

    async def test_a_server_that_says_nothing(self) -> None:
        async with silent_server() as address, AsyncClient(address, timeout=0.1) as client:
            error = await failure(client.increment("key"))
            assert isinstance(error, DeadlineExceeded | Unavailable)
            assert address in str(error)
            assert not error.outcome_unknown
            async with AsyncClient(address, timeout=60, connect_timeout=0.1) as other:
                assert "did not answer within 0.1 s" in str(await failure(other.connect()))
                assert "did not answer within 0.1 s" in str(await failure(other.get("key", timeout=0.3)))

    async def test_calls_beside_the_pipeline(self) -> None:
        async with AsyncClient(f"127.0.0.1:{free_port()}", timeout=0.2) as client:
            for call in (client.info(), client.actors(), anext(client.namespaces()), anext(client.objects())):
                error = await failure(call)
                assert type(error) is Unavailable
                assert "refused the connection" in str(error)
        # This peer knows of pipelines only, and keeps silent.
        async with Peer() as peer, AsyncClient(peer.address) as client:
            await client.connect()
            error = await failure(client.info(timeout=SOON))
            assert type(error) is DeadlineExceeded
            assert not error.outcome_unknown


class TestUpdates:
    async def test_the_time_out_is_for_all_of_it(self) -> None:
        async with Peer() as peer, AsyncClient(peer.address) as client:
            await client.connect()
            for work in (client.update("key", lambda value: value, timeout=SOON), self.transact(client)):
                error = await failure(work)
                assert type(error) is DeadlineExceeded
                assert not error.outcome_unknown

    @staticmethod
    async def transact(client: AsyncClient) -> None:
        await client.object("room").transact(lambda tx: tx.get("key"), timeout=SOON)


async def test_a_mutation_older_than_request_ids_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "_REQUEST_ID_SECONDS", -1.0)
    async with Peer() as peer, AsyncClient(peer.address) as client:
        old, read = asyncio.create_task(client.increment("old")), asyncio.create_task(client.get("read"))
        pipeline, _ = await peer.next()
        pipeline.connection.cut()
        error = await failure(old)
        assert type(error) is Unavailable
        assert error.outcome_unknown
        again = await peer.next()
        assert list(again[1].keys) == ["read"]
        agree(*again)
        await read
