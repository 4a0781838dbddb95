"""Threads that share one blocking client: they share messages too, and nothing is crossed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from petra import Client, Transaction
from petra._transport.portal import shared_portal
from petra.testing import TestServer
from tests.client.peer import Peer, agree
from tests.client.waiting import PATIENCE_S, until

THREADS = 16


def in_threads(work: Callable[[int], None]) -> None:
    """Runs it in many threads at once, and raises what one of them raises."""
    barrier = threading.Barrier(THREADS)

    def begin(number: int) -> None:
        barrier.wait(PATIENCE_S)
        work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(begin, range(THREADS)))


def test_each_gets_its_own_answers(server: TestServer) -> None:
    with Client(server.address, namespace="threads", timeout=60) as client:

        def work(thread: int) -> None:
            room = client.object(f"room-{thread}")
            for number in range(20):
                key, value = f"{thread}-{number}", [thread, number]
                client.set(key, value)
                assert client.get(key) == value
                assert client.get_many([key, "absent"]) == {key: value}
                assert room.increment("count") == number + 1
                client.increment("count")
                pipeline = room.pipeline()
                pipeline.set("key", value)
                pipeline.get("key")
                assert pipeline.execute()[1] == value
            assert len(list(client.list_keys(prefix=f"{thread}-", page_size=3))) == 20

        in_threads(work)
        assert client.get("count") == THREADS * 20


def test_transactions_and_updates_of_threads_lose_nothing(server: TestServer) -> None:
    with Client(server.address, namespace="thread-conflicts", timeout=60) as client:
        room = client.object("room")

        def transfer(transaction: Transaction) -> None:
            left, right = transaction.get("left", 0), transaction.get("right", 0)
            transaction.set("left", left - 1)
            transaction.set("right", right + 1)

        def work(thread: int) -> None:
            room.transact(transfer)
            client.update("n", lambda n: n + 1, default=0)

        in_threads(work)
        assert room.get_many(["left", "right"]) == {"left": -THREADS, "right": THREADS}
        assert client.get("n") == THREADS


def test_one_that_closes_the_client_harms_no_other_client(server: TestServer) -> None:
    """They all live on one background loop."""

    def work(thread: int) -> None:
        for _ in range(5):
            with Client(server.address, namespace="thread-closing", timeout=60) as client:
                client.increment("count")

    in_threads(work)
    with Client(server.address, namespace="thread-closing") as client:
        assert client.get("count") == THREADS * 5
    assert sum(thread.name == "petra-client" for thread in threading.enumerate()) == 1


async def test_calls_that_are_made_at_the_same_time_share_messages() -> None:
    async with Peer() as peer:
        with Client(peer.address, timeout=60) as client, ThreadPoolExecutor(THREADS) as pool:
            loop = asyncio.get_running_loop()
            portal = shared_portal.get()
            await asyncio.to_thread(client.connect)
            # The background loop does something else while the threads make their calls.
            go_on = threading.Event()
            portal._loop.call_soon_threadsafe(go_on.wait, PATIENCE_S)
            calls = [loop.run_in_executor(pool, client.increment, f"{number}") for number in range(THREADS)]
            link = client._binding._link
            assert link is not None
            await until(lambda: len(link._incoming) == THREADS)
            go_on.set()
            told = await peer.next()
            assert sorted(told[1].keys, key=int) == [f"{number}" for number in range(THREADS)]
            agree(*told)
            assert await asyncio.gather(*calls) == [THREADS] * THREADS


async def test_a_group_of_a_thread_is_one_message() -> None:
    async with Peer(agree) as peer:
        with Client(peer.address) as client:
            await asyncio.to_thread(client.connect)
            pipeline = client.pipeline()
            for number in range(300):
                pipeline.increment(f"{number}")
            assert await asyncio.to_thread(pipeline.execute) == [300] * 300
            assert len(peer.messages) == 1
