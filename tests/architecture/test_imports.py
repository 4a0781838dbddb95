"""The arrows between packages, as [tool.importlinter] in pyproject.toml has them: kept, and able to fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [ROOT / "client", ROOT / "server"]

# A small tree with the shape of the real one, in which every arrow is allowed.
ALLOWED = {
    "petra/__init__.py": "",
    "petra/v1/__init__.py": "",
    "petra/v1/storage_pb2_grpc.py": "import grpc",
    "petra/v1/storage_pb2.py": "",
    "petra/_transport/__init__.py": "import petra.v1.storage_pb2",
    "petra/client.py": "import petra._transport",
    "petra/datastore/__init__.py": "import petra.client",
    "petra/datamodel/__init__.py": "import petra.datastore",
    "petra/sync/__init__.py": "",
    "petra/sync/client.py": "import petra._transport",
    "petra/sync/datamodel/__init__.py": "import petra.datamodel\nimport petra.sync.client",
    "petra/testing/__init__.py": "import petra.client\nimport petra_server.app",
    "petra/pytest_plugin.py": "import petra.client\nimport petra.testing",
    "petra_server/__init__.py": "",
    "petra_server/cli.py": "import petra_server.app",
    "petra_server/app.py": "import grpc\nimport petra_server.rpc.storage",
    "petra_server/http/__init__.py": "",
    "petra_server/http/routes.py": "import starlette\nimport petra_server.intake.checks",
    "petra_server/intake/__init__.py": "",
    "petra_server/intake/checks.py": "import petra_server.actor.actor",
    "petra_server/rpc/__init__.py": "",
    "petra_server/rpc/storage.py": "import grpc\nimport petra.v1.storage_pb2_grpc\nimport petra_server.actor.actor",
    "petra_server/actor/__init__.py": "",
    "petra_server/actor/actor.py": "import petra_server.storage.engine\nimport petra_server.sql.database",
    "petra_server/sql/__init__.py": "",
    "petra_server/sql/database.py": "import apsw\nimport petra_server.storage.keys",
    "petra_server/storage/__init__.py": "",
    "petra_server/storage/engine.py": "import rocksdict\nimport petra_server.errors",
    "petra_server/storage/cache.py": "import petra_server.clock",
    "petra_server/storage/keys.py": "",
    "petra_server/errors.py": "",
    "petra_server/clock.py": "",
}

# One import too many in a module of it, and the contract that is then broken.
FORBIDDEN = [
    ("petra_server/errors.py", "import petra_server.storage.engine", "server-layers"),
    ("petra_server/storage/cache.py", "import petra_server.actor.actor", "server-layers"),
    ("petra_server/actor/actor.py", "import petra_server.rpc.storage", "server-layers"),
    ("petra_server/rpc/storage.py", "import petra_server.app", "server-layers"),
    ("petra_server/everything.py", "", "server-layers"),
    ("petra/_transport/__init__.py", "import petra.client", "client-layers"),
    ("petra/client.py", "import petra.datastore", "client-layers"),
    ("petra/datastore/__init__.py", "import petra.datamodel", "client-layers"),
    ("petra/sync/client.py", "import petra.sync.datamodel", "client-layers"),
    ("petra/client.py", "import petra.testing", "client-layers"),
    ("petra/testing/__init__.py", "import petra.pytest_plugin", "client-layers"),
    ("petra_server/storage/cache.py", "import rocksdict", "rocksdict"),
    ("petra_server/rpc/storage.py", "from rocksdict import Rdict", "rocksdict"),
    ("petra_server/actor/actor.py", "import apsw", "apsw"),
    ("petra_server/storage/engine.py", "from apsw import Connection", "apsw"),
    ("petra_server/sql/database.py", "import petra_server.actor.actor", "server-layers"),
    ("petra_server/storage/cache.py", "import petra_server.sql.database", "server-layers"),
    ("petra_server/actor/actor.py", "import grpc", "grpc"),
    ("petra_server/cli.py", "from grpc_health.v1 import health", "grpc"),
    ("petra_server/http/routes.py", "import grpc", "grpc"),
    ("petra_server/http/routes.py", "import petra_server.rpc.storage", "server-layers"),
    ("petra_server/app.py", "import uvicorn", "http"),
    ("petra/client.py", "from grpc import aio", "grpc"),
    ("petra/_transport/__init__.py", "import grpc", "grpc"),
    ("petra_server/rpc/storage.py", "import petra.client", "server-without-client"),
    ("petra_server/rpc/storage.py", "from petra._transport import channel", "server-without-client"),
    ("petra/client.py", "import petra_server.errors", "client-without-server"),
]


def lint(sources: list[Path], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the project's contracts over the packages that `sources` hold, in `folder`."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()"]
    options = ["--config", str(ROOT / "pyproject.toml"), "--no-cache", "--no-logo", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sources))}
    return subprocess.run(command + options, cwd=folder, env=environment, capture_output=True, text=True)


def write(folder: Path, tree: dict[str, str]) -> None:
    for name, text in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


def test_the_arrows_are_kept(tmp_path: Path) -> None:
    result = lint(SOURCES, tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_tree_with_the_allowed_arrows_passes(tmp_path: Path) -> None:
    write(tmp_path, ALLOWED)
    result = lint([tmp_path], tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(("module", "line", "contract"), FORBIDDEN)
def test_a_forbidden_arrow_breaks_its_contract(tmp_path: Path, module: str, line: str, contract: str) -> None:
    write(tmp_path, ALLOWED | {module: f"{ALLOWED.get(module, '')}\n{line}"})
    result = lint([tmp_path], tmp_path, "--contract", contract)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "BROKEN" in result.stdout, result.stdout + result.stderr
