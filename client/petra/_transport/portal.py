"""The background event loop that the blocking clients of a process share, in a thread of its own.

It is started when it is first needed, in a forked process anew, and ended in order when the interpreter ends. Nothing
of the user's runs on it, so it cannot be blocked by them.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
import weakref
from collections.abc import Coroutine
from typing import Any, TypeVar

from petra._transport.forks import forget_after_fork
from petra._transport.link import Link
from petra._transport.target import Target
from petra.errors import ClientClosed

T = TypeVar("T")


class Portal:
    """One event loop, running in a thread. Its methods may be called from any other thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._links: weakref.WeakSet[Link] = weakref.WeakSet()
        # A daemon, so that a program whose main thread ends is not held up before `stop` is called at exit.
        self._thread = threading.Thread(target=self._loop.run_forever, name="petra-client", daemon=True)
        self._thread.start()

    @property
    def is_own_thread(self) -> bool:
        """Whether this is the portal's thread: where a finalizer runs, for one."""
        return threading.get_ident() == self._thread.ident

    def check_thread(self) -> None:
        """Raises RuntimeError in the portal's own thread, where a wait would never end."""
        if self.is_own_thread:
            raise RuntimeError(
                "This is the thread that answers the calls of Petra's blocking clients, so a call from here would wait"
                " for ever. It was probably made by a finalizer (__del__): make it elsewhere."
            )

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine on the loop and returns what it returns. It is cancelled when the wait is interrupted."""
        try:
            self.check_thread()
        except RuntimeError:
            work.close()
            raise
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise ClientClosed("The interpreter is shutting down.") from None
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def link(self, target: Target, *, timeout: float, connect_timeout: float) -> Link:
        """A new link; to be awaited on the loop, by `run`."""
        link = Link(target, timeout=timeout, connect_timeout=connect_timeout)
        self._links.add(link)
        return link

    def discard(self, link: Link) -> None:
        """Has a link closed, sooner or later."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(lambda: asyncio.ensure_future(link.close()))

    def stop(self) -> None:
        """Closes every link, answering everyone who waits, and ends the thread."""
        self.run(self._close_links())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close_links(self) -> None:
        for link in list(self._links):
            await link.close()
        # Lets the closed sockets go.
        await asyncio.sleep(0)


class _Shared:
    """The portal of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.portal: Portal | None = None
        self._ended = False
        forget_after_fork(self)
        atexit.register(self._stop)

    def get(self) -> Portal:
        with self._lock:
            if self._ended:
                raise ClientClosed("The interpreter is shutting down.")
            if self.portal is None:
                self.portal = Portal()
            return self.portal

    def abandon(self) -> object:
        """After a fork: the thread is not there, and the lock may be held by one that is not."""
        self._lock = threading.Lock()
        portal, self.portal = self.portal, None
        return portal

    def _stop(self) -> None:
        with self._lock:
            self._ended = True
            portal, self.portal = self.portal, None
        if portal is not None:
            portal.stop()


shared_portal = _Shared()
