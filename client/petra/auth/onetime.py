"""One-time codes: how they look, how they are kept, and how they are compared. Pure; both trees use it."""

from __future__ import annotations

import hmac
import secrets
import unicodedata
from dataclasses import dataclass
from hashlib import sha256

from petra.errors import InvalidArgument

# Without 0 and O, 1, I and L. 31 to the 6th are 887 million codes.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
CODE_CHARACTERS = 6
_SHORTEST_SECRET_BYTES = 16
# To compose a text takes time by the square of its length, and strangers may send any.
_LONGEST_ADDRESS = 1_000


@dataclass(frozen=True, slots=True)
class CodeCheck:
    """Whether a code was right; it is true then. `attempts_left` is how often this code may still be tried."""

    accepted: bool
    attempts_left: int

    def __bool__(self) -> bool:
        return self.accepted


def new_code() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(CODE_CHARACTERS))


def secret_bytes(secret: str | bytes) -> bytes:
    """The key of the hashes. Raises InvalidArgument for one that can be guessed."""
    key = secret.encode() if isinstance(secret, str) else secret
    if len(key) < _SHORTEST_SECRET_BYTES:
        raise InvalidArgument(
            f"The secret has at least {_SHORTEST_SECRET_BYTES} bytes. Make one with secrets.token_urlsafe().",
            field="secret",
        )
    return key


def subject_name(subject: str) -> str:
    """Whom a code is for: addresses are the same whatever their case.

    In small letters rather than folded, which would take the straße.example of one for the strasse.example of another.
    What is longer than any address is left as it is.
    """
    if len(subject) > _LONGEST_ADDRESS:
        return subject
    return unicodedata.normalize("NFC", subject.strip()).lower()


def subject_hash(secret: bytes, subject: str) -> str:
    """What stands for the subject in the store, as addresses are nobody else's business."""
    return _keyed(secret, "subject", subject_name(subject))


def code_hash(secret: bytes, subject: str, code: str) -> str:
    """What is stored of a code. Without the secret, nobody finds the code by trying all there are."""
    typed = "".join(code.split()).replace("-", "").upper()
    return _keyed(secret, "code", subject_name(subject), typed)


def same_hash(first: str, second: str) -> bool:
    """Compares in a time that tells nothing."""
    return hmac.compare_digest(first.encode(), second.encode())


def _keyed(secret: bytes, *parts: str) -> str:
    message = b"".join(
        len(data).to_bytes(4, "big") + data for data in (part.encode(errors="surrogatepass") for part in parts)
    )
    return hmac.new(secret, message, sha256).hexdigest()
