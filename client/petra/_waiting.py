"""What the data layers wait for beside the server, for coroutines. Its twin petra.sync._waiting is for threads."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def pause(seconds: float) -> None:
    """Lets time pass."""
    await asyncio.sleep(seconds)


async def called(function: Callable[P, T | Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """What a function of the user returns, whether it is a coroutine or not."""
    result = function(*args, **kwargs)
    return await result if inspect.isawaitable(result) else result


async def in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """What a function returns that computes for long; others go on meanwhile."""
    return await asyncio.to_thread(function, *args, **kwargs)
