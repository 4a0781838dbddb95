"""OAuth states in both trees: good once, for ten minutes, and never a way to another site."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re

import pytest

import petra.sync.auth
from petra import AsyncClient, Client
from petra.auth import OAuthStates, safe_return_path
from petra.errors import InvalidArgument
from petra.testing import TestServer
from tests.support.layers import Tree


async def test_it_carries_what_must_be_remembered(tree: Tree) -> None:
    states = tree.make(OAuthStates)
    made = await states.create(return_to="/inbox?page=2#top", data={"provider": "example", "nonce": "n1"})
    found = await states.consume(made.state)
    assert found == made
    assert found is not None
    assert (found.return_to, found.data) == ("/inbox?page=2#top", {"provider": "example", "nonce": "n1"})


async def test_the_challenge_is_that_of_rfc_7636(tree: Tree) -> None:
    made = await tree.make(OAuthStates).create()
    assert re.fullmatch(r"[A-Za-z0-9_-]{43,128}", made.verifier)
    digest = hashlib.sha256(made.verifier.encode()).digest()
    assert base64.urlsafe_b64decode(made.challenge + "=") == digest
    assert "=" not in made.challenge


async def test_it_is_good_once(tree: Tree) -> None:
    states = tree.make(OAuthStates)
    made = await states.create()
    assert await states.consume(made.state) is not None
    assert await states.consume(made.state) is None


async def test_of_many_racing_consumers_one_wins(tree: Tree) -> None:
    states = tree.make(OAuthStates)
    for _ in range(10):
        made = await states.create()
        found = await asyncio.gather(*(states.consume(made.state) for _ in range(8)))
        assert sum(each is not None for each in found) == 1


async def test_it_ends_to_the_millisecond(tree: Tree, server: TestServer) -> None:
    states = tree.make(OAuthStates)
    first, second = await states.create(), await states.create()
    server.clock.advance(599.999)
    assert await states.consume(first.state) is not None
    server.clock.advance(0.001)
    assert await states.consume(second.state) is None


@pytest.mark.parametrize("state", ["", "unknown", "x" * 10_000, "\udcff", "ключ"])
async def test_what_was_made_up_is_nothing(tree: Tree, state: str) -> None:
    assert await tree.make(OAuthStates).consume(state) is None


async def test_states_are_stored_as_hashes_and_not_shown(tree: Tree, client: AsyncClient) -> None:
    made = await tree.make(OAuthStates).create()
    (entry,) = [entry async for entry in client.list()]
    assert entry.key == f"oauth-state:{hashlib.sha256(made.state.encode()).hexdigest()}"
    assert made.state not in json.dumps(entry.value)
    assert made.state not in repr(made)
    assert made.verifier not in repr(made)


HOSTILE = [
    "",
    "home",
    "https://example.org",
    "//example.org",
    "///example.org",
    "/\\example.org",
    "\\/example.org",
    "/\t/example.org",
    "\t//example.org",
    "/\n/example.org",
    " //example.org",
    "/home\r\nSet-Cookie: a=b",
    "javascript:alert(1)",
    "/\u2028/x",
    "/" + "x" * 3_000,
]


@pytest.mark.parametrize("path", HOSTILE)
async def test_the_way_back_stays_here(tree: Tree, path: str) -> None:
    assert safe_return_path(path) == "/"
    assert safe_return_path(path, default="/home") == "/home"
    with pytest.raises(InvalidArgument) as caught:
        await tree.make(OAuthStates).create(return_to=path)
    assert caught.value.field == "return_to"


@pytest.mark.parametrize(
    "path", ["/", "/home", "/a/b?next=//example.org", "/a:b", "/?q=a@b", "/%2F%2Fexample.org", "/ключ"]
)
def test_paths_of_this_site_are_left_as_they_are(path: str) -> None:
    assert safe_return_path(path, default="/other") == path


async def test_the_other_tree_is_refused_by_name(client: AsyncClient, server: TestServer) -> None:
    with Client(server.address) as blocking:
        with pytest.raises(TypeError, match=r"petra\.sync\.auth"):
            OAuthStates(blocking)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"petra\.sync\.auth"):
            petra.auth.OneTimeCodes(blocking, "a secret of 16 bytes")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"petra\.sync\.auth"):
            petra.auth.LoginService(blocking)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"use petra\.auth"):
        petra.sync.auth.OAuthStates(client)  # type: ignore[arg-type]
