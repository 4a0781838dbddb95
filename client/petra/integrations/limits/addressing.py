"""Where the storages of `limits` keep what they keep. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from petra.integrations._keys import fitting_key
from petra.integrations._location import Location, parse_location

# Before all keys: `reset` removes these, and nothing else of the namespace.
PREFIX: Final = "LIMITS:"
# One letter for each kind of state, as one key of `limits` may have several.
COUNTER: Final = "c"
MOVING: Final = "m"
SLIDING: Final = "s"

_USUAL: Final = Location("limits", durability="buffered")


def key_of(kind: str, key: str) -> str:
    """The key of Petra under which one kind of state of a key of `limits` is."""
    return fitting_key(f"{PREFIX}{kind}:{key}")


def location_of(uri: str | None, options: Mapping[str, object]) -> Location:
    """The server of a storage. Raises InvalidArgument."""
    return parse_location(uri or "", _USUAL, options)
