"""Child processes of a benchmark: every server and every load generator runs in a process of its own.

A `ChildProcess` is started in a session of its own, so that Ctrl-C reaches the benchmark only, which then ends its
children in order. Whoever starts one leaves its `with` block, and then nothing of it runs any more. The thread that
reads the child's output is the only one that touches `_tail`; lines reach the owner through a queue.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")

REPOSITORY = Path(__file__).resolve().parent.parent

# What is kept of a child's output for an error message.
_TAIL_LINES = 40


class BenchError(Exception):
    """A benchmark cannot go on; the message says why."""


class Unavailable(Exception):
    """Something that is not part of Petra is missing; the message says how to get it."""


class ChildProcess:
    """A process with its standard output and error merged into lines.

    `wait_for` reads lines until one tells what the caller waits for. Leaving the block sends SIGTERM, waits for a
    grace, and then kills the whole process group.
    """

    def __init__(self, name: str, argv: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._argv = list(argv)
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        """Starts it. Does not wait for anything."""
        self._process = subprocess.Popen(
            self._argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=REPOSITORY,
            env=self._environment,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True, name=f"output of {self.name}")
        self._reader.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._running.pid

    def cpu_seconds(self) -> float:
        """The processor time that it has used until now, without that of its children."""
        return cpu_seconds(self.pid)

    def wait_for(self, tell: Callable[[str], T | None], *, timeout_s: float) -> T:
        """The first thing that `tell` makes of a line. BenchError with the output when it ends or takes too long."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise BenchError(f"{self.name}: nothing within {timeout_s:.0f} s. Its output:\n{self.tail()}") from None
            if line is None:
                raise BenchError(f"{self.name} ended with {self._running.wait()}. Its output:\n{self.tail()}")
            told = tell(line)
            if told is not None:
                return told

    def send(self, line: str) -> None:
        """Writes one line to its standard input."""
        stdin = self._running.stdin
        assert stdin is not None
        stdin.write(line + "\n")
        stdin.flush()

    def kill(self) -> None:
        """SIGKILL to it and to whatever it started; returns when it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._running.pid, signal.SIGKILL)
        self._running.wait()

    def stop(self, grace_s: float = 20.0) -> int:
        """SIGTERM, then SIGKILL after the grace. The exit code; 0 when it was never started."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace_s)
        self.kill()
        # Nobody holds the other ends any more, so the thread comes to its end before its pipe is closed.
        assert self._reader is not None
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        return self._process.returncode

    def tail(self) -> str:
        """The last lines of its output."""
        return "\n".join(self._tail)

    @property
    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise BenchError(f"{self.name} was not started")
        return self._process

    def _read(self) -> None:
        output = self._running.stdout
        assert output is not None
        for line in output:
            self._tail.append(line.rstrip("\n"))
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)


def cpu_seconds(pid: int) -> float:
    """The processor time that a process has used until now, without that of its children."""
    # After the name, which may hold anything but is closed by the last parenthesis: user and system time.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def tree_cpu_seconds(pid: int) -> float:
    """The processor time that a process and its children have used until now, those that have ended included."""
    total, ticks = 0, os.sysconf("SC_CLK_TCK")
    for path in Path("/proc").glob("[0-9]*/stat"):
        # A process may end while it is looked at.
        with contextlib.suppress(OSError):
            fields = path.read_text(encoding="utf-8").rpartition(")")[2].split()
            if path.parent.name == str(pid):
                total += sum(int(each) for each in fields[11:15])
            elif fields[1] == str(pid):
                total += int(fields[11]) + int(fields[12])
    return total / ticks


def run(argv: Sequence[str], *, timeout_s: float, stdin: str = "") -> str:
    """Runs a program to its end and gives its standard output. BenchError when it fails or takes too long."""
    process = subprocess.Popen(
        list(argv),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        cwd=REPOSITORY,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(stdin, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{Path(argv[0]).name} did not end within {timeout_s:.0f} s") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode != 0:
        raise BenchError(f"{Path(argv[0]).name} ended with {process.returncode}:\n{output[-2000:]}{errors[-2000:]}")
    return output
