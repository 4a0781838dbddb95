"""The lines of an export. Pure.

The first line is a header, the last one says that the export is complete, and each between them is an entry:

    {"petra_export":{"format":1,"data_id":"...","server":"0.1.0","time":"...","namespace":null,"object":null}}
    {"namespace":"default","key":"greeting","value":{"text": "hi"}}
    {"namespace":"default","object":"room-42","key":"photo","base64":"...","expires_at":"2026-10-17T12:00:00.000Z"}
    {"petra_export_end":{"entries":2,"time":"..."}}

The text of `value` is the stored JSON, character by character. What is no JSON, or would not fit into a line, is
`base64`, with `"encoding":"json"` when the entry calls it JSON. An entry without `object` is a flat key, one without
`expires_at` lives for ever.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, NoReturn

from petra.cli.shown import as_json, base64_text, moment
from petra.cli.stored import Stored, json_line
from petra.values import Encoding, Entry

FORMAT: Final = 1

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_quote: Final = json.JSONEncoder(ensure_ascii=False).encode
_skip_spaces: Final = re.compile(r"[ \t\r\n]*").match
# `version` is of use to other programs; the server gives a new one.
_NAMES: Final = frozenset({"namespace", "object", "key", "value", "base64", "encoding", "expires_at", "version"})


class BrokenLine(ValueError):
    """A line that is no line of an export; the message says why."""


@dataclass(frozen=True, slots=True)
class Header:
    """What was exported, from where and when. `namespace` None is the whole server, `object` None all of them."""

    data_id: str
    server: str
    time: str
    namespace: str | None
    object: str | None


@dataclass(frozen=True, slots=True)
class End:
    """The export is complete, with so many entries."""

    entries: int


class Spot(NamedTuple):
    """Where an entry is. Exports are in this order: that of UTF-8 bytes, with flat keys (no object) first."""

    namespace: str
    object: str
    key: str


class Item(NamedTuple):
    """An entry of an export. `expires_at_ms` is 0 when it does not expire."""

    spot: Spot
    value: Stored
    expires_at_ms: int


def header_line(header: Header) -> bytes:
    return as_json({"petra_export": {"format": FORMAT, **asdict(header)}}).encode() + b"\n"


def end_line(end: End, time: str) -> bytes:
    return as_json({"petra_export_end": {"entries": end.entries, "time": time}}).encode() + b"\n"


def entry_lines(namespace: str, object_name: str, entries: list[Entry]) -> Iterator[str]:
    """The lines of entries of one place, which were read as stored."""
    start = f'{{"namespace":{_quote(namespace)},'
    if object_name:
        start += f'"object":{_quote(object_name)},'
    for entry in entries:
        value: Stored = entry.value
        text = json_line(value)
        if text is not None:
            said = f'"value":{text}'
        elif value.encoding == Encoding.JSON:
            said = f'"base64":"{base64_text(value.data)}","encoding":"json"'
        else:
            said = f'"base64":"{base64_text(value.data)}"'
        expiry = "" if entry.expires_at is None else f',"expires_at":"{moment(entry.expires_at)}"'
        yield f'{start}"key":{_quote(entry.key)},{said}{expiry}}}\n'


def read_line(line: bytes) -> Header | End | Item:
    """What a line says. Raises BrokenLine."""
    try:
        members = _members(line.decode())
    except UnicodeDecodeError:
        raise BrokenLine("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise BrokenLine(f"it is no JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise BrokenLine("it is nested too deeply") from None
    except ValueError as error:
        raise BrokenLine(f"it is no JSON: {error}") from None
    if "petra_export" in members:
        return _header(members["petra_export"][0])
    if "petra_export_end" in members:
        return _end(members["petra_export_end"][0])
    return _item(members)


def _no_constant(name: str) -> NoReturn:
    raise BrokenLine(f"{name} is no JSON")


_read_value: Final = json.JSONDecoder(parse_constant=_no_constant).raw_decode


def _members(text: str) -> dict[str, tuple[object, str]]:
    """The members of a JSON object, each with the text that it was read from. Raises ValueError."""
    at = _after_spaces(text, 0)
    if text[at : at + 1] != "{":
        raise BrokenLine("it is no JSON object")
    at = _after_spaces(text, at + 1)
    members: dict[str, tuple[object, str]] = {}
    more = text[at : at + 1] != "}"
    while more:
        name, at = _read_value(text, at)
        if not isinstance(name, str):
            raise BrokenLine("a member of it has no name")
        if name in members:
            raise BrokenLine(f"{name} is there twice")
        at = _after_spaces(text, _after(text, at, ":"))
        value, end = _read_value(text, at)
        members[name] = value, text[at:end]
        at = _after_spaces(text, end)
        more = text[at : at + 1] == ","
        if more:
            at = _after_spaces(text, at + 1)
    at = _after_spaces(text, _after(text, at, "}"))
    if at != len(text):
        raise json.JSONDecodeError("Extra data", text, at)
    return members


def _after(text: str, at: int, mark: str) -> int:
    at = _after_spaces(text, at)
    if text[at : at + 1] != mark:
        raise json.JSONDecodeError(f"Expecting '{mark}'", text, at)
    return at + 1


def _after_spaces(text: str, at: int) -> int:
    match = _skip_spaces(text, at)
    return at if match is None else match.end()


def _header(said: object) -> Header:
    match said:
        case {"format": int(number)} if number != FORMAT:
            raise BrokenLine(f"it is of format {number}, and this program knows format {FORMAT}: use a newer one")
        case {
            "data_id": str(data_id),
            "server": str(server),
            "time": str(time),
            "namespace": str(namespace) | (None as namespace),
            "object": str(object_name) | (None as object_name),
        }:
            return Header(data_id, server, time, namespace, object_name)
    raise BrokenLine("it is no header of an export")


def _end(said: object) -> End:
    match said:
        case {"entries": int(entries)}:
            return End(entries)
    raise BrokenLine("it is no end of an export")


def _item(members: dict[str, tuple[object, str]]) -> Item:
    if not members.keys() <= _NAMES:
        unknown = next(name for name in members if name not in _NAMES)
        raise BrokenLine(f"it has a member {unknown[:60]!r}, which is unknown")
    spot = Spot(
        _text(members, "namespace", "default", empty=False),
        _text(members, "object", ""),
        _text(members, "key", None, empty=False),
    )
    expires_at = members.get("expires_at", (None, ""))[0]
    return Item(spot, _value(members), 0 if expires_at is None else _expiry(expires_at))


def _text(members: dict[str, tuple[object, str]], name: str, default: str | None, *, empty: bool = True) -> str:
    value = members.get(name, (None, ""))[0]
    if value is None and default is not None:
        return default
    if value is None:
        raise BrokenLine(f"it has no {name}")
    if not isinstance(value, str):
        raise BrokenLine(f"its {name} is no string")
    if not value and not empty:
        raise BrokenLine(f"its {name} is empty")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BrokenLine(f"its {name} has half of a surrogate pair, which is no text") from None
    return value


def _value(members: dict[str, tuple[object, str]]) -> Stored:
    if ("value" in members) == ("base64" in members):
        raise BrokenLine("it has both value and base64" if "value" in members else "it has no value")
    encoding = members.get("encoding", ("json" if "value" in members else "bytes", ""))[0]
    if encoding not in ("json", "bytes") or ("value" in members and encoding != "json"):
        raise BrokenLine(f"its encoding is {encoding!r}")
    if "value" in members:
        return Stored(members["value"][1].encode(), Encoding.JSON)
    text = members["base64"][0]
    if not isinstance(text, str):
        raise BrokenLine("its base64 is no string")
    try:
        data = base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise BrokenLine(f"its base64 cannot be read: {error}") from None
    return Stored(data, Encoding.JSON if encoding == "json" else Encoding.BYTES)


def _expiry(said: object) -> int:
    try:
        at = datetime.fromisoformat(said) if isinstance(said, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise BrokenLine(f"its expires_at is {said!r:.60}, and no time such as 2026-10-17T12:00:00.000Z")
    return (at - _EPOCH) // _MILLISECOND


def same_scope(one: Header, other: Header) -> bool:
    """Whether two headers are of the same part of the same server."""
    return (one.data_id, one.namespace, one.object) == (other.data_id, other.namespace, other.object)
