"""A client that was used before a fork works in the child, and the parent's goes on undisturbed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client import forking
from tests.support.server import ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("fork") / "data") as server:
        yield server


@pytest.mark.parametrize(
    "program", [forking.blocking, forking.busy, forking.asynchronous, forking.prefork, forking.streaming]
)
def test_a_client_survives_a_fork(server: ServerProcess, program: object) -> None:
    name = getattr(program, "__name__", "")
    # Newer versions of Python warn of any fork beside threads, which is what is tried here.
    warnings = ("-W", "error", "-W", "ignore:This process:DeprecationWarning")
    ended = subprocess.run(
        [sys.executable, *warnings, "-m", forking.__name__, name, server.address],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=100,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
