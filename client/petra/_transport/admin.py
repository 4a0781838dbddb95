"""The calls of AdminService: their paths, requests and answers. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from petra._transport.arguments import checked_key
from petra.server_info import ActorInfo, Limits, ServerInfo
from petra.v1 import admin_pb2 as pb

GET_INFO: Final = "/petra.v1.AdminService/GetInfo"
LIST_NAMESPACES: Final = "/petra.v1.AdminService/ListNamespaces"
LIST_OBJECTS: Final = "/petra.v1.AdminService/ListObjects"
DESCRIBE_ACTORS: Final = "/petra.v1.AdminService/DescribeActors"


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
        limits=Limits(**{name: getattr(info.limits, name) for name in Limits.__slots__}),
    )


def read_actors(data: bytes) -> list[ActorInfo]:
    actors = pb.DescribeActorsResponse.FromString(data).actors
    return [ActorInfo(**{name: getattr(actor, name) for name in ActorInfo.__slots__}) for actor in actors]


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1_000, UTC)
