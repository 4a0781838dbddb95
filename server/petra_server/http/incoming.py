"""What a request says outside of its body: its path, its query and its headers, read strictly. Pure.

A key is taken from the path as it was sent: what is percent-encoded is part of the key, so `%2F` is a slash of it, and
the reserved paths are only those that are written plainly.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from urllib.parse import parse_qsl, unquote_to_bytes

from petra_server.errors import Reason, Refusal
from petra_server.http.status import HttpReason, HttpRefusal

TIMEOUT_HEADER = "Petra-Timeout-Ms"
REQUEST_ID_HEADER = "Idempotency-Key"
# Less is used up by the loop of a busy server before anything is asked; an hour is as long as any client waits.
MIN_TIMEOUT_MS = 100
MAX_TIMEOUT_MS = 3_600_000
MAX_REQUEST_ID_CHARACTERS = 255

# A page in a browser must not reach a server of its visitor, who never asked for it. Programs send neither.
_OF_PAGES = ("origin", "sec-fetch-site")
_FROM_THE_ADDRESS_BAR = "none"

Headers = dict[str, str]


def read_headers(raw: Iterable[tuple[bytes, bytes]]) -> Headers:
    """By their names in lower case. Raises HttpRefusal for one that is there twice and must not be."""
    headers: Headers = {}
    for name, value in raw:
        key = name.decode("latin-1").lower()
        if key in headers and key in (TIMEOUT_HEADER.lower(), REQUEST_ID_HEADER.lower(), "content-type"):
            raise HttpRefusal(HttpReason.INVALID_PARAMETER, f"The header {key} is there twice. Send one.", field=key)
        headers[key] = value.decode("latin-1")
    return headers


def name_in_path(raw: bytes, reason: Reason, field: str) -> str:
    """A key or an object, decoded. Raises Refusal with this reason."""
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise Refusal(
            reason,
            f"The {field} in the path is not valid UTF-8. Percent-encode the UTF-8 bytes of it.",
            field=field,
        ) from None


def query_parameters(raw: bytes) -> dict[str, str]:
    """The query as it was sent, `+` for a space. Raises HttpRefusal."""
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        raise HttpRefusal(
            HttpReason.INVALID_PARAMETER, "The query is not valid UTF-8. Percent-encode the UTF-8 bytes of it."
        ) from None
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        twice = next(name for index, (name, _) in enumerate(pairs) if name in dict(pairs[:index]))
        raise HttpRefusal(
            HttpReason.INVALID_PARAMETER, "A query parameter is there twice. Send each once.", field=twice
        )
    return parameters


def timeout_seconds(headers: Headers, default_ms: int) -> float:
    """How long the client waits. Raises HttpRefusal."""
    given = headers.get(TIMEOUT_HEADER.lower())
    if given is None:
        return default_ms / 1000
    if not (given.isascii() and given.isdigit() and len(given) <= 9 and MIN_TIMEOUT_MS <= int(given) <= MAX_TIMEOUT_MS):
        raise HttpRefusal(
            HttpReason.INVALID_PARAMETER,
            f"{TIMEOUT_HEADER} must be a whole number of milliseconds from {MIN_TIMEOUT_MS} to {MAX_TIMEOUT_MS}.",
            field=TIMEOUT_HEADER,
        )
    return int(given) / 1000


def request_id(headers: Headers, *, allowed: bool) -> bytes:
    """The request id that an Idempotency-Key stands for, empty without one. Raises Refusal INVALID_REQUEST_ID.

    Keys are hashed, as those that people use (36 characters of a UUID) are longer than a request id may be.
    """
    given = headers.get(REQUEST_ID_HEADER.lower())
    if given is None:
        return b""
    problem = ""
    if not allowed:
        problem = f"This request cannot be made once only. Send no {REQUEST_ID_HEADER}."
    elif not 0 < len(given) <= MAX_REQUEST_ID_CHARACTERS:
        problem = f"{REQUEST_ID_HEADER} must have 1 to {MAX_REQUEST_ID_CHARACTERS} characters."
    if problem:
        raise Refusal(Reason.INVALID_REQUEST_ID, problem, field=REQUEST_ID_HEADER)
    return sha256(given.encode("latin-1")).digest()


def check_sender(headers: Headers) -> None:
    """Raises HttpRefusal for what a page in a browser sends."""
    for name in _OF_PAGES:
        if headers.get(name, _FROM_THE_ADDRESS_BAR) != _FROM_THE_ADDRESS_BAR:
            raise HttpRefusal(
                HttpReason.ORIGIN_NOT_ALLOWED,
                "The request comes from a page in a browser. Only programs may ask: have one of yours do it.",
                field=name,
            )


def check_media_type(headers: Headers) -> None:
    """Raises HttpRefusal unless a body is JSON, or does not say what it is."""
    given = headers.get("content-type", "").partition(";")[0].strip().lower()
    coded = headers.get("content-encoding", "identity").strip().lower()
    if given and given != "application/json" and not (given.startswith("application/") and given.endswith("+json")):
        raise HttpRefusal(
            HttpReason.UNSUPPORTED_MEDIA_TYPE,
            f"The body is announced as {given[:60]}. Send JSON, with Content-Type: application/json (curl --json).",
            field="content-type",
        )
    if coded != "identity":
        raise HttpRefusal(
            HttpReason.UNSUPPORTED_MEDIA_TYPE, "The body is compressed. Send it as it is.", field="content-encoding"
        )
