"""Values as they are stored, bytes and encoding: the command line copies them exactly, whatever they are."""

from __future__ import annotations

import json
from typing import Final, NamedTuple, NoReturn

from petra.values import Encoding


class Stored(NamedTuple):
    """The bytes of a value, and what they are."""

    data: bytes
    encoding: Encoding


class StoredCodec:
    """Gives and takes `Stored` values, whose bytes stay as they are."""

    __slots__ = ()

    def encode(self, value: Stored) -> tuple[bytes, Encoding]:
        """The bytes of a value."""
        return value

    def decode(self, data: bytes, encoding: Encoding) -> Stored:
        """The value of stored bytes, whatever they are."""
        return Stored(data, encoding)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_decoder: Final = json.JSONDecoder(parse_constant=_no_constant)


def json_line(value: Stored) -> str | None:
    """The text of a JSON value, exactly as it is stored, when it is JSON and fits into a line; None otherwise."""
    if value.encoding != Encoding.JSON:
        return None
    data = value.data
    if b"\n" in data or b"\r" in data:
        return None
    try:
        text = data.decode()
        _, end = _decoder.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return text if end == len(text) else None


def parse_json(text: str) -> object:
    """What a JSON text says. Raises ValueError, also for NaN and the like and for what is nested too deeply."""
    try:
        return _decoder.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
