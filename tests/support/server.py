"""A real server in a process of its own, which a test can kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Any

_ROOT = Path(__file__).resolve().parents[2]


class ServerProcess:
    """`petra serve` on a directory, on a free port of 127.0.0.1. A context manager that starts it, and kills it."""

    def __init__(
        self, data: Path, *args: str, env: dict[str, str] | None = None, wrapper: tuple[str, ...] = ()
    ) -> None:
        """`args` are more flags of `petra serve`; `wrapper` is a command to run it under, such as strace."""
        self._command = [
            *wrapper,
            sys.executable,
            "-m",
            "petra_server",
            "serve",
            "--data",
            str(data),
            "--listen",
            "127.0.0.1:0",
            *args,
        ]
        self._env = {**os.environ, "PETRA_LOG_FORMAT": "json", "PYTHONPATH": _source_path(), **(env or {})}
        self._process: subprocess.Popen[str] | None = None
        self._lines: list[str] = []
        self._serving = threading.Event()
        self._reader: threading.Thread | None = None
        self.address = ""
        # What the start-up line says.
        self.start_line: dict[str, Any] = {}

    @property
    def pid(self) -> int:
        """The server's process, or the wrapper's when there is one."""
        return self._running().pid

    def start(self, timeout_seconds: float = 60) -> ServerProcess:
        """Starts it and waits until it serves. Raises RuntimeError with its log when it does not."""
        self._lines, self._serving = [], threading.Event()
        self._process = subprocess.Popen(
            self._command, env=self._env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stderr,), daemon=True)
        self._reader.start()
        if not self._serving.wait(timeout_seconds) or not self.address:
            self.kill()
            raise RuntimeError(f"the server did not start:\n{self.stderr_text()}")
        return self

    def kill(self) -> None:
        """SIGKILL, and waits for the end."""
        self._running().kill()
        self.wait()

    def terminate(self, timeout_seconds: float = 60) -> int:
        """SIGTERM, and the exit code."""
        self.send_signal(signal.SIGTERM)
        return self.wait(timeout_seconds)

    def send_signal(self, number: signal.Signals) -> None:
        self._running().send_signal(number)

    def wait(self, timeout_seconds: float = 60) -> int:
        """The exit code, when it has ended."""
        code = self._running().wait(timeout_seconds)
        if self._reader is not None:
            self._reader.join(timeout_seconds)
        return code

    @property
    def ended(self) -> bool:
        return self._running().poll() is not None

    def stderr_text(self) -> str:
        """What it has logged since the start."""
        return "".join(self._lines)

    def __enter__(self) -> ServerProcess:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.ended:
            self.kill()

    def _running(self) -> subprocess.Popen[str]:
        assert self._process is not None, "the server was not started"
        return self._process

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self._lines.append(line)
                if not self._serving.is_set():
                    self._look_for_start(line)
        # Also when it ended without serving, so that nobody waits for ever.
        self._serving.set()

    def _look_for_start(self, line: str) -> None:
        try:
            entry = json.loads(line)
        except ValueError:
            return
        if isinstance(entry, dict) and entry.get("event") == "serving":
            self.address, self.start_line = entry["address"], entry
            self._serving.set()


def _source_path() -> str:
    """The two source roots, before what the environment has, for a tree that is not installed."""
    parts = [str(_ROOT / "client"), str(_ROOT / "server"), os.environ.get("PYTHONPATH", "")]
    return os.pathsep.join(part for part in parts if part)
