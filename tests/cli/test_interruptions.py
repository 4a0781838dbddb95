"""Exports and imports that are killed or interrupted half-way, and resumed.

How far an import comes is made certain by an actor of the server that is held up: what needs it waits, and all before
it is done. An export is ended when the server has done part of it.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from petra.cli.transfer import export_file
from petra_server.actor.actor import Actor
from tests.cli.dumps import fill, held, lines_of
from tests.cli.runner import COMMAND, environment
from tests.support.inprocess import RunningServer, running_server

P = ParamSpec("P")
T = TypeVar("T")

_DEADLINE_SECONDS = 60

NAMES = pytest.mark.parametrize("name", ["file.jsonl", "file.jsonl.gz"])
SIGNALS = pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=lambda number: number.name)


async def until(condition: Callable[[], bool]) -> None:
    """Waits until it holds."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it has not come to it"
        await asyncio.sleep(0.01)


async def start(server: RunningServer, *args: str) -> Process:
    return await asyncio.create_subprocess_exec(
        *COMMAND, *args, "-s", server.address, env=environment(), stdout=PIPE, stderr=PIPE
    )


async def finish(server: RunningServer, *args: str) -> dict[str, object]:
    """Runs to the end, and returns its report."""
    process = await start(server, *args, "-o", "json")
    out, said = await process.communicate()
    assert process.returncode == 0, said
    report: dict[str, object] = json.loads(out)
    return report


async def end(process: Process, number: signal.Signals) -> str:
    """Ends it by a signal, and returns what it has said."""
    process.send_signal(number)
    _, said = await process.communicate()
    assert process.returncode == (130 if number is signal.SIGINT else -number)
    return said.decode()


@contextmanager
def held_up(server: RunningServer, actor: Actor) -> Iterator[None]:
    """The actor is busy meanwhile: what is asked of it waits."""
    server.hold_actor(actor)
    try:
        yield
    finally:
        server.release_actor(actor)


async def filled(server: RunningServer, *, flat: int = 10, objects: int, at: int) -> int:
    """Fills a server, and returns the number of an actor that owns no entry before the object number `at`."""
    await in_thread(fill, server.address, flat=flat)
    # The objects are in the namespace "many"; only what is listed before them matters.
    before = [entry for entry in await in_thread(held, server.address) if entry.namespace < "many"]
    owners = {id(server.actor_of(*entry[:3])) for entry in before}
    index, actor = next(
        (index, actor) for index, actor in enumerate(server.server.router.actors) if id(actor) not in owners
    )
    names = [f"o{number:06}" for number in range(objects)]
    ours = [name for name in names if name >= f"o{at:06}" or server.actor_of("many", name, "k") is not actor]
    await in_thread(fill, server.address, objects=ours)
    return index


async def in_thread(call: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """The servers run on this loop, so whoever talks to them must not."""
    return await asyncio.to_thread(call, *args, **options)


@NAMES
@SIGNALS
def test_an_export_goes_on_where_it_was_ended(tmp_path: Path, name: str, number: signal.Signals) -> None:
    file, whole = tmp_path / name, tmp_path / f"whole-{name}"

    async def main() -> None:
        async with running_server() as server:
            await in_thread(fill, server.address, objects=[f"o{number:05}" for number in range(4_000)])
            await finish(server, "export", str(whole))
            before = operations(server)
            process = await start(server, "export", str(file))
            # It cannot be much further than that: the server runs on the loop of this test.
            await until(lambda: operations(server) > before + 2_000)
            said = await end(process, number)
            if number is signal.SIGINT:
                assert "--resume goes on" in said
                assert "Traceback" not in said
            written = export_file.continued(file)
            if written is not None:
                assert not written.complete
            if number is signal.SIGINT or name == "file.jsonl":
                assert written is not None
                assert written.entries >= 1_000
            report = await finish(server, "export", str(file), "--resume")
            assert report["entries"] == len(lines_of(whole)) - 2

    asyncio.run(main())
    assert lines_of(file)[1:] == lines_of(whole)[1:]


def operations(server: RunningServer) -> int:
    """What its actors have done."""
    return sum(actor.operations for actor in server.server.router.actors)


@asynccontextmanager
async def two_servers() -> AsyncIterator[tuple[RunningServer, RunningServer]]:
    """One to export from and one to import into, of one time and with the same slots for each actor."""
    async with running_server(actors=64) as source, running_server(clock=source.clock, actors=64) as target:
        yield source, target


@NAMES
@SIGNALS
def test_an_import_goes_on_where_it_was_ended(tmp_path: Path, name: str, number: signal.Signals) -> None:
    file, position = tmp_path / name, tmp_path / f"{name}.position"

    async def main() -> None:
        async with two_servers() as (source, target):
            index = await filled(source, objects=2_500, at=1_500)
            report = await finish(source, "export", str(file))
            with held_up(target, target.server.router.actors[index]):
                process = await start(target, "import", str(file), "--timeout", "1h")
                await until(position.exists)
                said = await end(process, number)
            if number is signal.SIGINT:
                assert "--resume goes on" in said
                assert "Traceback" not in said
            reached = json.loads(position.read_bytes())
            assert 1_000 <= reached["imported"] + 2 <= 1_600
            resumed = await finish(target, "import", str(file), "--resume")
            assert resumed["imported"] == report["entries"]
            assert not position.exists()
            assert await in_thread(held, target.address) == await in_thread(held, source.address)

    asyncio.run(main())


def test_lines_put_aside_are_there_once_after_an_interruption(tmp_path: Path) -> None:
    file, aside = tmp_path / "file", tmp_path / "aside"

    async def main() -> None:
        async with two_servers() as (source, target):
            index = await filled(source, objects=2_500, at=1_500)
            await finish(source, "export", str(file))
            lines = lines_of(file)
            for at in BROKEN:
                lines.insert(at, b"broken %d\n" % at)
            file.write_bytes(b"".join(lines))
            with held_up(target, target.server.router.actors[index]):
                process = await start(target, "import", str(file), "--skip-broken", str(aside), "--timeout", "1h")
                await until((tmp_path / "file.position").exists)
                await end(process, signal.SIGKILL)
            report = await finish(target, "import", str(file), "--skip-broken", str(aside), "--resume")
            assert report["broken"] == len(BROKEN)
            assert await in_thread(held, target.address) == await in_thread(held, source.address)

    asyncio.run(main())
    assert aside.read_bytes() == b"".join(b"broken %d\n" % at for at in BROKEN)


# Before, at and behind the places where the import may be interrupted.
BROKEN = (3, 999, 1_200, 1_450, 2_300)


def test_an_actor_that_does_not_answer_ends_an_import_that_can_go_on(tmp_path: Path) -> None:
    file = tmp_path / "file"

    async def main() -> None:
        async with two_servers() as (source, target):
            index = await filled(source, objects=2_000, at=1_200)
            await finish(source, "export", str(file))
            with held_up(target, target.server.router.actors[index]):
                process = await start(target, "import", str(file), "--timeout", "2s")
                _, said = await process.communicate()
            assert process.returncode == 4
            assert said.startswith(b"petra: ")
            assert b"The same command with --resume goes on." in said
            assert len(said.splitlines()) == 1
            await finish(target, "import", str(file), "--resume")
            assert await in_thread(held, target.address) == await in_thread(held, source.address)

    asyncio.run(main())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_hundreds_of_thousands_of_entries(tmp_path: Path) -> None:
    file, again = tmp_path / "file.gz", tmp_path / "again"

    async def main() -> None:
        async with two_servers() as (source, target):
            index = await filled(source, flat=200_000, objects=4_000, at=2_500)
            before = operations(source)
            process = await start(source, "export", str(file))
            await until(lambda: operations(source) > before + 2_000)
            await end(process, signal.SIGKILL)
            report = await finish(source, "export", str(file), "--resume")
            with held_up(target, target.server.router.actors[index]):
                process = await start(target, "import", str(file), "--timeout", "1h")
                await until((tmp_path / "file.gz.position").exists)
                await end(process, signal.SIGKILL)
            assert (await finish(target, "import", str(file), "--resume"))["imported"] == report["entries"]
            await finish(target, "export", str(again))

    asyncio.run(main())
    assert lines_of(again)[1:] == lines_of(file)[1:]
