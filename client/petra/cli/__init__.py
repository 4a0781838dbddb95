"""The `petra` command. Its subcommands are found through the entry-point group `petra.commands`."""

from __future__ import annotations

from petra.cli.group import main, petra

__all__ = ["main", "petra"]
