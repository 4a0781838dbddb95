"""What the data layers wait for beside the server, in threads. Its twin petra._waiting is for coroutines."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def pause(seconds: float) -> None:
    """Lets time pass."""
    time.sleep(seconds)


def called(function: Callable[P, T | Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """What a function of the user returns. Raises TypeError for a coroutine function: nothing here could await it."""
    result = function(*args, **kwargs)
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        name = getattr(function, "__qualname__", repr(function))
        raise TypeError(f"{name} is a coroutine function, and this client is blocking. Use the asynchronous one.")
    return result


def in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """What a function returns. The calling thread computes it."""
    return function(*args, **kwargs)
