"""Instances, each of one cluster."""

from __future__ import annotations

from collections.abc import Mapping

import petra.stores.tables as tables
from petra.stores.arguments import json_text, own_or_new_id, text
from petra.stores.errors import NotFound
from petra.stores.execution import Tables
from petra.stores.records import Instance, Page, instance_of
from petra.values import Value


class InstanceStore:
    """Instances of clusters. They go with their cluster.

    Every method raises NotInitialized before the tables were made.
    """

    def __init__(self, execution: Tables) -> None:
        """Made by DatabaseStore."""
        self._tables = execution

    async def create(
        self,
        cluster_id: str,
        name: str,
        *,
        status: str = "",
        data: Mapping[str, Value] | None = None,
        instance_id: str | None = None,
    ) -> Instance:
        """A new instance of a cluster. Raises NotFound for the cluster, AlreadyExists for the id, InvalidArgument."""
        row = {
            "id": own_or_new_id(instance_id, "instance_id"),
            "cluster": cluster_id,
            "name": text(name, "name"),
            "status": text(status, "status"),
            "data": json_text(data or {}),
        }
        return instance_of((await self._tables.execute(tables.CREATE_INSTANCE, row)).one())

    async def get(self, instance_id: str) -> Instance | None:
        """The instance with an id, or None."""
        row = (await self._tables.execute(tables.GET_INSTANCE, {"id": instance_id})).first()
        return None if row is None else instance_of(row)

    async def update(
        self,
        instance_id: str,
        *,
        name: str | None = None,
        status: str | None = None,
        data: Mapping[str, Value] | None = None,
    ) -> Instance:
        """Replaces what is given, and returns the instance as it is then. Raises NotFound and InvalidArgument."""
        row = {
            "id": instance_id,
            "name": None if name is None else text(name, "name"),
            "status": None if status is None else text(status, "status"),
            "data": None if data is None else json_text(data),
        }
        changed = (await self._tables.execute(tables.UPDATE_INSTANCE, row)).first()
        if changed is None:
            raise NotFound("There is no such instance.")
        return instance_of(changed)

    async def delete(self, instance_id: str) -> bool:
        """Deletes an instance, and returns whether there was one."""
        return (await self._tables.execute(tables.DELETE_INSTANCE, {"id": instance_id})).changes > 0

    async def list(
        self, cluster_id: str | None = None, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Instance]:
        """A page of the instances of a cluster, or of all, the oldest first.

        `limit` is 1,000 at most, `cursor` the `next_cursor` of a page of the same list.
        """
        sql = tables.LIST_INSTANCES if cluster_id is None else tables.LIST_INSTANCES_OF
        key = {} if cluster_id is None else {"cluster": cluster_id}
        return await self._tables.page(sql, key, instance_of, limit=limit, cursor=cursor)
