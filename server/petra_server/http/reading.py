"""Reads bodies and parameters into their types, and writes answers. Pure.

What is wrong with a member is refused for the same reason as over gRPC, and the member is named.
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from petra_server.errors import Reason, Refusal
from petra_server.http.status import HttpReason, HttpRefusal

_T = TypeVar("_T")

# What is wrong with a member that is there, by its name; the same reasons as of gRPC.
_REASONS = {
    "namespace": Reason.INVALID_NAMESPACE,
    "object": Reason.INVALID_OBJECT,
    "key": Reason.INVALID_KEY,
    "keys": Reason.INVALID_KEY,
    "ttlMs": Reason.INVALID_TTL,
    "keepTtl": Reason.INVALID_TTL,
    "encoding": Reason.INVALID_ENCODING,
    "durability": Reason.INVALID_DURABILITY,
    "ifVersion": Reason.INVALID_CONDITION,
    "ifAbsent": Reason.INVALID_CONDITION,
    "limit": Reason.INVALID_LIMIT,
    "prefix": Reason.INVALID_RANGE,
    "sql": Reason.INVALID_STATEMENT,
    "params": Reason.INVALID_STATEMENT,
    "statements": Reason.INVALID_STATEMENT,
}

_FIELD = re.compile(r" - at `\$\.?([^`]*)`$")
_MEMBER = re.compile(r"(?:unknown|required) field `([^`]*)`")


def read_body(data: bytes, kind: type[_T]) -> _T:
    """Raises Refusal with the member that is wrong: by the reason of the member, or MALFORMED_MESSAGE."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        text = str(error)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(Reason.MALFORMED_MESSAGE, f"The body is no JSON: {error}. Send JSON in UTF-8.") from None
    except RecursionError:
        raise Refusal(Reason.MALFORMED_MESSAGE, "The body is nested too deeply. Split what you store.") from None
    sentence, field, known = _located(text)
    reason = _reason_of(field) if known else None
    raise Refusal(reason or Reason.MALFORMED_MESSAGE, f"The body cannot be used: {sentence}.", field=field)


def read_parameters(given: dict[str, str], kind: type[_T]) -> _T:
    """Query parameters. Raises Refusal by the reason of the parameter, or HttpRefusal INVALID_PARAMETER."""
    try:
        return msgspec.convert(given, type=kind, strict=False)
    except msgspec.ValidationError as error:
        sentence, field, known = _located(str(error))
    sentence = sentence.replace("field", "parameter")
    reason = _reason_of(field) if known else None
    if reason is not None:
        raise Refusal(reason, f"A query parameter cannot be used: {sentence}.", field=field)
    raise HttpRefusal(HttpReason.INVALID_PARAMETER, f"A query parameter cannot be used: {sentence}.", field=field)


def _located(text: str) -> tuple[str, str, bool]:
    """A sentence of msgspec, the path of the member that it is about, and whether that was there and is a known one."""
    at = _FIELD.search(text)
    path = at[1] if at else ""
    sentence = _FIELD.sub("", text).replace("Expected", "expected").replace("Object", "the object")
    sentence = sentence.replace("the object missing", "the object is missing the")
    member = _MEMBER.search(sentence)
    if member is None:
        return sentence, path, True
    return sentence, f"{path}.{member[1]}" if path else member[1], False


def _reason_of(path: str) -> Reason | None:
    return _REASONS.get(re.sub(r"\[[^\]]*\]", "", path).rpartition(".")[2])


def write(answer: object) -> bytes:
    """The JSON of an answer."""
    return msgspec.json.encode(answer)
