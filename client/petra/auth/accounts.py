"""Accounts: how an address and a password have to be, what is stored, and what signing in answers. Pure."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypedDict

from petra.errors import InvalidArgument, PetraError
from petra.sessions.records import Session
from petra.values import Value

# RFC 5321 has room for so much between < and >.
_LONGEST_EMAIL_BYTES = 254
# Before it is composed and its white space is gone. To compose takes time by the square of the length.
_LONGEST_TYPED = 4 * _LONGEST_EMAIL_BYTES
# NIST SP 800-63B asks for 8 at least, and to take long ones; beyond this somebody wants to see us work.
SHORTEST_PASSWORD, LONGEST_PASSWORD = 8, 1_024


class AlreadyRegistered(PetraError):
    """There is an account with this address. Offer to sign in, or to reset the password."""


class AccountRecord(TypedDict):
    """What is stored of an account. `stamp` is another one whenever the password is."""

    id: str
    email: str
    password: str
    stamp: str
    data: dict[str, Value]


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who can sign in. `id` is what sessions name as their user, and stays when the address changes."""

    id: str
    email: str
    data: dict[str, Value]


@dataclass(frozen=True, slots=True)
class LoginResult:
    """Whether somebody is signed in; it is true then, and has the session.

    An unknown address and a wrong password have equal results. `retry_after` is more than 0 when there were too many
    attempts, whatever the password: in so many seconds another one is looked at.
    """

    success: bool
    session_id: str | None = field(default=None, repr=False)
    session: Session | None = None
    retry_after: float = 0.0

    def __bool__(self) -> bool:
        return self.success


def account_of(record: AccountRecord) -> Account:
    return Account(record["id"], record["email"], record["data"])


def normal_email(email: object) -> str:
    """The one way in which an address is kept: composed, in small letters. Raises InvalidArgument for what is none.

    Whether anybody reads mail there, only a mail can tell.
    """
    if not isinstance(email, str) or len(email) > _LONGEST_TYPED:
        raise InvalidArgument("That is no e-mail address.", field="email")
    normal = unicodedata.normalize("NFC", email.strip()).lower()
    local, at, domain = normal.rpartition("@")
    good = local and at and domain and "@" not in local and not domain.startswith(".") and not domain.endswith(".")
    clean = all(character.isprintable() and not character.isspace() for character in normal)
    if not good or not clean or len(normal.encode(errors="surrogatepass")) > _LONGEST_EMAIL_BYTES:
        raise InvalidArgument("That is no e-mail address.", field="email")
    return normal


def name_for_attempts(email: str) -> str:
    """Under which attempts to sign in are counted, also with what is no address."""
    try:
        return normal_email(email)
    except InvalidArgument:
        return sha256(email.encode(errors="surrogatepass")).hexdigest()


def checked_password(password: str) -> str:
    """A password that may be chosen. Raises InvalidArgument, which never says the password."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise InvalidArgument(
            f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters, and this one has {len(password)}.",
            field="password",
        )
    return password


def account_key(email: str) -> str:
    return f"account:{email}"


def reset_key(token: str) -> str:
    """Where a reset is kept: only the hash of its token is stored."""
    return f"password-reset:{sha256(token.encode(errors='surrogatepass')).hexdigest()}"
