"""The fixtures of petra.testing, as users meet them: small suites of theirs, each in a pytest of its own."""

from __future__ import annotations

import sys

import pytest

pytest_plugins = ["pytester"]

# As strict as a user's configuration can be. pytest-asyncio, where it is installed, wants to be configured.
CONFIGURATION = """
[pytest]
filterwarnings = error
addopts = --strict-config --strict-markers -p no:cacheprovider -p no:asyncio
"""
WITH_PYTEST_ASYNCIO = """
[pytest]
filterwarnings = error
addopts = --strict-config --strict-markers -p no:cacheprovider
asyncio_default_fixture_loop_scope = function
"""

PLAIN = """
import threading


def test_a_value_is_read_back(petra_client):
    petra_client.set("greeting", {"text": "hello"})
    assert petra_client.get("greeting") == {"text": "hello"}


def test_threads_share_the_client(petra_client):
    threads = [threading.Thread(target=petra_client.increment, args=("visits",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert petra_client.get("visits") == 8
"""

ISOLATION = """
import petra
import pytest


@pytest.mark.parametrize("times", [1, 2, 3], ids=["once", "twice", "näxt / " + 300 * "🦕"])
def test_each_test_begins_with_nothing(petra_client, petra_namespace, times):
    assert petra_client.name == petra_namespace
    assert list(petra_client.list_keys()) == list(petra_client.objects()) == []
    petra_client.object("room").set("key", times)
    assert petra_client.increment("key", times) == times


def test_namespaces_of_a_test_at_the_same_time(petra_server, petra_client):
    with petra.Client(petra_server.address) as other:
        other.set("key", "of the default namespace")
        petra_client.set("key", "of this test")
        assert other.get("key") == "of the default namespace"
        assert {"default", petra_client.name} < set(other.namespaces())


def test_both_clients_see_the_same(petra_client, petra_async_client, petra_namespace):
    assert petra_client.name == petra_async_client.name == petra_namespace
"""

CLOCK = """
from datetime import UTC, datetime, timedelta


def test_entries_expire_when_the_clock_says_so(petra_client, petra_server):
    petra_client.set("session", "alice", ttl=60)
    petra_client.object("room").set("session", "alice", ttl=timedelta(minutes=1))
    assert petra_client.get_entry("session").expires_at == petra_server.clock.now + timedelta(minutes=1)
    petra_server.clock.advance(59.999)
    assert petra_client.get("session") == petra_client.object("room").get("session") == "alice"
    petra_server.clock.advance(timedelta(milliseconds=1))
    assert petra_client.get("session") is petra_client.object("room").get("session") is None
    assert list(petra_client.list_keys()) == []


def test_a_rate_limit_recovers_when_the_clock_says_so(petra_client, petra_server):
    assert petra_client.throttle("login", 1, 60)
    denied = petra_client.throttle("login", 1, 60)
    assert not denied
    petra_server.clock.advance(denied.retry_after)
    assert petra_client.throttle("login", 1, 60)


def test_the_server_goes_by_the_clock(petra_server):
    assert petra_server.info().now == petra_server.clock.now
    petra_server.clock.advance(timedelta(days=365))
    assert petra_server.info().now == petra_server.clock.now > datetime.now(UTC) + timedelta(days=364)
"""

ASYNCIO = """
import asyncio
import gc


def test_asyncio_run(petra_async_client, petra_server):
    async def main():
        await petra_async_client.set("session", "alice", ttl=60)
        petra_server.clock.advance(30)
        assert await petra_async_client.get("session") == "alice"
        petra_server.clock.advance(30)
        return await petra_async_client.get("session", "gone")

    assert asyncio.run(main()) == "gone"


def test_more_than_one_loop(petra_async_client):
    async def count():
        return await petra_async_client.increment("loops")

    assert [asyncio.run(count()) for _ in range(3)] == [1, 2, 3]


def test_the_plain_client_within_a_loop(petra_client):
    async def main():
        return petra_client.increment("visits")

    assert asyncio.run(main()) == 1


def test_nothing_is_left_open():
    gc.collect()
"""

ANYIO = """
import anyio
import pytest

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=["asyncio"])
def anyio_backend(request):
    return request.param


@pytest.fixture
async def room(petra_async_client):
    room = petra_async_client.object("room")
    await room.set("visits", 1)
    return room


async def test_a_fixture_and_a_test_share_the_loop(room):
    assert await room.increment("visits") == 2


async def test_task_groups(petra_async_client):
    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(petra_async_client.increment, "visits")
    assert await petra_async_client.get("visits") == 50


async def test_each_test_begins_with_nothing(petra_async_client):
    assert [key async for key in petra_async_client.list_keys()] == []
"""

PYTEST_ASYNCIO = """
import pytest
import pytest_asyncio


@pytest_asyncio.fixture
async def room(petra_async_client):
    room = petra_async_client.object("room")
    await room.set("visits", 1)
    return room


@pytest.mark.asyncio
async def test_a_fixture_and_a_test_share_the_loop(room):
    assert await room.increment("visits") == 2


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("times", range(3))
async def test_a_loop_of_many_tests(petra_async_client, times):
    assert await petra_async_client.increment("visits") == 1
"""

RESTART = """
def test_a_restart_loses_connections_and_no_entries(petra_server, petra_client):
    petra_client.set("key", "value")
    version, address = petra_client.get_entry("key").version, petra_server.address
    petra_server.restart()
    assert petra_server.address == address
    assert petra_client.get("key") == "value"
    assert petra_client.set("key", "value") > version
"""

SETTINGS = """
import petra
import pytest
from petra.errors import InvalidArgument


@pytest.fixture(scope="session")
def petra_settings():
    return {"max_value_bytes": 100, "actors": 3}


def test_the_settings_are_those_of_the_server(petra_client, petra_server):
    assert petra_server.info().actors == 3
    with pytest.raises(InvalidArgument):
        petra_client.set("key", b"x" * 101)
"""

UNUSED = """
import sys


def test_nothing_is_loaded_for_those_who_do_not_use_it():
    loaded = {name for name in sys.modules if name.partition(".")[0] in {"google", "grpc", "petra_server", "rocksdict"}}
    loaded |= {name for name in sys.modules if name.startswith("petra.")}
    assert loaded == {"petra.pytest_plugin"}
"""

INCOMPLETE = """
import sys

# As where only `pip install petra` was done.
sys.modules["rocksdict"] = None
"""


# The records of an installation by which pytest finds what to rewrite. An editable one has no files of packages.
INSTALLED = {
    "METADATA": "Metadata-Version: 2.1\nName: petra-wheel\nVersion: 1.0\n",
    "RECORD": "petra/__init__.py,,\npetra_server/__init__.py,,\n",
    "entry_points.txt": "[pytest11]\nwheel = json\n",
}


def run(
    pytester: pytest.Pytester, suite: str, *arguments: str, conftest: str = "", configuration: str = CONFIGURATION
) -> pytest.RunResult:
    """Runs a suite in a process of its own."""
    pytester.makeini(configuration)
    pytester.makepyfile(test_suite=suite, conftest=conftest)
    return pytester.runpytest_subprocess(*arguments)


def test_suites_of_users_share_one_server(pytester: pytest.Pytester) -> None:
    pytester.makeini(CONFIGURATION)
    pytester.makepyfile(
        test_plain=PLAIN, test_isolation=ISOLATION, test_clock=CLOCK, test_asyncio=ASYNCIO, test_restart=RESTART
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=15)


def test_settings_can_be_given(pytester: pytest.Pytester) -> None:
    run(pytester, SETTINGS).assert_outcomes(passed=1)


def test_whoever_does_not_use_it_does_not_load_it(pytester: pytest.Pytester) -> None:
    run(pytester, UNUSED).assert_outcomes(passed=1)


def test_with_the_pytest_plugin_of_anyio(pytester: pytest.Pytester) -> None:
    pytest.importorskip("anyio")
    run(pytester, ANYIO).assert_outcomes(passed=3)


def test_with_pytest_asyncio(pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_asyncio")
    run(pytester, PYTEST_ASYNCIO, configuration=WITH_PYTEST_ASYNCIO).assert_outcomes(passed=4)


def test_without_the_packages_of_the_server_it_says_what_to_install(pytester: pytest.Pytester) -> None:
    result = run(pytester, PLAIN, conftest=INCOMPLETE)
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        ["*A test server needs rocksdict, which is not installed: pip install 'petra?server?'*"]
    )


def test_a_program_may_import_petra_before_it_runs_pytest(pytester: pytest.Pytester) -> None:
    record = pytester.mkdir("petra_wheel-1.0.dist-info")
    for name, text in INSTALLED.items():
        (record / name).write_text(text)
    pytester.makeini(CONFIGURATION)
    pytester.makepyfile(test_suite=PLAIN)
    program = "import sys, petra, petra_server, pytest; petra.Client(); sys.exit(pytest.main())"
    result = pytester.run(sys.executable, "-W", "error", "-c", program)
    assert result.ret == 0, result.stderr.str()
    result.assert_outcomes(passed=2)


def test_the_fixtures_are_explained(pytester: pytest.Pytester) -> None:
    result = run(pytester, UNUSED, "--fixtures")
    result.stdout.fnmatch_lines(
        ["petra_settings *", "petra_server *", "petra_namespace *", "petra_client *", "petra_async_client *"]
    )
