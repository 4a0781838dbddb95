"""Settings for people and programs to read: the two outputs of `petra config`, and docs/settings.md."""

from __future__ import annotations

import json
from pathlib import Path

from petra_server.settings import Group
from petra_server.settings_catalogue import CATALOGUE, Description, Kind
from petra_server.settings_loader import LoadedSettings


def as_text(loaded: LoadedSettings) -> str:
    """One line for each setting: name, value, where the value came from."""
    rows = [
        (name, about.show(getattr(loaded.settings, name)) or "(unset)", str(loaded.sources[name]))
        for name, about in CATALOGUE.items()
    ]
    name_width, value_width = (max(len(row[column]) for row in rows) for column in (0, 1))
    return "\n".join(f"{name:<{name_width}}  {value:<{value_width}}  {source}" for name, value, source in rows)


def as_json(loaded: LoadedSettings) -> str:
    """An object of all settings: `value` (sizes in bytes), `source` (the layer) and `place` (null for a default)."""
    report = {}
    for name in CATALOGUE:
        value, source = getattr(loaded.settings, name), loaded.sources[name]
        shown = str(value) if isinstance(value, Path) else value
        report[name] = {"value": shown, "source": source.layer.value, "place": source.place or None}
    return json.dumps(report, indent=2)


def as_markdown() -> str:
    """The whole of docs/settings.md."""
    parts = [_INTRODUCTION]
    for group in Group:
        parts.append(f"## {group.value}\n\n| setting | default | range | meaning |\n|---|---|---|---|")
        parts[-1] += "".join(_row(about) for about in CATALOGUE.values() if about.group is group)
    return "\n\n".join(parts) + "\n"


def _row(about: Description) -> str:
    default = f"`{about.show(about.default)}`" if about.show(about.default) else "unset"
    return f"\n| `{about.name}` | {default} | {_range(about)} | {about.meaning} |"


def _range(about: Description) -> str:
    if about.at_least is not None:
        return f"{about.show(about.at_least)} to {about.show(about.at_most)}"
    if about.kind is Kind.SWITCH:
        return "`true`, `false`"
    return ", ".join(f"`{choice}`" for choice in about.choices)


_INTRODUCTION = """\
# Settings

Every setting can be given in three places. The first that has it wins, and `petra config` prints what came out and
where each value came from:

1. a flag of `petra serve`: `--max-value-bytes 1MiB`, `--no-reflection`
2. an environment variable, `PETRA_` and the name in upper case: `PETRA_MAX_VALUE_BYTES=1MiB`
3. a TOML file, named by `--config petra.toml` or by `PETRA_CONFIG`: `max_value_bytes = "1MiB"`, all at the top level

What ends in `_bytes` is a size: whole bytes, or a whole number with a unit, `KB MB GB TB` (thousands) or `KiB MiB
GiB TiB` (1,024s). What ends in `_ms` or `_seconds` is a number in that unit. Paths are relative to the directory in
which the server is started. An empty path of a TLS file means unset.

A name that is not in this list is refused, in the file and among the variables that begin with `PETRA_`; so are
values out of their range, and all of it is reported at once. Variables that begin with `PETRA_` and are no
settings: `PETRA_CONFIG`, the client's `PETRA_ADDRESS` and `PETRA_NAMESPACE`, and those that Kubernetes makes for a
Service named `petra` or `petra-...` (`PETRA_SERVICE_HOST`, `PETRA_PORT_7475_TCP` and the like).

This page is generated: `petra config --markdown > docs/settings.md`."""
