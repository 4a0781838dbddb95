"""Accounts with passwords: registering, signing in and out, changing and resetting passwords.

An account is a flat entry, `account:<address>`, and the reset of a password another one, `password-reset:<SHA-256 of
its token>`. Whoever signs in with an unknown address gets the answer of a wrong password, after the same work. A
password that was changed opens nothing from then on: its sessions are ended, a sign-in that had begun with it fails,
and resets that were under way are void.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from petra._layers import own_handle
from petra._waiting import in_thread
from petra.auth.accounts import (
    Account,
    AccountRecord,
    AlreadyRegistered,
    LoginResult,
    account_key,
    account_of,
    checked_password,
    name_for_attempts,
    normal_email,
    reset_key,
)
from petra.errors import VersionConflict
from petra.objects import AsyncNamespace
from petra.ratelimit.addresses import network_of
from petra.ratelimit.limiter import RateLimiter
from petra.ratelimit.rules import RateLimited
from petra.sessions.records import Session
from petra.sessions.store import Sessions
from petra.values import Entry, RateLimit, Seconds, Value

if TYPE_CHECKING:
    from argon2 import PasswordHasher

_TOKEN_BYTES = 32
# Enough for who has forgotten which password it was, or for an office behind one address; too few to guess.
_ATTEMPTS = RateLimit(10, timedelta(minutes=15))
_ATTEMPTS_OF_ADDRESS = RateLimit(100, timedelta(minutes=15))
# Enough for mails that come late.
_RESETS = RateLimit(5, timedelta(hours=1))


class LoginService:
    """Signs people in by e-mail address and password."""

    def __init__(
        self,
        client: AsyncNamespace,
        *,
        sessions: Sessions | None = None,
        hasher: PasswordHasher | None = None,
        attempts: RateLimit = _ATTEMPTS,
        attempts_of_address: RateLimit = _ATTEMPTS_OF_ADDRESS,
        resets: RateLimit = _RESETS,
        reset_ttl: Seconds = timedelta(hours=1),
    ) -> None:
        """`client` is an AsyncClient or a namespace of one.

        Sessions are those of `Sessions(client)` unless others are given, and hashes those of argon2.PasswordHasher().
        `attempts` bounds the attempts at one account, `attempts_of_address` those from one network address (of IPv6,
        from one network of 64 bits), and `resets` the tokens that one account is sent, each good for `reset_ttl`.
        Hashes a password to begin with, which takes tens of milliseconds. Raises TypeError for a client of the other
        tree, and ModuleNotFoundError where argon2-cffi is missing.
        """
        # In here, so that the rest of petra.auth can be used without argon2.
        from petra.auth.passwords import Passwords

        self._entries = own_handle(client, AsyncNamespace, "auth")
        self._sessions = Sessions(client) if sessions is None else sessions
        self._passwords = Passwords(hasher)
        self._reset_ttl = reset_ttl
        self._attempts = RateLimiter(self._entries, limits=[attempts], name="login")
        self._addresses = RateLimiter(self._entries, limits=[attempts_of_address], name="login-address")
        self._resets = RateLimiter(self._entries, limits=[resets], name="password-reset")

    async def register(self, email: str, password: str, *, data: Mapping[str, Value] | None = None) -> Account:
        """Makes an account, with `data` of your own that JSON has.

        Raises InvalidArgument for what is no address, and for a password of fewer than 8 or more than 1,024 characters;
        AlreadyRegistered when the address has an account.
        """
        address = normal_email(email)
        record: AccountRecord = {
            "id": str(uuid4()),
            "email": address,
            "password": await in_thread(self._passwords.hash, checked_password(password)),
            "stamp": secrets.token_hex(),
            "data": dict(data or {}),
        }
        try:
            await self._entries.set(account_key(address), record, if_absent=True)
        except VersionConflict:
            raise AlreadyRegistered("There is an account with this address already.") from None
        return account_of(record)

    async def account(self, email: str) -> Account | None:
        """The account with an address, or None."""
        entry = await self._find(email)
        return None if entry is None else account_of(entry.value)

    async def login(self, email: str, password: str, *, address: str = "", device: str = "") -> LoginResult:
        """Signs in. `address` is where the request comes from, and `device` what shall stand in a list of sessions.

        Every attempt counts before it is looked at; a success forgets those at the account.
        """
        name = name_for_attempts(email)
        retry_after = await self._count(name, address)
        if retry_after:
            return LoginResult(False, retry_after=retry_after)
        entry = await self._checked(email, password)
        if entry is None:
            return LoginResult(False)
        record: AccountRecord = entry.value
        await self._attempts.reset(name)
        session = await self._sessions.create(record["id"], {"email": record["email"]}, device=device, address=address)
        now = await self._find(email)
        if now is None or now.value["stamp"] != record["stamp"]:
            # The password was changed after it was found right, and nobody has seen this session yet.
            await self._sessions.delete(session.id)
            return LoginResult(False)
        if self._passwords.outdated(record["password"]):
            await self._rehash(now, password)
        return LoginResult(True, session.id, session)

    async def logout(self, session_id: str) -> bool:
        """Ends a session, and returns whether it was open."""
        return await self._sessions.delete(session_id)

    async def verify(self, session_id: str) -> Session | None:
        """The session with that id, or None when it has ended. This counts as a use of it."""
        return await self._sessions.get(session_id)

    async def change_password(self, email: str, password: str, new_password: str, *, keep: str | None = None) -> bool:
        """Replaces a password by who knows it, and ends all sessions but the one with the id `keep`.

        Returns False when the password is wrong or there is no such account. Raises InvalidArgument for a new password
        that may not be chosen, and RateLimited after too many attempts at this account.
        """
        checked_password(new_password)
        name = name_for_attempts(email)
        verdict = await self._attempts.check(name)
        if not verdict:
            raise RateLimited(name, verdict)
        entry = await self._checked(email, password)
        # Somebody else may have changed the account since it was read: then it is read again.
        while entry is not None and not await self._replace(entry, new_password):
            entry = await self._checked(email, password)
        if entry is None:
            return False
        await self._attempts.reset(name)
        await self._sessions.delete_all(entry.value["id"], keep=keep)
        return True

    async def request_reset(self, email: str) -> str | None:
        """A token for the mail with which somebody can choose a new password; None when there is no such account.

        Tell whoever asked the same in both cases, and send the mail to the address of `account`, rather than to what
        somebody has typed. The token is good once, and void when the password changes meanwhile. Raises RateLimited
        after too many requests for an address, also for one without an account.
        """
        name = name_for_attempts(email)
        verdict = await self._resets.check(name)
        if not verdict:
            raise RateLimited(name, verdict)
        entry = await self._find(email)
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        # Written in both cases, so that both take as long.
        stamp = "" if entry is None else entry.value["stamp"]
        await self._entries.set(reset_key(token), {"email": name, "stamp": stamp}, ttl=self._reset_ttl)
        return None if entry is None else token

    async def reset_password(self, token: str, new_password: str) -> bool:
        """Gives the account of a token a new password, ends all its sessions, and uses up the token.

        Returns False for a token that is unknown, used or void. Raises InvalidArgument for a password that may not be
        chosen; the token is still good then.
        """
        checked_password(new_password)
        reset = await self._entries.get_entry(reset_key(token))
        if reset is None:
            return False
        try:
            await self._entries.delete(reset.key, if_version=reset.version)
        except VersionConflict:
            return False
        entry = await self._find_for(reset.value)
        # A sign-in may have stored the same password anew since it was read: then it is read again.
        while entry is not None and not await self._replace(entry, new_password):
            entry = await self._find_for(reset.value)
        if entry is None:
            return False
        await self._attempts.reset(entry.value["email"])
        await self._sessions.delete_all(entry.value["id"])
        return True

    async def _count(self, name: str, address: str) -> float:
        """Counts an attempt; after how many seconds another one is looked at, 0 when this one is."""
        if address:
            verdict = await self._addresses.check(network_of(address))
            if not verdict:
                return verdict.retry_after
        verdict = await self._attempts.check(name)
        return 0.0 if verdict else verdict.retry_after

    async def _find(self, email: str) -> Entry | None:
        return await self._entries.get_entry(account_key(name_for_attempts(email)))

    async def _find_for(self, reset: Value) -> Entry | None:
        """The account of a reset; None when its password has changed since that was asked for."""
        entry = await self._find(reset["email"])
        return entry if entry is not None and entry.value["stamp"] == reset["stamp"] else None

    async def _checked(self, email: str, password: str) -> Entry | None:
        """The account if that is its password. The same work is done whether or not there is one."""
        entry = await self._find(email)
        stored = None if entry is None else entry.value["password"]
        return entry if await in_thread(self._passwords.matches, stored, password) else None

    async def _replace(self, entry: Entry, password: str) -> bool:
        """Stores a new password; False when somebody else has changed the account since it was read."""
        made = await in_thread(self._passwords.hash, password)
        return await self._store(entry, {**entry.value, "password": made, "stamp": secrets.token_hex()})

    async def _rehash(self, entry: Entry, password: str) -> None:
        """Stores the same password with the present parameters. If somebody else was faster, theirs is as good."""
        made = await in_thread(self._passwords.hash, password)
        await self._store(entry, {**entry.value, "password": made})

    async def _store(self, entry: Entry, record: Value) -> bool:
        try:
            await self._entries.set(entry.key, record, if_version=entry.version)
        except VersionConflict:
            return False
        return True
