"""Many latencies in little memory: counted in steps of 2 %, so that percentiles are as exact as that. Pure."""

from __future__ import annotations

import math
from typing import Final

_STEP: Final = math.log(1.02)
# What takes less is counted as this, and so is the error of the clock.
_LEAST_SECONDS: Final = 1e-6


class Latencies:
    """A histogram. Seconds in, seconds out."""

    def __init__(self) -> None:
        self.count = 0
        self.longest = 0.0
        self._steps: dict[int, int] = {}

    def add(self, seconds: float) -> None:
        """Counts one."""
        step = int(math.log(seconds / _LEAST_SECONDS) / _STEP) if seconds > _LEAST_SECONDS else 0
        self._steps[step] = self._steps.get(step, 0) + 1
        self.count += 1
        self.longest = max(self.longest, seconds)

    def merge(self, other: Latencies) -> None:
        """Counts all of another one, too."""
        for step, count in other._steps.items():
            self._steps[step] = self._steps.get(step, 0) + count
        self.count += other.count
        self.longest = max(self.longest, other.longest)

    def percentile(self, part: float) -> float:
        """What so large a part of them (0.5: half) do not exceed; 0 when there are none."""
        wanted = math.ceil(self.count * part)
        for step in sorted(self._steps):
            wanted -= self._steps[step]
            if wanted <= 0:
                return min(self.longest, _LEAST_SECONDS * math.exp((step + 1) * _STEP))
        return self.longest
