"""The server is killed at random moments, again and again on one growing directory. It keeps what it promised.

Kills hit it under load, and while it reads its log at the start.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from typing import TYPE_CHECKING, Final

import pytest

from tests.crash.line import Line
from tests.crash.writers import Counter, KeyWriter, ObjectWriter, PipelineWriter, Writer
from tests.support.server import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# So small that tables are written, merged and logs dropped all the time.
_SMALL: Final = ("--write-buffer-bytes", "1MiB", "--wal-bytes", "1MiB")
_KINDS: Final[tuple[type[Writer], ...]] = (KeyWriter, PipelineWriter, Counter, ObjectWriter, ObjectWriter)
# Answers after which a round's server is killed, at most.
_MOST_ANSWERS: Final = 400


@pytest.mark.crash
def test_what_was_acknowledged_survives_kills(
    tmp_path: Path, crash_rounds: int, crash_seed: str, crash_report: list[str]
) -> None:
    if shutil.which("timeout") is None:
        pytest.skip("kills while starting need the program timeout of GNU coreutils")
    choices = random.Random(crash_seed)
    writers = [
        kind(f"{kind.__name__}{number}", random.Random(f"{crash_seed}/{number}"))
        for number, kind in enumerate(_KINDS * 2)
    ]
    starts_killed = 0
    for number in range(crash_rounds):
        if number % 4 == 3:
            _kill_while_starting(tmp_path / "data", choices)
            starts_killed += 1
        with ServerProcess(tmp_path / "data", *_SMALL) as server:
            try:
                asyncio.run(_round(server, writers, choices))
            except* AssertionError as failures:
                raise AssertionError(f"in round {number + 1}: {failures.exceptions[0]}") from failures
    with ServerProcess(tmp_path / "data", *_SMALL) as server:
        asyncio.run(_recover(server.address, writers))
    answers = sum(writer.answers for writer in writers)
    assert answers > crash_rounds
    crash_report.append(
        f"{crash_rounds} kills under load and {starts_killed} at the start, {answers} acknowledged writes checked,"
        f" {sum(writer.done_unanswered for writer in writers)} unanswered ones were done"
    )


async def _round(server: ServerProcess, writers: Sequence[Writer], choices: random.Random) -> None:
    """Recovers, writes, kills the server at a moment that has to do with nothing, and waits for everyone to notice."""
    await _recover(server.address, writers)
    enough = asyncio.Event()
    answers_left = choices.randrange(1, _MOST_ANSWERS)
    delay_s = choices.uniform(0, 0.02)

    async def write_on(writer: Writer) -> None:
        nonlocal answers_left
        async with Line(server.address) as line:
            before = writer.answers
            while await writer.write(line):
                answers_left -= writer.answers - before
                before = writer.answers
                if answers_left <= 0:
                    enough.set()

    async with asyncio.TaskGroup() as tasks:
        for writer in writers:
            tasks.create_task(write_on(writer))
        await enough.wait()
        # Right behind an answer is only one kind of moment.
        await asyncio.sleep(delay_s)
        await asyncio.to_thread(server.kill)


async def _recover(address: str, writers: Sequence[Writer]) -> None:
    async with Line(address) as line:
        for writer in writers:
            await writer.recover(line)


def _kill_while_starting(data: Path, choices: random.Random) -> None:
    """Most of a start is Python's own; the directory is open for writing from about a third of a second on."""
    after_s = choices.uniform(0.2, 0.9)
    server = ServerProcess(data, *_SMALL, wrapper=("timeout", "--signal=KILL", f"{after_s:.3f}"))
    try:
        server.start()
    except RuntimeError:
        return
    server.wait()
