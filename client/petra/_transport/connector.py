"""Getting a connection and getting it back: attempts with jittered, growing pauses, for as long as anybody wants one.

Loop thread only.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from copy import copy

from petra._transport.channel import Channel
from petra._transport.target import Target
from petra.errors import ClientClosed, DeadlineExceeded, InternalError, PetraError, Unavailable

# The pause after the n-th failure is a random part of the first times 2**n, up to the longest: a fleet of clients
# comes back spread out, and a server that is back is found within a second.
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0


class Connector:
    """Holds the one channel of a link, or an attempt to make it."""

    def __init__(
        self,
        target: Target,
        connect_timeout: float,
        *,
        up: Callable[[Channel], None],
        down: Callable[[PetraError], None],
        wanted: Callable[[], bool],
    ) -> None:
        """`up` is called with each new channel, `down` when it is lost. Attempts go on while `wanted` says so."""
        # Set once.
        self._target = target
        self._connect_timeout = connect_timeout
        self._up = up
        self._down = down
        self._wanted = wanted
        # Owned by the loop.
        self.channel: Channel | None = None
        self.last_error: PetraError | None = None
        self._failures = 0
        self._task: asyncio.Task[None] | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._closed = False

    def want(self) -> None:
        """Begins to connect, unless that is under way or done."""
        if self.channel is None and self._task is None and not self._closed:
            self._task = asyncio.get_running_loop().create_task(self._connect(), name="petra-connect")

    async def first_attempt(self) -> None:
        """Waits for a connection. Raises what the next attempt fails with."""
        if self._closed:
            raise ClientClosed("The client is closed.")
        if self.channel is not None:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self.want()
        await waiter

    async def get(self, timeout: float) -> Channel:
        """The channel. Raises Unavailable when there is none in time."""
        try:
            async with asyncio.timeout(timeout):
                while self.channel is None:
                    try:
                        await self.first_attempt()
                    except Unavailable:
                        if self._closed:
                            raise
        except TimeoutError:
            raise self.unreachable(timeout) from None
        return self.channel

    def unreachable(self, seconds: float) -> PetraError:
        """The error of who has waited for a connection for so long."""
        if self.last_error is None:
            return DeadlineExceeded(f"No connection to {self._target} within {seconds:g} s.")
        return Unavailable(f"{self.last_error} Tried for {seconds:g} s.", reason=self.last_error.reason)

    def settled(self) -> None:
        """The connection works: the next failure is a first one."""
        self._failures = 0
        self.last_error = None

    def drop(self, error: PetraError) -> None:
        """Gives the present channel up."""
        channel = self.channel
        if channel is not None:
            self._lost(error)
            channel.abort()

    async def close(self) -> None:
        """Ends the channel in order, and answers everyone who waits for one."""
        self._closed = True
        channel, self.channel = self.channel, None
        self._tell(ClientClosed("The client is closed."))
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        if channel is not None:
            channel.close()
            await channel.wait_closed()

    def abandon(self) -> None:
        """Lets go of the channel without touching its socket or loop: they belong to another process now."""
        self._closed = True
        channel, self.channel = self.channel, None
        if channel is not None:
            channel.abandon()

    async def _connect(self) -> None:
        try:
            if self._failures:
                await asyncio.sleep(self._pause())
            while self._wanted() or self._waiters:
                try:
                    channel = await Channel.connect(
                        self._target.host,
                        self._target.port,
                        ssl=self._target.tls,
                        on_lost=self._lost,
                        connect_timeout=self._connect_timeout,
                    )
                except PetraError as error:
                    self._failed(error)
                    await asyncio.sleep(self._pause())
                except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are to hear of it
                    self._failed(InternalError(f"Connecting to {self._target} failed: {error!r}."))
                    await asyncio.sleep(self._pause())
                else:
                    if self._take(channel):
                        return
                    await asyncio.sleep(self._pause())
        finally:
            self._task = None

    def _take(self, channel: Channel) -> bool:
        """Makes a new channel the present one, unless it is about to end already."""
        self.channel = channel
        try:
            self._up(channel)
        except PetraError as error:
            self.channel = None
            channel.abort()
            self._failed(error)
            return False
        self._tell(None)
        return True

    def _pause(self) -> float:
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(self._failures, 10))
        return random.uniform(longest / 4, longest)  # noqa: S311 - it only spreads attempts

    def _failed(self, error: PetraError) -> None:
        self._failures += 1
        self.last_error = error
        self._tell(error)

    def _lost(self, error: PetraError) -> None:
        if self.channel is None:
            return
        self.channel = None
        self._failures += 1
        self.last_error = error
        self._down(error)

    def _tell(self, error: PetraError | None) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                # Each raises an error of its own.
                waiter.set_exception(copy(error))
