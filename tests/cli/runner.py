"""Runs the `petra` command: in this process, or in one of its own that can be interrupted."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from petra.cli import petra

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-W", "error", "-m", "petra.cli")


def environment(**variables: str) -> dict[str, str]:
    """The environment of a process that runs the command."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "client"), str(ROOT / "server")]), **variables}


class Cli:
    """The command, for one server and one namespace unless its arguments name others."""

    def __init__(self, address: str, namespace: str = "default") -> None:
        self.variables = {"PETRA_ADDRESS": address, "PETRA_NAMESPACE": namespace}

    def __call__(self, *args: str, stdin: bytes | None = None, variables: Mapping[str, str] | None = None) -> Result:
        """Runs it, whatever comes of it."""
        environ = {**self.variables, **(variables or {})}
        return CliRunner().invoke(petra, list(args), input=stdin, env=environ, prog_name="petra")

    def out(self, *args: str, stdin: bytes | None = None) -> str:
        """What it prints when it succeeds."""
        result = self(*args, stdin=stdin)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *args: str) -> Any:  # noqa: ANN401 - JSON
        """What it prints as JSON when it succeeds: one line."""
        (found,) = self.json_lines(*args)
        return found

    def json_lines(self, *args: str) -> list[Any]:
        """What it prints as JSON when it succeeds."""
        return [json.loads(line) for line in self.out(*args, "-o", "json").splitlines()]
