"""The checkpointer of LangGraph: the conformance suite, and what it does not ask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from importlib import import_module
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, empty_checkpoint
from langgraph.checkpoint.conformance.capabilities import Capability

from petra import Client
from petra.errors import InvalidArgument
from petra.integrations.langgraph import PetraSaver
from petra.integrations.langgraph.records import PIECE_BYTES
from petra.testing import TestServer

Test = Callable[[PetraSaver], Awaitable[None]]


def of_capability(capability: Capability) -> list[Test]:
    module = import_module(f"langgraph.checkpoint.conformance.spec.test_{capability.value}")
    tests: list[Test] = getattr(module, f"ALL_{capability.value.upper()}_TESTS")
    return tests


CONFORMANCE = [test for each in Capability for test in of_capability(each)]


@pytest.fixture
def saver(location: str) -> Iterator[PetraSaver]:
    with PetraSaver(location) as saver:
        yield saver


def config(thread: str = "thread", **more: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": "", **more}}


def put(saver: PetraSaver, parent: RunnableConfig, values: dict[str, Any], *, run_id: str = "run") -> RunnableConfig:
    """A checkpoint after `parent`, in which all these channels have new values."""
    before = saver.get_tuple(parent)
    versions = dict(before.checkpoint["channel_versions"]) if before else {}
    # Versions of this saver are texts.
    new: ChannelVersions = {
        channel: saver.get_next_version(str(versions.get(channel) or 0), None) for channel in values
    }
    checkpoint: Checkpoint = {**empty_checkpoint(), "channel_values": values, "channel_versions": versions | new}
    return saver.put(parent, checkpoint, {"source": "loop", "run_id": run_id}, new)


def values_of(saver: PetraSaver, of: RunnableConfig) -> dict[str, Any]:
    found = saver.get_tuple(of)
    assert found is not None
    return found.checkpoint["channel_values"]


@pytest.mark.parametrize("test", CONFORMANCE, ids=lambda test: test.__name__)
async def test_conformance(test: Test, location: str) -> None:
    async with PetraSaver(location) as saver:
        await test(saver)


def test_what_threads_write_coroutines_read(saver: PetraSaver) -> None:
    stored = put(saver, config(), {"messages": ["hello"]})
    saver.put_writes(stored, [("messages", "again"), ("__error__", "no")], "task", "path")

    async def read() -> None:
        found = await saver.aget_tuple(config())
        assert found == saver.get_tuple(stored)
        assert [each async for each in saver.alist(config())] == list(saver.list(config())) == [found]
        await saver.aclose()

    asyncio.run(read())


def test_a_value_of_any_size_comes_back(saver: PetraSaver, location: str, server: TestServer) -> None:
    large = bytes(range(256)) * (3 * PIECE_BYTES // 256)
    stored = put(saver, config(), {"document": large, "title": "rocks"})
    saver.put_writes(stored, [("document", large)], "task")
    saver.put_writes(stored, [("document", large + large)], "task")
    found = saver.get_tuple(config())
    assert found is not None
    assert found.checkpoint["channel_values"] == {"document": large, "title": "rocks"}
    assert found.pending_writes == [("task", "document", large)]
    with Client(server.address, namespace=location.rpartition("=")[2]) as client:
        # Of the second write, which came too late, nothing is kept. The first is a bit longer than three pieces.
        assert len(list(client.object("thread").list_keys(prefix="w/"))) == 4
    newest = put(saver, stored, {"title": "stones"})
    assert values_of(saver, config()) == {"document": large, "title": "stones"}
    assert [each.config for each in saver.list(config())] == [newest, stored]


def test_writes_come_in_the_order_of_their_tasks(saver: PetraSaver) -> None:
    stored = put(saver, config(), {})
    for task, path in (("a", "2"), ("b", "1"), ("c", "")):
        saver.put_writes(stored, [(f"{task}{number}", number) for number in range(11)], task, path)
    found = saver.get_tuple(config())
    assert found is not None
    assert [write[1] for write in found.pending_writes or ()] == [f"{task}{n}" for task in "cba" for n in range(11)]


def test_names_may_have_any_characters(saver: PetraSaver) -> None:
    namespaces = ["", "a", "a/b", "a|b:1", "ä +\0"]
    for namespace in namespaces:
        where = config("thr/ead", checkpoint_ns=namespace)
        stored = put(saver, where, {"cha/nnel": namespace})
        saver.put_writes(stored, [("cha/nnel", namespace)], "ta/sk")
    for namespace in namespaces:
        found = saver.get_tuple(config("thr/ead", checkpoint_ns=namespace))
        assert found is not None
        assert found.checkpoint["channel_values"] == {"cha/nnel": namespace}
        assert found.pending_writes == [("ta/sk", "cha/nnel", namespace)]
    everything = saver.list({"configurable": {"thread_id": "thr/ead"}})
    assert sorted(each.config["configurable"]["checkpoint_ns"] for each in everything) == sorted(namespaces)


def test_a_listing_without_a_thread_is_about_all(saver: PetraSaver) -> None:
    for thread in ("one", "two"):
        put(saver, put(saver, config(thread), {}, run_id="first"), {}, run_id="second")
    threads = [each.config["configurable"]["thread_id"] for each in saver.list(None)]
    assert threads == ["one", "one", "two", "two"]
    assert len(list(saver.list(None, filter={"run_id": "first"}))) == 2
    assert len(list(saver.list(None, limit=3))) == 3


def test_pruning_keeps_what_the_newest_checkpoint_needs_and_no_more(
    saver: PetraSaver, location: str, server: TestServer
) -> None:
    first = put(saver, config(), {"old": "o", "shared": "s"})
    newest = put(saver, put(saver, first, {"old": "p"}), {"old": "q"})
    saver.put_writes(first, [("old", 1)], "task")
    saver.prune(["thread"])
    assert [each.config for each in saver.list(config())] == [newest]
    assert values_of(saver, newest) == {"old": "q", "shared": "s"}
    with Client(server.address, namespace=location.rpartition("=")[2]) as client:
        assert sorted(key[0] for key in client.object("thread").list_keys()) == ["b", "b", "c"]
        saver.prune(["thread"], strategy="delete")
        assert list(client.objects()) == []


def test_pruning_keeps_what_a_channel_of_changes_is_rebuilt_from(saver: PetraSaver) -> None:
    """Such a channel has a value in some checkpoints only; the writes since then make the present one."""
    too_old = put(saver, config(), {"log": ["a"], "title": "t"})
    snapshot = put(saver, too_old, {"log": ["a", "b"]})
    saver.put_writes(snapshot, [("log", "c")], "task")
    counters = {"counters_since_delta_snapshot": {"log": (1, 1)}}
    before = saver.get_tuple(snapshot)
    assert before is not None
    versions = before.checkpoint["channel_versions"] | {"log": saver.get_next_version("9", None)}
    checkpoint: Checkpoint = {**empty_checkpoint(), "channel_versions": versions}
    newest = saver.put(snapshot, checkpoint, {"source": "loop", **counters}, {"log": versions["log"]})  # type: ignore[typeddict-item]
    wanted = saver.get_delta_channel_history(config=newest, channels=["log"])
    assert wanted == {"log": {"writes": [("task", "log", "c")], "seed": ["a", "b"]}}
    saver.prune(["thread"])
    assert [each.config for each in saver.list(config())] == [newest, snapshot]
    assert saver.get_delta_channel_history(config=newest, channels=["log"]) == wanted


def test_forks_of_a_thread_have_values_of_their_own(saver: PetraSaver) -> None:
    root = put(saver, config(), {"title": "root"})
    left, right = (put(saver, root, {"title": side}) for side in ("left", "right"))
    assert values_of(saver, left) == {"title": "left"}
    assert values_of(saver, right) == {"title": "right"}


def test_deleting_a_run_leaves_the_values_that_others_have(saver: PetraSaver) -> None:
    first = put(saver, config(), {"title": "t", "old": 1}, run_id="first")
    second = put(saver, first, {"old": 2}, run_id="second")
    saver.delete_for_runs(["first"])
    assert [each.config for each in saver.list(config())] == [second]
    assert values_of(saver, config()) == {"title": "t", "old": 2}


def test_a_copy_lives_on_its_own(saver: PetraSaver) -> None:
    stored = put(saver, config("source"), {"document": b"x" * (2 * PIECE_BYTES)})
    saver.copy_thread("source", "target")
    saver.delete_thread("source")
    assert saver.get_tuple(stored) is None
    assert values_of(saver, config("target")) == {"document": b"x" * (2 * PIECE_BYTES)}


def test_an_unknown_strategy_is_refused(saver: PetraSaver) -> None:
    with pytest.raises(InvalidArgument, match="keep_latest or delete"):
        saver.prune([uuid4().hex], strategy="keep_all")
