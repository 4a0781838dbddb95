"""The `petra` click group: it loads a subcommand when it is asked for.

The client's own commands stand in a table here; those of other packages, such as the server's `serve`, are found
through the entry points of `petra.commands`. So the client's package needs nothing of the server's, and whoever has
only `pip install petra` is told what `serve` would need instead of being told that there is no such command.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module, metadata
from typing import Any, Final

import click

COMMANDS_GROUP = "petra.commands"

# Where the client's own commands are. These modules load neither rich nor the asynchronous client: that is left to
# the moment when the command runs, since `petra --help` and the shell's completion load all of them.
_OWN: Final[Mapping[str, str]] = {
    "bench": "petra.cli.bench.command:bench",
    "clear": "petra.cli.writing:clear",
    "databases": "petra.cli.names:databases",
    "delete": "petra.cli.writing:delete",
    "export": "petra.cli.transfer.commands:export",
    "get": "petra.cli.reading:get",
    "import": "petra.cli.transfer.commands:import_",
    "incr": "petra.cli.writing:incr",
    "info": "petra.cli.server:info",
    "list": "petra.cli.reading:list_",
    "models": "petra.cli.models:models",
    "namespaces": "petra.cli.names:namespaces",
    "object": "petra.cli.names:object_",
    "objects": "petra.cli.names:objects",
    "ping": "petra.cli.server:ping",
    "set": "petra.cli.writing:set_",
    "sql": "petra.cli.sql.command:sql",
    "throttle": "petra.cli.throttle:throttle",
    "top": "petra.cli.top.command:top",
    "touch": "petra.cli.writing:touch",
    "ttl": "petra.cli.reading:ttl",
}

_INTERRUPTED: Final = 130  # what a shell reports of a program that SIGINT has ended

_EPILOG = (
    "Exit codes: 0 done, 1 not found or denied, 2 wrong usage, 3 conflict, 4 server not reached or too busy, 5 other "
    "error, 130 interrupted. "
    'Shell completion: put  eval "$(_PETRA_COMPLETE=bash_source petra)"  into ~/.bashrc, or the same with zsh_source '
    "into ~/.zshrc; for fish,  _PETRA_COMPLETE=fish_source petra | source  in its config.fish."
)


class CannotRun(click.ClickException):
    """A refusal in a sentence of ours: printed as it is, without click's usage lines."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        # Declared for the class, and read from the instance.
        self.exit_code = exit_code  # type: ignore[misc]

    def show(self, file: object = None) -> None:
        click.echo(f"petra: {self.message}", err=True)


class EntryPointGroup(click.Group):
    """The own commands, and those of the entry points of `petra.commands`; each is imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        others = metadata.entry_points(group=COMMANDS_GROUP).names
        return sorted({*super().list_commands(ctx), *_OWN, *others})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        if cmd_name in _OWN:
            module, _, name = _OWN[cmd_name].partition(":")
            command: click.Command = getattr(import_module(module), name)
            return command
        found = metadata.entry_points(group=COMMANDS_GROUP, name=cmd_name)
        return _load(next(iter(found)), cmd_name) if found else None

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401 - click's own
    ) -> click.Context:
        with _one_sentence():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> object:
        with _one_sentence():
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt:
                click.echo(err=True)
                ctx.exit(_INTERRUPTED)


@contextmanager
def _one_sentence() -> Iterator[None]:
    """Turns click's refusals of arguments, which are several lines, into one sentence."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else "petra"
        message = error.format_message()
        message += "" if message.endswith((".", "?")) else "."
        raise CannotRun(f"{message} See `{command} --help`.", error.exit_code) from None


def _load(found: metadata.EntryPoint, name: str) -> click.Command:
    """The command of an entry point, or one in its place that says why it cannot be loaded."""
    try:
        command = found.load()
    except ModuleNotFoundError as error:
        sentence = f'the command "{name}" needs {error.name}, which is not installed: pip install "petra[server]"'
        return _refusing(name, 'Not installed: pip install "petra[server]".', sentence)
    except (ImportError, AttributeError) as error:
        return _refusing(name, "Cannot be loaded.", f'the command "{name}" cannot be loaded: {error}')
    if not isinstance(command, click.Command):
        sentence = f'the command "{name}" cannot be loaded: it is a {type(command).__name__}, not a click command'
        return _refusing(name, "Cannot be loaded.", sentence)
    return command


def _refusing(name: str, summary: str, sentence: str) -> click.Command:
    """A command that takes whatever it is given, --help too, and answers with the sentence."""

    def refuse() -> None:
        raise CannotRun(sentence)

    return click.Command(
        name,
        callback=refuse,
        params=[click.Argument(["_arguments"], nargs=-1, type=click.UNPROCESSED, expose_value=False)],
        short_help=summary,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True},
    )


def _print_version(context: click.Context, _parameter: click.Parameter, asked: bool) -> None:
    if not asked or context.resilient_parsing:
        return
    try:
        version = metadata.version("petra")
    except metadata.PackageNotFoundError:
        version = "(a source tree that is not installed)"
    click.echo(f"petra {version}")
    context.exit()


@click.group(cls=EntryPointGroup, epilog=_EPILOG)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Show the version and exit.",
)
def petra() -> None:
    """Petra, an actor-based, consistent storage server, and its client."""


def main() -> None:
    """Run the `petra` command on the arguments of the process, and exit."""
    petra(prog_name="petra")
