"""The backend of dogpile.cache on a real server. Its own tests for backends run in `make integrations`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from dogpile.cache import CacheRegion, make_region
from dogpile.cache.api import NO_VALUE

from petra import Client
from petra.errors import InvalidArgument
from petra.integrations.dogpile import PetraBackend, PetraMutex
from petra.testing import TestServer


def region(location: str, **arguments: Any) -> CacheRegion:  # noqa: ANN401 - those of the backend
    return make_region().configure("dogpile.cache.petra", arguments={"location": location, **arguments})


def get_multi(region: CacheRegion, keys: list[str]) -> list[Any]:
    values: list[Any] = region.get_multi(keys)  # type: ignore[no-untyped-call] # dogpile's
    return values


@pytest.fixture
def client(server: TestServer, petra_namespace: str) -> Iterator[Client]:
    with Client(server.address, namespace=petra_namespace) as client:
        yield client


def test_regions_of_one_place_have_the_same_values(location: str) -> None:
    one, other = region(location), region(location)
    one.set("key", {"any": object})
    one.set_multi({"a": 1, "x" * 3_000: 2})
    assert other.get("key") == {"any": object}
    assert get_multi(other, ["a", "b", "x" * 3_000]) == [1, NO_VALUE, 2]
    other.delete_multi(["a", "key"])
    assert one.get("key") is NO_VALUE


def test_a_value_is_made_once_by_all_processes(location: str) -> None:
    """Each region is as one process: it has a client of its own, and locks of its own."""
    regions = [region(location, distributed_lock=True) for _ in range(4)]
    begun, made = threading.Barrier(8), list[int]()

    def make() -> str:
        made.append(1)
        return "value"

    def get(number: int) -> Any:  # noqa: ANN401 - any value
        begun.wait(30)
        return regions[number % 4].get_or_create("key", make)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(get, range(8))) == ["value"] * 8
    assert made == [1]


def test_the_server_forgets_values(location: str, server: TestServer) -> None:
    here = region(location, expiration_time=60)
    here.set("key", "value")
    here.set_multi({"other": "value"})
    server.clock.advance(59)
    assert get_multi(here, ["key", "other"]) == ["value", "value"]
    server.clock.advance(1)
    assert get_multi(here, ["key", "other"]) == [NO_VALUE, NO_VALUE]


def test_a_lock_has_one_holder_at_a_time(client: Client) -> None:
    first, second = (PetraMutex(client, "lock", timeout=60) for _ in range(2))
    assert not first.locked()
    assert first.acquire()
    assert second.locked()
    assert not second.acquire(wait=False)
    second.release()
    assert first.locked()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(second.acquire)
        first.release()
        assert waiting.result(30)
    assert not first.acquire(wait=False)


def test_who_comes_too_late_releases_nobody_elses_lock(client: Client, server: TestServer) -> None:
    late, next_one = (PetraMutex(client, "lock", timeout=60) for _ in range(2))
    assert late.acquire()
    server.clock.advance(60)
    assert next_one.acquire(wait=False)
    late.release()
    assert next_one.locked()
    next_one.release()
    assert not next_one.locked()


def test_a_backend_without_the_lock_leaves_it_to_dogpile(location: str) -> None:
    assert PetraBackend({"location": location}).get_mutex("key") is None


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="location is a str"):
        PetraBackend({"location": 7475})
    with pytest.raises(InvalidArgument, match="durability"):
        PetraBackend({"durability": "none"})
