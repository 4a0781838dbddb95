"""How many calls go into one message. Pure.

Servers take messages of 1,024 operations and 16 MiB, unless their settings say less. A link learns that from being
refused: it halves its messages until they are taken, and keeps to that.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from petra._transport.calls import Call
from petra._transport.packing import MESSAGE_BYTES, MESSAGE_CALLS
from petra.errors import PetraError, ResourceExhausted

# A call whose value is not counted in bytes takes less than this, with the longest key there can be.
_SMALL_CALL_BYTES: Final = 4_096
# Messages are not made smaller than this; what is refused then is refused for another reason.
_LEAST_BYTES: Final = 16 << 10


class Portions:
    """The present bounds of a message."""

    __slots__ = ("_bytes", "_calls", "_small_calls")

    def __init__(self) -> None:
        self._calls = MESSAGE_CALLS
        self._bytes = MESSAGE_BYTES
        # So many small calls are taken together without a look at each.
        self._small_calls = MESSAGE_CALLS

    def take(self, pending: deque[Call[Any]], *, some_large: bool) -> list[Call[Any]]:
        """Takes the calls of the next message away. Without `some_large`, no value among them is counted in bytes."""
        if len(pending) <= self._small_calls and not some_large:
            calls = [call for call in pending if call.outcome is None]
            pending.clear()
            return calls
        calls = []
        size = 0
        while pending and len(calls) < self._calls:
            call = pending[0]
            size += call.size_bytes
            if calls and size > self._bytes:
                break
            pending.popleft()
            if call.outcome is None:
                calls.append(call)
        return calls

    def goes_alone(self, call: Call[Any]) -> bool:
        """Whether a call is a message of its own, so that it is at fault when that is too large."""
        return call.size_bytes > self._bytes

    def were_too_large(self, error: PetraError) -> bool:
        """Whether the stream ended because of the size of messages. They are smaller from now on."""
        if error.reason == "BATCH_TOO_LARGE" and self._calls > 1:
            self._calls //= 2
        elif type(error) is ResourceExhausted and not error.reason and self._bytes > _LEAST_BYTES:
            # gRPC itself has refused the message.
            self._bytes //= 2
        else:
            return False
        self._small_calls = min(self._calls, self._bytes // _SMALL_CALL_BYTES)
        return True
