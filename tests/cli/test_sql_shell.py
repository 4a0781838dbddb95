"""The shell of `petra sql`, on a pseudo terminal."""

from __future__ import annotations

import re
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from petra.cli.sql.history import add_history, history_file, read_history
from petra.testing import TestServer
from tests.cli.terminals import Terminal, terminal

ENDLESS = b"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT count(*) FROM n;\r"
PROMPT, MORE = "petra> ", "...> "


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "state"


@contextmanager
def shell(server: TestServer, home: Path, *args: str, name: str = "") -> Iterator[Terminal]:
    """A shell that has shown its first prompt. It knows no control codes but those it must."""
    where = ("sql", name or uuid4().hex, "-s", server.address, *args)
    with terminal(*where, TERM="dumb", XDG_STATE_HOME=str(home), INPUTRC="/dev/null") as screen:
        screen.until(lambda text: text.endswith(PROMPT))
        yield screen


def answer(screen: Terminal, line: bytes, prompt: str = PROMPT) -> str:
    """What is printed for a line, before the next prompt."""
    screen.press(line + b"\r")
    text = screen.until(lambda text: text.count("\n") > 0 and text.endswith(prompt))
    # Without the echo of the line.
    return text.split("\n", 1)[1].removesuffix(prompt).replace("\r", "").lstrip()


def interrupt(screen: Terminal) -> None:
    """As Ctrl-C does: a process whose controlling terminal this is not gets no signal from it."""
    screen.process.send_signal(signal.SIGINT)


def interrupt_line(screen: Terminal) -> None:
    """Interrupts until there is a new prompt: readline misses a signal that comes just before it begins to wait."""
    interrupt(screen)
    while not screen.meets(lambda text: text.endswith(PROMPT), 10):
        interrupt(screen)
    screen.until(lambda text: text.endswith(PROMPT))


def end(screen: Terminal) -> str:
    screen.press(b"\x04")
    text = screen.rest()
    assert screen.process.returncode == 0
    return text


def test_statements_commands_and_errors(shared_server: TestServer, home: Path) -> None:
    with shell(shared_server, home) as screen:
        assert answer(screen, b"create table t (x, y);") == ""
        assert answer(screen, b"insert into t", MORE) == ""
        assert answer(screen, b"values (1, 'a;'), (2, null);") == "2 rows changed.\n"
        assert answer(screen, b"select * from t;") == "x  y\n─  ────\n1  a;\n2  NULL\n(2 rows)\n"
        assert answer(screen, b"selekt 1;") == 'petra: SQLite says: near "selekt": syntax error. Nothing was changed.\n'
        assert answer(screen, b".mode csv") == ""
        assert answer(screen, b"select x from t; select 5;") == "x\n1\n2\n5\n5\n"
        assert answer(screen, b".nothing").startswith("petra: There is no .nothing. There are .dump, ")
        assert answer(screen, b".read /nowhere") == "petra: /nowhere: No such file or directory.\n"
        assert answer(screen, b".timeout 50ms") == ""
        # Whoever is the first says so, the client or the server.
        told = answer(screen, ENDLESS.strip())
        assert "within 0.05 s" in told or "The time was up" in told
        assert "INSERT INTO" in answer(screen, b".dump")
        end(screen)


def test_quit(shared_server: TestServer, home: Path) -> None:
    with shell(shared_server, home) as screen:
        screen.press(b".quit\r")
        screen.rest()
        assert screen.process.returncode == 0


def test_an_interrupt_drops_what_was_typed(shared_server: TestServer, home: Path) -> None:
    with shell(shared_server, home) as screen:
        answer(screen, b"select 'begun", MORE)
        interrupt_line(screen)
        assert answer(screen, b".mode json") == ""
        screen.press(b"select 12")
        screen.until(lambda text: text.endswith("12"))
        interrupt_line(screen)
        assert answer(screen, b"select 3 as x;") == '{"x":3}\n'
        end(screen)


def test_an_interrupt_ends_the_statement_that_runs(shared_server: TestServer, home: Path) -> None:
    with shell(shared_server, home, "--timeout", "1h", "-o", "csv", "--no-headers") as screen:
        # Rows that come for ever, so it is seen that the statement runs.
        screen.press(b"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n;\r")
        screen.until(lambda text: "\n1000\r" in text)
        interrupt_line(screen)
        # The object is free again: what runs in it would hold up a statement that writes.
        assert answer(screen, b"create table t (x); select 7;") == "7\n"
        end(screen)


def test_tables_fit_the_terminal(shared_server: TestServer, home: Path) -> None:
    with shell(shared_server, home) as screen:
        screen.resize(30, 40)
        wide = answer(screen, b"select 1 as a, printf('%.*c', 300, 'x') as long, 'short' as b;")
        lines = wide.splitlines()
        assert lines[2].startswith("1  xxxxx")
        assert lines[2].endswith("…  short")
        assert max(map(len, lines[:3])) == 40
        many = answer(screen, b"select " + b", ".join(b"%d as c%d" % (at * 1000, at) for at in range(20)) + b";")
        assert many.splitlines()[:3] == ["─ row 1", "c0   0", "c1   1000"]
        assert "\x1b" not in answer(screen, b"select char(27) || '[31m';")
        end(screen)


def test_names_are_completed(shared_server: TestServer, home: Path) -> None:
    with shell(shared_server, home) as screen:
        answer(screen, b"create table mountains (altitude);")
        screen.press(b"select count(alt\t) from moun\t;\r")
        text = screen.until(lambda text: "(1 row)" in text and text.endswith(PROMPT))
        assert "count(altitude" in text
        screen.press(b".tab\t\r")
        assert "mountains" in screen.until(lambda text: "row)" in text and text.endswith(PROMPT))
        end(screen)


def test_a_server_that_goes_away_is_said_and_found_again(home: Path) -> None:
    with TestServer() as server, shell(server, home) as screen:
        address = server.address
        server.stop()
        answer(screen, b".timeout 50ms")
        assert answer(screen, b"select 1;").startswith("petra: ")
        answer(screen, b".timeout 60s")
        with TestServer(listen=address):
            assert "(1 row)" in answer(screen, b"select 1;")
            end(screen)


def test_the_history_is_kept_for_the_user_alone(shared_server: TestServer, home: Path) -> None:
    with shell(shared_server, home) as screen:
        answer(screen, b"select 'first';")
        answer(screen, b".tables")
        end(screen)
    file = home / "petra" / "sql_history"
    assert file.read_text() == "select 'first';\n.tables\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    with shell(shared_server, home) as screen:
        # Two lines up, and Return.
        screen.press(b"\x10\x10\r")
        assert "(1 row)" in screen.until(lambda text: "row)" in text and text.endswith(PROMPT))
        end(screen)
    assert file.read_text() == "select 'first';\n.tables\nselect 'first';\n"


class TestHistory:
    def test_it_is_bounded_and_nobodys_lines_are_lost(self, tmp_path: Path) -> None:
        file = tmp_path / "folder" / "history"
        add_history(file, [])
        assert not file.exists()
        assert read_history(file) == []
        add_history(file, [f"first {number}" for number in range(990)])
        add_history(file, [f"second {number}" for number in range(20)])
        kept = read_history(file)
        assert len(kept) == 1_000
        assert (kept[0], kept[-1]) == ("first 10", "second 19")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    def test_it_is_in_the_state_directory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_STATE_HOME", "/state")
        assert history_file() == Path("/state/petra/sql_history")
        monkeypatch.setenv("XDG_STATE_HOME", "relative")
        assert re.search(r"/\.local/state/petra/sql_history$", str(history_file()))
