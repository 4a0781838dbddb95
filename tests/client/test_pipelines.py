"""Explicit pipelines, with both trees of the client."""

from __future__ import annotations

from typing import Any

import pytest

from petra import AsyncClient, AsyncPipeline, Entry, Throttled
from petra.errors import InvalidArgument, NotAnInteger, VersionConflict
from petra.objects import AsyncEntries
from petra.testing import TestServer


@pytest.fixture(params=["flat", "object"])
def entries(request: pytest.FixtureRequest, client: AsyncClient) -> AsyncEntries:
    return client if request.param == "flat" else client.object("room")


async def test_every_operation_answers_in_its_place(entries: AsyncEntries, server: TestServer) -> None:
    await entries.set_many({"a": 1, "b": 2, "gone": 3})
    pipeline = entries.pipeline()
    recorded = [
        pipeline.get("a"),
        pipeline.get("absent", "default"),
        pipeline.get_entry("absent"),
        pipeline.get_many(["b", "absent", "a"]),
        pipeline.set("a", 10, ttl=60),
        pipeline.set_many({"c": 3, "d": 4}),
        pipeline.delete("gone"),
        pipeline.delete("gone"),
        pipeline.increment("n", 5, initial=1),
        pipeline.touch("b", 60),
        pipeline.touch("absent", None),
        pipeline.throttle("limit", 1, 60),
        pipeline.throttle("limit", 1, 60),
        pipeline.delete_many(["c", "absent"]),
        pipeline.get_entries(["a"]),
        pipeline.clear(prefix="d"),
    ]
    assert len(pipeline) == len(recorded)
    results = await pipeline.execute()
    assert len(pipeline) == 0
    assert [deferred.result() for deferred in recorded] == results
    version = results[4]
    assert results[:4] == [1, "default", None, {"b": 2, "a": 1}]
    assert list(results[5]) == ["c", "d"]
    assert results[6:11] == [True, False, 6, True, False]
    assert isinstance(results[11], Throttled)
    assert [bool(results[11]), bool(results[12])] == [True, False]
    assert results[13] == 1
    entry = results[14]["a"]
    assert isinstance(entry, Entry)
    assert (entry.value, entry.version) == (10, version)
    assert results[15] == 1


async def test_errors_stand_in_their_places_and_stop_nothing(entries: AsyncEntries) -> None:
    await entries.set("text", "text")
    pipeline = entries.pipeline()
    first = pipeline.set("a", 1, if_version=99)
    pipeline.set("a", 2)
    second = pipeline.increment("text")
    pipeline.get("")
    pipeline.get("a")
    results = await pipeline.execute()
    assert [type(result) for result in results] == [VersionConflict, int, NotAnInteger, InvalidArgument, int]
    assert results[4] == 2
    with pytest.raises(VersionConflict) as caught:
        first.result()
    assert caught.value is results[0]
    with pytest.raises(NotAnInteger):
        second.result()


async def test_operations_on_one_key_are_done_in_their_order(entries: AsyncEntries) -> None:
    pipeline = entries.pipeline()
    for number in range(2_000):
        pipeline.increment("n")
        if not number % 100:
            pipeline.get("n")
    results = await pipeline.execute(timeout=60)
    expected: list[int] = []
    for number in range(2_000):
        expected += [number + 1] * (1 if number % 100 else 2)
    assert results == expected


async def test_it_can_be_used_again(entries: AsyncEntries) -> None:
    pipeline: AsyncPipeline = entries.pipeline()
    assert await pipeline.execute() == []
    recorded = pipeline.increment("n")
    assert await pipeline.execute() == [1]
    assert await pipeline.execute() == []
    again = pipeline.increment("n")
    with pytest.raises(RuntimeError, match="recorded"):
        again.result()
    assert await pipeline.execute() == [2]
    assert (recorded.result(), again.result()) == (1, 2)


async def test_what_can_never_work_is_refused_when_it_is_recorded(entries: AsyncEntries) -> None:
    pipeline = entries.pipeline()
    pipeline.set("a", 1)
    bad: list[Any] = [
        lambda: pipeline.set("k", {1}),
        lambda: pipeline.get_many("key"),
        lambda: pipeline.increment("k", 1.5),  # type: ignore[arg-type]
        lambda: pipeline.set("k\ud800", 1),
        lambda: pipeline.throttle("k", 1, 0),
    ]
    for record in bad:
        with pytest.raises(InvalidArgument):
            record()
    assert len(pipeline) == 1
    assert len(await pipeline.execute()) == 1


async def test_nothing_is_sent_before_it_is_executed(entries: AsyncEntries) -> None:
    pipeline = entries.pipeline()
    pipeline.set("a", 1)
    assert await entries.get("a") is None
    await pipeline.execute()
    assert await entries.get("a") == 1


async def test_bulk_operations_beyond_one_request(client: AsyncClient) -> None:
    keys = [f"key-{number}" for number in range(2_500)]
    pipeline = client.pipeline()
    pipeline.set_many(dict.fromkeys(keys, 1))
    pipeline.get_many(keys)
    pipeline.delete_many(keys)
    versions, values, deleted = await pipeline.execute(timeout=60)
    assert isinstance(versions, dict)
    assert list(versions) == keys
    assert values == dict.fromkeys(keys, 1)
    assert deleted == len(keys)
