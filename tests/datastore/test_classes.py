"""Storage classes, and the registry of one's own."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from petra import AsyncClient
from petra.datastore import Datastore, StorageClass, StorageClasses, Store, UnknownClass
from petra.errors import InvalidArgument
from petra.values import Value

KV = ["USER", "PROJECT", "PAGE", "APIKEY", "SESSION", "CACHE", "EMAIL", "LIST"]
D1 = ["LOG", "AUDIT", "BATCH", "QUEUE", "STATUS"]


def test_the_standard_classes() -> None:
    classes = StorageClasses()
    assert [each.name for each in classes if each.adapter == "kv"] == KV
    assert [each.name for each in classes if each.adapter == "d1"] == D1
    assert [each.name for each in classes if each.placement == "sharded"] == [
        "APIKEY",
        "SESSION",
        "CACHE",
        "EMAIL",
        "LIST",
    ]
    assert "PAGE" in classes
    assert "page" not in classes
    assert len(classes) == len(KV) + len(D1)


@pytest.mark.parametrize("cls", [*KV, *D1])
async def test_every_standard_class_works(ann: Store, cls: str) -> None:
    await ann.put(cls, "key", {"n": 1})
    found = await ann.get(cls, "key")
    assert found is not None
    assert found["n"] == 1
    await ann.delete(cls, "key")
    assert await ann.exists(cls, "key") is False


@pytest.mark.parametrize("cls", ["FOO", "page", "", "LOG; DROP TABLE d1_log", None, 7])
async def test_an_unknown_class_names_the_known_ones(ann: Store, cls: Value) -> None:
    for attempt in (ann.get(cls, "key"), ann.put(cls, "key", {}), ann.KV.get(cls, "key"), ann.D1.query(cls)):
        with pytest.raises(UnknownClass, match=f"there are {', '.join([*KV, *D1])}") as caught:
            await attempt
        assert caught.value.known == (*KV, *D1)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


async def test_a_class_of_one_s_own(open_datastore: Callable[..., Datastore], client: AsyncClient) -> None:
    classes = StorageClasses()
    classes.register(StorageClass("INVOICE", "invoice"))
    classes.register(StorageClass("TOKEN", "token", placement="sharded", ttl=60))
    classes.register(StorageClass("EVENT", "event", adapter="d1"))
    ann = open_datastore(classes=classes).auth("ann")
    for cls in ("INVOICE", "TOKEN", "EVENT"):
        await ann.put(cls, "key", {"n": 1})
        assert await ann.exists(cls, "key")
    assert await client.object("main").get("invoice:key") == {"n": 1, "_auth": ["ann"]}
    assert await client.get("main:token:key") == {"n": 1, "_auth": ["ann"]}
    assert [each["id"] for each in await ann.D1.query("EVENT", {"n": 1})] == ["key"]
    # Other datastores know nothing of it.
    with pytest.raises(UnknownClass):
        await open_datastore().auth("ann").get("INVOICE", "key")


async def test_each_adapter_has_its_own_classes(ann: Store) -> None:
    await ann.KV.put("PAGE", "key", {"n": 1})
    await ann.D1.put("LOG", "key", {"n": 2})
    assert await ann.KV.get("PAGE", "key") == await ann.get("PAGE", "key")
    assert await ann.D1.get("LOG", "key") == await ann.get("LOG", "key")
    with pytest.raises(InvalidArgument, match="'LOG' is on D1, not on KV"):
        await ann.KV.get("LOG", "key")
    with pytest.raises(InvalidArgument, match="'PAGE' is on KV, not on D1"):
        await ann.D1.put("PAGE", "key", {})
    with pytest.raises(InvalidArgument, match="'PAGE' is on KV, not on D1"):
        await ann.D1.query("PAGE")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"name": "A B"}, "name is 'A B'"),
        ({"name": ""}, "name is ''"),
        ({"prefix": "a:b"}, "prefix is 'a:b'"),
        ({"prefix": 'a"; DROP TABLE x; --'}, "prefix is"),
        ({"prefix": "a\n"}, "prefix is"),
        ({"prefix": "ä"}, "prefix is"),
        ({"prefix": 7}, "prefix is 7"),
        ({"adapter": "sql"}, 'adapter is "kv" or "d1"'),
        ({"placement": "flat"}, 'placement is "database" or "sharded"'),
        ({"ttl": 0}, "more than 0 seconds"),
        ({"adapter": "d1", "placement": "sharded"}, "cannot be sharded"),
        ({"adapter": "d1", "ttl": 60}, "Rows of D1 do not expire"),
    ],
)
def test_a_class_that_cannot_be(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidArgument, match=sentence):
        StorageClass(**{"name": "INVOICE", "prefix": "invoice", **options})


def test_a_name_and_a_prefix_are_taken_once() -> None:
    classes = StorageClasses()
    classes.register(StorageClass("USER", "user"))
    with pytest.raises(InvalidArgument, match="another storage class 'USER'"):
        classes.register(StorageClass("USER", "person"))
    with pytest.raises(InvalidArgument, match="'USER' has the prefix 'user' already"):
        classes.register(StorageClass("PERSON", "user"))
    # A table is no key.
    classes.register(StorageClass("USERS", "user", adapter="d1"))
    assert len(classes) == len(KV) + len(D1) + 1
