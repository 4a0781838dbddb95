"""What `request.session` is: a mapping that knows what was changed in it. No I/O."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, MutableMapping

from petra.sessions.records import Session
from petra.values import Value


class SessionNotLoaded(RuntimeError):
    """The middleware is lazy, and nobody has awaited `request.session.load()` before the session was looked at."""


class RequestSession(MutableMapping[str, Value]):
    """The session of one request. Whoever is done with the request reads from it what is to be saved.

    It may be used by the tasks of one request, on its loop.
    """

    def __init__(self, *, loaded: bool) -> None:
        """With nothing in it. Unless it is `loaded`, it refuses to be looked at until `take`."""
        self._loaded = loaded
        self._session: Session | None = None
        self._data: dict[str, Value] = {}
        self._before: dict[str, Value] = {}
        # What the request has asked for beside changes.
        self._user: str | None = None
        self._rotating = False
        self._ending = False
        self._used = False
        self._answering = False

    def take(self, session: Session | None) -> None:
        """What is stored, or None when there is no session. Changes are counted from here."""
        self._loaded = True
        self._session = session
        self._before = {} if session is None else session.data
        # Deep, as values are often changed in place.
        self._data = copy.deepcopy(self._before)
        self._user, self._rotating, self._ending = None, False, False

    def answer_begins(self) -> None:
        """From here on the cookie stays as it is, and so the id has to."""
        self._answering = True

    @property
    def loaded(self) -> bool:
        """Whether it may be looked at."""
        return self._loaded

    @property
    def used(self) -> bool:
        """Whether the request has looked at it, so that its answer depends on who asks."""
        return self._used

    @property
    def stored(self) -> Session | None:
        """The session as it was loaded, or None."""
        return self._session

    @property
    def user(self) -> str | None:
        """Whose session it is; None for nobody's."""
        self._check()
        if self._user is not None:
            return self._user
        return None if self._session is None or self._ending else self._session.user

    # Wishes.

    def login(self, user: str) -> None:
        """Makes it the session of a user. It gets a new id, and the old one opens nothing any more.

        What is in it stays, unless it was another user's: then it ends, and theirs begins with nothing in it. Raises
        RuntimeError when the answer has begun: its cookie has been sent.
        """
        self._check_cookie()
        if self.user not in {None, user}:
            self.clear()
        self._user, self._rotating = user, True

    def rotate(self) -> None:
        """Gives it a new id. Do so whenever somebody gets more rights. Raises RuntimeError as `login` does."""
        self._check()
        self._check_cookie()
        self._rotating = True

    def clear(self) -> None:
        """Ends the session, and with it what is in it. What is put in afterwards begins another one."""
        self._check()
        self._data = {}
        self._user, self._rotating, self._ending = None, False, self._session is not None

    logout = clear

    # What they come to.

    @property
    def new_user(self) -> str | None:
        """Who was logged in."""
        return self._user

    @property
    def rotating(self) -> bool:
        """Whether it is to have a new id."""
        return self._rotating

    @property
    def ending(self) -> bool:
        """Whether the stored session is to end."""
        return self._ending

    @property
    def data(self) -> Mapping[str, Value]:
        """All that is in it now."""
        return self._data

    def changes(self) -> tuple[dict[str, Value], list[str]]:
        """What is new or another since it was loaded, and the names that are gone."""
        changed = {name: value for name, value in self._data.items() if not self._has_been(name, value)}
        return changed, [name for name in self._before if name not in self._data]

    def _has_been(self, name: str, value: Value) -> bool:
        # 1 and True are equal, and not the same.
        return name in self._before and self._before[name] == value and repr(self._before[name]) == repr(value)

    # The mapping.

    def __getitem__(self, name: str) -> Value:
        self._check()
        return self._data[name]

    def __setitem__(self, name: str, value: Value) -> None:
        self._check()
        self._data[name] = value

    def __delitem__(self, name: str) -> None:
        self._check()
        del self._data[name]

    def __iter__(self) -> Iterator[str]:
        self._check()
        return iter(self._data)

    def __len__(self) -> int:
        self._check()
        return len(self._data)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {sorted(self._data) if self._loaded else 'not loaded'}>"

    def _check_cookie(self) -> None:
        if self._answering:
            raise RuntimeError("The answer has begun, and its cookie has the old id. Log in or rotate before that.")

    def _check(self) -> None:
        if not self._loaded:
            raise SessionNotLoaded("Await request.session.load() before you use the session: this middleware is lazy.")
        self._used = True
