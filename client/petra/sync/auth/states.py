# Written by tools/blocking.py from petra/auth/states.py: change that, and run make blocking.
"""OAuth states: each is good once, for ten minutes.

A state is a flat entry, `oauth-state:<SHA-256 of the state>`. Consuming it deletes exactly the version that was read,
so of any number of consumers one gets it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from petra._layers import own_handle
from petra.auth.pkce import OAuthState, new_state, state_key
from petra.errors import VersionConflict
from petra.sync.objects import Namespace
from petra.values import Seconds, Value


class OAuthStates:
    """Keeps what a sign-in with a provider must remember until the browser comes back."""

    def __init__(self, client: Namespace, *, ttl: Seconds = timedelta(minutes=10)) -> None:
        """`client` is a Client or a namespace of one. Raises TypeError for a client of the other tree."""
        self._entries = own_handle(client, Namespace, "auth")
        self._ttl = ttl

    def create(self, *, return_to: str = "/", data: Mapping[str, Value] | None = None) -> OAuthState:
        """Begins a sign-in that is to lead back to `return_to`, a path of this site.

        `data` is kept with it: the provider's name, a nonce. Raises InvalidArgument for a `return_to` that leads to
        another site; see safe_return_path.
        """
        made = new_state(return_to, data)
        record = {"verifier": made.verifier, "return_to": made.return_to, "data": made.data}
        self._entries.set(state_key(made.state), record, ttl=self._ttl)
        return made

    def consume(self, state: str | None) -> OAuthState | None:
        """What was begun with a state, once; None when it is missing, unknown, expired, or consumed already."""
        if not isinstance(state, str):
            return None
        entry = self._entries.get_entry(state_key(state))
        if entry is None:
            return None
        try:
            self._entries.delete(entry.key, if_version=entry.version)
        except VersionConflict:
            return None
        return OAuthState(state, entry.value["verifier"], entry.value["return_to"], entry.value["data"])
