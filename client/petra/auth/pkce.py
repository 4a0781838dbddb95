"""What an OAuth state is made of: the state, the PKCE verifier (RFC 7636), and a way back that stays here. Pure."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import urlsplit

from petra.errors import InvalidArgument
from petra.values import Value

# 256 bits for the state; 384 for the verifier, which is 64 characters, of 43 to 128 that are allowed.
_STATE_BYTES, _VERIFIER_BYTES = 32, 48
_LONGEST_PATH = 2_000


@dataclass(frozen=True, slots=True)
class OAuthState:
    """One sign-in that is under way. `state` and `challenge` go to the provider, `verifier` only with the code."""

    state: str = field(repr=False)
    verifier: str = field(repr=False)
    return_to: str
    data: dict[str, Value]

    @property
    def challenge(self) -> str:
        """The code_challenge of the verifier, for the method S256."""
        return base64.urlsafe_b64encode(sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()


def new_state(return_to: str, data: Mapping[str, Value] | None) -> OAuthState:
    """A state that nobody can guess. Raises InvalidArgument when `return_to` leads somewhere else."""
    if safe_return_path(return_to) != return_to:
        raise InvalidArgument(
            f"return_to must be a path of this site, such as /home, and {return_to[:60]!r} is none. For what strangers"
            " send, use safe_return_path first.",
            field="return_to",
        )
    return OAuthState(
        secrets.token_urlsafe(_STATE_BYTES), secrets.token_urlsafe(_VERIFIER_BYTES), return_to, dict(data or {})
    )


def safe_return_path(path: str, default: str = "/") -> str:
    """The path if it leads to this site whatever a browser makes of it, and the default otherwise.

    So it begins with one slash, and has neither a backslash (which browsers take for a slash) nor anything that is not
    printable (which they leave out).
    """
    good = (
        path.startswith("/")
        and not path.startswith("//")
        and "\\" not in path
        and len(path) <= _LONGEST_PATH
        and all(character.isprintable() and not character.isspace() for character in path)
    )
    if not good:
        return default
    try:
        parts = urlsplit(path)
    except ValueError:
        return default
    return default if parts.scheme or parts.netloc else path


def state_key(state: str) -> str:
    """Where a state is kept: only its hash is stored."""
    return f"oauth-state:{sha256(state.encode(errors='surrogatepass')).hexdigest()}"
