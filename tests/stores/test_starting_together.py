"""Many processes that start together: each migration is done once, in order, and all of them begin with all done."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from petra import Client
from petra.testing import TestServer
from tests.stores import starter
from tests.stores.conftest import MakePackage

PROCESSES = 4
# Each appends a row with what was there before: run twice or out of order, the chain would show it.
STEPS = {
    f"{n:04}.sql": f"""
        CREATE TABLE t{n} (x);
        CREATE TABLE IF NOT EXISTS chain (step INTEGER, before INTEGER);
        INSERT INTO chain SELECT {n}, count(*) FROM chain;
    """
    for n in range(12)
}


def test_each_is_done_once(server: TestServer, namespace: str, package: MakePackage, tmp_path: Path) -> None:
    name = package(STEPS)
    command = [sys.executable, starter.__file__, str(tmp_path), server.address, namespace, name]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            for _ in range(PROCESSES)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        outputs = [process.communicate(timeout=100)[0] for process in processes]
    assert all(process.returncode == 0 for process in processes)
    done = [each for output in outputs for each in json.loads(output)]
    assert len(done) == PROCESSES * starter.THREADS
    assert sorted(step for each in done for step in each) == [f"{n:04}" for n in range(12)]
    assert all(each == sorted(each) for each in done)
    with Client(server.address, namespace=namespace) as client:
        chain = client.object("app").sql.execute("SELECT step, before FROM chain ORDER BY rowid")
    assert [tuple(row) for row in chain] == [(n, n) for n in range(12)]
