"""Session ids: where a session is, which one it is, and the secret that lets one in. Pure; both trees use it.

An id is the base64url of a locator (16 bytes), a handle (12) and a secret (32 random bytes). The locator names the
object that holds the session: that of its user, so that all sessions of a user live in one object, or one of its own.
The handle stays the same when the id is rotated, and opens nothing: it may be shown. Of the id only the SHA-256 is
stored.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass, field
from hashlib import sha256

_LOCATOR_BYTES, _HANDLE_BYTES, _SECRET_BYTES = 16, 12, 32
_ID_CHARACTERS = (_LOCATOR_BYTES + _HANDLE_BYTES + _SECRET_BYTES) * 4 // 3


@dataclass(frozen=True, slots=True)
class SessionId:
    """A session id and what it says."""

    text: str = field(repr=False)
    locator: str
    handle: str

    @property
    def key(self) -> str:
        """Where the object keeps the hash of the id."""
        return f"id:{sha256(self.text.encode()).hexdigest()}"


def new_id(locator: str, handle: str) -> SessionId:
    """An id that nobody has had before."""
    data = bytes.fromhex(locator) + bytes.fromhex(handle) + secrets.token_bytes(_SECRET_BYTES)
    return SessionId(base64.urlsafe_b64encode(data).decode(), locator, handle)


def read_id(text: object) -> SessionId | None:
    """The parts of an id, or None for what cannot be one, such as a cookie that is missing."""
    if not isinstance(text, str) or len(text) != _ID_CHARACTERS or not text.isascii():
        return None
    try:
        data = base64.b64decode(text, altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    locator, rest = data[:_LOCATOR_BYTES], data[_LOCATOR_BYTES:]
    return SessionId(text, locator.hex(), rest[:_HANDLE_BYTES].hex())


def locator_of(user: str | None) -> str:
    """The locator of all sessions of a user, or a new one for a session without."""
    if user is None:
        return secrets.token_hex(_LOCATOR_BYTES)
    return sha256(b"petra.sessions\x00" + user.encode()).digest()[:_LOCATOR_BYTES].hex()


def new_handle() -> str:
    return secrets.token_hex(_HANDLE_BYTES)
