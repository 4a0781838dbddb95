"""The typical use of the clients works, and type checkers at their strictest have nothing to say about it.

mypy checks it with everything else (`make types`); here it is shown to be awake.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.client import typical_use
from tests.support.npm import INSTALL_TIMEOUT_S, node_with_packages

if TYPE_CHECKING:
    from collections.abc import Callable

    from petra.testing import TestServer

ROOT = Path(__file__).parents[2]
PYRIGHT = Path(__file__).with_name("pyright")
TYPICAL_USE = Path(typical_use.__file__)
CHECK_TIMEOUT_S = 120

# Wrong in one place each: what a type checker has to see, by a word of its message.
MISTAKES = {
    "unknown-method": ('client.expire("key")', "expire"),
    "unknown-option": ('client.set("key", 1, expires=60)', "expires"),
    "wrong-type-of-an-option": ('client.set("key", 1, ttl="60")', "ttl"),
    "wrong-word": ('client.set("key", 1, durability="disk")', "durability"),
    "missing-argument": ('client.throttle("key", 5)', "period"),
    "result-is-an-int": ('client.increment("visits").upper()', "upper"),
    "entry-may-be-none": ('client.get_entry("key").value', "value"),
    "key-is-text": ('client.get(b"key")', "key"),
    "parameter-of-sql": ('client.object("a").sql.execute("SELECT ?", (object(),))', "object"),
    "method-of-sql": ('client.object("a").sql.fetchall("SELECT 1")', "fetchall"),
    "unknown-name": ("petra.Cliente", "Cliente"),
}
PROGRAM = """from __future__ import annotations

import petra


def main(client: petra.Client) -> None:
    {line}
"""


def test_the_blocking_client_as_it_is_typically_used(petra_server: TestServer, petra_namespace: str) -> None:
    typical_use.use_blocking(petra_server.address, petra_namespace)


def test_the_asyncio_client_as_it_is_typically_used(petra_server: TestServer, petra_namespace: str) -> None:
    asyncio.run(typical_use.use_asyncio(petra_server.address, petra_namespace))


def mypy(file: Path, folder: Path) -> list[str]:
    """The errors that mypy finds in a file, with the project's configuration."""
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        str(ROOT / "pyproject.toml"),
        "--output=json",
        "--no-error-summary",
    ]
    result = subprocess.run(
        [*command, "--cache-dir", str(folder / "cache"), str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=CHECK_TIMEOUT_S,
    )
    assert result.returncode in {0, 1}, result.stdout + result.stderr
    found = [json.loads(line) for line in result.stdout.splitlines()]
    return [error["message"] for error in found if error["severity"] == "error"]


def pyright(file: Path, folder: Path) -> list[str]:
    """The errors that pyright finds in a file in its strict mode, each with the first line that it is about."""
    node = node_with_packages(PYRIGHT)
    configuration = {
        "include": [file.name],
        "extraPaths": [str(ROOT / "client")],
        "pythonVersion": "3.11",
        "typeCheckingMode": "strict",
    }
    (folder / file.name).write_text(file.read_text())
    (folder / "pyrightconfig.json").write_text(json.dumps(configuration))
    program = PYRIGHT / "node_modules" / "pyright" / "index.js"
    result = subprocess.run(
        [node, str(program), "--project", str(folder), "--pythonpath", sys.executable, "--outputjson"],
        capture_output=True,
        text=True,
        timeout=CHECK_TIMEOUT_S,
    )
    assert result.returncode in {0, 1}, result.stdout + result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    assert report["summary"]["filesAnalyzed"] == 1
    return [found["message"] for found in report["generalDiagnostics"]]


CHECKERS = [
    pytest.param(mypy, id="mypy"),
    pytest.param(
        pyright, id="pyright", marks=[pytest.mark.interop, pytest.mark.timeout(INSTALL_TIMEOUT_S + CHECK_TIMEOUT_S)]
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("checker", CHECKERS)
def test_typical_use_has_no_type_errors(checker: Callable[[Path, Path], list[str]], tmp_path: Path) -> None:
    assert checker(TYPICAL_USE, tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("checker", CHECKERS)
def test_mistakes_are_type_errors(checker: Callable[[Path, Path], list[str]], tmp_path: Path) -> None:
    file = tmp_path / "given" / "mistakes.py"
    file.parent.mkdir()
    lines = "\n    ".join(line for line, _ in MISTAKES.values())
    file.write_text(PROGRAM.format(line=lines))
    messages = checker(file, tmp_path)
    unseen = [name for name, (_, word) in MISTAKES.items() if not any(word in message for message in messages)]
    assert not unseen, messages
