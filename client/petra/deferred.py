"""Results that come later: of a pipeline that is not executed yet, of a transaction that is not committed yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


class Deferred(Generic[T_co]):
    """The result of an operation that was recorded, once it is done."""

    __slots__ = ("_result",)

    def __init__(self) -> None:
        self._result: Callable[[], T_co] | None = None

    def result(self) -> T_co:
        """The result, or the error of the operation, raised. Raises RuntimeError when it is not done yet."""
        if self._result is None:
            raise RuntimeError("This operation is only recorded: execute its pipeline or end its transaction first.")
        return self._result()

    def _resolve(self, result: Callable[[], T_co]) -> None:
        self._result = result

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'pending' if self._result is None else 'done'}>"
