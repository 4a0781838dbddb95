"""Django's sessions: `SESSION_ENGINE = "petra.integrations.django.sessions"`.

A session is an entry that expires with it, so there is nothing to clean up. Its key is the SHA-256 of the session key:
who reads the storage cannot take over a session. What is in it is written by SESSION_SERIALIZER (JSON) and signed.
`SESSION_PETRA_LOCATION` is where the server is: `host:port`, or `petra://host:port/?namespace=...`.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from django.conf import settings
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError

from petra import Client, VersionConflict
from petra.integrations._clients import shared_client
from petra.integrations._location import Location, parse_location

_USUAL: Final = Location("django-sessions")


class SessionStore(SessionBase):
    """A session on a Petra server. Methods raise PetraError when it cannot be reached."""

    def exists(self, session_key: str) -> bool:
        """Whether there is a session of that key."""
        return bool(session_key) and _client().get_entry(_entry_key(session_key)) is not None

    def create(self) -> None:
        """Makes a session with a new key."""
        while True:
            self._session_key = self._get_new_session_key()  # type: ignore[attr-defined] # the stubs leave it out
            try:
                self.save(must_create=True)
            except CreateError:
                continue
            self.modified = True
            return

    def save(self, must_create: bool = False) -> None:
        """Stores the session.

        Raises CreateError when it is to be new and is not, and UpdateError when it was deleted meanwhile: a logout in
        another tab is not undone by a request that was under way.
        """
        if self.session_key is None:
            self.create()
            return
        key = _entry_key(self.session_key)
        data = self.encode(self._get_session(no_load=must_create))  # type: ignore[attr-defined] # as above
        # One that is over already is over with the next millisecond.
        seconds = max(0.001, self.get_expiry_age())
        if must_create:
            _create(key, data, seconds)
        else:
            _replace(key, data, seconds)

    def delete(self, session_key: str | None = None) -> None:
        """Removes the session of that key, or this one."""
        doomed = self.session_key if session_key is None else session_key
        if doomed is not None:
            _client().delete(_entry_key(doomed))

    def load(self) -> dict[str, Any]:
        """What is in the session. It gets a new key when there is none."""
        data = None if self.session_key is None else _client().get(_entry_key(self.session_key))
        if data is None:
            self._session_key = None
            return {}
        return self.decode(data)

    @classmethod
    def clear_expired(cls) -> None:
        """Nothing is left to do: the server removes what has expired."""


def _create(key: str, data: str, seconds: float) -> None:
    try:
        _client().set(key, data, ttl=seconds, if_absent=True)
    except VersionConflict:
        raise CreateError from None


def _replace(key: str, data: str, seconds: float) -> None:
    def replace(present: object) -> str:
        if present is None:
            raise UpdateError
        return data

    _client().update(key, replace, ttl=seconds)


def _client() -> Client:
    return shared_client(parse_location(getattr(settings, "SESSION_PETRA_LOCATION", ""), _USUAL))


def _entry_key(session_key: str) -> str:
    return sha256(session_key.encode(errors="backslashreplace")).hexdigest()
