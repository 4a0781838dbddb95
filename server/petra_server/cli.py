"""The server's commands: `petra serve` and `petra config`, which take the same flags, one for each setting.

The flags are derived from the fields of `Settings`. They reach the loader as they were typed, so that wrong flags,
variables and file entries are all reported together.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import TypeVar

import click

from petra_server.logs import configure_logging
from petra_server.settings import Group
from petra_server.settings_catalogue import CATALOGUE, Description, Kind
from petra_server.settings_loader import CONFIG_FLAG, CONFIG_VARIABLE, LoadedSettings, SettingsError, load
from petra_server.settings_report import as_json, as_markdown, as_text

_F = TypeVar("_F", bound=Callable[..., object])

_EPILOG = (
    "Each flag is also a variable (--max-value-bytes is PETRA_MAX_VALUE_BYTES) and a key of the TOML file "
    "(max_value_bytes); flags win over variables, variables over the file. Sizes may have a unit, such as 64MiB or 1GB."
)

_METAVARS = {
    Kind.SIZE: "SIZE",
    Kind.NUMBER: "NUMBER",
    Kind.DECIMAL: "NUMBER",
    Kind.TEXT: "HOST:PORT",
    Kind.PATH: "PATH",
    Kind.OPTIONAL_PATH: "PATH",
}


class CannotStart(click.ClickException):
    """A refusal in a sentence of ours: printed as it is, without click's usage lines."""

    exit_code = 2

    def show(self, file: object = None) -> None:
        click.echo(f"petra: {self.message}", err=True)


class SettingsCommand(click.Command):
    """A command that shows its flags under the headings of the settings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {"Options": [], **{group.value: [] for group in Group}}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            about = CATALOGUE.get(parameter.name or "")
            if record is not None:
                sections[about.group.value if about else "Options"].append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def settings_options(command: _F) -> _F:
    """Give a click command one flag for each setting, and --config."""
    for about in reversed(list(CATALOGUE.values())):
        command = _option(about)(command)
    text = f"A TOML file with settings. Default: the one that {CONFIG_VARIABLE} names, or none."
    return click.option(CONFIG_FLAG, "config_file", type=click.Path(), metavar="FILE", help=text)(command)


def _option(about: Description) -> Callable[[_F], _F]:
    text = f"{about.meaning}  [default: {about.show(about.default) or 'unset'}]"
    if about.kind is Kind.SWITCH:
        negative = "--no-" + about.flag.removeprefix("--")
        return click.option(f"{about.flag}/{negative}", about.name, default=None, help=text)
    return click.option(
        about.flag,
        about.name,
        # Only for the completion of the shell: click.Path() without arguments accepts every text.
        type=click.Path() if about.kind in {Kind.PATH, Kind.OPTIONAL_PATH} else str,
        metavar=_METAVARS.get(about.kind, f"[{'|'.join(about.choices)}]"),
        help=text,
        shell_complete=_completes(about.choices) if about.choices else None,
    )


def _completes(choices: tuple[str, ...]) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    return lambda _context, _parameter, typed: [choice for choice in choices if choice.startswith(typed)]


def _load(config_file: str | None, flags: Mapping[str, str | bool | None]) -> LoadedSettings:
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return load(flags=given, environ=os.environ, config=config_file)
    except SettingsError as error:
        raise CannotStart(str(error)) from None


@click.command(cls=SettingsCommand, epilog=_EPILOG)
@settings_options
@click.pass_context
def serve(context: click.Context, /, config_file: str | None, **flags: str | bool | None) -> None:
    """Serve a data directory until SIGTERM or SIGINT."""
    settings = _load(config_file, flags).settings
    configure_logging(settings.log_level, settings.log_format, sys.stderr)
    # Late, because gRPC and RocksDB take a while to load, and --help and `petra config` need neither.
    try:
        from petra_server.app import serve as serve_until_stopped
    except ModuleNotFoundError as error:
        sentence = f'serving needs {error.name}, which is not installed: pip install "petra[server]"'
        raise CannotStart(sentence) from None
    from petra_server.errors import StartupError

    try:
        code = serve_until_stopped(settings)
    except StartupError as error:
        raise CannotStart(str(error)) from None
    context.exit(code)


@click.command(cls=SettingsCommand, epilog=_EPILOG)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to print them.",
)
@click.option("--markdown", is_flag=True, hidden=True, help="Print docs/settings.md instead.")
@settings_options
def config(output: str, config_file: str | None, *, markdown: bool, **flags: str | bool | None) -> None:
    """Print the settings that `petra serve` would use, each with where it comes from.

    That is a flag, an environment variable, the file or the default.
    """
    if markdown:
        click.echo(as_markdown(), nl=False)
        return
    loaded = _load(config_file, flags)
    click.echo(as_json(loaded) if output == "json" else as_text(loaded))
