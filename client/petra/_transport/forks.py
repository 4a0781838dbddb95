"""What must be forgotten in a process that was forked off.

Sockets, event loops and their selectors are shared with the parent there. To close one, even by collecting it as
garbage, would reach into the parent, so what is abandoned is kept for ever and not touched again.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forgetful(Protocol):
    """Who holds something of the parent."""

    def abandon(self) -> object:
        """Lets go of it without touching it, and returns it to be kept."""


_holders: weakref.WeakSet[Forgetful] = weakref.WeakSet()
_kept: list[object] = []


def forget_after_fork(holder: Forgetful) -> None:
    """Has the holder asked to `abandon` in every process that is forked off, for as long as it lives."""
    _holders.add(holder)


def _forget() -> None:
    _kept.extend(holder.abandon() for holder in list(_holders))


os.register_at_fork(after_in_child=_forget)
