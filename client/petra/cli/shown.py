"""How results are printed, as text for people and as JSON for programs. Pure.

In the JSON of an entry `value` is the value itself, or {"base64": ...} for bytes; `encoding` tells the two apart.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any, Final

from petra.cli.stored import Stored, json_line, parse_json
from petra.values import Encoding, Entry

_encode: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")


def as_json(value: object) -> str:
    """A result on one line: dataclasses as objects, moments as text."""
    return _encode(_plain(value))


def _plain(value: object) -> object:
    match value:
        case float():
            return round(value, 6)
        case datetime():
            return moment(value)
        case Mapping():
            return {name: _plain(part) for name, part in value.items()}
        case list() | tuple():
            return [_plain(part) for part in value]
        case _ if is_dataclass(value):
            return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
        case _:
            return value


def moment(at: datetime) -> str:
    """A moment in UTC, with milliseconds, as RFC 3339 has it."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def base64_text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def value_json(value: Stored) -> str:
    """A value as JSON on one line."""
    line = json_line(value)
    if line is None and value.encoding == Encoding.JSON:
        line = _on_one_line(value.data)
    return as_json({"base64": base64_text(value.data)}) if line is None else line


def _on_one_line(data: bytes) -> str | None:
    """JSON that is spread over lines; None when it is no JSON or cannot be written as it was."""
    try:
        return _encode(parse_json(data.decode()))
    except ValueError:
        return None


def entry_json(entry: Entry) -> str:
    """An entry that was read as stored."""
    return _entry_json(
        entry.key,
        value_json(entry.value),
        encoding=_encode(entry.value.encoding.name.lower()),
        version=entry.version,
        expires_at=None if entry.expires_at is None else moment(entry.expires_at),
    )


def no_entry_json(key: str) -> str:
    """What stands for an entry that is not there, with the same fields."""
    return _entry_json(key, "null", encoding="null", version=0, expires_at=None)


def _entry_json(key: str, value: str, *, encoding: str, version: int, expires_at: str | None) -> str:
    found = "true" if version else "false"
    return (
        f'{{"key":{_encode(key)},"found":{found},"value":{value},"encoding":{encoding},"version":{version}'
        f',"expires_at":{_encode(expires_at)}}}'
    )


def value_text(value: Stored, *, terminal: bool) -> bytes:
    """A value by itself: a string as its text, bytes as they are, other JSON as JSON.

    On a terminal nothing is printed that could be a command to it.
    """
    if value.encoding != Encoding.JSON:
        return _bytes_for_terminal(value.data) if terminal else value.data
    try:
        parsed = parse_json(value.data.decode())
    except ValueError:
        return _bytes_for_terminal(value.data) if terminal else value.data
    if isinstance(parsed, str) and (not terminal or _harmless(parsed)):
        try:
            return parsed.encode() + b"\n"
        except UnicodeEncodeError:
            pass
    return value_json(value).encode() + b"\n"


def _bytes_for_terminal(data: bytes) -> bytes:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    shown = text if _harmless(text) else f"base64:{base64_text(data)}"
    return shown.encode() + b"\n"


def _harmless(text: str) -> bool:
    return all(character.isprintable() or character in "\n\t" for character in text)


def name_text(name: str) -> str:
    """A key or another name in a column: as JSON when it would upset lines or columns."""
    return name if name.isprintable() and not name.startswith('"') else _encode(name)


def entry_text(entry: Entry, *, long: bool) -> str:
    """A line of a listing, its columns parted by tabs: key, value; or key, version, expiry, value."""
    middle = ""
    if long:
        expiry = "-" if entry.expires_at is None else moment(entry.expires_at)
        middle = f"{entry.version}\t{expiry}\t"
    return f"{name_text(entry.key)}\t{middle}{value_json(entry.value)}"


def size_text(count: float) -> str:
    """Bytes, in the unit that suits them."""
    unit = 0
    while count >= 1024 and unit < len(_UNITS) - 1:
        count /= 1024
        unit += 1
    return f"{count:.0f} {_UNITS[unit]}" if unit == 0 else f"{count:.1f} {_UNITS[unit]}"


def counted(number: int, one: str, many: str) -> str:
    """A number with its noun."""
    return f"{number:,} {one if number == 1 else many}"


def duration_text(seconds: float) -> str:
    """A length of time, in its two largest units."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    rest = int(seconds)
    counts: list[tuple[int, str]] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or counts:
            counts.append((count, unit))
    return " ".join(f"{count} {unit}" for count, unit in counts[:2] if count)


def table(rows: Mapping[str, Any]) -> str:
    """Names and values, one a line, the values in a column."""
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())
