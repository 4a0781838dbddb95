"""One-time codes in both trees: their look, their attempts, their time, and what is stored of them."""

from __future__ import annotations

import asyncio
import itertools
import json

import pytest

from petra import AsyncClient
from petra.auth import OneTimeCodes
from petra.auth.onetime import ALPHABET
from petra.errors import InvalidArgument
from petra.ratelimit import RateLimit, RateLimited
from petra.testing import TestServer
from tests.support.layers import Tree

SECRET = "a secret of sixteen bytes or more"
ANN = "ann@example.org"


@pytest.fixture
def codes(tree: Tree) -> OneTimeCodes:
    return tree.make(OneTimeCodes, SECRET)


def another(code: str, number: int = 0) -> str:
    """A code that is not that one."""
    others = ("".join(letters) for letters in itertools.product(ALPHABET, repeat=6))
    return next(itertools.islice((each for each in others if each != code), number, None))


async def test_a_code_is_good_once(codes: OneTimeCodes) -> None:
    code = await codes.issue(ANN)
    assert await codes.verify(ANN, code)
    again = await codes.verify(ANN, code)
    assert (again.accepted, again.attempts_left) == (False, 0)


async def test_how_it_looks(codes: OneTimeCodes) -> None:
    seen = [await codes.issue(f"{number}@example.org") for number in range(40)]
    assert all(len(code) == 6 for code in seen)
    assert len(set(seen)) == 40
    assert set("".join(seen)) <= set(ALPHABET)
    assert not set(ALPHABET) & set("01ILOilo")


async def test_how_it_may_be_typed(codes: OneTimeCodes) -> None:
    code = await codes.issue(ANN)
    assert await codes.verify(" Ann@Example.org ", f" {code[:3].lower()}-{code[3:].lower()} \n")


async def test_it_is_the_subjects_own(codes: OneTimeCodes) -> None:
    code, other = await codes.issue(ANN), await codes.issue("bob@example.org")
    assert not await codes.verify("bob@example.org", code) or code == other
    assert await codes.verify(ANN, code)


@pytest.mark.parametrize(
    ("subject", "other"),
    [
        ("ann@stra\u00dfe.example", "ann@strasse.example"),
        ("o\ufb03ce@example.org", "office@example.org"),
        ("\u017fam@example.org", "sam@example.org"),
    ],
)
async def test_what_only_folding_makes_alike_is_somebody_else(codes: OneTimeCodes, subject: str, other: str) -> None:
    code = await codes.issue(subject)
    assert not await codes.verify(other, code)
    assert await codes.verify(subject, code)


async def test_what_is_too_long_for_an_address_is_not_much_work(codes: OneTimeCodes) -> None:
    """To put as many accents in order would take longer than this test may."""
    subject = "a" + "\u0301\u0323" * 500_000
    code = await codes.issue(subject)
    assert await codes.verify(subject, code)


async def test_the_sixth_attempt_is_not_compared(codes: OneTimeCodes) -> None:
    code = await codes.issue(ANN)
    left = [(await codes.verify(ANN, another(code, number))).attempts_left for number in range(5)]
    assert left == [4, 3, 2, 1, 0]
    assert not await codes.verify(ANN, code)


async def test_the_fifth_attempt_is(codes: OneTimeCodes) -> None:
    code = await codes.issue(ANN)
    for number in range(4):
        assert not await codes.verify(ANN, another(code, number))
    assert await codes.verify(ANN, code)


async def test_who_tries_many_at_once_has_five(codes: OneTimeCodes) -> None:
    code = await codes.issue(ANN)
    await asyncio.gather(*(codes.verify(ANN, another(code, number)) for number in range(40)))
    assert not await codes.verify(ANN, code)
    # Also when the right one is among them: it was compared within the first five, or not at all.
    right = await codes.issue("carl@example.org")
    wrong = [codes.verify("carl@example.org", another(right, number)) for number in range(20)]
    results = await asyncio.gather(codes.verify("carl@example.org", right), *wrong)
    assert sum(result.accepted for result in results) <= 1


async def test_of_many_who_have_it_one_wins(codes: OneTimeCodes) -> None:
    for number in range(5):
        subject = f"{number}@example.org"
        code = await codes.issue(subject)
        results = await asyncio.gather(*(codes.verify(subject, code) for _ in range(5)))
        assert sum(result.accepted for result in results) == 1


async def test_a_new_code_ends_the_old_and_its_attempts(codes: OneTimeCodes) -> None:
    old = await codes.issue(ANN)
    for number in range(4):
        await codes.verify(ANN, another(old, number))
    new = await codes.issue(ANN)
    first = await codes.verify(ANN, old if old != new else another(new))
    assert (first.accepted, first.attempts_left) == (False, 4)
    assert await codes.verify(ANN, new)


async def test_it_ends_to_the_millisecond(codes: OneTimeCodes, server: TestServer) -> None:
    early, late = await codes.issue(ANN), await codes.issue("bob@example.org")
    server.clock.advance(599.999)
    assert await codes.verify(ANN, early)
    server.clock.advance(0.001)
    assert not await codes.verify("bob@example.org", late)


async def test_nobody_without_a_code_has_attempts(codes: OneTimeCodes, client: AsyncClient) -> None:
    result = await codes.verify(ANN, "ABCDEF")
    assert (result.accepted, result.attempts_left) == (False, 0)
    assert [name async for name in client.objects()] == []


async def test_issuing_is_limited(codes: OneTimeCodes, server: TestServer) -> None:
    for _ in range(4):
        await codes.issue(ANN)
    last = await codes.issue(ANN)
    with pytest.raises(RateLimited) as caught:
        await codes.issue(ANN.upper())
    assert caught.value.verdict.retry_after == 720
    # What was refused has not ended the code that there is.
    assert await codes.verify(ANN, last)
    await codes.issue("bob@example.org")
    server.clock.advance(720)
    await codes.issue(ANN)


async def test_all_of_it_may_be_chosen(tree: Tree, server: TestServer) -> None:
    codes = tree.make(OneTimeCodes, SECRET.encode(), ttl=30, attempts=1, issues=RateLimit(1, 60))
    code = await codes.issue(ANN)
    assert (await codes.verify(ANN, another(code))).attempts_left == 0
    assert not await codes.verify(ANN, code)
    with pytest.raises(RateLimited):
        await codes.issue(ANN)
    server.clock.advance(60)
    code = await codes.issue(ANN)
    server.clock.advance(30)
    assert not await codes.verify(ANN, code)


async def test_only_keyed_hashes_are_stored(tree: Tree, client: AsyncClient, codes: OneTimeCodes) -> None:
    code = await codes.issue(ANN)
    stored = [f"{entry.key} {entry.value}" async for entry in client.list()]
    async for name in client.objects():
        stored += [f"{name} {entry.key} {json.dumps(entry.value)}" async for entry in client.object(name).list()]
    assert stored
    assert not [each for each in stored if code in each or "ann" in each]
    # With another secret, neither the subject is found nor a code is good.
    assert not await tree.make(OneTimeCodes, "another secret of 16 bytes").verify(ANN, code)
    assert await codes.verify(ANN, code)


@pytest.mark.parametrize("secret", ["", "short", b"fifteen bytes.."])
def test_a_secret_cannot_be_guessed(tree: Tree, secret: str | bytes) -> None:
    with pytest.raises(InvalidArgument) as caught:
        tree.make(OneTimeCodes, secret)
    assert caught.value.field == "secret"
