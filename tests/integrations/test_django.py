"""Django's cache and sessions on a real server. Django's own tests for them run in `make integrations`."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib.sessions.backends.base import UpdateError
from django.core.cache import caches
from django.test import override_settings

from petra import Client
from petra.errors import InvalidArgument
from petra.testing import TestServer
from tests.support.ports import free_port

if not settings.configured:
    settings.configure(SECRET_KEY="of these tests", USE_TZ=True)

# They look at the settings.
from petra.integrations.django.cache import PetraCache
from petra.integrations.django.sessions import SessionStore

SHOP = Path(__file__).parents[2] / "examples" / "integrations-django" / "shop.py"


@contextmanager
def shop(address: str) -> Iterator[str]:
    """The shop of the examples in a process of its own, which is killed in the end; and where it is."""
    command = [sys.executable, "-u", str(SHOP), "runserver", "--noreload", f"127.0.0.1:{free_port()}"]
    environment = {**os.environ, "PETRA_ADDRESS": address}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        assert run.stdout is not None
        lines: list[str] = []
        for line in run.stdout:
            lines.append(line)
            if found := re.search(r"server at (http://\S+?)/?$", line):
                break
        else:
            raise AssertionError("".join(lines))
        try:
            yield found[1]
        finally:
            run.kill()


def ask(url: str, cookie: str, **form: str) -> tuple[Any, str]:
    """What the shop answers, and the cookie that it gives: a form is posted."""
    request = Request(url, data=urlencode(form).encode() if form else None, headers={"Cookie": cookie})
    with urlopen(request, timeout=30) as answer:
        return json.load(answer), str(answer.headers.get("Set-Cookie", cookie)).partition(";")[0]


@pytest.fixture
def namespace() -> str:
    return uuid4().hex


@pytest.fixture
def cache(location: str) -> PetraCache:
    return PetraCache(location, {})


@pytest.fixture
def client(server: TestServer, location: str) -> Iterator[Client]:
    """What another program sees of it."""
    with Client(server.address, namespace=location.rpartition("=")[2]) as client:
        yield client


@pytest.fixture
def sessions(location: str) -> Iterator[str]:
    """The place of the sessions."""
    with override_settings(SESSION_PETRA_LOCATION=location):
        yield location


def test_settings_name_the_cache(location: str) -> None:
    backend = {"BACKEND": "petra.integrations.django.cache.PetraCache", "LOCATION": location, "TIMEOUT": None}
    with override_settings(CACHES={"default": backend, "other": backend | {"KEY_PREFIX": "other"}}):
        caches["default"].set("key", {"any": object}, version=3)
        assert caches["default"].get("key", version=3) == {"any": object}
        assert caches["other"].get("key", version=3) is None


def test_options_say_where_the_server_is_and_others_are_refused(server: TestServer, namespace: str) -> None:
    options = {"namespace": namespace, "durability": "fsync", "MAX_ENTRIES": 5}
    PetraCache(server.address, {"OPTIONS": options}).set("key", 1)
    assert PetraCache(f"petra://{server.address}/?namespace={namespace}", {}).get("key") == 1
    with pytest.raises(InvalidArgument, match="'db' is no option"):
        PetraCache(server.address, {"OPTIONS": {"db": 1}})


def test_values_expire_on_the_server(cache: PetraCache, server: TestServer) -> None:
    cache.set("usual", 1)
    cache.set_many({"short": 1, "touched": 1}, timeout=1.5)
    cache.set("eternal", 1, timeout=None)
    assert cache.add("added", 1, timeout=1.5)
    assert cache.touch("touched", 300)
    server.clock.advance(1.499)
    assert len(cache.get_many(["usual", "short", "touched", "eternal", "added"])) == 5
    server.clock.advance(0.001)
    assert sorted(cache.get_many(["usual", "short", "touched", "eternal", "added"])) == ["eternal", "touched", "usual"]
    server.clock.advance(300)
    assert cache.has_key("eternal")
    assert not cache.has_key("usual")


@pytest.mark.parametrize("timeout", [0, -1])
def test_what_is_over_at_once_is_not_stored(cache: PetraCache, timeout: int) -> None:
    cache.set_many({"set": 1, "many": 1, "touched": 1})
    cache.set("set", 2, timeout=timeout)
    cache.set_many({"many": 2}, timeout=timeout)
    assert cache.touch("touched", timeout)
    assert cache.add("added", 1, timeout=timeout)
    assert cache.get_many(["set", "many", "touched", "added"]) == {}


def test_one_of_many_threads_adds(cache: PetraCache) -> None:
    with ThreadPoolExecutor(16) as pool:
        added = list(pool.map(lambda number: cache.add("key", number), range(32)))
    assert added.count(True) == 1
    assert cache.get("key") == added.index(True)


def test_threads_count_exactly_and_the_timeout_stays(cache: PetraCache, server: TestServer) -> None:
    cache.set("key", 0, timeout=60)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: cache.incr("key", 2), range(40)))
    assert cache.decr("key", 30) == 50
    server.clock.advance(60)
    with pytest.raises(ValueError, match="'key' not found"):
        cache.incr("key")
    assert cache.get("key") is None


@pytest.mark.parametrize("value", [True, None, 2**70, -(2**63), 1.5, "text", b"bytes", [object], ""])
def test_any_value_comes_back_as_it_was(cache: PetraCache, value: object) -> None:
    cache.set("key", value)
    found = cache.get("key", "default")
    assert (type(found), found) == (type(value), value)


def test_other_programs_can_read_numbers(cache: PetraCache, client: Client) -> None:
    cache.set_many({"number": 5, "list": [5]})
    assert client.get(":1:number") == 5
    assert pickle.loads(client.get(":1:list")) == [5]


def test_keys_may_be_of_any_length(cache: PetraCache) -> None:
    with pytest.warns(RuntimeWarning, match="longer than 250"):
        cache.set_many({"x" * 3_000 + "a": 1, "x" * 3_000 + "b": 2})
    with pytest.warns(RuntimeWarning, match="longer than 250"):
        assert cache.get("x" * 3_000 + "b") == 2


def test_coroutines_have_the_same_cache(cache: PetraCache) -> None:
    async def use() -> None:
        await cache.aset("key", [1])
        assert await cache.aget("key") == [1]
        assert await cache.aget_many(["key", "other"]) == {"key": [1]}

    asyncio.run(use())


def test_a_session_is_found_again_until_it_expires(sessions: str, server: TestServer) -> None:
    session = SessionStore()
    session["cart"] = ["opal"]
    session.set_expiry(60)
    session.save()
    server.clock.advance(59)
    assert dict(SessionStore(session.session_key).items()) == {"cart": ["opal"], "_session_expiry": 60}
    server.clock.advance(1)
    again = SessionStore(session.session_key)
    assert again.get("cart") is None
    assert again.session_key is None


def test_a_logout_is_not_undone_by_a_request_that_was_under_way(sessions: str) -> None:
    session = SessionStore()
    session.create()
    slow = SessionStore(session.session_key)
    slow["name"] = "ann"
    session.flush()
    with pytest.raises(UpdateError):
        slow.save()
    assert not SessionStore().exists(str(slow.session_key))


def test_requests_that_save_at_the_same_time_all_succeed(sessions: str) -> None:
    session = SessionStore()
    session.create()

    def save(number: int) -> None:
        each = SessionStore(session.session_key)
        each["number"] = number
        each.save()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(save, range(24)))
    assert SessionStore(session.session_key)["number"] in range(24)


def test_the_storage_tells_nobody_the_session_keys(sessions: str, client: Client) -> None:
    session = SessionStore()
    session["name"] = "ann"
    session.create()
    (entry,) = client.list()
    assert entry.key == sha256(str(session.session_key).encode()).hexdigest()
    client.set(entry.key, "forged")
    assert dict(SessionStore(session.session_key).items()) == {}


def test_a_shop_keeps_its_carts_and_prices_over_a_restart(server: TestServer) -> None:
    """In processes of their own, as a real one: each is killed after two requests."""
    cookie = ""
    for round_ in (1, 2):
        with shop(server.address) as address:
            answer, cookie = ask(f"{address}/cart", cookie, name="opal")
            assert answer == {"cart": ["opal"] * round_, "total": 90 * round_}
            answer, _ = ask(f"{address}/articles/opal", cookie)
            assert answer == {"name": "opal", "price": 90, "views": round_}
