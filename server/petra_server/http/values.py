"""Values between JSON and what is kept: as the Python client keeps them, so each reads what the other wrote. Pure."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error
from typing import Any, Literal

import msgspec

from petra_server.errors import Reason, Refusal
from petra_server.http.bodies import Blob
from petra_server.storage.records import ENCODING_BYTES, ENCODING_JSON, Record


def stored_value(
    value: Any,  # noqa: ANN401 - any JSON
    encoding: Literal["json", "bytes"],
) -> tuple[bytes, int]:
    """The bytes to keep and their encoding. Raises Refusal."""
    if encoding == "bytes":
        return _bytes_of(value), ENCODING_BYTES
    try:
        return msgspec.json.encode(value), ENCODING_JSON
    except RecursionError:
        raise Refusal(
            Reason.MALFORMED_MESSAGE, "The value is nested too deeply. Store its parts by themselves.", field="value"
        ) from None


def _bytes_of(value: object) -> bytes:
    if isinstance(value, dict) and value.keys() == {"base64"} and isinstance(value["base64"], str):
        try:
            return b64decode(value["base64"], validate=True)
        except (Error, ValueError):
            pass
    raise Refusal(
        Reason.INVALID_ENCODING,
        'A value of the encoding bytes is an object such as {"base64": "AAH/"}, with padding. Send one, or JSON.',
        field="value",
    )


def shown_value(record: Record) -> tuple[msgspec.Raw, Literal["json", "bytes"]]:
    """The JSON that stands for a value, and what it is.

    JSON is kept as its client wrote it. What says that it is JSON and is not is shown as the bytes that it is.
    """
    if record.encoding == ENCODING_JSON:
        try:
            msgspec.json.decode(record.value)
            return msgspec.Raw(record.value), "json"
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass
    return msgspec.Raw(msgspec.json.encode(Blob(base64=b64encode(record.value).decode()))), "bytes"
