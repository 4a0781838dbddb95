"""What one caller does: calls on keys of its own, in turn, and so what is there after any number of them.

Every value says which key and which step it belongs to, so that an answer that was meant for somebody else, or that
is of an earlier step, is seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

# The groups of keys that a caller goes through. A call is about one group.
GROUPS = 8
# The values that a group goes through. No common factor with the groups, so that every group meets every value.
_VARIANTS = 7

STEPS = GROUPS * _VARIANTS


class Script:
    """The keys and values of the caller with this number, `group` keys a call; no two callers share a key."""

    def __init__(self, caller: int, *, prefix: str, group: int, value_bytes: int) -> None:
        self.groups: Sequence[Sequence[str]] = [
            [f"{prefix}:{caller:04d}:{number * group + index:05d}" for index in range(group)]
            for number in range(GROUPS)
        ]
        # Call number i writes steps[i % STEPS], which is about the group i % GROUPS.
        self.steps: Sequence[Mapping[str, bytes]] = [
            {key: _value(key, step, value_bytes) for key in self.groups[step % GROUPS]} for step in range(STEPS)
        ]

    @property
    def before(self) -> Sequence[Mapping[str, bytes]]:
        """What each group holds before the first call, and for ever where calls only read."""
        return self.steps[-GROUPS:]

    def contents(self, writes: int = 0) -> dict[str, bytes]:
        """What all of its keys hold after so many calls that wrote."""
        found: dict[str, bytes] = {}
        for held in self.before:
            found.update(held)
        for number in range(max(0, writes - GROUPS), writes):
            found.update(self.steps[number % STEPS])
        return found


def _value(key: str, step: int, value_bytes: int) -> bytes:
    head = f"{key} {step} ".encode()
    if len(head) > value_bytes:
        raise ValueError(f"a value must have at least {len(head)} bytes, to say whose it is")
    return head + hashlib.shake_128(head).digest(value_bytes - len(head))
