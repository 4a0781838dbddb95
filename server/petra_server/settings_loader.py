"""Reads the settings from where people put them: flags > environment > file > defaults.

`resolve` is pure; `load` adds reading the file. Both report everything that is wrong at once, each with where it came
from and what to do, because a server that is refused once for every mistake is restarted once for every mistake.

This is our own code on tomllib, and not pydantic-settings, since that merges its sources before it looks at them:
afterwards nobody can say which layer a value came from, or suggest a name for a variable that no field claims.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from petra_server.settings import InvalidSettings, Problem, Settings
from petra_server.settings_catalogue import CATALOGUE, Description, Kind
from petra_server.sizes import parse_size

CONFIG_FLAG: Final = "--config"
CONFIG_VARIABLE: Final = "PETRA_CONFIG"

# What the client's commands read (petra.cli.options): a server in the same environment must not mind.
CLIENT_VARIABLES: Final = frozenset({"PETRA_ADDRESS", "PETRA_NAMESPACE"})

# PETRA_ names that are no settings and yet no mistakes. A reader of one of them adds it here.
OTHER_VARIABLES: Final = frozenset({CONFIG_VARIABLE, *CLIENT_VARIABLES})

# Kubernetes gives every pod variables of this form for each Service next to it; one named "petra" or "petra-..." is
# likely, and must not keep the server from starting.
_SERVICE_LINK: Final = re.compile(
    r"PETRA_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
# This one only with an address such as tcp://10.0.0.1:7475 in it; PETRA_PORT=7475 is a person's mistake.
_SERVICE_ADDRESS: Final = re.compile(r"PETRA_(\w+_)?PORT")

_SHOWN_LENGTH: Final = 80  # of a wrong value in a message: enough to recognise it

_WHOLE_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL: Final = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")
_SWITCH: Final = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


class Layer(Enum):
    """Where a value can come from, the strongest first."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    FILE = "file"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value came from. `place` is the flag, the variable or the path of the file; empty for a default."""

    layer: Layer
    place: str = ""

    def __str__(self) -> str:
        return f"{self.layer.value} {self.place}".rstrip()

    def naming(self, name: str) -> str:
        """The words under which the user gave the setting `name` here."""
        return f"{self.place}: {name}" if self.layer is Layer.FILE else self.place or name


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Valid settings, and for each field where its value came from."""

    settings: Settings
    sources: Mapping[str, Source]


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A configuration file that was read: TOML with the settings' names as top-level keys."""

    path: str
    text: str


class SettingsError(Exception):
    """Settings that cannot be used. `problems` is one sentence for each; the message has all of them."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        what = "a setting cannot" if len(self.problems) == 1 else f"{len(self.problems)} settings cannot"
        super().__init__("\n  ".join([f"{what} be used:", *self.problems]))


@dataclass(frozen=True, slots=True)
class _Given:
    raw: object
    source: Source


def load(
    *, flags: Mapping[str, str | bool], environ: Mapping[str, str], config: str | Path | None = None
) -> LoadedSettings:
    """The effective settings. `flags` has only those that were given, by field name; `config` is the file of --config.

    Without `config` the file is the one that PETRA_CONFIG names, if it names one. Raises SettingsError.
    """
    if config is not None:
        origin, path = CONFIG_FLAG, str(config)
    else:
        origin, path = CONFIG_VARIABLE, environ.get(CONFIG_VARIABLE, "")
    if not path:
        return resolve(flags=flags, environ=environ)
    try:
        file = ConfigFile(path, Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        unreadable = f"{origin}: {path} cannot be read: {error.strerror or error}"
    except ValueError:
        unreadable = f"{origin}: {path} is not a text file in UTF-8"
    else:
        return resolve(flags=flags, environ=environ, file=file)
    try:
        resolve(flags=flags, environ=environ)
    except SettingsError as error:
        raise SettingsError([unreadable, *error.problems]) from None
    raise SettingsError([unreadable])


def resolve(
    *, flags: Mapping[str, str | bool], environ: Mapping[str, str], file: ConfigFile | None = None
) -> LoadedSettings:
    """The settings that these layers and the defaults make. Raises SettingsError with everything wrong in them."""
    problems: list[str] = []
    given = _from_file(file, problems) | _from_environment(environ, problems) | _from_flags(flags, problems)
    values: dict[str, Any] = {}
    for name, each in given.items():
        try:
            values[name] = parse(CATALOGUE[name], each.raw)
        except ValueError as error:
            problems.append(f"{each.source.naming(name)}: {error}")
    sources = {name: given[name].source if name in given else Source(Layer.DEFAULT) for name in CATALOGUE}
    unread = given.keys() - values.keys()
    try:
        settings = Settings(**values)
    except InvalidSettings as error:
        # A rule about a value that could not be read was judged by its default, and would only confuse.
        problems += [_sentence(each, values, sources) for each in error.problems if not unread.intersection(each.names)]
        raise SettingsError(problems) from None
    if problems:
        raise SettingsError(problems)
    return LoadedSettings(settings, sources)


def parse(about: Description, raw: object) -> object:
    """The value that `raw`, a text or a TOML value, means for a setting. Raises ValueError, saying what to write."""
    return _parse_text(about, raw) if isinstance(raw, str) else _parse_typed(about, raw)


def _parse_text(about: Description, text: str) -> object:
    match about.kind:
        case Kind.SIZE:
            return parse_size(text)
        case Kind.NUMBER if _WHOLE_NUMBER.fullmatch(text):
            return int(text)
        case Kind.DECIMAL if _DECIMAL.fullmatch(text):
            return float(text)
        case Kind.SWITCH if text.lower() in _SWITCH:
            return _SWITCH[text.lower()]
        case Kind.CHOICE:
            return text.lower()
        case Kind.TEXT:
            return text
        case Kind.PATH | Kind.OPTIONAL_PATH if text:
            return Path(text)
        case Kind.OPTIONAL_PATH:
            return None
    raise ValueError(f"{_shown(text)} is not {_expected(about)}")


def _parse_typed(about: Description, value: object) -> object:
    match value:
        case bool() if about.kind is Kind.SWITCH:
            return value
        case bool():  # Python counts it among the whole numbers
            pass
        case int() if about.kind in {Kind.SIZE, Kind.NUMBER}:
            return value
        case int() | float() if about.kind is Kind.DECIMAL:
            return float(value)
    raise ValueError(f"{_shown(value)} is not {_expected(about)}")


def _expected(about: Description) -> str:
    unit = about.name.rpartition("_")[2]
    counted = {"ms": "milliseconds", "actors": "actors"}.get(unit, unit)
    return {
        Kind.SIZE: "a size: write whole bytes, or a whole number with a unit such as 64MiB or 1GB",
        Kind.NUMBER: f"a whole number: write {counted} as digits only, such as {about.default}",
        Kind.DECIMAL: f"a number: write {counted} without a unit, such as {about.show(about.default)} or 0.5",
        Kind.SWITCH: "a switch: write true or false",
        Kind.CHOICE: f"a text: write one of {', '.join(about.choices)}",
        Kind.TEXT: f"a text: write one such as {about.default}",
        Kind.PATH: "a path: write the path of a directory",
        Kind.OPTIONAL_PATH: "a path: write the path of a PEM file, or an empty text for none",
    }[about.kind]


def _shown(raw: object) -> str:
    text = str(raw).lower() if isinstance(raw, bool) else repr(raw)
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}..."


def _from_file(file: ConfigFile | None, problems: list[str]) -> dict[str, _Given]:
    if file is None:
        return {}
    try:
        document = tomllib.loads(file.text)
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{file.path}: this is not TOML: {error}")
        return {}
    given = {}
    for key, raw in document.items():
        if key in CATALOGUE:
            given[key] = _Given(raw, Source(Layer.FILE, file.path))
        elif isinstance(raw, dict):
            problems.append(f"{file.path}: there is no table [{key}]; settings stand at the top, under no table")
        else:
            problems.append(f"{file.path}: there is no setting {key}{_suggestion(key, CATALOGUE)}")
    return given


def _from_environment(environ: Mapping[str, str], problems: list[str]) -> dict[str, _Given]:
    variables = {about.variable: name for name, about in CATALOGUE.items()}
    given = {}
    for variable, text in sorted(environ.items()):
        if variable in variables:
            given[variables[variable]] = _Given(text, Source(Layer.ENVIRONMENT, variable))
        elif variable.startswith("PETRA_") and not _is_known_otherwise(variable, text):
            problems.append(f"{variable}: there is no such setting{_suggestion(variable, variables)}")
    return given


def _is_known_otherwise(variable: str, text: str) -> bool:
    is_address = _SERVICE_ADDRESS.fullmatch(variable) is not None and "://" in text
    return variable in OTHER_VARIABLES or is_address or _SERVICE_LINK.fullmatch(variable) is not None


def _from_flags(flags: Mapping[str, str | bool], problems: list[str]) -> dict[str, _Given]:
    given = {}
    for name, raw in flags.items():
        if name in CATALOGUE:
            given[name] = _Given(raw, Source(Layer.FLAG, CATALOGUE[name].flag))
        else:
            problems.append(f"{name}: there is no such flag{_suggestion(name, CATALOGUE)}")
    return given


def _suggestion(unknown: str, known: Iterable[str]) -> str:
    def essence(name: str) -> str:
        # In one form, so that petra_data and Max-Value-Bytes find their names too, and no prefix counts as likeness.
        return name.lower().replace("-", "_").removeprefix("petra_")

    forms = {essence(name): name for name in known}
    near = difflib.get_close_matches(essence(unknown), forms, n=1, cutoff=0.6)
    return f"; did you mean {forms[near[0]]}?" if near else "; `petra config` lists all settings"


def _sentence(problem: Problem, values: Mapping[str, Any], sources: Mapping[str, Source]) -> str:
    first, *others = problem.names
    sentence = f"{sources[first].naming(first)}: {problem.text}"
    if not others:
        return sentence
    now = []
    for name in problem.names:
        about = CATALOGUE[name]
        now.append(f"{name} is {about.show(values.get(name, about.default)) or 'unset'} by {sources[name]}")
    return f"{sentence} ({', '.join(now)})"
