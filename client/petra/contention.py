"""How long somebody tries again who was overtaken by others: optimistic updates and transactions."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from petra.errors import DeadlineExceeded, VersionConflict

# The pause after the n-th conflict is a random part of the first times 2**n, up to the longest. A turn takes well under
# a millisecond, so with few rivals the next attempt is the last.
_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.1


class Contention:
    """The attempts of one call, bounded by its time-out."""

    def __init__(self, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`timeout` is in seconds, for all attempts together."""
        self._clock = clock
        self._began = clock()
        self._deadline = self._began + timeout
        self._conflicts = 0
        self._conflict: VersionConflict | None = None

    def left(self) -> float:
        """The seconds left. When there are none, nothing more is to be sent.

        Raises the last conflict then, if there was one, and DeadlineExceeded otherwise.
        """
        left = self._deadline - self._clock()
        if left <= 0 and self._conflict is not None:
            raise self._conflict from None
        if left <= 0:
            raise DeadlineExceeded("The time is over before the last step, which was not sent: nothing was changed.")
        return left

    def pause(self, conflict: VersionConflict) -> float:
        """The seconds to wait before the next attempt. Raises the conflict when there is no time for one.

        That is judged by what the last one took: an attempt that the time-out ends might have been applied or not.
        """
        pause = random.uniform(0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(self._conflicts, 10)))  # noqa: S311
        self._conflicts += 1
        self._conflict = conflict
        now = self._clock()
        took, self._began = now - self._began, now + pause
        if self._began + 2 * took >= self._deadline:
            raise conflict from None
        return pause
