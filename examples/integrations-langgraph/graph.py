"""A graph that writes an article in steps, and goes on where it was when its process or the server was killed.

pip install "petra[langgraph]" langgraph; then PETRA_ADDRESS=localhost:7475 python graph.py "the history of rocks"
"""

from __future__ import annotations

import operator
import os
import sys
from collections.abc import Callable
from typing import Annotated, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from petra.integrations.langgraph import PetraSaver

CHAPTERS = ("outline", "research", "draft", "review")


class Article(TypedDict):
    """What the graph works on."""

    topic: str
    chapters: Annotated[list[str], operator.add]


def build(
    saver: BaseCheckpointSaver[str], work: Callable[[str, str], str] = lambda chapter, topic: f"{chapter} of {topic}"
) -> CompiledStateGraph[Article, None, Article, Article]:
    """The graph. `work` writes one chapter on a topic; in a real program it would ask a model."""
    builder = StateGraph(Article)
    for before, chapter in zip((START, *CHAPTERS), CHAPTERS, strict=False):
        builder.add_node(chapter, lambda article, chapter=chapter: {"chapters": [work(chapter, article["topic"])]})
        builder.add_edge(before, chapter)
    builder.add_edge(CHAPTERS[-1], END)
    return builder.compile(checkpointer=saver)


def main(topic: str) -> None:
    """Begins an article, or goes on with it."""
    with PetraSaver(os.environ.get("PETRA_ADDRESS", "localhost:7475")) as saver:
        graph = build(saver)
        config: RunnableConfig = {"configurable": {"thread_id": topic}}
        begun = graph.get_state(config).next
        start: Article = {"topic": topic, "chapters": []}
        article = graph.invoke(None if begun else start, config)
        print("\n".join(article["chapters"]))


if __name__ == "__main__":
    main(sys.argv[1])
