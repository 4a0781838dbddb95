"""Password hashes, by argon2id. The only module that knows argon2.

Every check does the same work, whether or not there is a hash to check against.
"""

from __future__ import annotations

import secrets
import unicodedata

from petra.auth.accounts import LONGEST_PASSWORD
from petra.errors import DataLoss

try:
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"Passwords need {error.name}, which is not installed: pip install 'petra[auth]'", name=error.name
    ) from error


class Passwords:
    """Makes hashes of passwords, and checks passwords against them. May be used by many threads."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """With the parameters of RFC 9106 for servers with little memory, unless a hasher with others is given."""
        self._hasher = PasswordHasher() if hasher is None else hasher
        # What an unknown account is checked against.
        self._nobody = self._hasher.hash(secrets.token_urlsafe())

    def hash(self, password: str) -> str:
        """What to store. Takes tens of milliseconds, and memory, by intention."""
        return self._hasher.hash(_prepared(password))

    def matches(self, stored: str | None, password: str) -> bool:
        """Whether a password has this hash; None has none, and takes as long. Raises DataLoss for what is no hash."""
        try:
            self._hasher.verify(self._nobody if stored is None else stored, _prepared(password))
        except InvalidHashError:
            raise DataLoss("The hash of a password cannot be read. Have that password reset.") from None
        except VerificationError:
            return False
        return stored is not None

    def outdated(self, stored: str) -> bool:
        """Whether a hash was made with other parameters than the present ones."""
        return self._hasher.check_needs_rehash(stored)


def _prepared(password: str) -> bytes:
    # The same characters can be typed as different code points. What is too long was never accepted, and is cut.
    cut = password[: LONGEST_PASSWORD + 1]
    return unicodedata.normalize("NFKC", cut).encode(errors="surrogatepass")
