"""One of the processes that start together: applies migrations in several threads when it is told to.

Prints a JSON list with what each thread has applied.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor

from petra import Client
from petra.sync.stores import Migrations

THREADS = 3


def start(address: str, namespace: str, package: str) -> list[list[str]]:
    with Client(address, namespace=namespace, timeout=60) as client, ThreadPoolExecutor(THREADS) as threads:
        client.connect()
        print("ready", flush=True)
        sys.stdin.readline()
        migrations = Migrations(package)
        return list(threads.map(lambda _: migrations.migrate(client.object("app")), range(THREADS)))


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    print(json.dumps(start(*sys.argv[2:])))
