"""Keys of other libraries as keys of Petra. Pure.

Any text becomes a key that fits: a long one is cut, and its SHA-256 put at its end, so that two long keys stay two.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

# Half of what a server allows unless it is set otherwise, so that one which is set lower still takes most keys.
KEY_BYTES: Final = 1_024
_MARK: Final = "~sha256:"
_HASH_CHARACTERS: Final = 64


def fitting_key(key: str) -> str:
    """The key itself, or the beginning of a long one and its hash.

    A short key that looks like a cut one is hashed as well, so no two keys become the same. What UTF-8 does not have
    (half a surrogate pair) is written with a backslash.
    """
    data = key.encode(errors="backslashreplace")
    if len(data) <= KEY_BYTES and _MARK not in key:
        return data.decode()
    kept = KEY_BYTES - len(_MARK) - _HASH_CHARACTERS
    return data[:kept].decode(errors="ignore") + _MARK + sha256(data).hexdigest()


def is_cut(key: str) -> bool:
    """Whether a key is no longer what it was made from."""
    return _MARK in key
