"""How long somebody tries again who was overtaken by others: optimistic updates and transactions."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from petra.errors import VersionConflict

# The pause after the n-th conflict is a random part of the first times 2**n, up to the longest. A turn takes well under
# a millisecond, so with few rivals the next attempt is the last.
_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.1


class Contention:
    """The attempts of one call, bounded by its time-out."""

    def __init__(self, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`timeout` is in seconds, for all attempts together."""
        self._clock = clock
        self._deadline = clock() + timeout
        self._conflicts = 0

    def left(self) -> float:
        """The seconds left, a little more than none."""
        return max(0.001, self._deadline - self._clock())

    def pause(self, conflict: VersionConflict) -> float:
        """The seconds to wait before the next attempt. Raises the conflict when there is no time for one."""
        pause = random.uniform(0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(self._conflicts, 10)))  # noqa: S311
        self._conflicts += 1
        if self._clock() + pause >= self._deadline:
            raise conflict
        return pause
