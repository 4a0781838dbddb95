"""A server under test, in a thread of its own, so that the test may be plain, run an event loop, or run many."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from petra.server_info import ServerInfo
from petra.sync import Client
from petra.testing.clock import TestClock
from petra.testing.hosting import HostedServer, settings_for_tests
from petra.testing.thread import LoopThread


class TestServer:
    """A real server in this process, on a free port of this machine, with a clock of its own.

    Use it as `with TestServer() as server`, or call `start` and `stop`. Its methods may be called from any thread, one
    at a time, and return when the server has done what they say.
    """

    # It is no class of tests, whatever its name makes pytest think.
    __test__ = False

    def __init__(self, *, data: Path | None = None, now: datetime | None = None, **settings: object) -> None:
        """A server that is to keep its data in `data`, or in a temporary folder that is removed when it stops.

        `now` is where its clock begins, the machine's time unless given. `settings` are those of `petra serve`, by
        their names in its file. Raises InvalidArgument for `now`; `start` says what is wrong with the settings.
        """
        # Set once.
        self.clock = TestClock(now)
        self._data = data
        self._settings = settings
        # Owned by who starts and stops it. What is to be undone when it stops:
        self._open = ExitStack()
        self._running: tuple[HostedServer, LoopThread] | None = None

    @property
    def address(self) -> str:
        """Host and port, as a client takes them. It stays the same when the server is restarted."""
        hosted, _ = self._parts()
        return hosted.address

    def start(self) -> None:
        """Starts it, and returns when it serves.

        Raises ModuleNotFoundError where the server's packages are missing, TypeError for a setting that there is not,
        ValueError for one that cannot be, and RuntimeError when it is running.
        """
        if self._running is not None:
            raise RuntimeError("The server is running already.")
        with ExitStack() as opened:
            data = self._data or Path(opened.enter_context(TemporaryDirectory(prefix="petra-test-"))) / "data"
            hosted = HostedServer(settings_for_tests(data, **self._settings), self.clock)
            thread = LoopThread("petra-test-server")
            opened.callback(thread.stop)
            thread.run(hosted.start())
            opened.callback(lambda: thread.run(hosted.stop()))
            self._running = hosted, thread
            self._open = opened.pop_all()

    def stop(self) -> None:
        """Ends what is under way, and the server. Nothing happens when it is not running."""
        self._running = None
        self._open.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def restart(self) -> None:
        """Stops it, and starts it on the same data and address: connections are lost, and entries are not."""
        hosted, thread = self._parts()
        thread.run(hosted.restart())

    def sweep(self) -> None:
        """Removes what has expired from the disk. It cannot be read any more without that."""
        hosted, thread = self._parts()
        thread.run(hosted.sweep())

    def info(self) -> ServerInfo:
        """What the server says about itself."""
        with Client(self.address) as client:
            return client.info()

    def _parts(self) -> tuple[HostedServer, LoopThread]:
        if self._running is None:
            raise RuntimeError("The server is not running.")
        return self._running

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address if self._running else 'stopped'}>"
