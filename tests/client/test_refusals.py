"""What the server refuses, as the exception for the caller: its class, what it carries, and nothing foreign in it."""

from __future__ import annotations

import pickle
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from petra import AsyncClient
from petra.errors import (
    DiskFull,
    FailedPrecondition,
    IntegerOverflow,
    InvalidArgument,
    NotAnInteger,
    NotAThrottle,
    PetraError,
    ResourceExhausted,
    VersionConflict,
)
from tests.support.inprocess import running_server

GIB = 1 << 30
Call = Callable[[AsyncClient], Awaitable[object]]


async def transact(client: AsyncClient) -> None:
    async def work(tx: Any) -> None:  # noqa: ANN401 - a transaction
        tx.set("other", 1)
        tx.increment("text")

    await client.object("room").transact(work)


REFUSED: list[tuple[str, Call, type[PetraError], str]] = [
    ("a version", lambda c: c.set("text", 1, if_version=99), VersionConflict, "VERSION_CONFLICT"),
    ("a deletion", lambda c: c.delete("text", if_version=99), VersionConflict, "VERSION_CONFLICT"),
    ("an addition", lambda c: c.increment("text"), NotAnInteger, "NOT_AN_INTEGER"),
    ("a sum", lambda c: c.increment("large", 2**62), IntegerOverflow, "INTEGER_OVERFLOW"),
    ("a rate limit", lambda c: c.throttle("text", 1, 1), NotAThrottle, "NOT_A_THROTTLE"),
    ("a step", transact, NotAnInteger, "NOT_AN_INTEGER"),
    ("a key", lambda c: c.get(""), InvalidArgument, "INVALID_KEY"),
    ("a ttl", lambda c: c.set("key", 1, ttl=10**10), InvalidArgument, "INVALID_TTL"),
    ("a value", lambda c: c.set("key", bytes(3 << 20)), InvalidArgument, "VALUE_TOO_LARGE"),
    ("a batch", lambda c: c.object("o").get_many(map(str, range(2_000))), InvalidArgument, "BATCH_TOO_LARGE"),
    ("an answer", lambda c: c.object("full").get_many(map(str, range(9))), InvalidArgument, "RESPONSE_TOO_LARGE"),
    ("a namespace", lambda c: c.namespace("x" * 300).get("key"), InvalidArgument, "INVALID_NAMESPACE"),
    ("an object", lambda c: c.object("x" * 2_000).get("key"), InvalidArgument, "INVALID_OBJECT"),
]


@pytest.mark.parametrize(("call", "kind", "reason"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
async def test_each_refusal_is_an_exception_of_its_own(
    client: AsyncClient, call: Call, kind: type[PetraError], reason: str
) -> None:
    await client.set_many({"text": "text", "large": 2**62})
    await client.object("room").set("text", "text")
    if reason == "RESPONSE_TOO_LARGE":
        for number in range(9):
            await client.object("full").set(f"{number}", bytes(2 << 20), durability="buffered")
    with pytest.raises(PetraError) as caught:
        await call(client)
    error = caught.value
    assert type(error) is kind
    assert error.reason == reason
    assert not error.outcome_unknown
    # A sentence that says what to do next.
    assert error.message == str(error)
    assert len(error.message.split(". ")) >= 2 or kind is VersionConflict
    # Nothing of the machinery, nor of another library, shows in the traceback of a caller.
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (str(again), again.reason, vars(again)) == (str(error), reason, vars(error))


async def test_a_conflict_names_the_present_version_and_the_whole_key(client: AsyncClient) -> None:
    key = "ä" * 1_024
    version = await client.set(key, 1)
    with pytest.raises(VersionConflict) as caught:
        await client.set(key, 2, if_absent=True)
    assert (caught.value.version, caught.value.key) == (version, key)


async def test_a_full_disk_refuses_writes_and_serves_reads() -> None:
    async with running_server() as server:
        async with AsyncClient(server.address) as client:
            await client.set("key", 1)
        await server.stop()
        async with (
            running_server(data=server.settings.data, disk_reserve_bytes=16_000 * GIB) as full,
            AsyncClient(full.address) as client,
        ):
            for write in (client.set("key", 2), client.increment("n"), client.clear(), client.object("o").set("k", 1)):
                with pytest.raises(DiskFull) as caught:
                    await write
                assert isinstance(caught.value, ResourceExhausted)
                assert caught.value.retry_after
                assert not caught.value.outcome_unknown
            assert await client.get("key") == 1
            assert not (await client.info()).writable


def test_the_classes_say_what_a_caller_can_do() -> None:
    """Who handles the wider class handles the narrower ones, and Python's own where there is one."""
    assert issubclass(InvalidArgument, ValueError)
    assert issubclass(DiskFull, ResourceExhausted)
    for narrow in (NotAnInteger, IntegerOverflow, NotAThrottle):
        assert issubclass(narrow, FailedPrecondition)
