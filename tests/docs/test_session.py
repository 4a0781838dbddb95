"""The runner of Python blocks itself: what it lets pass, and what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.session import Session


def test_names_of_one_block_are_there_in_the_next(tmp_path: Path) -> None:
    with Session(tmp_path) as session:
        assert session.run("first", "number = 20\ndef double(x): return 2 * x") == ("", "")
        assert session.run("second", "print(double(number) + 2)") == ("42\n", "")


def test_await_may_stand_outside_of_functions_on_one_loop(tmp_path: Path) -> None:
    with Session(tmp_path) as session:
        session.run(
            "first",
            "import asyncio\nevent = asyncio.Event()\nloop = asyncio.get_running_loop(); await asyncio.sleep(0)",
        )
        assert (
            session.run("second", "print(loop is asyncio.get_running_loop()); await asyncio.sleep(0)").output
            == "True\n"
        )
        # A block that does not await is a program, which may run a loop.
        assert session.run("third", "print(asyncio.run(asyncio.sleep(0, 'done')))").output == "done\n"


def test_a_block_that_fails_says_where(tmp_path: Path) -> None:
    with Session(tmp_path) as session:
        outcome = session.run("README.md:7", "print('before')\nraise KeyError('lost')")
        assert outcome.output == "before\n"
        assert "KeyError: 'lost'" in outcome.error
        assert '"README.md:7", line 2' in outcome.error
        assert "await" in session.run("next", "def f(): await g()").error


def test_what_is_left_open_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AssertionError, match="unclosed file"), Session(tmp_path) as session:
        session.run("first", "open('file')")
