"""The shell of `petra sql`: lines from a terminal, with editing, history and completion by readline.

An error is said, and the shell goes on. Ctrl-C ends the statement that runs, or drops what was typed; Ctrl-D ends the
shell.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from petra.cli.group import CannotRun
from petra.cli.running import sentence
from petra.cli.sql.dots import COMMANDS, Dots, Quit
from petra.cli.sql.history import add_history, history_file, read_history
from petra.cli.sql.printers import noted, written
from petra.cli.sql.session import READING, Session
from petra.cli.sql.splitting import Piece, Splitter
from petra.errors import PetraError

_PROMPT: Final = "petra> "
_MORE: Final = "  ...> "
_NAMES: Final = (
    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type <> 'shadow' UNION"
    " SELECT x.name FROM pragma_table_list t, pragma_table_xinfo(t.name) x"
    " WHERE t.schema = 'main' AND t.type <> 'shadow' LIMIT 5000"
)
# Somebody has pressed a key and waits.
_COMPLETION_SECONDS: Final = 1.0


class Shell:
    """Reads lines and runs them until it is ended."""

    def __init__(self, session: Session, name: str) -> None:
        """`name` is what the database is called."""
        self._session = session
        self._name = name
        self._dots = Dots(session)
        self._splitter = Splitter()
        # What was typed here.
        self._lines: list[str] = []
        # Names to complete with; None when the schema may have changed.
        self._names: list[str] | None = None

    def run(self) -> None:
        """Runs until Ctrl-D or `.quit`."""
        self._session.interactive = True
        written(f"{self._name}. A statement ends with a semicolon; .help lists what else there is.\n")
        with self._readline():
            while True:
                try:
                    line = self._line()
                    self._take(line)
                except KeyboardInterrupt:
                    written("\n")
                    self._splitter.clear()
                except EOFError:
                    written("\n")
                    return
                except Quit:
                    return

    def _line(self) -> str:
        sys.stdout.flush()
        line = input(_PROMPT if self._splitter.idle else _MORE)
        if line.strip():
            self._lines.append(line)
        return line

    def _take(self, line: str) -> None:
        try:
            if self._splitter.idle and line.lstrip().startswith("."):
                self._dots.run(line)
                sys.stdout.flush()
                return
            for piece in self._splitter.feed(f"{line}\n"):
                self._run(piece)
        except PetraError as error:
            noted(sentence(str(error)))
        except CannotRun as error:
            noted(error.message)
        except BrokenPipeError:
            raise
        except OSError as error:
            noted(f"{error.filename}: {error.strerror}.")

    def _run(self, piece: Piece) -> None:
        reads = self._session.readonly or piece.word in READING
        if not reads:
            self._names = None
        try:
            self._session.run(piece)
        except KeyboardInterrupt:
            if not reads:
                noted(
                    "interrupted; the server may have done the statement, or still do it, until its time-out of"
                    f" {self._session.timeout:g} s."
                )
            raise

    # Readline.

    @contextmanager
    def _readline(self) -> Iterator[None]:
        """Editing, completion and history, where Python has them."""
        try:
            import readline
        except ModuleNotFoundError:
            yield
            return
        file = history_file()
        readline.clear_history()
        for line in read_history(file):
            readline.add_history(line)
        readline.set_completer(self._complete)
        readline.set_completer_delims(" \t\n()=<>,;+*/'\"")
        # Python's readline may be the library editline, which has a language of its own.
        libedit = "libedit" in (readline.__doc__ or "")
        readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")
        try:
            yield
        finally:
            readline.set_completer(None)
            try:
                add_history(file, self._lines)
            except OSError as error:
                noted(f"the history is not kept: {error.filename}: {error.strerror}.")

    def _complete(self, text: str, state: int) -> str | None:
        if self._names is None:
            self._names = []
            with contextlib.suppress(PetraError):
                self._names = [name for (name,) in self._session.sql.query(_NAMES, timeout=_COMPLETION_SECONDS)]
        found = [name for name in (*COMMANDS, *self._names) if text and name.lower().startswith(text.lower())]
        return found[state] if state < len(found) else None
