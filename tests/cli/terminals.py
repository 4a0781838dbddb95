"""The `petra` command on a pseudo terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.cli.runner import COMMAND, environment


class Terminal:
    """A pseudo terminal, and what was written to it."""

    def __init__(self, leader: int, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._leader = leader
        self._written = b""

    def until(self, condition: Callable[[str], bool]) -> str:
        """What was written since the last time, when it meets the condition."""
        assert self.meets(condition, 60), self._written
        text, self._written = self._written.decode(errors="replace"), b""
        return text

    def meets(self, condition: Callable[[str], bool], seconds: float) -> bool:
        """Whether what was written since `until` meets the condition in time."""
        deadline = time.monotonic() + seconds
        while not condition(self._written.decode(errors="replace")):
            if time.monotonic() > deadline:
                return False
            if select.select([self._leader], [], [], 0.1)[0]:
                self._written += self._read()
        return True

    def rest(self) -> str:
        """What is written until the process ends."""
        while chunk := self._read():
            self._written += chunk
        assert self.process.wait(60) is not None
        return self._written.decode(errors="replace")

    def press(self, key: bytes) -> None:
        os.write(self._leader, key)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._leader, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        # The kernel sends it to the processes that this is the controlling terminal of; here there are none.
        self.process.send_signal(signal.SIGWINCH)

    def _read(self) -> bytes:
        try:
            return os.read(self._leader, 65_536)
        except OSError:
            # So Linux says that nobody has it open any more.
            return b""


@contextmanager
def terminal(*args: str, **variables: str) -> Iterator[Terminal]:
    """The command on a terminal of its own, with these variables in its environment."""
    leader, follower = pty.openpty()
    fcntl.ioctl(leader, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    with subprocess.Popen(
        [*COMMAND, *args],
        env=environment(**{"TERM": "xterm", "COLUMNS": "", "LINES": "", **variables}),
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    ) as process:
        os.close(follower)
        try:
            yield Terminal(leader, process)
        finally:
            process.kill()
            os.close(leader)
