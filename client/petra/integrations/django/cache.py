"""Django's cache: `CACHES = {"default": {"BACKEND": "petra.integrations.django.cache.PetraCache", ...}}`.

Values are pickled, as in all of Django's own backends, because applications put any object into a cache. So nobody
whom you do not trust may write to the server. Integers are kept as numbers that other programs can read.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

from petra import VersionConflict
from petra.integrations._clients import shared_client
from petra.integrations._keys import fitting_key
from petra.integrations._location import Location, parse_location

# What is lost with the server's machine is made anew: no write waits for the disk unless it is told to.
_USUAL: Final = Location("django-cache", durability="buffered")
# Options of other backends which limit them; this one has no number of entries at which it would have to forget some.
_OTHERS: Final = frozenset({"MAX_ENTRIES", "CULL_FREQUENCY"})
# Larger ones are pickled: JSON has them, but few other programs have.
_NUMBER_BITS: Final = 63


class PetraCache(BaseCache):
    """A cache in a namespace of a Petra server.

    LOCATION is `host:port`, or `petra://host:port/?namespace=...`; OPTIONS may have `namespace`, `timeout`,
    `durability` and `tls`. All threads of a process share one connection. `add` is atomic, `incr` and `decr` are exact
    under any concurrency, and entries expire on the server. Methods raise PetraError when it cannot be reached.
    """

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        """Made by Django. Raises petra.errors.InvalidArgument."""
        super().__init__(params)
        options = {name: value for name, value in params.get("OPTIONS", {}).items() if name not in _OTHERS}
        self._client = shared_client(parse_location(location, _USUAL, options))

    def get_backend_timeout(self, timeout: float | None = DEFAULT_TIMEOUT) -> float | None:
        """Seconds that an entry lives; None for ever. 0 or less: it is over at once."""
        return self.default_timeout if timeout == DEFAULT_TIMEOUT else timeout

    def add(
        self, key: object, value: object, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        """Stores a value if there is none, and returns whether it did."""
        stored, seconds = self._key(key, version), self.get_backend_timeout(timeout)
        if seconds is not None and seconds <= 0:
            return self._client.get_entry(stored) is None
        try:
            self._client.set(stored, _dump(value), ttl=seconds, if_absent=True)
        except VersionConflict:
            return False
        return True

    def get(self, key: object, default: object = None, version: int | None = None) -> Any:  # noqa: ANN401 - any value
        """A value, or the default when there is none."""
        entry = self._client.get_entry(self._key(key, version))
        return default if entry is None else _load(entry.value)

    def set(
        self, key: object, value: object, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> None:
        """Stores a value."""
        stored, seconds = self._key(key, version), self.get_backend_timeout(timeout)
        if seconds is not None and seconds <= 0:
            self._client.delete(stored)
        else:
            self._client.set(stored, _dump(value), ttl=seconds)

    def touch(self, key: object, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Gives a value a new timeout, and returns whether there is such a value."""
        stored, seconds = self._key(key, version), self.get_backend_timeout(timeout)
        if seconds is not None and seconds <= 0:
            return self._client.delete(stored)
        return self._client.touch(stored, seconds)

    def delete(self, key: object, version: int | None = None) -> bool:
        """Removes a value, and returns whether there was one."""
        return self._client.delete(self._key(key, version))

    def get_many(self, keys: Iterable[object], version: int | None = None) -> dict[Any, Any]:
        """The values of many keys. Absent ones are left out."""
        named = {self._key(key, version): key for key in keys}
        return {named[stored]: _load(value) for stored, value in self._client.get_many(named).items()}

    def set_many(
        self, data: Mapping[Any, object], timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> list[Any]:
        """Stores many values. Returns the keys that were not stored: none."""
        values = {self._key(key, version): _dump(value) for key, value in data.items()}
        seconds = self.get_backend_timeout(timeout)
        if seconds is not None and seconds <= 0:
            self._client.delete_many(values)
        else:
            self._client.set_many(values, ttl=seconds)
        return []

    def delete_many(self, keys: Iterable[object], version: int | None = None) -> None:
        """Removes many values."""
        self._client.delete_many([self._key(key, version) for key in keys])

    def has_key(self, key: object, version: int | None = None) -> bool:
        """Whether there is a value."""
        return self._client.get_entry(self._key(key, version)) is not None

    def incr(self, key: object, delta: int = 1, version: int | None = None) -> int:
        """Adds to a value and returns the sum; its timeout stays. Raises ValueError when there is none."""

        def add(present: object) -> object:
            if present is None:
                raise ValueError(f"Key {key!r} not found")
            return _dump(_load(present) + delta)

        # Not `increment`, which would begin a counter where there is none.
        total: int = _load(self._client.update(self._key(key, version), add))
        return total

    def clear(self) -> None:
        """Removes everything in this cache's namespace, whatever its prefix and version."""
        self._client.clear()

    def _key(self, key: object, version: int | None) -> str:
        return fitting_key(self.make_and_validate_key(key, version=version))


def _dump(value: object) -> int | bytes:
    if type(value) is int and value.bit_length() <= _NUMBER_BITS:
        return value
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


def _load(stored: object) -> Any:  # noqa: ANN401 - any value
    return pickle.loads(stored) if isinstance(stored, bytes) else stored  # noqa: S301 - see the module
