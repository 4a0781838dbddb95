"""A backend of dogpile.cache: `make_region().configure("dogpile.cache.petra", arguments={"location": "host:7475"})`.

Needs `pip install "petra[dogpile]"`. With `distributed_lock` one process of all makes a value while the others wait.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from dogpile.cache.api import (
    NO_VALUE,
    BackendArguments,
    BytesBackend,
    CacheMutex,
    KeyType,
    SerializedReturnType,
)

from petra import Client, VersionConflict
from petra.errors import InvalidArgument
from petra.integrations._keys import fitting_key
from petra.integrations._location import OPTIONS, Location, parse_location
from petra.values import Seconds

__all__ = ["PetraBackend", "PetraMutex"]

# What is lost with the server's machine is made anew: no write waits for the disk unless it is told to.
_USUAL: Final = Location("dogpile", durability="buffered")
_LOCK_TIMEOUT_SECONDS: Final = 60.0

# Between two looks at a lock, in seconds: a value is often made fast, and a slow one is not waited for any faster.
_FIRST_PAUSE: Final = 0.005
_LONGEST_PAUSE: Final = 0.25


class PetraBackend(BytesBackend):
    """Keeps cached values on a Petra server. All threads of a process may use it, and processes forked from it.

    Its arguments, all optional:

    - `location`: `host:port`, or `petra://host:port/?namespace=...`; and `namespace`, `timeout`, `durability` and
      `tls`, which overrule it.
    - `expiration_time`: after so many seconds the server forgets a value. Give it more than the region has, which may
      still serve an old value while a new one is made.
    - `distributed_lock`: whether all processes wait for the one that makes a value, and not only all threads.
    - `lock_timeout`: after so many seconds a lock is free again, whose holder may have died (60). Making a value must
      take less, or another process begins as well.

    Others are ignored, as dogpile's own backends do. Raises petra.errors.InvalidArgument for wrong values, and its
    methods PetraError when the server cannot be reached.
    """

    def __init__(self, arguments: BackendArguments) -> None:
        location = arguments.get("location", "")
        self._expiration: Seconds | None = arguments.get("expiration_time")
        self._distributed: bool = arguments.get("distributed_lock", False)
        self._lock_timeout: Seconds = arguments.get("lock_timeout", _LOCK_TIMEOUT_SECONDS)
        options = {name: arguments[name] for name in OPTIONS if name in arguments}
        if not isinstance(location, str):
            raise InvalidArgument(f"location is a str, not {type(location).__name__}.", field="location")
        self._client = parse_location(location, _USUAL, options).client()

    def get_mutex(self, key: KeyType) -> CacheMutex | None:
        """The lock of a key on the server, or None for dogpile's own lock of this process."""
        return PetraMutex(self._client, _lock_key(key), timeout=self._lock_timeout) if self._distributed else None

    def get_serialized(self, key: KeyType) -> SerializedReturnType:
        """A value, or NO_VALUE."""
        data: SerializedReturnType = self._client.get(_value_key(key), NO_VALUE)
        return data

    def get_serialized_multi(self, keys: Iterable[KeyType]) -> Sequence[SerializedReturnType]:
        """The values of keys, NO_VALUE for absent ones."""
        wanted = [_value_key(key) for key in keys]
        found = self._client.get_many(wanted)
        return [found.get(key, NO_VALUE) for key in wanted]

    def set_serialized(self, key: KeyType, value: bytes) -> None:
        """Stores a value."""
        self._client.set(_value_key(key), value, ttl=self._expiration)

    def set_serialized_multi(self, mapping: Mapping[KeyType, bytes]) -> None:
        """Stores values."""
        self._client.set_many({_value_key(key): value for key, value in mapping.items()}, ttl=self._expiration)

    def delete(self, key: KeyType) -> None:
        """Removes a value, if there is one."""
        self._client.delete(_value_key(key))

    def delete_multi(self, keys: Iterable[KeyType]) -> None:
        """Removes values."""
        self._client.delete_many([_value_key(key) for key in keys])


class PetraMutex(CacheMutex):
    """A lock that one holder has at a time, of all processes, until it is released or the time-out is over.

    It is an entry with a token that only its holder knows, so who comes too late releases nobody else's lock.
    """

    def __init__(self, client: Client, key: str, *, timeout: Seconds) -> None:
        """`timeout` is after how long a lock is free again whose holder has not released it."""
        # Set once.
        self._client = client
        self._key = key
        self._timeout = timeout
        # Owned by who holds the lock.
        self._token = b""

    def acquire(self, wait: bool = True) -> bool:
        """Takes the lock, and returns whether it did. With `wait` it does not return before."""
        token, pause = secrets.token_bytes(16), _FIRST_PAUSE
        while not self._take(token):
            if not wait:
                return False
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        self._token = token
        return True

    def release(self) -> None:
        """Frees the lock, if it is still this one's. Any thread may do so."""
        entry = self._client.get_entry(self._key)
        if entry is None or entry.value != self._token:
            return
        try:
            self._client.delete(self._key, if_version=entry.version, durability="fsync")
        except VersionConflict:
            # It was over meanwhile, and somebody else has it.
            return

    def locked(self) -> bool:
        """Whether somebody has the lock."""
        return self._client.get_entry(self._key) is not None

    def _take(self, token: bytes) -> bool:
        try:
            # On the disk, so that a server which comes back does not give it to a second one.
            self._client.set(self._key, token, ttl=self._timeout, if_absent=True, durability="fsync")
        except VersionConflict:
            return False
        return True


def _value_key(key: str) -> str:
    return fitting_key(f"value:{key}")


def _lock_key(key: str) -> str:
    return fitting_key(f"lock:{key}")
