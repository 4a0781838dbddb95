"""The long-term memory of LangGraph. Each behaviour is that of both ways to call it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langgraph.store.base import GetOp, ListNamespacesOp, MatchCondition, Op, PutOp, SearchOp

from petra.integrations.langgraph import PetraStore
from petra.testing import TestServer

Batch = Callable[[list[Op]], list[Any]]

ANN = ("users", "ann")


@pytest.fixture(params=["threads", "asyncio"])
def batch(request: pytest.FixtureRequest, location: str) -> Iterator[Batch]:
    """Does operations in either way."""
    with asyncio.Runner() as runner:
        store = PetraStore(location)
        yield store.batch if request.param == "threads" else lambda ops: runner.run(store.abatch(ops))
        runner.run(store.aclose())


def found(batch: Batch, *namespace: str, **options: Any) -> list[str]:  # noqa: ANN401 - those of SearchOp
    (items,) = batch([SearchOp(namespace, **options)])
    return ["/".join((*item.namespace, item.key)) for item in items]


def test_an_item_keeps_when_it_was_made(batch: Batch) -> None:
    batch([PutOp(ANN, "theme", {"dark": True})])
    (first,) = batch([GetOp(ANN, "theme")])
    _, (second) = batch([PutOp(ANN, "theme", {"dark": False}), GetOp(ANN, "theme")])
    assert (first.value, second.value) == ({"dark": True}, {"dark": False})
    assert (second.namespace, second.key) == (ANN, "theme")
    assert second.created_at == first.created_at
    assert second.updated_at > first.updated_at
    assert batch([PutOp(ANN, "theme", None), GetOp(ANN, "theme")]) == [None, None]


def test_a_search_sees_a_namespace_and_those_below_it(batch: Batch) -> None:
    for labels in (("a",), ("a", "b"), ("ab",), ("ö/", "b")):
        batch([PutOp(labels, "k/1", {"n": 1}), PutOp(labels, "k2", {"n": 2})])
    assert found(batch, "a") == ["a/k/1", "a/k2", "a/b/k/1", "a/b/k2"]
    assert found(batch, "ö/") == ["ö//b/k/1", "ö//b/k2"]
    assert len(found(batch)) == 8
    assert found(batch, limit=2, offset=1) == found(batch)[1:3]


@pytest.mark.parametrize(
    ("wanted", "keys"),
    [
        ({"n": 2}, "b"),
        ({"n": {"$gt": 1}}, "bc"),
        ({"n": {"$gte": 1, "$lt": 3}}, "ab"),
        ({"n": {"$ne": 2}}, "acd"),
        ({"n": {"$lte": 0}}, ""),
        ({"who": {"name": "ann"}}, "d"),
    ],
)
def test_a_search_by_fields(batch: Batch, wanted: dict[str, Any], keys: str) -> None:
    values: dict[str, dict[str, Any]] = {"a": {"n": 1}, "b": {"n": 2}, "c": {"n": 3}, "d": {"who": {"name": "ann"}}}
    batch([PutOp(("f",), key, value) for key, value in values.items()])
    assert found(batch, "f", filter=wanted) == [f"f/{key}" for key in keys]


def test_an_unknown_operator_is_refused(batch: Batch) -> None:
    batch([PutOp(("f",), "a", {"n": 1})])
    with pytest.raises(ValueError, match=r"\$near is no operator"):
        found(batch, "f", filter={"n": {"$near": 1}})


def test_namespaces_are_listed(batch: Batch) -> None:
    for labels in (("a", "b", "c"), ("a", "b", "d"), ("x", "c"), ("a",)):
        batch([PutOp(labels, "key", {})])

    def listed(*conditions: MatchCondition, **options: int) -> list[tuple[str, ...]]:
        (labels,) = batch([ListNamespacesOp(match_conditions=conditions, **options)])
        assert isinstance(labels, list)
        return labels

    assert listed() == [("a",), ("a", "b", "c"), ("a", "b", "d"), ("x", "c")]
    assert listed(MatchCondition("suffix", ("c",))) == [("a", "b", "c"), ("x", "c")]
    assert listed(MatchCondition("prefix", ("a", "*")), max_depth=2) == [("a", "b")]
    assert listed(limit=1, offset=3) == [("x", "c")]


def test_items_expire_unless_they_are_read(batch: Batch, server: TestServer) -> None:
    batch([PutOp(ANN, key, {}, ttl=1) for key in ("read", "seen", "searched")])
    server.clock.advance(40)
    batch([GetOp(ANN, "read", refresh_ttl=True), GetOp(ANN, "seen", refresh_ttl=False)])
    batch([SearchOp(ANN, filter=None, limit=1, offset=1, refresh_ttl=True)])
    server.clock.advance(40)
    assert found(batch, *ANN, refresh_ttl=False) == ["users/ann/read", "users/ann/searched"]


def test_an_item_without_a_ttl_loses_the_one_it_had(batch: Batch, server: TestServer) -> None:
    batch([PutOp(ANN, "theme", {}, ttl=1), PutOp(ANN, "theme", {})])
    server.clock.advance(61)
    assert found(batch, *ANN) == ["users/ann/theme"]


def test_the_usual_ttl_is_that_of_the_store(location: str, server: TestServer) -> None:
    with PetraStore(location, ttl={"default_ttl": 1, "refresh_on_read": False}) as store:
        store.put(ANN, "usual", {"n": 1})
        store.put(ANN, "long", {"n": 1}, ttl=60)
        server.clock.advance(59)
        assert store.get(ANN, "usual") is not None
        server.clock.advance(1)
        assert [item.key for item in store.search(ANN)] == ["long"]


def test_two_who_put_at_the_same_time_both_have_put(location: str) -> None:
    async def put() -> None:
        async with PetraStore(location) as store:
            await asyncio.gather(*(store.aput(ANN, "n", {"n": number}) for number in range(20)))
            (item,) = await store.asearch(ANN)
            assert item.value["n"] in range(20)
            # All but one of them saw that there was an item before.
            assert item.created_at < item.updated_at

    asyncio.run(put())
