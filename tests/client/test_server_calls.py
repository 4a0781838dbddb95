"""What the server says about itself, and lists of what it holds, with both trees of the client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from uuid import uuid4

from petra import AsyncClient
from petra.testing import TestServer


async def test_info(client: AsyncClient, server: TestServer) -> None:
    info = await client.info()
    assert info.now == server.clock.now
    assert info.created_at <= info.started_at <= info.now
    assert info.writable
    assert info.actors == 8
    assert info.limits.batch_items == 1_024
    assert info.limits.value_bytes == 2 << 20
    assert len(info.data_id) > 8
    assert (await client.info(timeout=60)).data_id == info.data_id


async def test_actors(client: AsyncClient) -> None:
    actors = await client.actors()
    assert len(actors) == 8
    slots = [(actor.first_slot, actor.last_slot) for actor in actors]
    assert slots[0][0] == 0
    assert slots[-1][1] == 16_383
    assert all(one[1] + 1 == other[0] for one, other in pairwise(slots))


async def test_namespaces_that_hold_something(open_client: Callable[..., AsyncClient], server: TestServer) -> None:
    client, prefix = open_client(), f"list-{uuid4().hex}"
    names = [f"{prefix}-{name}" for name in ("a", "b", "ä")]
    for name in reversed(names):
        await client.namespace(name).set("key", 1)
    await client.namespace(f"{prefix}-object").object("room").set("key", 1)
    await client.namespace(f"{prefix}-short").set("key", 1, ttl=1)
    expected = [*names[:2], f"{prefix}-object", f"{prefix}-short", names[2]]
    assert [name async for name in client.namespaces(prefix=prefix)] == expected
    server.clock.advance(1)
    await client.namespace(names[0]).clear()
    assert [name async for name in client.namespaces(prefix=prefix)] == [names[1], f"{prefix}-object", names[2]]
    assert names[1] in [name async for name in client.namespaces()]


async def test_objects_page_by_page(client: AsyncClient) -> None:
    """More than the server names in one answer."""
    names = [f"room-{number:05}" for number in range(1_100)]
    for first in range(0, len(names), 100):
        rooms = [client.object(name) for name in names[first : first + 100]]
        await asyncio.gather(*(room.set("key", 0, durability="buffered") for room in rooms))
    await client.set("flat", 0)
    assert [name async for name in client.objects()] == names
    assert [name async for name in client.objects(prefix="room-0000")] == names[:10]
    assert [name async for name in client.namespace("elsewhere").objects()] == []
