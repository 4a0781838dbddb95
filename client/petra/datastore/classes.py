"""Storage classes: what kinds of objects there are, and where each is stored. Pure.

A class is stored on KV, as one entry for each object, or on D1, as one row. On KV its placement is `database`, the one
object of the datastore, whose entries and rows change together, or `sharded`, flat keys that spread over all actors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from petra.datastore.errors import UnknownClass
from petra.errors import InvalidArgument
from petra.values import Seconds, to_ttl_ms

Adapter: TypeAlias = Literal["kv", "d1"]
Placement: TypeAlias = Literal["database", "sharded"]

# It is a part of keys and of table names.
_PREFIX: Final = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def _check(text: object, pattern: re.Pattern[str], field: str, made_of: str) -> None:
    if not isinstance(text, str) or pattern.fullmatch(text) is None:
        raise InvalidArgument(
            f"{field} is {text!r}; it is made of {made_of}, and does not begin with a digit.", field=field
        )


@dataclass(frozen=True, slots=True)
class StorageClass:
    """A kind of objects: its name, the prefix of its keys, and where they are.

    `ttl` is how long an object lives after it was last put, in seconds or as a timedelta; None means for ever. A class
    on D1 has the prefix in the name of its table, the placement `database`, and no ttl. Raises InvalidArgument.
    """

    name: str
    prefix: str
    adapter: Adapter = "kv"
    placement: Placement = "database"
    ttl: Seconds | None = None

    def __post_init__(self) -> None:
        _check(self.name, _NAME, "name", "letters, digits and underscores")
        _check(self.prefix, _PREFIX, "prefix", "small letters, digits and underscores")
        if self.adapter not in ("kv", "d1"):
            raise InvalidArgument(f'adapter is "kv" or "d1", not {self.adapter!r}.', field="adapter")
        if self.placement not in ("database", "sharded"):
            raise InvalidArgument(f'placement is "database" or "sharded", not {self.placement!r}.', field="placement")
        to_ttl_ms(self.ttl)
        if self.adapter == "d1" and self.placement != "database":
            raise InvalidArgument("Rows of D1 are in the database: they cannot be sharded.", field="placement")
        if self.adapter == "d1" and self.ttl is not None:
            raise InvalidArgument("Rows of D1 do not expire. Delete old ones, or store the class on KV.", field="ttl")


STANDARD: Final = (
    StorageClass("USER", "user"),
    StorageClass("PROJECT", "project"),
    StorageClass("PAGE", "page"),
    StorageClass("APIKEY", "apikey", placement="sharded"),
    StorageClass("SESSION", "session", placement="sharded"),
    StorageClass("CACHE", "cache", placement="sharded"),
    StorageClass("EMAIL", "email", placement="sharded"),
    StorageClass("LIST", "list", placement="sharded"),
    StorageClass("LOG", "log", adapter="d1"),
    StorageClass("AUDIT", "audit", adapter="d1"),
    StorageClass("BATCH", "batch", adapter="d1"),
    StorageClass("QUEUE", "queue", adapter="d1"),
    StorageClass("STATUS", "status", adapter="d1"),
)


class StorageClasses:
    """The classes that a datastore knows: the standard ones, and those that were registered.

    Register classes before the datastore is used from several threads.
    """

    def __init__(self, classes: Iterable[StorageClass] = STANDARD) -> None:
        """The classes to begin with. Raises InvalidArgument as `register` does."""
        self._classes: dict[str, StorageClass] = {}
        for storage_class in classes:
            self.register(storage_class)

    def register(self, storage_class: StorageClass) -> None:
        """Adds a class. Raises InvalidArgument when another one has its name or, on the same adapter, its prefix."""
        known = self._classes.get(storage_class.name)
        if known == storage_class:
            return
        if known is not None:
            raise InvalidArgument(f"There is another storage class {known.name!r}: {known}.", field="name")
        for other in self:
            if (other.adapter, other.prefix) == (storage_class.adapter, storage_class.prefix):
                raise InvalidArgument(
                    f"The storage class {other.name!r} has the prefix {other.prefix!r} already.", field="prefix"
                )
        self._classes[storage_class.name] = storage_class

    def __getitem__(self, name: str) -> StorageClass:
        """The class of that name. Raises UnknownClass, which names those that there are."""
        if name not in self:
            raise UnknownClass(name, self._classes)
        return self._classes[name]

    def on(self, adapter: Adapter, name: str) -> StorageClass:
        """The class of that name on this adapter. Raises InvalidArgument when it is on the other one."""
        found = self[name]
        if found.adapter != adapter:
            raise InvalidArgument(
                f"The storage class {name!r} is on {found.adapter.upper()}, not on {adapter.upper()}.", field="cls"
            )
        return found

    def __iter__(self) -> Iterator[StorageClass]:
        return iter(self._classes.values())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._classes

    def __len__(self) -> int:
        return len(self._classes)
