"""Results that come later: of a pipeline that is not executed yet, of a transaction that is not committed yet."""

from __future__ import annotations

from typing import Generic, TypeVar

from petra.errors import PetraError

T = TypeVar("T")


class Deferred(Generic[T]):
    """The result of an operation that was recorded, once it is done."""

    __slots__ = ("_error", "_result")

    _result: T

    def __init__(self) -> None:
        self._error: PetraError | None = None

    def result(self) -> T:
        """The result, or the error of the operation, raised. Raises RuntimeError when it is not done yet."""
        if self._error is not None:
            raise self._error
        try:
            return self._result
        except AttributeError:
            raise RuntimeError(
                "This operation is only recorded: execute its pipeline or end its transaction first."
            ) from None

    def _succeed(self, result: T) -> None:
        self._result = result

    def _fail(self, error: PetraError) -> None:
        self._error = error

    def __repr__(self) -> str:
        done = self._error is not None or hasattr(self, "_result")
        return f"<{type(self).__name__} {'done' if done else 'pending'}>"
