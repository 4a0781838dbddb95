"""The commands of the shell that begin with a dot. Their names are those of SQLite's shell where they do the same."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, get_args

import click

from petra.cli.group import CannotRun
from petra.cli.options import duration
from petra.cli.running import WRONG_USAGE
from petra.cli.sql.literals import like
from petra.cli.sql.printers import Mode, written
from petra.cli.sql.schema import NO_SHADOWS, OWN_NAMES
from petra.cli.sql.script import Script
from petra.cli.sql.session import Session
from petra.cli.sql.splitting import ended

# Files that read one another.
_DEPTH: Final = 10


class Quit(Exception):
    """Somebody wants the shell, or the file, to end."""


class Dots:
    """The commands, for one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._depth = 0

    def run(self, line: str) -> None:
        """Runs a line that begins with a dot. Raises CannotRun for one that is wrong, PetraError, and Quit."""
        try:
            name, *arguments = shlex.split(line)
        except ValueError as error:
            raise CannotRun(f"{line.strip()}: {error}.", WRONG_USAGE) from None
        command = COMMANDS.get(name)
        if command is None:
            raise CannotRun(f"There is no {name}. There are {', '.join(COMMANDS)}.", WRONG_USAGE)
        least, most = command.usage.count(" ") - command.usage.count(" ["), command.usage.count(" ")
        if not least <= len(arguments) <= most:
            raise CannotRun(f"It is {command.usage}: {command.summary}", WRONG_USAGE)
        command.run(self, arguments)

    def _dump(self, arguments: Sequence[str]) -> None:
        from petra.cli.sql.dump import dump

        with self._session.timed():
            for part in dump(self._session.sql, like=arguments[0] if arguments else "", timeout=self._session.timeout):
                written(part)

    def _headers(self, arguments: Sequence[str]) -> None:
        self._session.headers = _is_on(arguments[0])

    def _help(self, arguments: Sequence[str]) -> None:
        width = max(len(command.usage) for command in COMMANDS.values())
        for command in COMMANDS.values():
            written(f"{command.usage:<{width}}  {command.summary}\n")

    def _indexes(self, arguments: Sequence[str]) -> None:
        self._session.run_query(
            'SELECT i.name, t.name AS "table", i."unique", i.partial'
            " FROM pragma_table_list t, pragma_index_list(t.name) i"
            f" WHERE t.schema = 'main' AND t.type = 'table'{_and_like('t.name', arguments)} ORDER BY t.name, i.name"
        )

    def _mode(self, arguments: Sequence[str]) -> None:
        modes: tuple[Mode, ...] = get_args(Mode)
        for mode in modes:
            if mode == arguments[0]:
                self._session.mode = mode
                return
        raise CannotRun(f"There is no mode {arguments[0]}. There are {', '.join(modes)}.", WRONG_USAGE)

    def _quit(self, arguments: Sequence[str]) -> None:
        raise Quit

    def _read(self, arguments: Sequence[str]) -> None:
        if self._depth == _DEPTH:
            raise CannotRun(f"{arguments[0]}: files read one another more than {_DEPTH} deep.", WRONG_USAGE)
        self._depth += 1
        try:
            with Path(arguments[0]).expanduser().open("rb") as lines:
                Script(self._session, arguments[0], atomic=False, run_dot=self.run).run(lines)
        finally:
            self._depth -= 1

    def _schema(self, arguments: Sequence[str]) -> None:
        statement = (
            f"SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND {OWN_NAMES} AND {NO_SHADOWS}"
            f"{_and_like('tbl_name', arguments)} ORDER BY rowid"
        )
        with self._session.timed(), self._session.sql.query(statement, timeout=self._session.timeout) as rows:
            for (sql,) in rows:
                written(f"{ended(sql)}\n")

    def _tables(self, arguments: Sequence[str]) -> None:
        self._session.run_query(
            "SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND type <> 'shadow' AND"
            f" {OWN_NAMES}{_and_like('name', arguments)} ORDER BY name"
        )

    def _timeout(self, arguments: Sequence[str]) -> None:
        try:
            self._session.timeout = duration(arguments[0])
        except click.BadParameter as error:
            raise CannotRun(error.message, WRONG_USAGE) from None

    def _timer(self, arguments: Sequence[str]) -> None:
        self._session.timer = _is_on(arguments[0])


def _and_like(column: str, patterns: Sequence[str]) -> str:
    return f" AND {like(column, patterns[0])}" if patterns else ""


def _is_on(text: str) -> bool:
    if text not in {"on", "off"}:
        raise CannotRun(f"{text} is neither on nor off.", WRONG_USAGE)
    return text == "on"


class _Command(NamedTuple):
    usage: str
    summary: str
    run: Callable[[Dots, Sequence[str]], None]


# Private names are those of this module's own class.
COMMANDS: Final[Mapping[str, _Command]] = {
    usage.split()[0]: _Command(usage, summary, run)
    for usage, summary, run in (
        (".dump [TABLE]", "Print the database, or some tables, as a script.", Dots._dump),
        (".headers on|off", "Print the names of columns in tables and CSV, or leave them out.", Dots._headers),
        (".help", "Print this.", Dots._help),
        (".indexes [TABLE]", "Print the indexes, of some tables.", Dots._indexes),
        (".mode table|csv|json", "Print results so.", Dots._mode),
        (".quit", "End. Ctrl-D does so too.", Dots._quit),
        (".read FILE", "Run the statements of a file.", Dots._read),
        (".schema [TABLE]", "Print what makes the tables, with their indexes and triggers.", Dots._schema),
        (".tables [TABLE]", "Print the names of tables and views.", Dots._tables),
        (".timeout TIME", "How long each statement may take, with all its rows.", Dots._timeout),
        (".timer on|off", "Print how long each statement takes.", Dots._timer),
    )
}
