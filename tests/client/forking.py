"""Programs that use a client, fork, and go on: run as `python -m tests.client.forking NAME ADDRESS`.

They are processes of their own because grpcio, which the tests' servers run on, does not survive a fork.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import threading
import traceback
from collections.abc import Callable

from petra import AsyncClient, Client
from petra.errors import ClientClosed


def in_child(work: Callable[[], bool]) -> None:
    """Runs it in a forked process, where it must be true."""
    pid = os.fork()
    if not pid:
        holds = False
        try:
            holds = work()
        except BaseException:  # noqa: BLE001 - the parent is told by the exit code
            traceback.print_exc()
        os._exit(not holds)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def blocking(address: str) -> None:
    """A client works in children, and goes on in the parent."""
    with Client(address) as client:
        room = client.namespace("fork").object("room")
        assert room.increment("used") == 1
        for expected in (2, 3, 4):
            in_child(lambda: room.increment("used") == expected)  # noqa: B023 - called before the next one
        assert room.increment("used") == 5


def busy(address: str) -> None:
    """The process is forked in the middle of calls of other threads."""
    stop = threading.Event()
    counts = [0, 0, 0]
    with Client(address) as client:

        def count(index: int) -> None:
            while not stop.is_set():
                client.increment(f"busy-{index}")
                counts[index] += 1

        threads = [threading.Thread(target=count, args=(index,)) for index in range(len(counts))]
        for thread in threads:
            thread.start()
        for number in range(10):
            in_child(lambda: client.set(f"from-child-{number}", number) > 0)  # noqa: B023
        stop.set()
        for thread in threads:
            thread.join()
        busy_keys = [f"busy-{index}" for index in range(3)]
        assert client.get_many(busy_keys) == dict(zip(busy_keys, counts, strict=True))
        assert client.get("from-child-9") == 9


def asynchronous(address: str) -> None:
    """An asynchronous client works in the child on a loop of its own, while the parent's connection is open."""
    client = AsyncClient(address)

    async def use() -> None:
        await client.set("before", 1)
        # As in a worker that ends by os._exit, the child's loop is not closed.
        in_child(lambda: asyncio.new_event_loop().run_until_complete(client.get("before")) == 1)
        assert await client.increment("before") == 2
        await client.close()

    asyncio.run(use())


def streaming(address: str) -> None:
    """Rows that are being read stay with the parent; a child asks for its own."""
    query = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 2000) SELECT x, zeroblob(1000) FROM n"
    with Client(address) as client:
        sql = client.object("room").sql
        rows = sql.query(query)
        assert next(rows)[0] == 1

        def read() -> bool:
            try:
                list(rows)
            except ClientClosed:
                return sum(1 for _ in sql.query(query)) == 2_000
            return False

        in_child(read)
        assert [row[0] for row in rows] == list(range(2, 2_001))


_SHARED: list[Client] = []


def _work(number: int) -> list[int]:
    return [_SHARED[0].increment("prefork") for _ in range(20)]


def prefork(address: str) -> None:
    """As gunicorn and Celery do: a module makes its client, uses it, and workers are forked."""
    client = Client(address)
    _SHARED.append(client)
    client.set("prefork", 0)
    with multiprocessing.get_context("fork").Pool(4) as pool:
        sums = [one for some in pool.map(_work, range(10)) for one in some]
    assert sorted(sums) == list(range(1, 201))
    assert client.get("prefork") == 200


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
