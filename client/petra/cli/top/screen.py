"""The screen of `petra top`: frames on rich until `q`, Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import tty
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group
from rich.live import Live

from petra.cli.top.figures import Figures
from petra.cli.top.view import OTHER_ROWS, frame, unreachable
from petra.cli.top.watch import Watch
from petra.errors import PetraError

if TYPE_CHECKING:
    from petra import AsyncClient

_HISTORY: Final = 60
_FIRST_SECONDS: Final = 0.5


class Screen:
    """Shows a server until somebody ends it. A server that goes away is waited for."""

    def __init__(self, address: str, *, interval: float, most_actors: int) -> None:
        self._address = address
        self._interval = interval
        self._most_actors = most_actors
        self._console = Console()
        self._history: deque[float] = deque(maxlen=_HISTORY)
        self._figures: Figures | None = None
        self._note = ""
        self._ended = asyncio.Event()

    async def run(self, client: AsyncClient) -> None:
        """Runs until it is ended."""
        watch = Watch(client)
        await watch.sample()
        with self._live() as live, self._keys(), self._signals(live):
            async with watch.probing():
                # The first frame comes soon, and then one in each interval.
                pause = min(_FIRST_SECONDS, self._interval)
                while not await self._ended_within(pause):
                    await self._look(watch)
                    live.update(self._frame(), refresh=True)
                    pause = self._interval

    async def _look(self, watch: Watch) -> None:
        try:
            self._figures = await watch.figures()
        except PetraError as error:
            self._note = str(error)
        else:
            self._note = ""
            self._history.append(self._figures.operations_per_second)

    def _frame(self) -> Group:
        if self._figures is None:
            return unreachable(self._address, self._note)
        return frame(
            self._address,
            self._figures,
            history=self._history,
            rows=max(1, min(self._most_actors, self._console.height - OTHER_ROWS)),
            note=self._note,
        )

    async def _ended_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._ended.wait()
        except TimeoutError:
            return False

    def _live(self) -> Live:
        return Live(console=self._console, screen=True, auto_refresh=False, transient=True)

    @contextmanager
    def _signals(self, live: Live) -> Iterator[None]:
        """SIGTERM ends it in order, so that the terminal is itself again; a new size is used at once."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._ended.set)
        loop.add_signal_handler(signal.SIGINT, self._ended.set)
        loop.add_signal_handler(signal.SIGWINCH, lambda: live.update(self._frame(), refresh=True))
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGWINCH):
                loop.remove_signal_handler(number)

    @contextmanager
    def _keys(self) -> Iterator[None]:
        """Reads keys as they are pressed, when there is a keyboard."""
        if not sys.stdin.isatty():
            yield
            return
        loop = asyncio.get_running_loop()
        keyboard = sys.stdin.fileno()
        before = termios.tcgetattr(keyboard)
        tty.setcbreak(keyboard)
        loop.add_reader(keyboard, self._key_pressed)
        try:
            yield
        finally:
            loop.remove_reader(keyboard)
            termios.tcsetattr(keyboard, termios.TCSADRAIN, before)

    def _key_pressed(self) -> None:
        if os.read(sys.stdin.fileno(), 64)[:1] in (b"q", b"Q", b""):
            self._ended.set()
