"""The cookie of a session: read, signed, written. Pure, but for the library that signs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Literal, TypeAlias, get_args

from petra.errors import InvalidArgument

try:
    from itsdangerous import BadSignature, Signer
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"The session middleware needs {error.name}, which is not installed: pip install 'petra[sessions]'",
        name=error.name,
    ) from error

SameSite: TypeAlias = Literal["lax", "strict", "none"]

# Shorter ones can be guessed.
_SHORTEST_SECRET_BYTES = 16


@dataclass(frozen=True, slots=True)
class Cookie:
    """How the cookie is called and where it is sent. It is always HttpOnly: no script has business with it."""

    name: str
    path: str
    domain: str | None
    secure: bool
    same_site: SameSite

    def __post_init__(self) -> None:
        """Raises InvalidArgument for what is no cookie, and for what browsers refuse."""
        try:
            SimpleCookie()[self.name] = ""
        except CookieError as error:
            raise InvalidArgument(f"{self.name!r} is no name of a cookie: {error}.", field="cookie") from None
        for field, value in (("path", self.path), ("domain", self.domain or "")):
            if ";" in value or not value.isascii() or not value.isprintable():
                raise InvalidArgument(f"{value!r} is no {field} of a cookie.", field=field)
        if self.same_site not in get_args(SameSite):
            raise InvalidArgument(f'same_site is "lax", "strict" or "none", not {self.same_site!r}.', field="same_site")
        if self.same_site == "none" and not self.secure:
            raise InvalidArgument('Browsers refuse a cookie with same_site="none" that is not secure.', field="secure")
        # They do not look at the case of these prefixes.
        prefixed = self.name.lower()
        if prefixed.startswith("__secure-") and not self.secure:
            raise InvalidArgument("Browsers refuse a cookie named __Secure-... that is not secure.", field="cookie")
        if prefixed.startswith("__host-") and (not self.secure or self.domain is not None or self.path != "/"):
            raise InvalidArgument(
                "Browsers refuse a cookie named __Host-... that has a domain or another path, or is not secure.",
                field="cookie",
            )

    def given(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """The value in the fields of a request, as it was sent; None when there is none."""
        for name, value in headers:
            if name.lower() == b"cookie":
                for pair in value.decode("latin-1").split(";"):
                    own, _, text = pair.strip().partition("=")
                    if own == self.name:
                        return text
        return None

    def header(self, value: str, max_age: int) -> tuple[bytes, bytes]:
        """The field that sets it for so many seconds; with 0 it is removed."""
        jar: SimpleCookie = SimpleCookie()
        jar[self.name] = value
        morsel = jar[self.name]
        morsel["path"] = self.path
        morsel["max-age"] = str(max_age)
        morsel["httponly"] = True
        morsel["samesite"] = self.same_site.capitalize()
        if self.secure:
            morsel["secure"] = True
        if self.domain is not None:
            morsel["domain"] = self.domain
        return b"set-cookie", morsel.OutputString().encode("latin-1")


class Signatures:
    """Signs ids and checks them, so that what was made up never becomes a question to the server."""

    def __init__(self, secrets: str | bytes | Sequence[str | bytes]) -> None:
        """The first secret signs; the others are older ones that are still good. Raises InvalidArgument."""
        every = [secrets] if isinstance(secrets, str | bytes) else list(secrets)
        keys = [each.encode() if isinstance(each, str) else each for each in every]
        if not keys or any(len(key) < _SHORTEST_SECRET_BYTES for key in keys):
            raise InvalidArgument(
                f"A secret has at least {_SHORTEST_SECRET_BYTES} bytes. Make one with secrets.token_urlsafe().",
                field="secret",
            )
        # itsdangerous takes the newest last.
        self._signer = Signer(keys[::-1], salt="petra.sessions", key_derivation="hmac", digest_method=hashlib.sha256)

    def sign(self, session_id: str) -> str:
        """What the cookie holds."""
        return self._signer.sign(session_id).decode()

    def read(self, value: str | None) -> str | None:
        """The id that was signed, or None."""
        try:
            return None if value is None else self._signer.unsign(value).decode()
        except (BadSignature, UnicodeError):
            return None
