"""The blocking datastore is the same one, for threads."""

from __future__ import annotations

from typing import Any, cast

import pytest

import petra.datastore
import petra.sync.datastore
from petra import AsyncClient, Client
from petra.datastore import Datastore
from petra.sync.datastore import Datastore as BlockingDatastore
from petra.testing import TestServer


def test_both_have_the_same_names() -> None:
    assert petra.datastore.__all__ == petra.sync.datastore.__all__ == sorted(petra.datastore.__all__)
    for name in petra.datastore.__all__:
        ours, theirs = getattr(petra.datastore, name), getattr(petra.sync.datastore, name)
        # What awaits is there twice; what does not is the same.
        assert (ours is theirs) == (name not in {"D1Adapter", "Datastore", "KVAdapter", "Store"})
        assert {each for each in dir(ours) if each[0] != "_"} == {each for each in dir(theirs) if each[0] != "_"}


async def test_the_client_of_the_other_kind_is_refused(server: TestServer) -> None:
    with Client(server.address) as blocking, pytest.raises(TypeError, match=r"use petra\.sync\.datastore"):
        Datastore(cast("AsyncClient", blocking))
    async with AsyncClient(server.address) as client:
        with pytest.raises(TypeError, match=r"use petra\.datastore"):
            BlockingDatastore(cast("Client", client))
    with pytest.raises(TypeError, match="not a str"):
        Datastore(cast("Any", "localhost:7475"))


def test_a_program_without_an_event_loop(server: TestServer, namespace: str) -> None:
    with Client(server.address) as client:
        ann = BlockingDatastore(client.namespace(namespace)).auth("ann")
        ann.put("PAGE", "p1", {"title": "Tea"})
        ann.query_list_add_item("pages:ann", "p1")
        assert [page["title"] for page in ann.query_list_by_pointer("PAGE", "pages:ann")] == ["Tea"]


async def test_values_are_json_whatever_the_client_s_codec_is(server: TestServer, namespace: str) -> None:
    class Upside:
        def encode(self, value: object) -> tuple[bytes, petra.Encoding]:
            raise AssertionError(value)

        def decode(self, data: bytes, encoding: petra.Encoding) -> object:
            raise AssertionError(data)

    async with AsyncClient(server.address, namespace=namespace, codec=Upside()) as client:
        ann = Datastore(client).auth("ann")
        await ann.put("PAGE", "p1", {"title": "Tea"})
        assert await ann.get("PAGE", "p1") == {"title": "Tea", "_auth": ["ann"]}
