"""Histories of concurrent client processes against a real server are linearizable, with and without kills."""

from __future__ import annotations

import multiprocessing
import random
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

import pytest

from tests.linearizability.checker import find_violation
from tests.linearizability.client import Finished, Place, Report, Step, Work, run_client
from tests.linearizability.register import Register
from tests.support.server import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection
    from pathlib import Path

    Pipe = Connection[str, Report | Finished]

CLIENTS: Final = 3
PLACES: Final[tuple[Place, ...]] = (("", "flat"), ("", "other"), ("room", "one"), ("room", "two"))
# Only a server or client that hangs is silent for so long.
PATIENCE_S: Final = 60


@dataclass(frozen=True, slots=True)
class Recording:
    """What all clients saw, and when the servers were dead for certain."""

    history: dict[Place, list[Step]]
    deaths: list[int]


@pytest.mark.crash
@pytest.mark.parametrize(("seed", "kills"), [(1, 0), (2, 6), (3, 6)], ids=["no kills", "6 kills", "6 more kills"])
def test_what_clients_see_is_linearizable(tmp_path: Path, seed: int, kills: int) -> None:
    recording = record(tmp_path / "data", seed=seed, kills=kills)
    assert len(recording.deaths) == kills
    unanswered = 0
    for place, steps in recording.history.items():
        history = [_ended(step, recording.deaths) for step in steps]
        unanswered += sum(step.answer is None for step in history)
        violation = find_violation(Register(), history)
        assert violation is None, f"seed {seed}, {place}: {violation}"
        # And without knowing that what a dead server did not do will never be done.
        assert find_violation(Register(), steps) is None
    operations = sum(map(len, recording.history.values()))
    print(f"seed {seed}: {operations} operations, {unanswered} of them unanswered, {kills} kills")


def record(data: Path, *, seed: int, kills: int) -> Recording:
    """Runs clients against a server that is killed and restarted at moments that the seed chooses."""
    works = [
        Work(
            number=number,
            seed=f"{seed}/{number}",
            places=PLACES,
            unary_tasks=2,
            pipeline_tasks=2,
            operations_a_task=200,
        )
        for number in range(CLIENTS)
    ]
    total = sum(work.operations_a_task * (work.unary_tasks + work.pipeline_tasks) for work in works)
    kill_at = sorted(random.Random(seed).sample(range(total // 20, total * 9 // 10), kills))
    recording = Recording({place: [] for place in PLACES}, [])
    with ServerProcess(data) as server, _clients(works) as pipes:
        _send(pipes, server.address)
        done = 0
        while pipes:
            for report in _reports(pipes):
                if isinstance(report, Report):
                    done += report.operations
                else:
                    for place, steps in report.history.items():
                        recording.history[place] += steps
            if kill_at and done >= kill_at[0]:
                kill_at.pop(0)
                server.kill()
                recording.deaths.append(monotonic_ns())
                server.start()
                _send(pipes, server.address)
    return recording


@contextmanager
def _clients(works: Sequence[Work]) -> Iterator[list[Pipe]]:
    """Starts the client processes. The pipes are those to clients that have not finished."""
    context = multiprocessing.get_context("spawn")
    pipes: list[Pipe] = []
    processes = []
    try:
        for work in works:
            ours, theirs = context.Pipe()
            process = context.Process(target=run_client, args=(work, theirs), daemon=True)
            process.start()
            theirs.close()
            processes.append(process)
            pipes.append(ours)
        yield pipes
        for process in processes:
            process.join(PATIENCE_S)
            assert process.exitcode == 0
    finally:
        for process in processes:
            process.kill()
            process.join()
        for pipe in pipes:
            pipe.close()


def _send(pipes: Sequence[Pipe], address: str) -> None:
    for pipe in pipes:
        pipe.send(address)


def _reports(pipes: list[Pipe]) -> Iterator[Report | Finished]:
    """What the clients say next. Clients that finish leave the list."""
    ready = wait(pipes, PATIENCE_S)
    assert ready, "neither server nor clients do anything"
    for pipe in [pipe for pipe in pipes if pipe in ready]:
        report = pipe.recv()
        if isinstance(report, Finished):
            pipes.remove(pipe)
            pipe.close()
        yield report


def _ended(step: Step, deaths: Sequence[int]) -> Step:
    """An unanswered step can have no effect any more once the server that it was sent to is dead."""
    if step.answer is not None:
        return step
    return replace(step, returned=next((death for death in deaths if death > step.called), step.returned))
