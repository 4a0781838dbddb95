"""Transactions and updates, with both trees of the client."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable

import pytest

from petra import AsyncClient, AsyncObject, AsyncTransaction, Deferred, Throttled
from petra.errors import (
    DeadlineExceeded,
    EncodeError,
    IntegerOverflow,
    InvalidArgument,
    NotAnInteger,
    NotAThrottle,
    VersionConflict,
)
from petra.testing import TestServer


@pytest.fixture
def room(client: AsyncClient) -> AsyncObject:
    return client.object("room")


class TestReading:
    async def test_what_it_has_written_itself(self, room: AsyncObject) -> None:
        await room.set_many({"kept": 1, "changed": 1, "removed": 1})

        async def work(tx: AsyncTransaction) -> None:
            tx.set("changed", 2)
            tx.set("new", [3])
            tx.delete("removed")
            assert await tx.get("changed") == 2
            assert await tx.get("removed", "default") == "default"
            assert await tx.get_entry("removed") is None
            assert await tx.get_many(["kept", "new", "removed", "absent", "changed", "kept"]) == {
                "kept": 1,
                "new": [3],
                "changed": 2,
            }
            entry = await tx.get_entry("new")
            assert entry is not None
            assert (entry.value, entry.version) == ([3], 0)
            # Nobody else sees any of it yet.
            assert await room.get("new") is None

        await room.transact(work)
        assert await room.get_many(["kept", "changed", "removed", "new"]) == {"kept": 1, "changed": 2, "new": [3]}

    async def test_it_returns_what_the_function_returns(self, room: AsyncObject) -> None:
        async def work(tx: AsyncTransaction) -> str | None:
            return await tx.get("key", "nothing")

        assert await room.transact(work) == "nothing"

    async def test_a_value_that_only_the_server_will_know_cannot_be_read(self, room: AsyncObject) -> None:
        async def work(tx: AsyncTransaction) -> None:
            assert await tx.get("n", 0) == 0
            tx.increment("n")
            with pytest.raises(InvalidArgument, match="increment"):
                await tx.get("n")
            with pytest.raises(InvalidArgument, match="Read it before"):
                await tx.get_many(["other", "n"])
            tx.set("n", 7)
            assert await tx.get("n") == 7

        await room.transact(work)
        assert await room.get("n") == 7

    async def test_reading_alone_is_one_snapshot(self, room: AsyncObject) -> None:
        """Two reads with a change between them are read again, though nothing is written."""
        await room.set_many({"a": 1, "b": 1})
        attempts = 0

        async def work(tx: AsyncTransaction) -> tuple[int, int]:
            nonlocal attempts
            attempts += 1
            first = await tx.get("a")
            if attempts == 1:
                await room.set_many({"a": 2, "b": 2})
            return first, await tx.get("b")

        assert await room.transact(work) == (2, 2)
        assert attempts == 2


class TestCommitting:
    async def test_results_are_known_when_it_has_committed(self, room: AsyncObject) -> None:
        await room.set_many({"gone": 1, "n": 40, "touched": 1})
        pending: list[Deferred[object]] = []

        async def work(tx: AsyncTransaction) -> tuple[Deferred[int], ...]:
            results = (tx.set("key", "v", ttl=60), tx.increment("n", 2), tx.increment("m", 5, initial=10, ttl=9))
            others = (tx.delete("gone"), tx.delete("absent"), tx.touch("touched", 5), tx.touch("absent", None))
            limits = (tx.throttle("limit", 1, 60), tx.throttle("limit", 1, 60))
            pending[:] = [*results, *others, *limits]
            for deferred in pending:
                with pytest.raises(RuntimeError, match="recorded"):
                    deferred.result()
            return results

        version, n, m = await room.transact(work)
        assert (n.result(), m.result()) == (42, 15)
        assert [deferred.result() for deferred in pending[3:7]] == [True, False, True, False]
        first, second = pending[7].result(), pending[8].result()
        assert isinstance(first, Throttled)
        assert isinstance(second, Throttled)
        assert (first.allowed, second.allowed) == (True, False)
        entry = await room.get_entry("key")
        assert entry is not None
        assert entry.version == version.result()

    async def test_operations_are_done_in_their_order(self, room: AsyncObject, server: TestServer) -> None:
        async def work(tx: AsyncTransaction) -> None:
            tx.set("a", 1, ttl=1)
            tx.increment("a", 4)
            tx.set("b", 1)
            tx.delete("b")
            tx.set("c", 1, ttl=1)
            tx.set("c", 2)
            tx.set("d", 1, ttl=1)
            tx.set("d", 2, keep_ttl=True)

        await room.transact(work, durability="buffered")
        assert await room.get_many(["a", "b", "c", "d"]) == {"a": 5, "c": 2, "d": 2}
        server.clock.advance(1)
        assert await room.get_many(["a", "b", "c", "d"]) == {"c": 2}

    async def test_an_empty_one_does_nothing(self, room: AsyncObject) -> None:
        async def work(tx: AsyncTransaction) -> int:
            return 5

        assert await room.transact(work) == 5

    @pytest.mark.parametrize(
        ("spoil", "kind"),
        [
            (lambda tx: tx.increment("text"), NotAnInteger),
            (lambda tx: tx.increment("large", 2**62), IntegerOverflow),
            (lambda tx: tx.throttle("text", 1, 1), NotAThrottle),
            (lambda tx: tx.set("", 1), InvalidArgument),
            (lambda tx: tx.set("k", {1}), EncodeError),
            (lambda tx: tx.set("k\ud800", 1), InvalidArgument),
            (lambda tx: tx.set("k", 1, ttl=0), InvalidArgument),
            (lambda tx: tx.set("k", 1, ttl=1, keep_ttl=True), InvalidArgument),
            (lambda tx: tx.increment("k", 1.5), InvalidArgument),
            (lambda tx: tx.throttle("k", 1, 1, algorithm="x"), InvalidArgument),
            (lambda tx: tx.check("k", -1), InvalidArgument),
            (lambda tx: (tx.check("k", 1), tx.check("k", 2)), InvalidArgument),
        ],
    )
    async def test_what_cannot_be_done_leaves_nothing_behind(
        self, room: AsyncObject, spoil: Callable[[AsyncTransaction], object], kind: type[Exception]
    ) -> None:
        await room.set_many({"text": "text", "large": 2**62})

        async def work(tx: AsyncTransaction) -> None:
            tx.set("before", 1)
            spoil(tx)
            tx.set("after", 1)

        with pytest.raises(kind):
            await room.transact(work)
        assert await room.get_many(["before", "after", "text"]) == {"text": "text"}

    async def test_what_the_function_raises_is_raised_and_nothing_done(self, room: AsyncObject) -> None:
        async def work(tx: AsyncTransaction) -> None:
            tx.set("key", 1)
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            await room.transact(work)
        assert await room.get("key") is None

    async def test_it_cannot_be_used_after_its_end(self, room: AsyncObject) -> None:
        async def work(tx: AsyncTransaction) -> AsyncTransaction:
            return tx

        tx = await room.transact(work)
        for use in (lambda: tx.set("key", 1), lambda: tx.increment("n"), lambda: tx.check("key", 0)):
            with pytest.raises(RuntimeError, match="has ended"):
                use()
        with pytest.raises(RuntimeError, match="has ended"):
            await tx.get("key")
        with pytest.raises(RuntimeError, match="has ended"):
            await tx.get_many(["key"])


class TestConflicts:
    async def test_transfers_lose_nothing(self, room: AsyncObject) -> None:
        accounts = ["a", "b", "c"]
        await room.set_many(dict.fromkeys(accounts, 100))

        async def transfer(source: str, target: str) -> None:
            async def work(tx: AsyncTransaction) -> None:
                held = await tx.get_many([source, target])
                tx.set(source, held[source] - 1)
                tx.set(target, held[target] + 1)

            await room.transact(work, timeout=60)

        await asyncio.gather(*(transfer(*pair) for pair in [("a", "b"), ("b", "c"), ("c", "b"), ("a", "c")] * 5))
        assert await room.get_many(accounts) == {"a": 90, "b": 105, "c": 105}

    async def test_one_who_is_always_too_late_is_told(self, room: AsyncObject) -> None:
        attempts = 0

        async def work(tx: AsyncTransaction) -> None:
            nonlocal attempts
            attempts += 1
            number = await tx.get("key", 0)
            await room.set("key", number + 10)
            tx.set("key", -1)

        with pytest.raises(VersionConflict, match="'key'") as caught:
            await room.transact(work, timeout=0.3)
        assert attempts > 1
        entry = await room.get_entry("key")
        assert entry is not None
        assert (entry.value, entry.version) == (10 * attempts, caught.value.version)
        assert type(caught.value) is VersionConflict
        assert "Overtaken" not in "".join(traceback.format_exception(caught.value))

    async def test_a_read_that_differs_from_an_earlier_one_begins_anew(self, room: AsyncObject) -> None:
        seen = []

        async def work(tx: AsyncTransaction) -> None:
            seen.append([await tx.get("key")])
            if len(seen) == 1:
                await room.set("key", 1)
            seen[-1].append(await tx.get("key"))

        await room.transact(work)
        assert seen == [[None], [1, 1]]

    async def test_a_conflict_that_the_function_handles_is_not_its_own(self, room: AsyncObject) -> None:
        attempts = 0

        async def work(tx: AsyncTransaction) -> str:
            nonlocal attempts
            attempts += 1
            first = await tx.get("key")
            if attempts == 1:
                await room.set("key", "by another")
            try:
                second = await tx.get("key")
            except VersionConflict:
                return "handled"
            return f"{first}, {second}"

        assert await room.transact(work) == "by another, by another"

    async def test_a_conflict_that_the_function_raises_is_not_tried_again(self, room: AsyncObject) -> None:
        attempts = 0

        async def never(tx: AsyncTransaction) -> None:
            await room.set("key", await tx.get("key", 0) + 1)
            tx.set("key", 0)

        async def work(tx: AsyncTransaction) -> None:
            nonlocal attempts
            attempts += 1
            await room.transact(never, timeout=0.3)

        with pytest.raises(VersionConflict):
            await room.transact(work, timeout=60)
        assert attempts == 1


class TestChecking:
    async def test_a_version_from_elsewhere_is_required(self, room: AsyncObject) -> None:
        version = await room.set("key", 1)

        async def work(tx: AsyncTransaction) -> None:
            tx.check("key", version)
            tx.check("absent", 0)
            tx.set("key", 2)

        await room.transact(work)
        assert await room.get("key") == 2
        # It cannot come true any more, so it is not tried until the time-out.
        with pytest.raises(VersionConflict) as caught:
            await room.transact(work, timeout=60)
        assert caught.value.key == "key"
        assert caught.value.version > version
        assert await room.get("key") == 2

    @pytest.mark.parametrize("first", ["check", "read"])
    async def test_it_is_told_at_the_read_as_well(self, room: AsyncObject, first: str) -> None:
        old = await room.set("key", 1)
        await room.set("key", 2)
        attempts = 0

        async def work(tx: AsyncTransaction) -> None:
            nonlocal attempts
            attempts += 1
            if first == "check":
                tx.check("key", old)
                await tx.get("key")
            else:
                await tx.get("key")
                tx.check("key", old)

        with pytest.raises(VersionConflict):
            await room.transact(work, timeout=60)
        assert attempts == 1

    async def test_one_that_was_read_may_change_meanwhile(self, room: AsyncObject) -> None:
        """To require what was just read is no more than reading it."""
        attempts = 0

        async def work(tx: AsyncTransaction) -> None:
            nonlocal attempts
            attempts += 1
            entry = await tx.get_entry("key")
            tx.check("key", 0 if entry is None else entry.version)
            if attempts == 1:
                await room.set("key", "by another")
            tx.set("key", "mine")

        await room.transact(work)
        assert attempts == 2


class TestUpdate:
    async def test_no_change_is_lost(self, client: AsyncClient) -> None:
        made = await asyncio.gather(*(client.update("n", lambda n: n + 1, default=0, timeout=60) for _ in range(20)))
        assert sorted(made) == list(range(1, 21))
        assert await client.get("n") == 20

    async def test_a_function_that_is_a_coroutine(self, client: AsyncClient) -> None:
        async def add(items: list[int] | None) -> list[int]:
            await asyncio.sleep(0)
            return [*(items or []), 1]

        assert await client.update("list", add) == [1]
        assert await client.update("list", add) == [1, 1]

    async def test_the_expiry_stays_unless_another_is_given(self, client: AsyncClient, server: TestServer) -> None:
        await client.set("key", 0, ttl=10)
        await client.update("key", lambda n: n + 1)
        server.clock.advance(9)
        await client.update("key", lambda n: n + 1, ttl=10, durability="buffered")
        server.clock.advance(9.999)
        assert await client.get("key") == 2
        server.clock.advance(0.001)
        assert await client.update("key", lambda n: n, default="fresh") == "fresh"

    async def test_one_who_is_always_too_late_is_told(self, client: AsyncClient) -> None:
        calls = 0

        async def work(value: int | None) -> str:
            nonlocal calls
            calls += 1
            await client.increment("key")
            return "mine"

        with pytest.raises(VersionConflict):
            await client.update("key", work, timeout=0.3)
        assert calls > 1
        assert await client.get("key") == calls

    async def test_what_the_function_raises_is_raised(self, client: AsyncClient) -> None:
        def work(value: object) -> object:
            raise DeadlineExceeded("mine")

        with pytest.raises(DeadlineExceeded, match="mine"):
            await client.update("key", work)
        assert await client.get("key") is None
