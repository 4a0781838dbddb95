"""The load of `petra bench`: tasks that each make one call at a time, until the time or the count is up."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from petra.cli.latencies import Latencies
from petra.errors import PetraError

if TYPE_CHECKING:
    from petra import AsyncClient, AsyncNamespace

_LOADED_TOGETHER: Final = 1_000
_LOADED_BYTES: Final = 4 << 20
_SHOWN_EVERY_SECONDS: Final = 0.25
# To clear many entries takes longer than a call does.
_CLEAR_SECONDS: Final = 300.0


class Show(Protocol):
    """Is told how far it has come."""

    def __call__(self, *, done: float, entries: int, size: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do. Either `seconds` or `count` says when it ends; `gets` to `sets` is the ratio of the two."""

    tasks: int
    clients: int
    seconds: float | None
    count: int | None
    keys: int
    value_bytes: int
    gets: int
    sets: int


@dataclass(slots=True)
class Result:
    """What became of one kind of call."""

    operation: str
    seconds: float = 0.0
    errors: int = 0
    latencies: Latencies = field(default_factory=Latencies)


class Load:
    """A run. Its results are there also when it was interrupted."""

    def __init__(self, plan: Plan, connect: Callable[[], AsyncClient], show: Show) -> None:
        """`connect` makes one more client."""
        self.failures: Counter[str] = Counter()
        self._plan = plan
        self._connect = connect
        self._show = show
        self._results = {"get": Result("get"), "set": Result("set")}
        self._began = 0.0
        self._left = plan.count
        self._random = random.Random()  # noqa: S311 - which key, no secret

    async def run(self, first: AsyncClient) -> None:
        """Writes the keys, makes the calls, and clears what was written, also when it is interrupted."""
        namespace = f"petra-bench-{os.urandom(4).hex()}"
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(self._connect()) for _ in range(self._plan.clients)]
            for client in clients:
                await client.connect()
            try:
                await self._write_keys(first.namespace(namespace))
                await self._call([client.namespace(namespace) for client in clients])
            finally:
                await first.namespace(namespace).clear(timeout=_CLEAR_SECONDS)

    def results(self) -> list[Result]:
        """Those of each kind of call that was made, and of all together."""
        made = [result for result in self._results.values() if result.latencies.count or result.errors]
        total = Result("all")
        for result in made:
            total.latencies.merge(result.latencies)
            total.errors += result.errors
            total.seconds = result.seconds
        return [*made, total]

    async def _write_keys(self, entries: AsyncNamespace) -> None:
        """Buffered: only the calls that are measured need to be durable."""
        together = max(1, min(_LOADED_TOGETHER, _LOADED_BYTES // max(1, self._plan.value_bytes)))
        for start in range(0, self._plan.keys, together):
            numbers = range(start, min(self._plan.keys, start + together))
            await entries.set_many({_key(number): self._value() for number in numbers}, durability="buffered")

    async def _call(self, handles: list[AsyncNamespace]) -> None:
        self._began = time.perf_counter()
        shower = asyncio.create_task(self._show_on())
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._plan.tasks):
                    group.create_task(self._task(handles[number % len(handles)]))
        finally:
            shower.cancel()
            seconds = time.perf_counter() - self._began
            for result in self._results.values():
                result.seconds = seconds

    async def _task(self, entries: AsyncNamespace) -> None:
        plan = self._plan
        value = self._value()
        clock = time.perf_counter
        ends = None if plan.seconds is None else self._began + plan.seconds
        get, set_ = self._results["get"], self._results["set"]
        part_of_gets = plan.gets / (plan.gets + plan.sets)
        while self._take_one() and (ends is None or clock() < ends):
            key = _key(self._random.randrange(plan.keys))
            result = get if self._random.random() < part_of_gets else set_
            began = clock()
            try:
                if result is get:
                    await entries.get(key)
                else:
                    await entries.set(key, value)
            except PetraError as error:
                result.errors += 1
                self.failures[str(error)] += 1
            else:
                result.latencies.add(clock() - began)

    def _take_one(self) -> bool:
        if self._left is None:
            return True
        self._left -= 1
        return self._left >= 0

    async def _show_on(self) -> None:
        while True:
            calls = sum(result.latencies.count for result in self._results.values())
            elapsed = time.perf_counter() - self._began
            self._show(done=calls if self._plan.count else elapsed, entries=calls, size=calls * self._plan.value_bytes)
            await asyncio.sleep(_SHOWN_EVERY_SECONDS)

    def _value(self) -> bytes:
        return os.urandom(self._plan.value_bytes)


def _key(number: int) -> str:
    return f"key-{number:08}"
