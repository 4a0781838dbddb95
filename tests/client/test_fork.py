"""A client that was used before a fork works in the child, and the parent's goes on undisturbed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from petra import AsyncClient, Client
from tests.support.server import ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("fork") / "data") as server:
        yield server


def in_child(work: Callable[[], None]) -> None:
    """Runs it in a forked process. Fails when that fails."""
    pid = os.fork()
    if not pid:
        try:
            work()
        except BaseException:  # noqa: BLE001 - the parent is told by the exit code
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_the_blocking_client_works_in_children_and_goes_on_in_the_parent(server: ServerProcess) -> None:
    with Client(server.address) as client:
        room = client.namespace("fork").object("room")
        assert room.increment("used") == 1
        for expected in (2, 3, 4):
            in_child(lambda: check(room.increment("used") == expected))  # noqa: B023 - called before the next one
        assert room.increment("used") == 5


def test_a_fork_in_the_middle_of_calls_of_other_threads(server: ServerProcess) -> None:
    stop = threading.Event()
    counts = [0, 0, 0]
    with Client(server.address) as client:

        def count(index: int) -> None:
            while not stop.is_set():
                client.increment(f"busy-{index}")
                counts[index] += 1

        threads = [threading.Thread(target=count, args=(index,)) for index in range(len(counts))]
        for thread in threads:
            thread.start()
        for number in range(10):
            in_child(lambda: check(client.set(f"from-child-{number}", number) > 0))  # noqa: B023
        stop.set()
        for thread in threads:
            thread.join()
        assert client.get_many([f"busy-{index}" for index in range(3)]) == {
            f"busy-{index}": count for index, count in enumerate(counts)
        }
        assert client.get("from-child-9") == 9


def test_an_asynchronous_client_works_in_the_child_on_a_loop_of_its_own(server: ServerProcess) -> None:
    client = AsyncClient(server.address)

    async def before() -> None:
        await client.set("before", 1)
        # A child with a loop of its own, while this one's connection is open.
        in_child(lambda: check(asyncio.new_event_loop().run_until_complete(client.get("before")) == 1))
        assert await client.increment("before") == 2
        await client.close()

    # The child's loop is not closed, as a forked worker's that ends by os._exit is not.
    asyncio.run(before())


def test_children_of_a_process_pool_share_a_client_of_the_module(server: ServerProcess, tmp_path: Path) -> None:
    """As gunicorn and Celery do: the module makes its client, uses it, and forks workers."""
    program = tmp_path / "prefork.py"
    program.write_text(
        "import multiprocessing, sys\n"
        "from petra import Client\n"
        "client = Client(sys.argv[1])\n"
        "client.set('prefork', 0)\n"
        "def work(number):\n"
        "    return [client.increment('prefork') for _ in range(20)]\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('fork').Pool(4) as pool:\n"
        "        sums = [one for some in pool.map(work, range(10)) for one in some]\n"
        "    assert sorted(sums) == list(range(1, 201)), sums\n"
        "    assert client.get('prefork') == 200\n"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "error", str(program), server.address], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def check(holds: bool) -> None:
    assert holds
