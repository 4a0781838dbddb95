"""Clusters, and which users are their members in which role."""

from __future__ import annotations

from collections.abc import Mapping

import petra.stores.tables as tables
from petra.stores.arguments import json_text, own_or_new_id, text, word
from petra.stores.errors import NotFound
from petra.stores.execution import Tables
from petra.stores.records import Cluster, Member, Page, cluster_of, member_of
from petra.values import Value

OWNER = "owner"


class ClusterStore:
    """Clusters and their members. What a role allows is the application's business; here it is a word.

    Every method raises NotInitialized before the tables were made.
    """

    def __init__(self, execution: Tables) -> None:
        """Made by DatabaseStore."""
        self._tables = execution

    async def create(
        self,
        name: str,
        *,
        owner: str | None = None,
        data: Mapping[str, Value] | None = None,
        cluster_id: str | None = None,
    ) -> Cluster:
        """A new cluster, in one step with its first member in the role "owner", when the id of a user is given.

        Raises NotFound for the owner, AlreadyExists for the id, and InvalidArgument.
        """
        row = {
            "id": own_or_new_id(cluster_id, "cluster_id"),
            "name": text(name, "name"),
            "data": json_text(data or {}),
        }
        statements: list[tuple[str, Mapping[str, str]]] = [(tables.CREATE_CLUSTER, row)]
        if owner is not None:
            statements.append((tables.ADD_MEMBER, {"cluster": row["id"], "user": owner, "role": OWNER}))
        created, *_ = await self._tables.batch(statements)
        return cluster_of(created.one())

    async def get(self, cluster_id: str) -> Cluster | None:
        """The cluster with an id, or None."""
        row = (await self._tables.execute(tables.GET_CLUSTER, {"id": cluster_id})).first()
        return None if row is None else cluster_of(row)

    async def update(
        self, cluster_id: str, *, name: str | None = None, data: Mapping[str, Value] | None = None
    ) -> Cluster:
        """Replaces what is given, and returns the cluster as it is then. Raises NotFound and InvalidArgument."""
        row = {
            "id": cluster_id,
            "name": None if name is None else text(name, "name"),
            "data": None if data is None else json_text(data),
        }
        changed = (await self._tables.execute(tables.UPDATE_CLUSTER, row)).first()
        if changed is None:
            raise NotFound("There is no such cluster.")
        return cluster_of(changed)

    async def delete(self, cluster_id: str) -> bool:
        """Deletes a cluster with its instances and memberships, and returns whether there was one."""
        return (await self._tables.execute(tables.DELETE_CLUSTER, {"id": cluster_id})).changes > 0

    async def list(self, *, limit: int = 100, cursor: str | None = None) -> Page[Cluster]:
        """A page of all clusters, the oldest first. `limit` is 1,000 at most, `cursor` the `next_cursor` of a page."""
        return await self._tables.page(tables.LIST_CLUSTERS, {}, cluster_of, limit=limit, cursor=cursor)

    async def add_member(self, cluster_id: str, user_id: str, role: str = "member") -> Member:
        """Makes a user a member. Raises NotFound for either, AlreadyExists for a member, and InvalidArgument."""
        key = {"cluster": cluster_id, "user": user_id}
        added = (tables.ADD_MEMBER, {**key, "role": word(role, "role")})
        _, member = await self._tables.batch([added, (tables.GET_MEMBER, key)])
        return member_of(member.one())

    async def set_role(self, cluster_id: str, user_id: str, role: str) -> Member:
        """Gives a member another role. Raises NotFound for a user who is no member, and InvalidArgument."""
        key = {"cluster": cluster_id, "user": user_id}
        changed = (tables.SET_ROLE, {**key, "role": word(role, "role")})
        _, found = await self._tables.batch([changed, (tables.GET_MEMBER, key)])
        member = found.first()
        if member is None:
            raise NotFound("The user is no member of the cluster.")
        return member_of(member)

    async def remove_member(self, cluster_id: str, user_id: str) -> bool:
        """Ends a membership, and returns whether there was one."""
        key = {"cluster": cluster_id, "user": user_id}
        return (await self._tables.execute(tables.REMOVE_MEMBER, key)).changes > 0

    async def member(self, cluster_id: str, user_id: str) -> Member | None:
        """The membership of a user in a cluster, or None: what to ask before a user may do something there."""
        key = {"cluster": cluster_id, "user": user_id}
        row = (await self._tables.execute(tables.GET_MEMBER, key)).first()
        return None if row is None else member_of(row)

    async def members(self, cluster_id: str, *, limit: int = 100, cursor: str | None = None) -> Page[Member]:
        """A page of the members of a cluster, in the order in which they became it; see `list`."""
        key = {"cluster": cluster_id}
        return await self._tables.page(tables.LIST_MEMBERS, key, member_of, limit=limit, cursor=cursor)

    async def clusters_of(self, user_id: str, *, limit: int = 100, cursor: str | None = None) -> Page[Member]:
        """A page of the memberships of a user, in the order in which they began; see `list`."""
        key = {"user": user_id}
        return await self._tables.page(tables.LIST_CLUSTERS_OF, key, member_of, limit=limit, cursor=cursor)
