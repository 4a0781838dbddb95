"""The plain helpers: buckets and sessions as somebody else makes them."""

from __future__ import annotations

from petra import AsyncClient
from petra.ratelimit import StorageHelpers
from petra.testing import TestServer
from tests.support.layers import Tree


async def test_a_bucket(tree: Tree, server: TestServer) -> None:
    helpers = tree.make(StorageHelpers)
    assert await helpers.get_rate_limit("ann") is None
    await helpers.set_rate_limit("ann", {"tokens": 4.5, "at": 1_900_000_000}, ttl=60)
    assert await helpers.get_rate_limit("ann") == {"tokens": 4.5, "at": 1_900_000_000}
    server.clock.advance(60)
    assert await helpers.get_rate_limit("ann") is None


async def test_a_session(tree: Tree, server: TestServer, client: AsyncClient) -> None:
    helpers = tree.make(StorageHelpers)
    assert await helpers.get_session("s1") is None
    await helpers.set_session("s1", {"user": "ann"})
    assert await helpers.get_session("s1") == {"user": "ann"}
    server.clock.advance(7 * 86_400 - 0.001)
    assert await helpers.get_session("s1") == {"user": "ann"}
    assert not [key async for key in client.list_keys() if "s1" in key.split(":")]
    server.clock.advance(0.001)
    assert await helpers.get_session("s1") is None


async def test_values_are_json_whatever_the_client_writes(server: TestServer, namespace: str) -> None:
    class Rot13:
        def encode(self, value: object) -> tuple[bytes, object]:
            raise AssertionError("this codec is for the application's own values")

        decode = encode

    async with AsyncClient(server.address, namespace=namespace, codec=Rot13()) as other:  # type: ignore[arg-type]
        helpers = StorageHelpers(other)
        await helpers.set_session("s1", {"user": "ann"}, ttl=1)
        assert await helpers.get_session("s1") == {"user": "ann"}


async def test_an_id_that_is_no_text_opens_nothing(tree: Tree) -> None:
    """As frameworks make one of a cookie that is not in UTF-8."""
    helpers = tree.make(StorageHelpers)
    assert await helpers.get_session("\udcff") is None
    await helpers.set_session("\udcff", {"user": "ann"})
    assert await helpers.get_session("\udcff") == {"user": "ann"}
    assert await helpers.get_session("\udcfe") is None
