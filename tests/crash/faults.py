"""System calls of a running process that fail, by strace."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# strace ends with the process that it watches.
_PATIENCE_S = 60


@contextmanager
def failing_calls(pid: int, calls: Sequence[str], fault: str, *, path: Path | None = None) -> Iterator[None]:
    """From here on these system calls of a process meet a fault, such as `error=EIO:when=1+`; only those on `path`.

    Leave it when the process has ended. Skips the test where strace cannot do it.
    """
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("needs strace to let system calls fail (Debian: apt-get install strace)")
    names = ",".join(calls)
    only = [] if path is None else ["-P", str(path)]
    command = [strace, "-f", "-p", str(pid), *only, "-e", f"trace={names}", "-e", f"inject={names}:{fault}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first_line = process.stderr.readline()
        if "attached" not in first_line:
            pytest.skip(f"strace may not watch processes here (needs ptrace: {first_line.strip()})")
        try:
            yield
            process.communicate(timeout=_PATIENCE_S)
        finally:
            process.kill()
