"""A store of 10 million keys: how long it takes to open, what memory it needs, how fast it reads, and after a crash."""

from __future__ import annotations

from bench.large.run import Options, measure

__all__ = ["Options", "measure"]
