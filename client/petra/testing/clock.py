"""The clock of a server under test."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

from petra.errors import InvalidArgument
from petra.values import Seconds, to_ttl_ms

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class TestClock:
    """What the server takes for the present time. It stands still until it is moved; any thread may move it.

    Expiry and rate limits go by it. Time-outs of calls do not.
    """

    # It is no class of tests, whatever its name makes pytest think.
    __test__ = False

    def __init__(self, now: datetime | None = None) -> None:
        """Begins at `now`, a datetime with a time zone, or at the machine's time. Raises InvalidArgument."""
        self._lock = threading.Lock()
        self._now_ms = time.time_ns() // 1_000_000 if now is None else _milliseconds(now)

    @property
    def now(self) -> datetime:
        """The present time, in UTC."""
        return _EPOCH + self._now_ms * _MILLISECOND

    def advance(self, by: Seconds) -> None:
        """Moves the time on, by seconds or a timedelta, in whole milliseconds. Raises InvalidArgument.

        What has expired by then is gone for every call that is made afterwards.
        """
        by_ms = to_ttl_ms(by, field="by")
        with self._lock:
            self._now_ms += by_ms

    def now_ms(self) -> int:
        """The present time as the server asks for it, in milliseconds since the Unix epoch."""
        return self._now_ms

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.now.isoformat()}>"


def _milliseconds(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise InvalidArgument("now is a datetime without a time zone. Give it one, such as datetime.UTC.", field="now")
    return (moment - _EPOCH) // _MILLISECOND
