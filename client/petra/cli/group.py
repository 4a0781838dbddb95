"""The `petra` click group: it knows no subcommand by itself, and loads one when it is asked for.

So the client's package needs nothing of the server's, and whoever has only `pip install petra` is told what `serve`
would need instead of being told that there is no such command.
"""

from __future__ import annotations

from importlib import metadata

import click

COMMANDS_GROUP = "petra.commands"

_EPILOG = (
    'Shell completion: put  eval "$(_PETRA_COMPLETE=bash_source petra)"  into ~/.bashrc, or the same with zsh_source '
    "into ~/.zshrc; for fish,  _PETRA_COMPLETE=fish_source petra | source  in its config.fish."
)


class CannotRun(click.ClickException):
    """A refusal in a sentence of ours: printed as it is, without click's usage lines."""

    def show(self, file: object = None) -> None:
        click.echo(f"petra: {self.message}", err=True)


class EntryPointGroup(click.Group):
    """A group whose subcommands are the entry points of `petra.commands`, each imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *metadata.entry_points(group=COMMANDS_GROUP).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        found = metadata.entry_points(group=COMMANDS_GROUP, name=cmd_name)
        if own is not None or not found:
            return own
        try:
            command = next(iter(found)).load()
        except ModuleNotFoundError as error:
            sentence = (
                f'the command "{cmd_name}" needs {error.name}, which is not installed: pip install "petra[server]"'
            )
            return _refusing(cmd_name, 'Not installed: pip install "petra[server]".', sentence)
        except (ImportError, AttributeError) as error:
            sentence = f'the command "{cmd_name}" cannot be loaded: {error}'
            return _refusing(cmd_name, "Cannot be loaded.", sentence)
        if not isinstance(command, click.Command):
            sentence = (
                f'the command "{cmd_name}" cannot be loaded: it is a {type(command).__name__}, not a click command'
            )
            return _refusing(cmd_name, "Cannot be loaded.", sentence)
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
    """Petra, an actor-based, consistent storage server."""


def main() -> None:
    """Run the `petra` command on the arguments of the process, and exit."""
    petra(prog_name="petra")
