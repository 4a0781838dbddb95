"""AdminService: what an operator asks. Nothing here changes data."""

from __future__ import annotations

import grpc

from petra.v1 import admin_pb2 as pb
from petra_server import __version__
from petra_server.actor import listing
from petra_server.actor.actor import Actor
from petra_server.actor.addresses import DEFAULT_NAMESPACE, Address
from petra_server.actor.asking import ask
from petra_server.actor.operations import Execute, ExecuteReply
from petra_server.actor.router import Router
from petra_server.clock import Clock
from petra_server.errors import Reason, Refusal
from petra_server.intake.admission import Admission
from petra_server.rpc.requests import Requests
from petra_server.rpc.unary import unary_handler
from petra_server.sql.databases import memory_used
from petra_server.sql.statements import Statement
from petra_server.storage.keys import page_prefix
from petra_server.storage.partition import Partition

SERVICE = pb.DESCRIPTOR.services_by_name["AdminService"].full_name

# Each is opened to be described, at a fraction of a millisecond.
_DEFAULT_DATABASES = 100
_MAX_DATABASES = 1_000
_TABLES = Statement(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    " ORDER BY name LIMIT 1000"
)


class AdminService:
    """The handlers of the service."""

    def __init__(self, partition: Partition, router: Router, requests: Requests, clock: Clock) -> None:
        self._partition = partition
        self._router = router
        self._requests = requests
        self._clock = clock
        self._started_at_ms = clock.now_ms()

    def handler(self, admission: Admission) -> grpc.GenericRpcHandler:
        """For `grpc.aio.Server.add_generic_rpc_handlers`."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "GetInfo": unary_handler(pb.GetInfoRequest, self._get_info, admission),
                "ListNamespaces": unary_handler(pb.ListNamespacesRequest, self._list_namespaces, admission),
                "ListObjects": unary_handler(pb.ListObjectsRequest, self._list_objects, admission),
                "ListDatabases": unary_handler(pb.ListDatabasesRequest, self._list_databases, admission),
                "DescribeActors": unary_handler(pb.DescribeActorsRequest, self._describe_actors, admission),
            },
        )

    async def _get_info(self, request: pb.GetInfoRequest, deadline: float | None) -> pb.GetInfoResponse:
        meta, disk, limits = self._partition.meta, self._partition.disk, self._requests.checks.limits
        open_databases, _ = self._router.sql.databases.figures()
        return pb.GetInfoResponse(
            version=__version__,
            data_id=meta.data_id,
            created_at_ms=meta.created_at_ms,
            format_version=meta.format_version,
            actors=meta.actors,
            started_at_ms=self._started_at_ms,
            writable=disk.writable,
            disk_free_bytes=disk.free_bytes,
            disk_reserve_bytes=disk.reserve_bytes,
            limits=pb.Limits(
                namespace_bytes=limits.max_namespace_bytes,
                object_bytes=limits.max_object_bytes,
                key_bytes=limits.max_key_bytes,
                value_bytes=limits.max_value_bytes,
                batch_items=limits.max_batch_items,
                message_bytes=limits.max_message_bytes,
                page_entries=limits.max_page_entries,
                page_bytes=limits.max_page_bytes,
                sql_bytes=limits.max_sql_bytes,
                sql_value_bytes=limits.max_sql_value_bytes,
                sql_rows=limits.max_sql_rows,
                sql_result_bytes=limits.max_sql_result_bytes,
            ),
            now_ms=self._clock.now_ms(),
            open_databases=open_databases,
            sql_memory_bytes=memory_used(),
        )

    async def _list_namespaces(
        self, request: pb.ListNamespacesRequest, deadline: float | None
    ) -> pb.ListNamespacesResponse:
        checks = self._requests.checks
        names, more = await listing.list_namespaces(
            self._router,
            prefix=checks.bound(request.prefix, "prefix"),
            after=checks.bound(request.start_after, "start_after"),
            limit=checks.page_entries(request.limit),
        )
        return pb.ListNamespacesResponse(namespaces=[name.decode() for name in names], more=more)

    async def _list_objects(self, request: pb.ListObjectsRequest, deadline: float | None) -> pb.ListObjectsResponse:
        checks = self._requests.checks
        address = self._requests.addresses.find(request.namespace or DEFAULT_NAMESPACE, "")
        names, more = await listing.list_objects(
            self._router,
            address.namespace,
            prefix=checks.bound(request.prefix, "prefix"),
            after=checks.bound(request.start_after, "start_after"),
            limit=checks.page_entries(request.limit),
        )
        return pb.ListObjectsResponse(objects=[name.decode() for name in names], more=more)

    async def _list_databases(
        self, request: pb.ListDatabasesRequest, deadline: float | None
    ) -> pb.ListDatabasesResponse:
        checks, addresses = self._requests.checks, self._requests.addresses
        if request.limit > _MAX_DATABASES:
            raise Refusal(
                Reason.INVALID_LIMIT,
                f"limit is {request.limit}, and a page holds at most {_MAX_DATABASES}. Ask for several pages.",
                field="limit",
            )
        space = addresses.find(request.namespace or DEFAULT_NAMESPACE, "")
        names, more = await listing.list_databases(
            self._router,
            space.namespace,
            prefix=checks.bound(request.prefix, "prefix"),
            after=checks.bound(request.start_after, "start_after"),
            limit=request.limit or _DEFAULT_DATABASES,
        )
        infos = [
            await self._database_info(addresses.find(request.namespace, name.decode()), deadline) for name in names
        ]
        return pb.ListDatabasesResponse(databases=infos, more=more)

    async def _database_info(self, address: Address, deadline: float | None) -> pb.DatabaseInfo:
        assert address.owner is not None
        operation = Execute(page_prefix(address.prefix), (_TABLES,))
        reply = await ask(self._router, address.owner, operation, deadline=deadline)
        assert isinstance(reply, ExecuteReply)
        return pb.DatabaseInfo(
            object=address.object_name.decode(),
            size_bytes=reply.database_bytes,
            tables=reply.results[0].cells.texts,
        )

    async def _describe_actors(
        self, request: pb.DescribeActorsRequest, deadline: float | None
    ) -> pb.DescribeActorsResponse:
        estimated = self._partition.counts_estimated
        return pb.DescribeActorsResponse(actors=[_actor_info(actor, estimated) for actor in self._router.actors])


def _actor_info(actor: Actor, estimated: bool) -> pb.ActorInfo:
    cache = actor.cache
    return pb.ActorInfo(
        index=actor.index,
        first_slot=actor.first_slot,
        last_slot=actor.last_slot,
        queue_depth=len(actor.mailbox),
        keys=actor.keys,
        keys_estimated=estimated,
        version=actor.version,
        cache_bytes=cache.bytes,
        cache_entries=cache.entries,
        cache_hits=cache.hits,
        cache_misses=cache.misses,
        turns=actor.turns,
        operations=actor.operations,
        swept=actor.swept,
        statements=actor.statements,
    )
