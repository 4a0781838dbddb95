"""What can never work is refused by the name of the argument, before or by the server, and disturbs nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from petra import AsyncClient, Client
from petra.errors import InvalidArgument
from petra.testing import TestServer

# A key that is no text: half of a surrogate pair.
HALF = "k\ud83d"
Call = Callable[[Any], Awaitable[object]]


async def _all(iterator: AsyncIterator[object]) -> list[object]:
    return [item async for item in iterator]


BAD: list[tuple[str, Call, str]] = [
    ("get an int", lambda c: c.get(1), "key"),
    ("get bytes", lambda c: c.get(b"key"), "key"),
    ("get nothing", lambda c: c.get(""), "key"),
    ("get a long key", lambda c: c.get("x" * 2049), "key"),
    ("get half", lambda c: c.get(HALF), "key"),
    ("get_entry half", lambda c: c.get_entry(HALF), "key"),
    ("get_many half", lambda c: c.get_many(["good", HALF]), "key"),
    ("get_many of one str", lambda c: c.get_many("key"), "keys"),
    ("get_many None", lambda c: c.get_many(["good", None]), "key"),
    ("get_many a list", lambda c: c.get_many([["good"]]), "key"),
    ("get_entries of one str", lambda c: c.get_entries("key"), "keys"),
    ("set half", lambda c: c.set(HALF, 1), "key"),
    ("set None", lambda c: c.set(None, 1), "key"),
    ("set a set", lambda c: c.set("key", {1}), "value"),
    ("set NaN", lambda c: c.set("key", float("nan")), "value"),
    ("set too much", lambda c: c.set("key", bytes((2 << 20) + 1)), "value"),
    ("ttl of 0", lambda c: c.set("key", 1, ttl=0), "ttl"),
    ("negative ttl", lambda c: c.set("key", 1, ttl=timedelta(seconds=-1)), "ttl"),
    ("ttl for ever", lambda c: c.set("key", 1, ttl=float("inf")), "ttl"),
    ("ttl of a thousand years", lambda c: c.set("key", 1, ttl=86_400 * 365_000), "ttl_ms"),
    ("ttl as text", lambda c: c.set("key", 1, ttl="60"), "ttl"),
    ("ttl twice", lambda c: c.set("key", 1, ttl=1, keep_ttl=True), "keep_ttl"),
    ("conditions twice", lambda c: c.set("key", 1, if_version=1, if_absent=True), "if_absent"),
    ("negative version", lambda c: c.set("key", 1, if_version=-1), "if_version"),
    ("version as text", lambda c: c.set("key", 1, if_version="1"), "if_version"),
    ("version too large", lambda c: c.delete("key", if_version=2**64), "if_version"),
    ("durability", lambda c: c.set("key", 1, durability="disk"), "durability"),
    ("durability of no str", lambda c: c.delete("key", durability=["fsync"]), "durability"),
    ("set_many half", lambda c: c.set_many({"good": 1, HALF: 1}), "key"),
    ("set_many an int", lambda c: c.set_many({1: 1}), "key"),
    ("set_many ttl", lambda c: c.set_many({"key": 1}, ttl=-1), "ttl"),
    ("set_many versions", lambda c: c.object("o").set_many({"key": 1}, if_versions={"key": -1}), "if_versions"),
    ("set_many durability", lambda c: c.set_many({"key": 1}, durability=""), "durability"),
    ("delete half", lambda c: c.delete(HALF), "key"),
    ("delete_many half", lambda c: c.delete_many([HALF]), "key"),
    ("delete_many of one str", lambda c: c.delete_many("key"), "keys"),
    ("increment by a float", lambda c: c.increment("key", 1.0), "delta"),
    ("increment by a bool", lambda c: c.increment("key", True), "delta"),
    ("increment by too much", lambda c: c.increment("key", 2**63), "delta"),
    ("increment from text", lambda c: c.increment("key", initial="1"), "initial"),
    ("increment ttl", lambda c: c.increment("key", ttl=0), "ttl"),
    ("touch without time", lambda c: c.touch("key", 0), "ttl"),
    ("touch half", lambda c: c.touch(HALF, 1), "key"),
    ("clear an int", lambda c: c.clear(prefix=1), "prefix"),
    ("clear half", lambda c: c.clear(prefix=HALF), "prefix"),
    ("clear durability", lambda c: c.clear(durability="never"), "durability"),
    ("limit of 0", lambda c: c.throttle("key", 0, 1), "limit"),
    ("limit of -1", lambda c: c.throttle("key", -1, 1), "limit"),
    ("limit of a float", lambda c: c.throttle("key", 1.5, 1), "limit"),
    ("period of 0", lambda c: c.throttle("key", 1, 0), "period"),
    ("algorithm", lambda c: c.throttle("key", 1, 1, algorithm="leaky"), "algorithm"),
    ("burst of -1", lambda c: c.throttle("key", 1, 1, burst=-1), "burst"),
    ("cost of text", lambda c: c.throttle("key", 1, 1, cost="1"), "cost"),
    ("throttle half", lambda c: c.throttle(HALF, 1, 1), "key"),
    ("throttle durability", lambda c: c.throttle("key", 1, 1, durability="x"), "durability"),
    ("update half", lambda c: c.update(HALF, lambda value: value), "key"),
    ("update ttl", lambda c: c.update("key", lambda value: value, ttl=-1), "ttl"),
    ("update to a set", lambda c: c.update("key", lambda value: {1}), "value"),
    ("timeout of 0", lambda c: c.get("key", timeout=0), "timeout"),
    ("negative timeout", lambda c: c.set_many({"key": 1}, timeout=-1), "timeout"),
    ("timeout as text", lambda c: c.info(timeout="1"), "timeout"),
    ("timeout of a bool", lambda c: c.connect(timeout=True), "timeout"),
    ("namespaces of an int", lambda c: _all(c.namespaces(prefix=1)), "prefix"),
    ("namespaces of half", lambda c: _all(c.namespaces(prefix=HALF)), "prefix"),
    ("objects of half", lambda c: _all(c.objects(prefix=HALF)), "prefix"),
    ("an object's name too long", lambda c: c.object("x" * 1025).get("key"), "object"),
    ("a namespace's name too long", lambda c: c.namespace("x" * 256).get("key"), "namespace"),
]


@pytest.mark.parametrize(("call", "field"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
async def test_bad_arguments_are_refused_by_name(client: AsyncClient, call: Call, field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await call(client)
    error = caught.value
    assert error.field == field
    assert not error.outcome_unknown
    # One sentence or more, and no chain of errors that mean nothing to the caller.
    assert str(error).endswith((".", ")"))
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    assert cause is None or (field == "value" and isinstance(cause, ValueError | TypeError)), cause
    assert await client.get("key") is None


@pytest.mark.parametrize("name", ["", 1, None, b"room", HALF])
def test_names_are_refused_when_a_handle_is_made(name: Any) -> None:  # noqa: ANN401 - whatever it is
    client = Client()
    for make, field in ((client.object, "object"), (client.namespace, "namespace")):
        with pytest.raises(InvalidArgument) as caught:
            make(name)
        assert caught.value.field == field


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"address": "localhost:port"}, "address"),
        ({"address": 7475}, "address"),
        ({"address": ""}, "address"),
        ({"namespace": ""}, "namespace"),
        ({"namespace": HALF}, "namespace"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": None}, "timeout"),
        ({"connect_timeout": -1}, "connect_timeout"),
        ({"durability": "none"}, "durability"),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_bad_options_are_refused_when_a_client_is_made(
    kind: type[Client] | type[AsyncClient], options: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        kind(**options)
    assert caught.value.field == field


async def test_good_calls_are_done_that_were_made_together_with_bad_ones(server: TestServer) -> None:
    """In one tick, and so in one message."""
    async with AsyncClient(server.address, namespace="mixed") as client:
        calls: list[Awaitable[object]] = [
            client.set("a", 1),
            client.set(HALF, 1),
            client.increment("b"),
            client.get(""),
            client.set("c", bytes(3 << 20)),
            client.get("x" * 4_000),
            client.set_many({"d": 4}),
            client.object("\0").set("e", 5),
            client.namespace("n" * 300).set("f", 6),
        ]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        refused = [isinstance(outcome, InvalidArgument) for outcome in outcomes]
        assert refused == [False, True, False, True, True, True, False, False, True]
        assert await client.get_many(["a", "b", "c", "d"]) == {"a": 1, "b": 1, "d": 4}
        assert await client.object("\0").get("e") == 5
