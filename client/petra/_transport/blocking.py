"""How the blocking client makes its calls: the calling thread waits, and the background loop does the rest.

Any thread may use it. Calls of several threads are packed together.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from petra._transport.calls import Call
from petra._transport.forks import forget_after_fork
from petra._transport.link import LEAST_SECONDS, Link, parts
from petra._transport.portal import Portal, shared_portal
from petra._transport.reading import Reading
from petra._transport.requests import Bulk
from petra._transport.target import Target
from petra.errors import ClientClosed, InternalError

T = TypeVar("T")

# The loop answers each call by its deadline. Whoever waits so much longer, in seconds, waits for ever.
_GRACE = 60.0


class BlockingBinding:
    """Makes calls from threads. One of these belongs to each client and is shared by its handles."""

    def __init__(self, target: Target, *, timeout: float, connect_timeout: float) -> None:
        # Set once.
        self.target = target
        self.timeout = timeout
        self._connect_timeout = connect_timeout
        # Changed under the lock.
        self._lock = threading.Lock()
        self._link: Link | None = None
        self._portal: Portal | None = None
        self._discard: weakref.finalize[..., BlockingBinding] | None = None
        self._closed = False
        forget_after_fork(self)

    def call(self, call: Call[T], timeout: float | None) -> T:
        """Makes one call and answers with its result."""
        self._make((call,), timeout)
        return call.result()

    def bulk(self, bulk: Bulk[T], timeout: float | None) -> T:
        """Makes the calls of one method, and answers with its result."""
        self.group(bulk.calls, timeout)
        return bulk.result()

    def group(self, calls: Sequence[Call[Any]], timeout: float | None) -> None:
        """Makes calls together, in order, and returns when each has its outcome."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        for part in parts(calls):
            self._make(part, timeout)
            timeout = max(LEAST_SECONDS, deadline - time.monotonic())

    def unary(self, path: str, request: bytes, timeout: float | None) -> bytes:
        """Makes a call of its own, outside the pipeline, that changes nothing."""
        link = self._current()
        return shared_portal.get().run(link.unary(path, request, timeout))

    def reading(self, path: str, request: bytes, timeout: float | None) -> Reading:
        """A call that changes nothing and has many answers; see `next`."""
        return Reading(self._current(), path, request, self.timeout if timeout is None else timeout)

    def next(self, reading: Reading) -> bytes | None:
        """The next of the answers, or None after the last."""
        return shared_portal.get().run(reading.next())

    def connect(self, timeout: float | None) -> None:
        """Makes the connection now. Raises Unavailable when the first attempt fails."""
        link = self._current()
        shared_portal.get().run(link.connect(timeout))

    def close(self) -> None:
        """Ends the connection and answers everyone who waits. Later calls raise ClientClosed."""
        with self._lock:
            self._closed = True
            link, self._link = self._link, None
            portal = self._portal
        if link is not None and portal is not None and portal is shared_portal.portal:
            if portal.is_own_thread:
                # In a finalizer: to wait here would be to wait for itself.
                portal.discard(link)
            else:
                portal.run(link.close())

    def abandon(self) -> object:
        """After a fork: forgets the link, and the lock, which another thread may have held."""
        self._lock = threading.Lock()
        link, self._link = self._link, None
        if link is not None:
            link.abandon()
        if self._discard is not None:
            self._discard.detach()
        return link

    def _current(self) -> Link:
        """The link; a new one when there is none, or when its loop has ended."""
        link = self._link
        if link is not None and self._portal is shared_portal.portal:
            return link
        with self._lock:
            if self._closed:
                raise ClientClosed("The client is closed.")
            portal = shared_portal.get()
            if self._link is None or self._portal is not portal:
                link = portal.run(portal.link(self.target, timeout=self.timeout, connect_timeout=self._connect_timeout))
                self._discard = weakref.finalize(self, portal.discard, link)
                # At exit the portal closes every link.
                self._discard.atexit = False
                self._link, self._portal = link, portal
            return self._link

    def _make(self, calls: Sequence[Call[Any]], timeout: float | None) -> None:
        link = self._current()
        if self._portal is not None:
            self._portal.check_thread()
        answered = threading.Lock()
        answered.acquire()
        if len(calls) == 1:
            calls[0].timeout = timeout
            calls[0].notify = answered.release
        else:
            _notify_after_all(calls, timeout, answered.release)
        try:
            link.submit_from_thread(calls)
            in_time = answered.acquire(timeout=(self.timeout if timeout is None else timeout) + _GRACE)
        except BaseException as error:
            if link.loop.is_closed():
                raise ClientClosed("The interpreter is shutting down.") from error
            # Interrupted: what was not sent yet is not to be sent.
            link.loop.call_soon_threadsafe(_give_up, link, calls)
            raise
        if not in_time:
            raise InternalError("The client's background loop does not answer. This is a fault of Petra; report it.")


def _notify_after_all(calls: Sequence[Call[Any]], timeout: float | None, notify: Callable[[], None]) -> None:
    left = len(calls)

    def one_answered() -> None:
        nonlocal left
        left -= 1
        if not left:
            notify()

    for call in calls:
        call.timeout = timeout
        call.notify = one_answered


def _give_up(link: Link, calls: Sequence[Call[Any]]) -> None:
    for call in calls:
        link.give_up(call)
