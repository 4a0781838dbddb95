"""The calls of AdminService: their paths, requests and answers. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from petra._transport.arguments import checked_key, uint32
from petra.server_info import ActorInfo, Limits, ServerInfo
from petra.sql import DatabaseInfo
from petra.v1 import admin_pb2 as pb

GET_INFO: Final = "/petra.v1.AdminService/GetInfo"
LIST_NAMESPACES: Final = "/petra.v1.AdminService/ListNamespaces"
LIST_OBJECTS: Final = "/petra.v1.AdminService/ListObjects"
LIST_DATABASES: Final = "/petra.v1.AdminService/ListDatabases"
DESCRIBE_ACTORS: Final = "/petra.v1.AdminService/DescribeActors"

# Databases of a page, each with its tables.
_USUAL_DATABASES: Final = 100


def namespaces_request(prefix: str, start_after: str) -> bytes:
    return pb.ListNamespacesRequest(prefix=checked_key(prefix, "prefix"), start_after=start_after).SerializeToString()


def objects_request(namespace: str, prefix: str, start_after: str) -> bytes:
    request = pb.ListObjectsRequest(namespace=namespace, prefix=checked_key(prefix, "prefix"), start_after=start_after)
    return request.SerializeToString()


def read_namespaces(data: bytes) -> tuple[list[str], bool]:
    """The names, and whether there are more."""
    response = pb.ListNamespacesResponse.FromString(data)
    return list(response.namespaces), response.more


def read_objects(data: bytes) -> tuple[list[str], bool]:
    """The names, and whether there are more."""
    response = pb.ListObjectsResponse.FromString(data)
    return list(response.objects), response.more


class DatabasePages:
    """A listing of databases under way: make each request, and hand its answer to `take`, until there is none."""

    def __init__(self, namespace: str, *, prefix: str, start_after: str, limit: int | None) -> None:
        """`limit` bounds the databases in all. Raises InvalidArgument."""
        self._namespace = namespace
        self._prefix = checked_key(prefix, "prefix")
        self._after = checked_key(start_after, "start_after")
        self._left = None if limit is None else uint32(limit, "limit")
        self._more = True

    def next_request(self) -> bytes | None:
        """The request of the next page, or None after the last one."""
        if not self._more or self._left == 0:
            return None
        request = pb.ListDatabasesRequest(
            namespace=self._namespace,
            prefix=self._prefix,
            start_after=self._after,
            limit=0 if self._left is None else min(self._left, _USUAL_DATABASES),
        )
        return request.SerializeToString()

    def take(self, data: bytes) -> list[DatabaseInfo]:
        """The databases of an answer."""
        response = pb.ListDatabasesResponse.FromString(data)
        found = [DatabaseInfo(each.object, each.size_bytes, tuple(each.tables)) for each in response.databases]
        self._more = response.more and bool(found)
        if found:
            self._after = found[-1].object
        if self._left is not None:
            self._left -= len(found)
        return found


def read_info(data: bytes) -> ServerInfo:
    info = pb.GetInfoResponse.FromString(data)

    return ServerInfo(
        version=info.version,
        data_id=info.data_id,
        created_at=_moment(info.created_at_ms),
        started_at=_moment(info.started_at_ms),
        now=_moment(info.now_ms),
        format_version=info.format_version,
        actors=info.actors,
        writable=info.writable,
        disk_free_bytes=info.disk_free_bytes,
        disk_reserve_bytes=info.disk_reserve_bytes,
        open_databases=info.open_databases,
        sql_memory_bytes=info.sql_memory_bytes,
        limits=Limits(**{name: getattr(info.limits, name) for name in Limits.__slots__}),
    )


def read_actors(data: bytes) -> list[ActorInfo]:
    actors = pb.DescribeActorsResponse.FromString(data).actors
    return [ActorInfo(**{name: getattr(actor, name) for name in ActorInfo.__slots__}) for actor in actors]


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1_000, UTC)
