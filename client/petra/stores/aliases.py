"""Session ids that a program brings with it: where they are kept, and what they lead to. Pure.

A session has an id of its own, made by petra.sessions. Under the hash of a program's id is that id, hidden with another
hash of the program's: so what is stored opens nothing, to whoever reads it without the id.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from hashlib import sha256, shake_256

from petra.errors import InvalidArgument
from petra.stores.arguments import word
from petra.values import Value

# As much as a cookie or a header takes easily.
_MAX_BYTES = 1_024


@dataclass(frozen=True, slots=True)
class Alias:
    """A program's session id."""

    text: str = field(repr=False)

    @classmethod
    def of(cls, session_id: object) -> Alias:
        """Raises InvalidArgument for what is no id."""
        text = word(session_id, "session_id")
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            raise InvalidArgument("session_id is no valid Unicode.", field="session_id") from None
        if size > _MAX_BYTES:
            raise InvalidArgument(f"A session_id has {_MAX_BYTES} bytes at most.", field="session_id")
        return cls(text)

    @property
    def key(self) -> str:
        """The key of the entry that leads to the session."""
        return f"session-alias:{sha256(self.text.encode()).hexdigest()}"

    def hide(self, own_id: str) -> str:
        """What is stored under the key."""
        return base64.b64encode(self._mixed(own_id.encode())).decode()

    def find(self, hidden: Value) -> str | None:
        """The session's own id, or None when somebody else wrote the entry."""
        try:
            return self._mixed(base64.b64decode(hidden, validate=True)).decode("ascii")
        except (TypeError, ValueError, binascii.Error):
            return None

    def _mixed(self, data: bytes) -> bytes:
        pad = shake_256(b"petra.stores\x00" + self.text.encode()).digest(len(data))
        return bytes(one ^ other for one, other in zip(data, pad, strict=True))
