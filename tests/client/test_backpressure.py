"""A server that is slow, deaf or away: what waits is bounded, callers wait for room, and it all goes on afterwards."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from petra import AsyncClient
from petra._transport import admission
from petra._transport.link import Link
from petra.errors import ClientClosed, DeadlineExceeded, PetraError, Unavailable
from tests.client.peer import Peer, agree
from tests.client.waiting import PATIENCE_S, until
from tests.support.ports import free_port
from tests.support.server import ServerProcess

MIB = 1 << 20


def link_of(client: AsyncClient) -> Link:
    link = client._binding._link
    assert link is not None
    return link


@asynccontextmanager
async def watched(client: AsyncClient) -> AsyncIterator[list[tuple[int, int]]]:
    """The most calls and bytes under way, and the most bytes that wait for the socket, while it runs."""
    most = [(0, 0)]

    async def watch() -> None:
        while True:
            link = link_of(client)
            calls, size = most[0]
            most[0] = max(calls, link._admission.calls), max(size, link._admission.bytes)
            await asyncio.sleep(0)

    watcher = asyncio.create_task(watch())
    yield most
    watcher.cancel()
    await asyncio.wait((watcher,))


async def test_more_calls_than_may_be_under_way_wait_for_room_and_are_all_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(admission, "MOST_CALLS", 500)
    async with Peer() as peer, AsyncClient(peer.address, timeout=60) as client:
        await client.connect()
        count = 3 * admission.MOST_CALLS
        async with watched(client) as most:
            tasks = [asyncio.create_task(client.increment(f"{number}")) for number in range(count)]
            await until(lambda: len(link_of(client)._admission._waiters) == count - admission.MOST_CALLS)
            peer.behaviour = agree
            while peer._waiting.qsize():
                agree(*await peer.next())
            assert len(await asyncio.gather(*tasks)) == count
        assert most[0][0] == admission.MOST_CALLS
        assert [key for message in peer.messages for key in message.keys] == [f"{number}" for number in range(count)]


async def test_more_bytes_than_may_be_under_way_wait_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MOST_BYTES", 4 * MIB)
    async with Peer() as peer, AsyncClient(peer.address, timeout=60) as client:
        await client.connect()
        value = bytes(MIB // 4)
        async with watched(client) as most:
            tasks = [asyncio.create_task(client.set(f"{number}", value)) for number in range(100)]
            # A small one waits as well: whoever came first goes first.
            await until(lambda: len(link_of(client)._admission._waiters) == 100 - admission.MOST_BYTES // len(value))
            small = asyncio.create_task(client.increment("small"))
            peer.behaviour = agree
            while peer._waiting.qsize():
                agree(*await peer.next())
            assert await asyncio.gather(*tasks) == [1] * 100
            assert await small > 0
        assert most[0][1] <= admission.MOST_BYTES + len(value)
        assert link_of(client)._admission.bytes == 0


class TestADeafServer:
    async def test_what_is_packed_is_bounded(self) -> None:
        """Calls wait as they are, until the socket and the window of the stream take more."""
        async with Peer(agree) as peer, AsyncClient(peer.address, timeout=60) as client:
            await client.increment("first")
            (connection,) = peer.connections
            connection.deafen()
            tasks = [asyncio.create_task(client.set(f"{number}", bytes(MIB))) for number in range(60)]
            link = link_of(client)
            stream = link._stream
            assert stream is not None
            await until(lambda: stream.backlog_bytes > 0)
            # Every turn of the loop is a chance to pack more.
            for _ in range(100):
                await asyncio.sleep(0)
            assert stream.backlog_bytes < 2 * MIB
            assert len(link._in_flight) < 20
            connection.listen()
            assert await asyncio.gather(*tasks) == [1] * 60

    async def test_the_window_of_the_stream_is_kept_to(self) -> None:
        async with Peer(agree) as peer, AsyncClient(peer.address, timeout=60) as client:
            await client.increment("first")
            peer.credits = False
            tasks = [asyncio.create_task(client.set(f"{number}", bytes(200_000))) for number in range(20)]
            link = link_of(client)
            stream = link._stream
            assert stream is not None
            await until(lambda: stream.backlog_bytes > 0)
            for _ in range(100):
                await asyncio.sleep(0)
            assert len(link._in_flight) < 5
            peer.credits = True
            (connection,) = peer.connections
            connection.credit()
            assert await asyncio.gather(*tasks) == [1] * 20

    async def test_who_waits_for_room_in_vain_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(admission, "MOST_CALLS", 2)
        async with Peer() as peer, AsyncClient(peer.address) as client:
            await client.connect()
            held = [asyncio.create_task(client.increment("held")) for _ in range(2)]
            told = await peer.next()
            with pytest.raises(DeadlineExceeded, match="2 calls are under way") as caught:
                await client.increment("late", timeout=0.05)
            assert not caught.value.outcome_unknown
            with pytest.raises(DeadlineExceeded, match="fewer calls"):
                await client.get_many(["a", "b"], timeout=0.05)
            agree(*told)
            assert await asyncio.gather(*held) == [2, 2]
            assert [list(message.keys) for message in peer.messages] == [["held", "held"]]

    async def test_time_in_the_queue_is_part_of_the_time_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(admission, "MOST_CALLS", 1)
        async with Peer() as peer, AsyncClient(peer.address) as client:
            await client.connect()
            loop = asyncio.get_running_loop()
            held = asyncio.create_task(client.increment("held"))
            told = await peer.next()
            begun = loop.time()
            waiting = asyncio.create_task(client.increment("waiting", timeout=60))
            await until(lambda: bool(link_of(client)._admission._waiters))
            agree(*told)
            told = await peer.next()
            (call,) = link_of(client)._in_flight.values()
            assert call.deadline <= begun + 60.001
            agree(*told)
            await asyncio.gather(held, waiting)

    async def test_room_of_one_who_is_cancelled_is_the_next_ones(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(admission, "MOST_CALLS", 1)
        async with Peer() as peer, AsyncClient(peer.address, timeout=60) as client:
            await client.connect()
            held = asyncio.create_task(client.increment("held"))
            told = await peer.next()
            waiting = [asyncio.create_task(client.increment(f"{number}")) for number in range(4)]
            await until(lambda: len(link_of(client)._admission._waiters) == 4)
            waiting[0].cancel()
            agree(*told)
            # The next in line is let in with the answer, and is cancelled in the same tick.
            await until(lambda: len(link_of(client)._admission._waiters) == 2)
            waiting[1].cancel()
            peer.behaviour = agree
            while peer._waiting.qsize():
                agree(*await peer.next())
            await asyncio.wait(waiting)
            assert [task.cancelled() for task in waiting[::2]] == [True, False]
            assert [await waiting[2], await waiting[3], await held] == [1, 1, 1]
            assert link_of(client)._admission.calls == 0


class TestNobodyThere:
    async def test_calls_that_are_given_up_are_forgotten(self) -> None:
        async with AsyncClient(f"127.0.0.1:{free_port()}", timeout=60) as client:
            for _ in range(5):
                calls = [asyncio.create_task(client.increment("key")) for _ in range(4_000)]
                await asyncio.sleep(0)
                for call in calls:
                    call.cancel()
                await asyncio.wait(calls)
            link = link_of(client)
            assert link._admission.calls == 0
            assert len(link._pending) <= 4_096
            assert len(link._deadlines._queue) <= 4_096
            assert not link._in_flight
            # Nobody waits for a connection any more, so nobody tries to make one.
            await until(lambda: link._connector._task is None)

    async def test_those_that_expire_too(self) -> None:
        async with AsyncClient(f"127.0.0.1:{free_port()}", timeout=0.05) as client:
            for _ in range(3):
                outcomes = await asyncio.gather(
                    *(client.increment("key") for _ in range(3_000)), return_exceptions=True
                )
                for outcome in outcomes:
                    assert isinstance(outcome, Unavailable | DeadlineExceeded)
                    assert not outcome.outcome_unknown
            link = link_of(client)
            assert len(link._pending) <= 4_096
            assert not link._deadlines._queue
            await until(lambda: link._connector._task is None)

    async def test_who_waits_for_room_learns_that_the_server_is_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(admission, "MOST_CALLS", 1)
        async with AsyncClient(f"127.0.0.1:{free_port()}", timeout=60) as client:
            held = asyncio.create_task(client.increment("held"))
            with pytest.raises(Unavailable, match="refused"):
                await client.connect()
            with pytest.raises(Unavailable, match="refused"):
                await client.increment("late", timeout=0.05)
            waiting = asyncio.create_task(client.increment("waiting"))
            await until(lambda: len(link_of(client)._admission._waiters) == 1)
            await client.close()
            for task in (held, waiting):
                with pytest.raises(ClientClosed):
                    await task


@pytest.mark.slow
async def test_a_server_that_stands_still_and_goes_on(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        async with AsyncClient(server.address, timeout=0.5) as client:
            await client.set("before", 1)
            server.send_signal(signal.SIGSTOP)
            value = bytes(2 * MIB)
            try:
                async with watched(client) as most:
                    outcomes = await asyncio.gather(
                        *(client.set(f"large-{number}", value) for number in range(60)),
                        *(client.increment("small") for _ in range(200)),
                        return_exceptions=True,
                    )
                assert all(isinstance(outcome, DeadlineExceeded | Unavailable) for outcome in outcomes)
                assert most[0][1] <= admission.MOST_BYTES + len(value)
            finally:
                server.send_signal(signal.SIGCONT)
            sent = sum(isinstance(outcome, PetraError) and outcome.outcome_unknown for outcome in outcomes[60:])
            await client.set("after", 2, timeout=PATIENCE_S)
            assert await client.get("before", timeout=PATIENCE_S) == 1
            assert await client.get("small", 0, timeout=PATIENCE_S) <= sent
            await asyncio.gather(*(client.set(f"large-{number}", value, timeout=60) for number in range(20)))
            assert await client.get("large-19", timeout=PATIENCE_S) == value
            link = link_of(client)
            del outcomes
            gc.collect()
            assert (link._admission.calls, link._admission.bytes) == (0, 0)
            assert not link._in_flight
