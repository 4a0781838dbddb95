"""Results that come later: of a pipeline that is not executed yet, of a transaction that is not committed yet."""

from __future__ import annotations

from typing import Generic, TypeVar

from petra.errors import PetraError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Deferred(Generic[T_co]):
    """The result of an operation that was recorded, once it is done."""

    __slots__ = ("_error", "_result")

    _result: T_co

    def __init__(self) -> None:
        self._error: PetraError | None = None

    def result(self) -> T_co:
        """The result, or the error of the operation, raised. Raises RuntimeError when it is not done yet."""
        if self._error is not None:
            raise self._error
        try:
            return self._result
        except AttributeError:
            raise RuntimeError(
                "This operation is only recorded: execute its pipeline or end its transaction first."
            ) from None

    def __repr__(self) -> str:
        done = self._error is not None or hasattr(self, "_result")
        return f"<{type(self).__name__} {'done' if done else 'pending'}>"


def succeed(deferred: Deferred[T], result: T) -> None:
    """Ends the wait for a result."""
    deferred._result = result


def fail(deferred: Deferred[object], error: PetraError) -> None:
    """Ends the wait for a result with an error."""
    deferred._error = error
