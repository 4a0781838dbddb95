"""A graph goes on from its checkpoint after the server was killed in the middle of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from langchain_core.runnables import RunnableConfig

from petra.errors import PetraError
from petra.integrations.langgraph import PetraSaver
from tests.support.server import ServerProcess

CHAPTERS = ["outline", "research", "draft", "review"]
CONFIG: RunnableConfig = {"configurable": {"thread_id": "rocks"}}


def test_a_graph_survives_a_kill_of_the_server(example: Callable[[str], ModuleType], tmp_path: Path) -> None:
    article, done = example("integrations-langgraph/graph.py"), list[str]()
    with ServerProcess(tmp_path / "data") as server:

        def work(chapter: str, topic: str) -> str:
            if chapter == "draft" and "draft" not in done:
                server.kill()
            done.append(chapter)
            return f"{chapter} of {topic}"

        with PetraSaver(f"petra://{server.address}/?timeout=1") as saver, pytest.raises(PetraError):
            article.build(saver, work).invoke({"topic": "rocks", "chapters": []}, CONFIG, durability="sync")
        assert done == ["outline", "research", "draft"]
        server.start()
        with PetraSaver(server.address) as saver:
            graph = article.build(saver, work)
            assert graph.get_state(CONFIG).next == ("draft",)
            finished = graph.invoke(None, CONFIG)
    # What was written of the draft was lost with the server, and no chapter before it was written again.
    assert done == ["outline", "research", "draft", "draft", "review"]
    assert finished["chapters"] == [f"{chapter} of rocks" for chapter in article.CHAPTERS]


async def test_a_graph_of_coroutines_goes_on_in_another_process(
    example: Callable[[str], ModuleType], location: str
) -> None:
    """A process that ends in the middle leaves what it has done; each saver is as one process."""
    article = example("integrations-langgraph/graph.py")

    def work(chapter: str, topic: str) -> str:
        if chapter == "review" and not ready:
            raise RuntimeError("the process ends")
        return chapter

    ready: list[bool] = []
    async with PetraSaver(location) as saver:
        with pytest.raises(RuntimeError, match="the process ends"):
            await article.build(saver, work).ainvoke({"topic": "rocks", "chapters": []}, CONFIG)
    ready.append(True)
    async with PetraSaver(location) as saver:
        graph = article.build(saver, work)
        assert (await graph.ainvoke(None, CONFIG))["chapters"] == CHAPTERS
        history = [state.values.get("chapters", []) async for state in graph.aget_state_history(CONFIG)]
    assert history == [CHAPTERS[:number] for number in range(4, -1, -1)] + [[]]
