"""The composition root: makes a server out of its parts, runs it, and ends it. No logic of its own."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from petra_server import __version__
from petra_server.actor.addresses import Addresses
from petra_server.actor.router import Router
from petra_server.actor.sql_streams import Streams
from petra_server.actor.sql_turns import SqlOptions
from petra_server.actor.sweeper import Sweeper
from petra_server.clock import Clock, SystemClock
from petra_server.errors import StartupError, StorageFailed
from petra_server.intake.admission import Admission
from petra_server.intake.checks import Checks, Limits
from petra_server.intake.pages import Pages
from petra_server.rpc import admin_service, sql_service, storage_service
from petra_server.rpc.admin_service import AdminService
from petra_server.rpc.requests import Requests
from petra_server.rpc.sql_service import SqlService
from petra_server.rpc.storage_service import StorageService
from petra_server.settings import Settings, split_address
from petra_server.sql.statements import SqlLimits
from petra_server.storage.engine import EngineOptions
from petra_server.storage.partition import Partition, PartitionOptions

if TYPE_CHECKING:
    from petra_server.http.server import HttpOptions
    from petra_server.http.service import HttpService

_log = structlog.get_logger(__name__)

EXIT_STORAGE_FAILED = 74  # EX_IOERR of sysexits.h

_SERVICES = (storage_service.SERVICE, sql_service.SERVICE, admin_service.SERVICE)
# What answers that are held by a failed flush get to be sent.
_FAILURE_GRACE_SECONDS = 1.0
# Calls that are on their way are still told that the server is draining; once gRPC stops, it cancels them unread.
_DRAIN_SECONDS = 0.1
# For answers that are on their way out.
_STOP_SECONDS = 0.2
# The flush thread and gRPC's own wait for the interpreter; the default of 5 ms is many flushes long.
_SWITCH_INTERVAL_SECONDS = 0.0005
# The default of 700 new objects is a few requests.
_GC_THRESHOLDS = (10_000, 10, 10)


class Server:
    """A running server. Use `start`, inside the loop that is to run it."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._partition = Partition.open(_partition_options(settings), clock)
        # Set once a write or flush has failed; the process is to end then.
        self.failed = asyncio.Event()
        self.router = Router(
            self._partition,
            clock,
            max_mailbox_items=settings.max_mailbox_items,
            sql=_sql_options(settings),
            on_failure=self._storage_failed,
        )
        self.addresses = Addresses(
            self.router.actors,
            max_namespace_bytes=settings.max_namespace_bytes,
            max_object_bytes=settings.max_object_bytes,
        )
        checks = Checks(_limits(settings))
        requests = Requests(self.addresses, checks)
        pages = Pages(self.addresses, checks, self.router)
        self._admission = admission = Admission(
            max_connection_bytes=settings.max_connection_bytes, max_server_bytes=settings.max_server_bytes
        )
        self._storage = StorageService(
            self.router, requests, pages, admission, max_stream_bytes=settings.max_stream_bytes
        )
        self.sweeper = Sweeper(
            self.router,
            self._partition.disk,
            interval_ms=settings.sweep_interval_ms,
            batch_items=settings.sweep_batch_items,
        )
        self._streams = Streams(
            self.router.sql.databases, max_streams=settings.sql_streams, max_seconds=settings.max_sql_seconds
        )
        self._health = health.aio.HealthServicer()
        self._grpc = grpc.aio.server(options=grpc_options(settings))
        self._grpc.add_generic_rpc_handlers(
            (
                self._storage.handler(),
                SqlService(self.router, requests, admission, self._streams).handler(),
                AdminService(self._partition, self.router, requests, clock).handler(admission),
            )
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        if settings.reflection:
            names = (*_SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, self._grpc)
        self._sweeping: asyncio.Task[None] | None = None
        # Host and port it listens on.
        self.address = ""
        self._checks, self._pages = checks, pages
        self._http: HttpService | None = None

    @classmethod
    async def start(cls, settings: Settings, clock: Clock) -> Server:
        """Opens the data directory and serves. Raises StartupError."""
        server = cls(settings, clock)
        try:
            server.address = _bind(server._grpc, settings)
            if settings.http:
                server._http = server._http_service()
            await server._grpc.start()
            if server._http is not None:
                await server._http.start()
        except BaseException:
            await server._stop_http()
            await server._partition.close(server._counts())
            raise
        server._sweeping = asyncio.create_task(server.sweeper.run(), name="petra-sweeper")
        await server._set_health(health_pb2.HealthCheckResponse.SERVING)
        return server

    async def stop(self, grace_seconds: float) -> None:
        """Finishes what is under way within the grace, flushes and closes. Raises StorageFailed when that fails."""
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        closing = self._storage.drain()
        if self._sweeping is not None:
            self._sweeping.cancel()
        await asyncio.sleep(min(grace_seconds, _DRAIN_SECONDS))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._admission.idle(), grace_seconds)
        # What is left are calls that have had their time, and watchers of health, who would never end by themselves.
        await asyncio.gather(self._grpc.stop(_STOP_SECONDS), self._stop_http())
        await self._streams.close()
        await self.router.close(closing)
        await self._partition.close(self._counts())

    async def abandon(self) -> None:
        """Ends after a failed write or flush: sends the answers that tell of it, and touches the disk no more."""
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        self._storage.drain()
        await asyncio.gather(self._grpc.stop(_FAILURE_GRACE_SECONDS), self._stop_http())

    def describe(self) -> dict[str, object]:
        """What the start-up line says."""
        return {
            "address": self.address,
            **({"http": self.http_address} if self._http is not None else {}),
            "data": str(self._settings.data),
            "actors": self._partition.meta.actors,
            "version": __version__,
        }

    @property
    def http_address(self) -> str:
        """Host and port of the HTTP API, empty when there is none."""
        return "" if self._http is None else self._http.address

    def _http_service(self) -> HttpService:
        # Here, as it takes a tenth of a second to load, which servers without HTTP need not wait for.
        from petra_server.http.api import Inside
        from petra_server.http.service import HttpService

        inside = Inside(
            router=self.router,
            partition=self._partition,
            addresses=self.addresses,
            checks=self._checks,
            pages=self._pages,
            admission=self._admission,
        )
        return HttpService(inside, _http_options(self._settings), timeout_ms=self._settings.http_timeout_ms)

    async def _stop_http(self) -> None:
        if self._http is not None:
            await self._http.stop()

    def _counts(self) -> list[int]:
        return [actor.keys for actor in self.router.actors]

    async def _set_health(self, status: int) -> None:
        for service in ("", *_SERVICES):
            await self._health.set(service, status)

    def _storage_failed(self, failure: StorageFailed) -> None:
        _log.critical("storage failed, stopping", error=failure.message)
        self.failed.set()


def serve(settings: Settings) -> int:
    """Serves until a signal or a failure ends it. Returns the exit code; raises StartupError."""
    sys.setswitchinterval(_SWITCH_INTERVAL_SECONDS)
    # What is there now stays; looking through it again and again took a tenth of the time of batches.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    return asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        if stopping.is_set():
            _log.warning("second signal, ending at once", signal=number.name)
            os._exit(128 + number)
        _log.info("shutting down", signal=number.name, grace_seconds=settings.grace_seconds)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    server = await Server.start(settings, SystemClock())
    _log.info("serving", **server.describe())
    ends = [asyncio.create_task(event.wait()) for event in (stopping, server.failed)]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    try:
        if not server.failed.is_set():
            await server.stop(settings.grace_seconds)
            _log.info("stopped")
            return 0
    except StorageFailed:
        pass
    await server.abandon()
    # At once: the flush thread may be stuck in the disk, and nothing is left that ought to be closed.
    logging.shutdown()
    os._exit(EXIT_STORAGE_FAILED)


def _bind(server: grpc.aio.Server, settings: Settings) -> str:
    host, _ = split_address(settings.listen)
    try:
        credentials = _credentials(settings)
        if credentials is None:
            port = server.add_insecure_port(settings.listen)
        else:
            port = server.add_secure_port(settings.listen, credentials)
    except RuntimeError:
        raise StartupError(
            f"The address {settings.listen} cannot be listened on: it is in use, or is not one of this machine."
            " Stop the other server, or name another address with --listen."
        ) from None
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _credentials(settings: Settings) -> grpc.ServerCredentials | None:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    client_ca = _read_pem(settings.tls_client_ca) if settings.tls_client_ca else None
    return grpc.ssl_server_credentials(
        [(_read_pem(settings.tls_key), _read_pem(settings.tls_cert))],
        root_certificates=client_ca,
        require_client_auth=client_ca is not None,
    )


def _http_options(settings: Settings) -> HttpOptions:
    from petra_server.http.server import HttpOptions

    host, port = split_address(settings.http)
    return HttpOptions(
        host=host,
        port=port,
        max_connections=settings.http_connections,
        max_head_bytes=settings.max_metadata_bytes,
        head_seconds=settings.handshake_timeout_ms / 1000,
        tls_cert=settings.tls_cert,
        tls_key=settings.tls_key,
        tls_client_ca=settings.tls_client_ca,
    )


def _read_pem(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartupError(f"The PEM file {path} cannot be read: {error.strerror}. See its path and rights.") from None


def grpc_options(settings: Settings) -> list[tuple[str, int]]:
    """What bounds a client that means harm, or is broken."""
    return [
        # Two servers on one port would each get some of the connections.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.max_concurrent_streams", settings.max_streams),
        ("grpc.max_metadata_size", settings.max_metadata_bytes),
        ("grpc.absolute_max_metadata_size", 2 * settings.max_metadata_bytes),
        ("grpc.server_handshake_timeout_ms", settings.handshake_timeout_ms),
        ("grpc.keepalive_time_ms", settings.keepalive_time_ms),
        ("grpc.keepalive_timeout_ms", settings.keepalive_timeout_ms),
        ("grpc.http2.min_ping_interval_without_data_ms", settings.min_ping_interval_ms),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_ping_strikes", 2),
    ]


def _limits(settings: Settings) -> Limits:
    return Limits(
        max_namespace_bytes=settings.max_namespace_bytes,
        max_object_bytes=settings.max_object_bytes,
        max_key_bytes=settings.max_key_bytes,
        max_value_bytes=settings.max_value_bytes,
        max_batch_items=settings.max_batch_items,
        max_message_bytes=settings.max_message_bytes,
        max_page_entries=settings.max_page_entries,
        max_page_bytes=settings.max_page_bytes,
        max_sql_bytes=settings.max_sql_bytes,
        max_sql_value_bytes=settings.max_sql_value_bytes,
        max_sql_rows=settings.max_sql_rows,
        max_sql_result_bytes=min(settings.max_sql_result_bytes, settings.max_message_bytes // 2),
    )


def _sql_options(settings: Settings) -> SqlOptions:
    return SqlOptions(
        limits=SqlLimits(
            max_sql_bytes=settings.max_sql_bytes,
            max_value_bytes=settings.max_sql_value_bytes,
            max_rows=settings.max_sql_rows,
            max_result_bytes=min(settings.max_sql_result_bytes, settings.max_message_bytes // 2),
            max_write_bytes=settings.max_sql_write_bytes,
            max_scratch_bytes=settings.max_sql_scratch_bytes,
            max_database_bytes=settings.max_sql_database_bytes,
        ),
        threads=settings.sql_threads,
        max_open=settings.sql_open_databases,
        cache_bytes=settings.sql_cache_bytes,
        memory_bytes=settings.sql_memory_bytes,
        max_seconds=settings.max_sql_seconds,
    )


def _partition_options(settings: Settings) -> PartitionOptions:
    return PartitionOptions(
        path=settings.data,
        actors=settings.actors,
        engine=EngineOptions(
            block_cache_bytes=settings.block_cache_bytes,
            write_buffer_bytes=settings.write_buffer_bytes,
            wal_bytes=settings.wal_bytes,
            max_open_files=settings.max_open_files,
            point_in_time_recovery=settings.wal_recovery == "point-in-time",
        ),
        cache_bytes=settings.cache_bytes,
        disk_reserve_bytes=settings.disk_reserve_bytes,
        buffered_flush_ms=settings.buffered_flush_ms,
    )
