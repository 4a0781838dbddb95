"""Checkpoints and long-term memory of LangGraph. Needs `pip install "petra[langgraph]"`."""

from __future__ import annotations

from petra.integrations.langgraph.saver import PetraSaver
from petra.integrations.langgraph.store import PetraStore

__all__ = ["PetraSaver", "PetraStore"]
