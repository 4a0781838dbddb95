"""Accounts with passwords in both trees: signing in and out, changing and resetting, and who may try how often."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import argon2
import pytest

from petra import AsyncClient
from petra.auth import AlreadyRegistered, LoginResult, LoginService
from petra.errors import InvalidArgument
from petra.ratelimit import RateLimit, RateLimited
from petra.sessions import Session, Sessions
from petra.testing import TestServer
from petra.values import Entry
from tests.support.layers import Tree

ANN, PASSWORD = "ann@example.org", "correct horse"
# A hash that takes a millisecond: what these tests are about does not depend on it.
CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


@pytest.fixture
def service(tree: Tree) -> LoginService:
    return tree.make(LoginService, hasher=CHEAP)


class TestSigningIn:
    async def test_the_whole_way(self, service: LoginService, server: TestServer) -> None:
        account = await service.register(ANN, PASSWORD, data={"name": "Ann"})
        assert (account.email, account.data) == (ANN, {"name": "Ann"})
        assert await service.account(ANN) == account
        result = await service.login(ANN, PASSWORD, address="203.0.113.7", device="Firefox")
        assert result
        assert result.success
        assert result.session_id is not None
        assert result.session is not None
        assert (result.session.user, result.session.data) == (account.id, {"email": ANN})
        assert (result.session.device, result.session.address) == ("Firefox", "203.0.113.7")
        assert await service.verify(result.session_id) == result.session
        assert await service.logout(result.session_id)
        assert await service.verify(result.session_id) is None
        assert not await service.logout(result.session_id)

    async def test_an_unknown_address_and_a_wrong_password_are_answered_alike(self, service: LoginService) -> None:
        await service.register(ANN, PASSWORD)
        wrong = await service.login(ANN, "wrong horse")
        unknown = await service.login("nobody@example.org", "wrong horse")
        no_address = await service.login("no address", "wrong horse")
        assert wrong == unknown == no_address == LoginResult(False)

    async def test_addresses_are_the_same_whatever_their_case(self, service: LoginService) -> None:
        await service.register(" Ann@Example.ORG ", PASSWORD)
        assert await service.login("ANN@example.org", PASSWORD)
        with pytest.raises(AlreadyRegistered):
            await service.register(ANN, PASSWORD)

    async def test_passwords_are_the_same_however_they_are_typed(self, service: LoginService) -> None:
        await service.register(ANN, "stra\u00dfe caf\u00e9")
        assert await service.login(ANN, "stra\u00dfe cafe\u0301")
        assert not await service.login(ANN, "Stra\u00dfe caf\u00e9")

    async def test_of_many_who_register_one_wins(self, service: LoginService) -> None:
        made = await asyncio.gather(
            *(service.register(ANN, f"password {number}") for number in range(8)), return_exceptions=True
        )
        (winner,) = (number for number, each in enumerate(made) if not isinstance(each, Exception))
        assert all(isinstance(each, AlreadyRegistered) for number, each in enumerate(made) if number != winner)
        assert await service.login(ANN, f"password {winner}")

    async def test_the_session_is_one_of_the_given_kind(self, tree: Tree, server: TestServer) -> None:
        sessions = tree.make(Sessions, absolute=60)
        service = tree.make(LoginService, hasher=CHEAP, sessions=sessions)
        await service.register(ANN, PASSWORD)
        result = await service.login(ANN, PASSWORD)
        assert result.session_id is not None
        assert await sessions.get(result.session_id) == result.session
        server.clock.advance(60)
        assert await service.verify(result.session_id) is None

    async def test_nothing_that_opens_is_stored_or_shown(self, service: LoginService, client: AsyncClient) -> None:
        await service.register(ANN, PASSWORD)
        result = await service.login(ANN, PASSWORD)
        token = await service.request_reset(ANN)
        assert token is not None
        assert result.session_id is not None
        stored = [f"{entry.key} {entry.value}" async for entry in client.list()]
        async for name in client.objects():
            stored += [f"{name} {entry.key} {json.dumps(entry.value)}" async for entry in client.object(name).list()]
        for secret in (PASSWORD, result.session_id, token):
            assert not [each for each in stored if secret in each]
        assert result.session_id not in repr(result)


class TestWhatMayBeChosen:
    @pytest.mark.parametrize(
        "email",
        [
            "",
            "ann",
            "@example.org",
            "ann@",
            "a@b@c",
            "a b@example.org",
            "ann@.org",
            "ann@org.",
            "a\n@b.c",
            "x" * 251 + "@b.c",
        ],
    )
    async def test_what_is_no_address(self, service: LoginService, email: str) -> None:
        with pytest.raises(InvalidArgument) as caught:
            await service.register(email, PASSWORD)
        assert caught.value.field == "email"

    async def test_what_is_too_long_for_an_address_is_not_much_work(self, service: LoginService) -> None:
        """To put as many accents in order would take longer than this test may."""
        email = "a" + "\u0301\u0323" * 500_000 + "@example.org"
        with pytest.raises(InvalidArgument):
            await service.register(email, PASSWORD)
        assert await service.login(email, PASSWORD) == LoginResult(False)
        assert await service.account(email) is None
        assert await service.request_reset(email) is None

    @pytest.mark.parametrize("password", ["", "1234567", "x" * 1_025])
    async def test_passwords_too_short_or_too_long(self, service: LoginService, password: str) -> None:
        with pytest.raises(InvalidArgument) as caught:
            await service.register(ANN, password)
        assert caught.value.field == "password"
        assert password[:20] not in str(caught.value) or not password

    @pytest.mark.parametrize("password", ["12345678", "x" * 1_024, "        ", "пароль-пароль", "\U0001f40e" * 8])
    async def test_all_others_are_good(self, service: LoginService, password: str) -> None:
        await service.register(ANN, password)
        assert await service.login(ANN, password)
        assert not await service.login(ANN, password + "x")


class TestLimits:
    async def test_of_an_account(self, service: LoginService, server: TestServer) -> None:
        await service.register(ANN, PASSWORD)
        for _ in range(10):
            assert await service.login(ANN, "wrong horse") == LoginResult(False)
        # From here on the right password does not help either, and nobody learns whether it was right.
        right, wrong = await service.login(ANN, PASSWORD), await service.login(ANN, "wrong horse")
        assert right == wrong == LoginResult(False, retry_after=90.0)
        server.clock.advance(90 - 0.001)
        assert not await service.login(ANN, PASSWORD)
        server.clock.advance(0.001)
        assert await service.login(ANN, PASSWORD)

    async def test_it_does_not_tell_who_has_an_account(self, service: LoginService) -> None:
        await service.register(ANN, PASSWORD)
        for email in (ANN, "nobody@example.org"):
            answers = [await service.login(email, "wrong horse") for _ in range(12)]
            assert answers == [LoginResult(False)] * 10 + [LoginResult(False, retry_after=90.0)] * 2

    async def test_a_success_forgets_what_went_wrong_before(self, service: LoginService) -> None:
        await service.register(ANN, PASSWORD)
        for _ in range(3):
            for _ in range(9):
                await service.login(ANN, "wrong horse")
            assert await service.login(ANN, PASSWORD)

    async def test_of_a_network_address(self, tree: Tree) -> None:
        service = tree.make(LoginService, hasher=CHEAP, attempts_of_address=RateLimit(3, 60))
        await service.register(ANN, PASSWORD)
        for number in range(3):
            assert not await service.login(f"{number}@example.org", PASSWORD, address="203.0.113.7")
        assert (await service.login(ANN, PASSWORD, address="203.0.113.7")).retry_after == 20.0
        assert await service.login(ANN, PASSWORD, address="203.0.113.8")
        assert await service.login(ANN, PASSWORD)

    async def test_of_a_network_of_ipv6(self, tree: Tree) -> None:
        service = tree.make(LoginService, hasher=CHEAP, attempts_of_address=RateLimit(3, 60))
        for number in range(3):
            assert not (await service.login(ANN, PASSWORD, address=f"2001:db8::{number}")).retry_after
        assert (await service.login(ANN, PASSWORD, address="2001:db8::ffff")).retry_after == 20.0
        assert not (await service.login(ANN, PASSWORD, address="2001:db8:0:1::")).retry_after

    async def test_concurrent_attempts_all_count(self, service: LoginService) -> None:
        await service.register(ANN, PASSWORD)
        answers = await asyncio.gather(*(service.login(ANN, "wrong horse") for _ in range(30)))
        assert sum(answer.retry_after == 0 for answer in answers) == 10


class TestChanging:
    async def test_the_old_one_is_dead_and_so_are_its_sessions(self, service: LoginService) -> None:
        await service.register(ANN, PASSWORD)
        first, second = [await service.login(ANN, PASSWORD) for _ in range(2)]
        assert first.session_id is not None
        assert second.session_id is not None
        assert await service.change_password(ANN, PASSWORD, "battery staple", keep=second.session_id)
        assert await service.verify(first.session_id) is None
        assert await service.verify(second.session_id) is not None
        assert not await service.login(ANN, PASSWORD)
        assert await service.login(ANN, "battery staple")
        assert await service.change_password(ANN, "battery staple", PASSWORD)
        assert await service.verify(second.session_id) is None

    async def test_who_does_not_know_it_changes_nothing(self, service: LoginService) -> None:
        await service.register(ANN, PASSWORD)
        result = await service.login(ANN, PASSWORD)
        assert result.session_id is not None
        assert not await service.change_password(ANN, "wrong horse", "battery staple")
        assert not await service.change_password("nobody@example.org", PASSWORD, "battery staple")
        with pytest.raises(InvalidArgument):
            await service.change_password(ANN, PASSWORD, "short")
        assert await service.verify(result.session_id) is not None
        assert await service.login(ANN, PASSWORD)

    async def test_guessing_that_way_is_limited_too(self, service: LoginService) -> None:
        await service.register(ANN, PASSWORD)
        for _ in range(10):
            await service.change_password(ANN, "wrong horse", "battery staple")
        with pytest.raises(RateLimited):
            await service.change_password(ANN, PASSWORD, "battery staple")
        assert not await service.login(ANN, PASSWORD)

    async def test_no_session_of_the_old_one_outlives_a_change(self, service: LoginService) -> None:
        account = await service.register(ANN, "password 0")
        for number in range(6):
            old, new = f"password {number}", f"password {number + 1}"
            *results, changed = await asyncio.gather(
                *(service.login(ANN, old) for _ in range(4)), service.change_password(ANN, old, new)
            )
            assert changed is True
            ids = [each.session_id for each in results if isinstance(each, LoginResult) and each.session_id]
            assert [await service.verify(each) for each in ids] == [None] * len(ids)
            assert await service.login(ANN, new)
            assert await service.change_password(ANN, new, new)
        assert (await service.account(ANN)) == account

    async def test_a_sign_in_that_a_change_has_overtaken_fails(self, client: AsyncClient) -> None:
        """The password changes after it was found right, and before there is a session."""

        class Overtaken(Sessions):
            async def create(self, *args: Any, **options: Any) -> Session:  # noqa: ANN401 - those of Sessions
                assert await others.change_password(ANN, PASSWORD, "battery staple")
                return await super().create(*args, **options)

        others = LoginService(client, hasher=CHEAP)
        account = await others.register(ANN, PASSWORD)
        service = LoginService(client, hasher=CHEAP, sessions=Overtaken(client))
        assert await service.login(ANN, PASSWORD) == LoginResult(False)
        assert await Sessions(client).list(account.id) == []


class TestResetting:
    async def test_the_whole_way(self, service: LoginService) -> None:
        await service.register(ANN, PASSWORD)
        result = await service.login(ANN, PASSWORD)
        assert result.session_id is not None
        token = await service.request_reset(ANN.upper())
        assert token is not None
        assert await service.reset_password(token, "battery staple")
        assert await service.verify(result.session_id) is None
        assert not await service.login(ANN, PASSWORD)
        assert await service.login(ANN, "battery staple")
        assert not await service.reset_password(token, "another one")

    async def test_of_many_who_have_the_token_one_wins(self, service: LoginService) -> None:
        await service.register(ANN, PASSWORD)
        token = await service.request_reset(ANN)
        assert token is not None
        done = await asyncio.gather(*(service.reset_password(token, f"password {number}") for number in range(6)))
        assert sum(done) == 1
        assert await service.login(ANN, f"password {done.index(True)}")

    async def test_it_ends_to_the_millisecond(self, service: LoginService, server: TestServer) -> None:
        await service.register(ANN, PASSWORD)
        first, second = await service.request_reset(ANN), await service.request_reset(ANN)
        assert first is not None
        assert second is not None
        server.clock.advance(3_599.999)
        # A password that may not be chosen does not use it up.
        with pytest.raises(InvalidArgument):
            await service.reset_password(first, "short")
        server.clock.advance(0.001)
        assert not await service.reset_password(first, "battery staple")
        last = await service.request_reset(ANN)
        assert last is not None
        server.clock.advance(3_599.999)
        assert await service.reset_password(last, "battery staple")

    async def test_it_is_void_when_the_password_changes_meanwhile(self, service: LoginService) -> None:
        await service.register(ANN, PASSWORD)
        tokens = [await service.request_reset(ANN) for _ in range(3)]
        assert tokens[0] is not None
        assert tokens[1] is not None
        assert tokens[2] is not None
        assert await service.reset_password(tokens[0], "battery staple")
        assert not await service.reset_password(tokens[1], "of a thief")
        assert await service.change_password(ANN, "battery staple", "staple battery")
        assert not await service.reset_password(tokens[2], "of a thief")
        assert await service.login(ANN, "staple battery")

    async def test_an_account_that_is_written_anew_meanwhile_is_reset_all_the_same(self, client: AsyncClient) -> None:
        """As when somebody signs in whose hash is by older rules: the password stays the same."""

        class Rewritten(LoginService):
            async def _find(self, email: str) -> Entry | None:
                entry = await super()._find(email)
                if entry is not None and times:
                    times.pop()
                    await client.set(entry.key, entry.value)
                return entry

        times: list[None] = []
        service = Rewritten(client, hasher=CHEAP)
        await service.register(ANN, PASSWORD)
        token = await service.request_reset(ANN)
        assert token is not None
        times.extend([None] * 2)
        assert await service.reset_password(token, "battery staple")
        assert not times
        assert await service.login(ANN, "battery staple")

    async def test_nobody_gets_a_token(self, service: LoginService, client: AsyncClient) -> None:
        assert await service.request_reset("nobody@example.org") is None
        # The same work is done, so the time that it takes says nothing.
        assert len([key async for key in client.list_keys(prefix="password-reset:")]) == 1
        assert not await service.reset_password("made up", "battery staple")

    async def test_it_is_limited(self, service: LoginService) -> None:
        await service.register(ANN, PASSWORD)
        for email in (ANN, "nobody@example.org"):
            for _ in range(5):
                await service.request_reset(email)
            with pytest.raises(RateLimited):
                await service.request_reset(email)

    async def test_it_opens_an_account_that_was_tried_too_often(self, service: LoginService) -> None:
        await service.register(ANN, PASSWORD)
        for _ in range(11):
            await service.login(ANN, "wrong horse")
        token = await service.request_reset(ANN)
        assert token is not None
        assert await service.reset_password(token, "battery staple")
        assert await service.login(ANN, "battery staple")
