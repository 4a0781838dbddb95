"""The Python blocks of one document, run one after the other in one process, as a reader would type them.

Names of one block are there in the next. `await` may stand outside of functions, as in `python -m asyncio`.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import json
import subprocess
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self


class Outcome(NamedTuple):
    """What a block has printed, and the traceback that ended it, or nothing."""

    output: str
    error: str


class Session:
    """A Python process that runs blocks. A context manager that ends it."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the working directory."""
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", str(Path(__file__))],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, name: str, source: str) -> Outcome:
        """Runs a block after those before. Raises RuntimeError when the process has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"name": name, "source": source}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process has ended: {self._end()}")
        return Outcome(**json.loads(line))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        complaints = self._end()
        # What is left open is complained about at the end.
        assert self._process.returncode == 0, complaints
        assert not complaints, complaints

    def _end(self) -> str:
        """Ends the input, and with it the process. What it has said on standard error."""
        _, complaints = self._process.communicate()
        return complaints


def serve() -> None:
    """Runs the blocks that come in, until there are no more."""
    names: dict[str, object] = {"__name__": "__main__"}
    answers = sys.stdout
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            block = json.loads(line)
            output = io.StringIO()
            error = ""
            with contextlib.redirect_stdout(output):
                try:
                    run_block(block["name"], block["source"], names, runner)
                except Exception:  # noqa: BLE001 - it is the outcome
                    error = traceback.format_exc()
            print(json.dumps({"output": output.getvalue(), "error": error}), file=answers, flush=True)


def run_block(name: str, source: str, names: dict[str, object], runner: asyncio.Runner) -> None:
    """Runs a block on the loop when it awaits, and as a plain program when it does not."""
    code = compile(source, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    made = eval(code, names)
    if inspect.iscoroutine(made):
        runner.run(made)


if __name__ == "__main__":
    serve()
