"""An import under way: batches of lines into a server, several at a time, and taken note of in their order.

A batch is noted when it and all before it are durable in the server. What is in the server beyond that, when an import
is interrupted, is written again by the next one, with the same values.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from petra.cli.transfer.import_file import Batch, Broken, Line
from petra.errors import InvalidArgument

if TYPE_CHECKING:
    from petra import AsyncClient, AsyncNamespace, AsyncObject
    from petra.cli.stored import Stored

# Enough for the server to flush one while it takes in the next ones.
_BATCHES_IN_FLIGHT: Final = 4
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Outcome:
    """What has become of a batch."""

    imported: int = 0
    expired: list[Line] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)


class Importer:
    """Writes batches. `client` must take values as they are stored."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def run(self, batches: AsyncIterator[Batch], note: Callable[[Batch, Outcome], Awaitable[bool]]) -> None:
        """Writes all batches; `note` is told of each in order, and says whether to go on. Raises PetraError."""
        in_flight: deque[tuple[Batch, asyncio.Task[Outcome]]] = deque()

        async def settle(most: int) -> bool:
            while len(in_flight) > most:
                batch, task = in_flight[0]
                outcome = await task
                in_flight.popleft()
                if not await note(batch, outcome):
                    return False
            return True

        try:
            async for batch in batches:
                in_flight.append((batch, asyncio.create_task(self._write(batch))))
                if not await settle(_BATCHES_IN_FLIGHT - 1):
                    return
            await settle(0)
        finally:
            for _, task in in_flight:
                task.cancel()
            await asyncio.gather(*(task for _, task in in_flight), return_exceptions=True)

    async def _write(self, batch: Batch) -> Outcome:
        outcome = Outcome(broken=list(batch.broken))
        if not batch.lines:
            return outcome
        now_ms = await self._now_ms() if any(line.item.expires_at_ms for line in batch.lines) else 0
        outcome.expired = [line for line in batch.lines if 0 < line.item.expires_at_ms <= now_ms]
        live = [line for line in batch.lines if not 0 < line.item.expires_at_ms <= now_ms]
        # Of lines with the same key the last one counts. They are not written one after the other.
        last = {line.item.spot: line for line in live}
        outcome.imported = len(live) - len(last)
        live = list(last.values())
        writes = [self._write_together(lines, outcome) for lines in _together(live)]
        writes += [self._write_one(line, now_ms, outcome) for line in live if line.item.expires_at_ms]
        # All are awaited, also when one fails: a call that nobody waits for would be cancelled half-way.
        for failure in await asyncio.gather(*writes, return_exceptions=True):
            if failure is not None:
                raise failure
        outcome.broken.sort(key=lambda broken: broken.number)
        return outcome

    async def _write_together(self, lines: Sequence[Line], outcome: Outcome) -> None:
        """Lines of one place that do not expire."""
        if len(lines) == 1:
            await self._write_one(lines[0], 0, outcome)
            return
        values = {line.item.spot.key: line.item.value for line in lines}
        try:
            await self._entries(lines[0]).set_many(values, durability="fsync")
        except InvalidArgument:
            # One of them at least is refused, and the server did not say which ones.
            for line in lines:
                await self._write_one(line, 0, outcome)
        else:
            outcome.imported += len(lines)

    async def _write_one(self, line: Line, now_ms: int, outcome: Outcome) -> None:
        value: Stored = line.item.value
        expires_at_ms = line.item.expires_at_ms
        ttl = timedelta(milliseconds=expires_at_ms - now_ms) if expires_at_ms else None
        try:
            await self._entries(line).set(line.item.spot.key, value, ttl=ttl, durability="fsync")
        except InvalidArgument as error:
            outcome.broken.append(Broken(line.before.lines + 1, line.text, str(error), line.before))
        else:
            outcome.imported += 1

    async def _now_ms(self) -> int:
        """The server's time. Entries live longer than they should by what passes until it has written them."""
        return ((await self._client.info()).now - _EPOCH) // timedelta(milliseconds=1)

    def _entries(self, line: Line) -> AsyncNamespace | AsyncObject:
        namespace, object_name, _ = line.item.spot
        handle = self._client.namespace(namespace)
        return handle.object(object_name) if object_name else handle


def _together(lines: Sequence[Line]) -> list[list[Line]]:
    """The lines that do not expire, by place."""
    places: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        if not line.item.expires_at_ms:
            namespace, object_name, _ = line.item.spot
            places.setdefault((namespace, object_name), []).append(line)
    return list(places.values())
