"""The server, or the program that migrates, is killed in the middle: a migration is there with its record, or not."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from petra import Client
from petra.errors import PetraError
from petra.sync.objects import Object
from petra.sync.stores import Migrations
from tests.stores import endless
from tests.stores.conftest import MakePackage
from tests.support.server import ServerProcess

# A server takes a second or two to start.
SERVER_ROUNDS = 10


def check(place: Object) -> int:
    """How many migrations an object has; each of them whole, and nothing of any other one."""
    tables = {row[0] for row in place.sql.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if not tables:
        return 0
    steps = [row[0] for row in place.sql.execute("SELECT name FROM _migrations ORDER BY number")]
    assert steps == sorted(endless.STEPS)[: len(steps)]
    assert tables == {"_migrations", *(f"{side}_{step}" for step in steps for side in ("left", "right"))}
    for step in steps:
        assert place.sql.one(f"SELECT count(*) FROM left_{step}") == (endless.ROWS,)
        assert place.sql.one(f"SELECT count(*) FROM right_{step}") == (endless.ROWS,)
    return len(steps)


def check_all(client: Client, package: str) -> tuple[int, int]:
    """How many objects have all migrations and how many have some; then they are brought to the end."""
    counts = {info.object: check(client.object(info.object)) for info in client.databases()}
    for name, count in counts.items():
        place = client.object(name)
        assert Migrations(package).migrate(place) == sorted(endless.STEPS)[count:]
        assert check(place) == len(endless.STEPS)
        place.clear()
    return sum(count == len(endless.STEPS) for count in counts.values()), len(counts)


class Begun:
    """Counts the objects that were begun, and says when it is enough."""

    def __init__(self, wanted: int) -> None:
        self._left = wanted
        self.enough = threading.Event()

    def __call__(self) -> None:
        self._left -= 1
        if self._left <= 0:
            self.enough.set()


@pytest.mark.crash
def test_the_server_is_killed(tmp_path: Path, package: MakePackage) -> None:
    name, seed, seen = package(endless.files()), random.Random(6), [(0, 0)]
    for round_number in range(SERVER_ROUNDS):
        with ServerProcess(tmp_path / "data") as server, Client(server.address, timeout=30) as client:
            seen.append(check_all(client, name))
            begun = Begun(seed.randrange(1, endless.MOST_OBJECTS))
            worker = threading.Thread(target=until_killed, args=(client, name, f"round{round_number}", begun))
            worker.start()
            assert begun.enough.wait(60)
            # Anywhere in the next one or two.
            time.sleep(seed.uniform(0, endless.SPREAD_S))
            server.kill()
            client.close()
            worker.join(60)
            assert not worker.is_alive()
    with ServerProcess(tmp_path / "data") as server, Client(server.address, timeout=30) as client:
        seen.append(check_all(client, name))
    # Otherwise nothing was killed in the middle.
    assert any(objects > whole for whole, objects in seen)


def until_killed(client: Client, package: str, prefix: str, begin: endless.Begin) -> None:
    with contextlib.suppress(PetraError):
        endless.migrate_for_ever(client, package, prefix, begin)


@pytest.mark.crash
def test_the_program_is_killed(tmp_path: Path, package: MakePackage) -> None:
    name = package(endless.files())
    with ServerProcess(tmp_path / "data") as server, Client(server.address, timeout=30) as client:
        command = [sys.executable, endless.__file__, str(tmp_path), server.address, name]
        done = subprocess.run(command, timeout=100, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == [str(int(signal.SIGKILL))] * endless.ROUNDS
        whole, objects = check_all(client, name)
    assert objects > whole
