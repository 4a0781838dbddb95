"""Which link a client uses: one for the event loop it runs on, made when it is first needed.

A client outlives loops and processes. When its loop is closed, or the process was forked, the next call makes a new
link; the old one's socket belongs to the parent process and is not touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

from petra._transport.calls import Call
from petra._transport.ending import Ending
from petra._transport.forks import forget_after_fork
from petra._transport.link import LEAST_SECONDS, Link, parts
from petra._transport.reading import Reading
from petra._transport.requests import Bulk
from petra._transport.target import Target
from petra.errors import ClientClosed

T = TypeVar("T")


class Binding:
    """Makes calls from coroutines. One of these belongs to each client and is shared by its handles."""

    def __init__(self, target: Target, *, timeout: float, connect_timeout: float) -> None:
        # Set once.
        self.target = target
        self.timeout = timeout
        self._connect_timeout = connect_timeout
        # Owned by the loop of the link.
        self._link: Link | None = None
        self._ending: Ending | None = None
        self._closed = False
        forget_after_fork(self)

    @property
    def link(self) -> Link:
        """The link of the running loop. Raises RuntimeError outside of one, and ClientClosed."""
        loop = asyncio.get_running_loop()
        link = self._link
        if link is not None and link.loop is loop:
            return link
        if self._closed:
            raise ClientClosed("The client is closed.")
        _check_loop(link)
        link = self._link = Link(self.target, timeout=self.timeout, connect_timeout=self._connect_timeout)
        self._ending = Ending(self, link)
        return link

    async def call(self, call: Call[T], timeout: float | None) -> T:
        """Makes one call and answers with its result. Cancelling it disturbs no other."""
        link = self.link
        if link.full:
            timeout = await link.room((call,), timeout)
        call.timeout = timeout
        future = call.future = link.loop.create_future()
        link.submit(call)
        try:
            await future
        except asyncio.CancelledError:
            link.give_up(call)
            raise
        return call.result()

    async def group(self, calls: Sequence[Call[Any]], timeout: float | None) -> None:
        """Makes calls together, in order, and returns when each has its outcome."""
        link = self.link
        deadline = link.loop.time() + (self.timeout if timeout is None else timeout)
        for part in parts(calls):
            await self._part(link, part, timeout)
            timeout = max(LEAST_SECONDS, deadline - link.loop.time())

    async def _part(self, link: Link, calls: Sequence[Call[Any]], timeout: float | None) -> None:
        if link.full:
            timeout = await link.room(calls, timeout)
        future = link.loop.create_future()
        left = len(calls)

        def notify() -> None:
            nonlocal left
            left -= 1
            if not left and not future.done():
                future.set_result(None)

        for call in calls:
            call.timeout = timeout
            call.notify = notify
            link.submit(call)
        try:
            await future
        except asyncio.CancelledError:
            for call in calls:
                link.give_up(call)
            raise

    async def bulk(self, bulk: Bulk[T], timeout: float | None) -> T:
        """Makes the calls of one method, and answers with its result."""
        await self.group(bulk.calls, timeout)
        return bulk.result()

    async def unary(self, path: str, request: bytes, timeout: float | None) -> bytes:
        """Makes a call of its own, outside the pipeline, that changes nothing."""
        return await self.link.unary(path, request, timeout)

    def reading(self, path: str, request: bytes, timeout: float | None) -> Reading:
        """A call that changes nothing and has many answers; see its `next`."""
        return Reading(self.link, path, request, self.timeout if timeout is None else timeout)

    async def connect(self, timeout: float | None) -> None:
        """Makes the connection now. Raises Unavailable when the first attempt fails."""
        await self.link.connect(timeout)

    async def close(self) -> None:
        """Ends the connection and answers everyone who waits. Later calls raise ClientClosed."""
        link, ending = self._link, self._ending
        if link is None or link.loop is not asyncio.get_running_loop():
            _check_loop(link)
        self._closed = True
        if link is not None and ending is not None and not link.loop.is_closed():
            await ending.come()

    def abandon(self) -> object:
        """After a fork: forgets the link."""
        link, self._link = self._link, None
        ending, self._ending = self._ending, None
        if link is not None:
            link.abandon()
        return link, ending and ending.forget()


def _check_loop(link: Link | None) -> None:
    """Raises RuntimeError for the link of another loop that is still there."""
    if link is not None and not link.loop.is_closed():
        raise RuntimeError(
            "This client is in use on another event loop. Make one client for each loop, or use petra.Client."
        )
