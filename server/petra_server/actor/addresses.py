"""Where things live: from a namespace and an object to the prefix of their keys and the actor that owns them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

from petra_server.actor.actor import Actor
from petra_server.errors import Reason, Refusal
from petra_server.storage.keys import SLOTS, actor_of_slot, entry_prefix, slot_of, slot_seed

DEFAULT_NAMESPACE = "default"

# Addresses are few, or come in bursts; this many cost about a megabyte.
_REMEMBERED = 4_096


@dataclass(frozen=True, slots=True)
class Address:
    """A (namespace, object), or the flat keys of a namespace when `owner` is None."""

    namespace: bytes
    object_name: bytes
    prefix: bytes
    owner: Actor | None
    _seed: int
    _actors: Sequence[Actor]

    def actor_of(self, key: bytes) -> Actor:
        """The actor that owns a key, given as the user wrote it."""
        if self.owner is not None:
            return self.owner
        actors = self._actors
        return actors[(crc32(key, self._seed) & (SLOTS - 1)) * len(actors) // SLOTS]

    def actors(self) -> Sequence[Actor]:
        """The actors that own its keys."""
        return self._actors if self.owner is None else (self.owner,)


class Addresses:
    """Makes addresses, and remembers those used of late."""

    def __init__(self, actors: Sequence[Actor], *, max_namespace_bytes: int, max_object_bytes: int) -> None:
        self._actors = actors
        self._max_namespace_bytes = max_namespace_bytes
        self._max_object_bytes = max_object_bytes
        self._known: dict[tuple[str, str], Address] = {}

    def find(self, namespace: str, object_name: str) -> Address:
        """Raises Refusal INVALID_NAMESPACE or INVALID_OBJECT."""
        known = self._known.get((namespace, object_name))
        if known is not None:
            return known
        address = self._make(namespace, object_name)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[namespace, object_name] = address
        return address

    def _make(self, namespace: str, object_name: str) -> Address:
        space, name = (namespace or DEFAULT_NAMESPACE).encode(), object_name.encode()
        if len(space) > self._max_namespace_bytes:
            raise Refusal(
                Reason.INVALID_NAMESPACE,
                f"The namespace has {len(space)} bytes, and {self._max_namespace_bytes} are allowed. Shorten it.",
                field="namespace",
            )
        if len(name) > self._max_object_bytes:
            raise Refusal(
                Reason.INVALID_OBJECT,
                f"The object has {len(name)} bytes, and {self._max_object_bytes} are allowed. Shorten it.",
                field="object",
            )
        owner = self._actors[actor_of_slot(slot_of(space, name), len(self._actors))] if name else None
        return Address(space, name, entry_prefix(space, name), owner, slot_seed(space), self._actors)
