"""The command `petra sql`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, TypeAlias

import click

from petra.cli.group import CannotRun
from petra.cli.options import Server, namespace_option, server_options
from petra.cli.running import WRONG_USAGE, PetraCommand, exit_code, sentence

if TYPE_CHECKING:
    from petra.cli.sql.session import Session
    from petra.sql import Params

_Mode: TypeAlias = Literal["table", "csv", "json"]

_STDIN = "standard input"
_PARAMETER_SIGNS = (":", "@", "$")


@click.command("sql", cls=PetraCommand, short_help="Run SQL on the database of an object.")
@click.argument("name", metavar="OBJECT")
@click.option("-c", "--command", "commands", multiple=True, metavar="SQL", help="Run this, and end. May be repeated.")
@click.option("-f", "--file", type=click.File("rb"), metavar="FILE", help="Run this file, and end. -: standard input.")
@click.option("--atomic", is_flag=True, help="All statements of the commands or the file in one step: all or none.")
@click.option("--readonly", is_flag=True, help="Refuse statements that write.")
@click.option(
    "-p",
    "--param",
    "params",
    multiple=True,
    metavar="[:NAME=]TEXT",
    help="A parameter of the statement of --command, a text; the next one by position, or one by name.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="Rows as a table, as CSV, or as one JSON object each.",
)
@click.option("--headers/--no-headers", default=True, help="The names of columns in tables and CSV. On unless told.")
@namespace_option
@server_options(timeout=30)
def sql(
    name: str,
    commands: tuple[str, ...],
    file: Iterable[bytes] | None,
    atomic: bool,
    readonly: bool,
    params: tuple[str, ...],
    output: _Mode,
    headers: bool,
    namespace: str,
    server: Server,
) -> None:
    """Run SQL on the database of OBJECT: a shell, unless there is --command, --file, or an input that is no terminal.

    A file is sent in portions of whole statements, or with --atomic in one step. --command takes dot commands too, such
    as .tables and .dump; the shell's .help lists them.
    """
    if commands and file is not None:
        raise click.UsageError("Give --command or --file, not both.")
    if params and (not commands or atomic):
        raise click.UsageError("Parameters are for one statement, given with --command and without --atomic.")
    from petra.cli.sql.session import Session

    with server.blocking_client() as client:
        client.connect()
        database = client.namespace(namespace).object(name).sql
        session = Session(database, mode=output, readonly=readonly, timeout=server.timeout)
        session.headers = headers
        if commands and not atomic:
            _run_commands(session, commands, _bound(params))
        elif commands:
            _run_script(session, [f"{each}\n;\n".encode() for each in commands], "--command", atomic=True)
        elif file is not None:
            given = getattr(file, "name", "-")
            _run_script(session, file, _STDIN if given in {"-", "<stdin>"} else given, atomic=atomic)
        elif sys.stdin.isatty() and sys.stdout.isatty() and not atomic:
            from petra.cli.sql.shell import Shell

            Shell(session, f"Object {name} of namespace {namespace} at {server.address}").run()
        else:
            _run_script(session, sys.stdin.buffer, _STDIN, atomic=atomic)


def _run_commands(session: Session, commands: Iterable[str], params: Params) -> None:
    """Each statement is a step of its own, and says what it did."""
    from petra.cli.sql.dots import Dots, Quit
    from petra.cli.sql.splitting import split
    from petra.errors import PetraError

    number, dots = 0, Dots(session)
    try:
        parts = [command if command.lstrip().startswith(".") else split(command) for command in commands]
        statements = sum(len(part) for part in parts if not isinstance(part, str))
        if params and statements != 1:
            raise CannotRun(f"Parameters are for one statement, and there are {statements}.", WRONG_USAGE)
        for part in parts:
            if isinstance(part, str):
                dots.run(part)
                continue
            for piece in part:
                number += 1
                session.run(piece, params)
    except PetraError as error:
        where = f"statement {number}: " if number > 1 else ""
        raise CannotRun(where + sentence(str(error)), exit_code(error)) from None
    except Quit:
        return


def _run_script(session: Session, lines: Iterable[bytes], name: str, *, atomic: bool) -> None:
    from petra.cli.sql.dots import Dots, Quit
    from petra.cli.sql.script import Script

    try:
        Script(session, name, atomic=atomic, run_dot=Dots(session).run).run(lines)
    except Quit:
        return


def _bound(params: Iterable[str]) -> Params:
    """Parameters as they are sent: all by position, or all by name."""
    given = list(params)
    named = [text.partition("=") for text in given if text.startswith(_PARAMETER_SIGNS) and "=" in text]
    if not named:
        return given
    if len(named) != len(given):
        raise CannotRun("Give all parameters by name, as :name=text, or none.", WRONG_USAGE)
    return {name: value for name, _, value in named}
