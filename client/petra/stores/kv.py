"""What a sign-in keeps as keys and values: sessions, OAuth states and one-time codes, each with its expiry.

It is petra.sessions and petra.auth behind one handle: what they guarantee holds here, and all that they can do more is
done through `sessions`, `states` and `codes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from petra._layers import own_handle
from petra.auth.accounts import normal_email
from petra.auth.codes import OneTimeCodes
from petra.auth.onetime import CodeCheck
from petra.auth.pkce import OAuthState
from petra.auth.states import OAuthStates
from petra.errors import InvalidArgument
from petra.objects import AsyncNamespace
from petra.sessions.store import Sessions
from petra.stores.arguments import word
from petra.stores.signed_in import SignedIn, data_of, signed_in
from petra.values import Value


class KVStore:
    """Sessions of 7 days; states and codes of 10 minutes, each good once."""

    def __init__(self, client: AsyncNamespace, *, secret: str | bytes | None = None) -> None:
        """`client` is an AsyncClient or a namespace of one.

        `secret` is the key of the hashes of one-time codes, which need it: 16 bytes at least, and kept where the data
        is not. Raises InvalidArgument, and TypeError for a client of the other tree.
        """
        entries = own_handle(client, AsyncNamespace, "stores")
        self.sessions = Sessions(entries, absolute=timedelta(days=7))
        self.states = OAuthStates(entries, ttl=timedelta(minutes=10))
        self._codes = None if secret is None else OneTimeCodes(entries, secret, ttl=timedelta(minutes=10))

    @property
    def codes(self) -> OneTimeCodes:
        """The one-time codes. Raises InvalidArgument without a secret."""
        if self._codes is None:
            raise InvalidArgument("One-time codes need a key: KVStore(client, secret=...).", field="secret")
        return self._codes

    async def create_session(
        self, user: str, clusters: Iterable[str] = (), *, device: str = "", address: str = ""
    ) -> SignedIn:
        """Begins a session of a user, with the clusters that it is for. Its `session_id` is what a cookie holds.

        The id is made here, as it lets one in: nobody can guess it, and only its hash is stored. Raises
        InvalidArgument.
        """
        owner, data = word(user, "user"), data_of(clusters)
        return signed_in(await self.sessions.create(owner, data, device=device, address=address))

    async def get_session(self, session_id: str) -> SignedIn | None:
        """The session that an id opens, or None when it has ended, or is nobody's."""
        session = await self.sessions.get(session_id)
        return None if session is None or session.user is None else signed_in(session)

    async def delete_session(self, session_id: str) -> bool:
        """Ends a session, and returns whether it was open."""
        return await self.sessions.delete(session_id)

    async def create_state(self, *, return_to: str = "/", data: Mapping[str, Value] | None = None) -> OAuthState:
        """Begins a sign-in with a provider: see OAuthStates.create. Its `state` goes to the provider."""
        return await self.states.create(return_to=return_to, data=data)

    async def validate_state(self, state: str) -> OAuthState | None:
        """What was begun with a state, once; None when it is unknown, expired, or was validated before."""
        return await self.states.consume(state)

    async def create_otp(self, email: str) -> str:
        """A new code of six characters for an address; an earlier one is good no more.

        Raises RateLimited when too many were made for it, and InvalidArgument for what is no address.
        """
        return await self.codes.issue(normal_email(email))

    async def validate_otp(self, email: str, code: str) -> CodeCheck:
        """Whether that is the code of an address, which is used up then. It is false after five attempts."""
        codes = self.codes
        try:
            address = normal_email(email)
        except InvalidArgument:
            return CodeCheck(False, 0)
        return await codes.verify(address, code)
