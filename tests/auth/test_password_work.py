"""How much work a sign-in is: the same for an unknown address and a wrong password, and always by the present rules."""

from __future__ import annotations

import statistics
import threading
import time
from typing import Literal

import argon2
import pytest

from petra import AsyncClient
from petra.auth import LoginResult, LoginService
from petra.auth.passwords import Passwords
from petra.errors import DataLoss
from petra.ratelimit import RateLimit
from tests.support.layers import Tree

ANN, PASSWORD = "ann@example.org", "correct horse"
MANY = RateLimit(1_000_000, 1)


class Watched(argon2.PasswordHasher):
    """A hasher that notes what it is asked, and in which thread."""

    def __init__(self, *, time_cost: int = 1) -> None:
        super().__init__(time_cost=time_cost, memory_cost=64, parallelism=1)
        self.verified: list[argon2.Parameters] = []
        self.hashed = 0
        self.threads: set[int] = set()

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - its name there
        self.verified.append(argon2.extract_parameters(hash if isinstance(hash, str) else hash.decode()))
        self.threads.add(threading.get_ident())
        return super().verify(hash, password)

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.hashed += 1
        return super().hash(password, salt=salt)


async def test_an_unknown_address_is_as_much_work_as_a_wrong_password(tree: Tree) -> None:
    hasher = Watched()
    service = tree.make(LoginService, hasher=hasher)
    await service.register(ANN, PASSWORD)
    work = []
    for email, password in ((ANN, "wrong horse"), ("nobody@example.org", "wrong horse"), ("no address", "x" * 5_000)):
        hasher.verified.clear()
        hashed = hasher.hashed
        assert await service.login(email, password) == LoginResult(False)
        work.append((list(hasher.verified), hasher.hashed - hashed))
    assert len(work[0][0]) == 1
    assert work[0] == work[1] == work[2]


async def test_the_event_loop_does_not_hash(client: AsyncClient) -> None:
    hasher = Watched()
    service = LoginService(client, hasher=hasher)
    await service.register(ANN, PASSWORD)
    assert await service.login(ANN, PASSWORD)
    assert hasher.threads
    assert threading.get_ident() not in hasher.threads


@pytest.mark.slow
async def test_the_times_of_both_tell_nothing(client: AsyncClient) -> None:
    """By ranks, which a slow moment of the machine does not move: who guesses by the time is right half of the time.

    Both kinds take turns, in blocks, so that the machine is as busy for one as for the other. Were one of them without
    the hash, which takes several times what all the rest does, the guess would always be right.
    """
    service = LoginService(
        client,
        hasher=argon2.PasswordHasher(time_cost=3, memory_cost=4_096, parallelism=1),
        attempts=MANY,
        attempts_of_address=MANY,
    )
    await service.register(ANN, PASSWORD)
    wrong: list[float] = []
    unknown: list[float] = []
    for number in range(300):
        for email, times in ((ANN, wrong), (f"nobody-{number % 7}@example.org", unknown))[:: 1 if number % 2 else -1]:
            began = time.perf_counter()
            await service.login(email, "wrong horse")
            times.append(time.perf_counter() - began)
    slower = statistics.fmean((first > second) + 0.5 * (first == second) for first in wrong for second in unknown)
    # Of 300 samples each, this figure has a standard deviation of 0.024 when the two are alike: here are six of it.
    assert abs(slower - 0.5) < 0.15, slower


async def test_a_hash_by_old_rules_is_made_anew_by_a_success(tree: Tree, client: AsyncClient) -> None:
    await tree.make(LoginService, hasher=Watched(time_cost=1)).register(ANN, PASSWORD)
    newer = tree.make(LoginService, hasher=Watched(time_cost=2))
    before = await client.get(f"account:{ANN}")
    assert not await newer.login(ANN, "wrong horse")
    assert await client.get(f"account:{ANN}") == before
    assert await newer.login(ANN, PASSWORD)
    after = await client.get(f"account:{ANN}")
    assert argon2.extract_parameters(after["password"]).time_cost == 2
    assert {**after, "password": ""} == {**before, "password": ""}
    assert await newer.login(ANN, PASSWORD)
    assert await client.get(f"account:{ANN}") == after


async def test_a_hash_that_cannot_be_read_is_no_wrong_password(tree: Tree, client: AsyncClient) -> None:
    service = tree.make(LoginService, hasher=Watched())
    await service.register(ANN, PASSWORD)
    record = await client.get(f"account:{ANN}")
    await client.set(f"account:{ANN}", {**record, "password": "plain"})
    with pytest.raises(DataLoss):
        await service.login(ANN, PASSWORD)


def test_the_rules_are_those_of_rfc_9106_unless_given() -> None:
    passwords = Passwords()
    parameters = argon2.extract_parameters(passwords.hash(PASSWORD))
    assert parameters == argon2.profiles.RFC_9106_LOW_MEMORY
    assert passwords.hash(PASSWORD) != passwords.hash(PASSWORD)
