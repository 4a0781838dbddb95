"""Applies the same migrations to one object after the other, until somebody kills it.

As a program it forks children that do so, and kills each of them after so many migrations and a little more.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from io import FileIO

from petra import Client
from petra.sync.stores import Migrations

ROUNDS = 20
# How many objects a round begins before the kill, at most, and how much later that is, at most.
MOST_OBJECTS, SPREAD_S = 4, 0.06
ROWS = 50
STEPS = tuple(f"s{n}" for n in range(6))

# Is called before each object.
Begin = Callable[[], None]


def files() -> dict[str, str]:
    """Each makes two tables that belong together, and fills them."""
    numbers = f"WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT {ROWS}) SELECT x FROM n"
    return {
        f"{step}.sql": "".join(
            f"CREATE TABLE {side}_{step} (x); INSERT INTO {side}_{step} {numbers};" for side in ("left", "right")
        )
        for step in STEPS
    }


def migrate_for_ever(client: Client, package: str, prefix: str, begin: Begin) -> None:
    migrations = Migrations(package)
    for number in itertools.count():
        begin()
        migrations.migrate(client.object(f"{prefix}-{number}"))


def kill_children(address: str, package: str, seed: random.Random) -> None:
    # There is neither a client nor a thread yet where it forks.
    for round_number in range(ROUNDS):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            with Client(address, timeout=60) as client, os.fdopen(writing, "wb", buffering=0) as pipe:
                migrate_for_ever(client, package, f"round{round_number}", partial(_tell, pipe))
        os.close(writing)
        for _ in range(seed.randrange(1, MOST_OBJECTS)):
            os.read(reading, 1)
        # Anywhere in the next one or two.
        time.sleep(seed.uniform(0, SPREAD_S))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        os.close(reading)
        print(os.WTERMSIG(status), flush=True)


def _tell(pipe: FileIO) -> None:
    pipe.write(b"x")


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    kill_children(sys.argv[2], sys.argv[3], random.Random(7))
