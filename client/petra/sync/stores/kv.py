# Written by tools/blocking.py from petra/stores/kv.py: change that, and run make blocking.
"""What a sign-in keeps as keys and values: sessions, OAuth states and one-time codes, each with its expiry.

It is petra.sessions and petra.auth behind one handle: what they guarantee holds here, and all that they can do more is
done through `sessions`, `states` and `codes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta

from petra._layers import own_handle
from petra.auth.accounts import normal_email
from petra.auth.onetime import CodeCheck
from petra.auth.pkce import OAuthState
from petra.errors import InvalidArgument, VersionConflict
from petra.stores.aliases import Alias
from petra.stores.arguments import word
from petra.stores.errors import AlreadyExists
from petra.stores.signed_in import SignedIn, data_of, signed_in
from petra.sync.auth.codes import OneTimeCodes
from petra.sync.auth.states import OAuthStates
from petra.sync.objects import Namespace
from petra.sync.sessions.store import Sessions
from petra.values import Value


class KVStore:
    """Sessions of 7 days; states and codes of 10 minutes, each good once."""

    def __init__(self, client: Namespace, *, secret: str | bytes | None = None) -> None:
        """`client` is a Client or a namespace of one.

        `secret` is the key of the hashes of one-time codes, which need it: 16 bytes at least, and kept where the data
        is not. Raises InvalidArgument, and TypeError for a client of the other tree.
        """
        entries = own_handle(client, Namespace, "stores")
        self._entries = entries
        self.sessions = Sessions(entries, absolute=timedelta(days=7))
        self.states = OAuthStates(entries, ttl=timedelta(minutes=10))
        self._codes = None if secret is None else OneTimeCodes(entries, secret, ttl=timedelta(minutes=10))

    @property
    def codes(self) -> OneTimeCodes:
        """The one-time codes. Raises InvalidArgument without a secret."""
        if self._codes is None:
            raise InvalidArgument("One-time codes need a key: KVStore(client, secret=...).", field="secret")
        return self._codes

    def create_session(
        self,
        session_id: str | None,
        user: str,
        clusters: Iterable[str] = (),
        *,
        device: str = "",
        address: str = "",
    ) -> SignedIn:
        """Begins a session of a user, with the clusters that it is for. Its `session_id` is what a cookie holds.

        With None as `session_id` one is made, which is best: it lets one in, and nobody can guess it. Your own must be
        as hard to guess. Either is stored only as a hash. Raises AlreadyExists when your id is that of an open session,
        and InvalidArgument.
        """
        alias = None if session_id is None else Alias.of(session_id)
        owner, data = word(user, "user"), data_of(clusters)
        version = 0 if alias is None else self._free_version(alias)
        session = signed_in(self.sessions.create(owner, data, device=device, address=address))
        if alias is None:
            return session
        try:
            hidden = alias.hide(session.session_id)
            self._entries.set(alias.key, hidden, ttl=self.sessions.absolute, if_version=version)
        except VersionConflict:
            # Of two who take one id at the same time, the second is refused.
            self.sessions.delete(session.session_id)
            raise _id_taken() from None
        return replace(session, session_id=alias.text)

    def get_session(self, session_id: str) -> SignedIn | None:
        """The session that an id opens, or None when it has ended, or is nobody's."""
        session = self.sessions.get(session_id)
        if session is None:
            own_id = self._own_id(session_id)
            session = None if own_id is None else self.sessions.get(own_id)
        return None if session is None or session.user is None else signed_in(session, session_id)

    def delete_session(self, session_id: str) -> bool:
        """Ends a session, and returns whether it was open."""
        if self.sessions.delete(session_id):
            return True
        own_id = self._own_id(session_id)
        return own_id is not None and self.sessions.delete(own_id)

    def _free_version(self, alias: Alias) -> int:
        """The version of the entry of an id that leads to no open session. Raises AlreadyExists."""
        entry = self._entries.get_entry(alias.key)
        if entry is None:
            return 0
        own_id = alias.find(entry.value)
        if own_id is not None and self.sessions.get(own_id) is not None:
            raise _id_taken()
        return entry.version

    def _own_id(self, session_id: str) -> str | None:
        """The id of the session that a program's id leads to."""
        try:
            alias = Alias.of(session_id)
        except InvalidArgument:
            return None
        return alias.find(self._entries.get(alias.key))

    def create_state(self, *, return_to: str = "/", data: Mapping[str, Value] | None = None) -> OAuthState:
        """Begins a sign-in with a provider: see OAuthStates.create. Its `state` goes to the provider."""
        return self.states.create(return_to=return_to, data=data)

    def validate_state(self, state: str) -> OAuthState | None:
        """What was begun with a state, once; None when it is unknown, expired, or was validated before."""
        return self.states.consume(state)

    def create_otp(self, email: str) -> str:
        """A new code of six characters for an address; an earlier one is good no more.

        Raises RateLimited when too many were made for it, and InvalidArgument for what is no address.
        """
        return self.codes.issue(normal_email(email))

    def validate_otp(self, email: str, code: str) -> CodeCheck:
        """Whether that is the code of an address, which is used up then. It is false after five attempts."""
        codes = self.codes
        try:
            address = normal_email(email)
        except InvalidArgument:
            return CodeCheck(False, 0)
        return codes.verify(address, code)


def _id_taken() -> AlreadyExists:
    return AlreadyExists("There is an open session with this session_id. Take a new one, or None to have one made.")
