"""Packages of npm beside the tests that need them: what a folder's package-lock.json says, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

INSTALL_TIMEOUT_S = 300


def node_with_packages(folder: Path) -> str:
    """The path of Node, with the packages of the folder installed. Skips the test where that cannot be."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("this needs Node 18 or newer with npm: install it from your system or nodejs.org")
    lock = folder / "package-lock.json"
    # npm's own record of what it installed, newer than the lock when that is current.
    installed = folder / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        result = subprocess.run(
            [npm, "ci", "--no-audit", "--no-fund"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT_S,
        )
        if result.returncode != 0:
            pytest.skip(f"npm ci cannot install the packages of {folder.name}, it needs a registry: {result.stderr}")
    return node
