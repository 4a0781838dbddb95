"""A Petra server as a workload sees it: by unary calls, or by a Pipeline stream that all operations of a client share.

Both do the same operations and raise the same `Failed`. An object is used by the tasks of one event loop only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from bench.petra import SERVICE
from petra.v1 import storage_pb2

Response = TypeVar("Response", bound=Message)

_TIMEOUT_S = 30.0

# The server takes so many operations a message.
_MESSAGE_OPERATIONS = 1024


class Failed(Exception):
    """An operation failed; when it was a write, nobody knows whether it was done."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is stored under a key."""

    key: str
    value: bytes
    version: int


class Store(Protocol):
    """The operations of the workloads."""

    async def get(self, object_name: str, key: str) -> Entry | None: ...

    async def set(self, object_name: str, key: str, value: bytes) -> int:
        """The version of the write."""

    async def scan(self, object_name: str, start: str, limit: int) -> list[Entry]:
        """The entries from `start` on, in order: a page, which may be shorter than the limit."""

    async def replace(self, object_name: str, key: str, version: int, value: bytes) -> int | Entry:
        """Writes if the version is this one: the new version, or what is there instead."""

    async def close(self) -> None: ...


class UnaryStore:
    """One call for each operation."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.aio.insecure_channel(address)
        self._get = self._method("Get", storage_pb2.GetResponse)
        self._set = self._method("Set", storage_pb2.SetResponse)
        self._list = self._method("List", storage_pb2.ListResponse)
        self._transact = self._method("Transact", storage_pb2.TransactResponse)

    async def get(self, object_name: str, key: str) -> Entry | None:
        response = await self._get(storage_pb2.GetRequest(object=object_name, key=key))
        return _entry(response.entry) if response.HasField("entry") else None

    async def set(self, object_name: str, key: str, value: bytes) -> int:
        return (await self._set(storage_pb2.SetRequest(object=object_name, key=key, value=value))).version

    async def scan(self, object_name: str, start: str, limit: int) -> list[Entry]:
        response = await self._list(storage_pb2.ListRequest(object=object_name, start=start, limit=limit))
        return [_entry(entry) for entry in response.entries]

    async def replace(self, object_name: str, key: str, version: int, value: bytes) -> int | Entry:
        return _replaced(await self._transact(_replacement(object_name, key, version, value)))

    async def close(self) -> None:
        await self._channel.close()

    def _method(self, name: str, response: type[Response]) -> Callable[[Message], Awaitable[Response]]:
        method: grpc.aio.UnaryUnaryMultiCallable[Message, Response] = self._channel.unary_unary(
            SERVICE + name,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response.FromString,
        )

        async def invoke(request: Message) -> Response:
            try:
                return await method(request, timeout=_TIMEOUT_S)
            except grpc.aio.AioRpcError as error:
                raise Failed(f"{name}: {error.code().name} {error.details()}") from error

        return invoke


@dataclass(frozen=True, slots=True)
class _Answer:
    version: int
    value: bytes


@dataclass(frozen=True, slots=True)
class _Operation:
    id: int
    method: storage_pb2.Method
    object_name: str
    key: str
    value: bytes


class PipelineStore:
    """Operations that are asked for in the same turn of the event loop share a message of one stream."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.aio.insecure_channel(address)
        self._stream = self._channel.stream_stream(
            SERVICE + "Pipeline",
            request_serializer=storage_pb2.PipelineRequest.SerializeToString,
            response_deserializer=storage_pb2.PipelineResponse.FromString,
        )()
        self._next_id = 1
        self._pending: list[_Operation] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._answers: dict[int, asyncio.Future[_Answer]] = {}
        self._ended = ""
        self._writing = asyncio.create_task(self._write())
        self._reading = asyncio.create_task(self._read())

    async def get(self, object_name: str, key: str) -> Entry | None:
        answer = await self._do(storage_pb2.METHOD_GET, object_name, key, b"")
        return Entry(key, answer.value, answer.version) if answer.version else None

    async def set(self, object_name: str, key: str, value: bytes) -> int:
        return (await self._do(storage_pb2.METHOD_SET, object_name, key, value)).version

    async def scan(self, object_name: str, start: str, limit: int) -> list[Entry]:
        request = storage_pb2.ListRequest(object=object_name, start=start, limit=limit)
        answer = await self._do(storage_pb2.METHOD_LIST, "", "", request.SerializeToString())
        return [_entry(entry) for entry in storage_pb2.ListResponse.FromString(answer.value).entries]

    async def replace(self, object_name: str, key: str, version: int, value: bytes) -> int | Entry:
        request = _replacement(object_name, key, version, value)
        answer = await self._do(storage_pb2.METHOD_TRANSACT, "", "", request.SerializeToString())
        return _replaced(storage_pb2.TransactResponse.FromString(answer.value))

    async def close(self) -> None:
        # Not cancelled: gRPC takes a write that is cancelled for the end of the call.
        self._closing = True
        self._wake.set()
        await asyncio.gather(self._writing, return_exceptions=True)
        # The server ends the stream then, so that nothing of it is left when the loop is closed.
        await self._stream.done_writing()
        await self._reading
        await self._channel.close()

    async def _do(self, method: storage_pb2.Method, object_name: str, key: str, value: bytes) -> _Answer:
        if self._ended:
            raise Failed(self._ended)
        operation = _Operation(self._next_id, method, object_name, key, value)
        self._next_id += 1
        answer: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        self._answers[operation.id] = answer
        self._pending.append(operation)
        self._wake.set()
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await answer
        except TimeoutError:
            raise Failed(f"no answer within {_TIMEOUT_S:.0f} s") from None

    async def _write(self) -> None:
        while not self._closing:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                batch, self._pending = self._pending[:_MESSAGE_OPERATIONS], self._pending[_MESSAGE_OPERATIONS:]
                await self._stream.write(_columns(batch))

    async def _read(self) -> None:
        try:
            async for response in self._stream:
                self._resolve(response)
            self._ended = "the stream ended"
        except grpc.aio.AioRpcError as error:
            self._ended = f"the stream ended: {error.code().name} {error.details()}"
        finally:
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(Failed(self._ended))

    def _resolve(self, response: storage_pb2.PipelineResponse) -> None:
        count = len(response.ids)
        versions = response.versions or [0] * count
        values = response.values or [b""] * count
        for id_, version, value in zip(response.ids, versions, values, strict=True):
            answer = self._answers.pop(id_)
            # It is done already when its caller has given up on it.
            if not answer.done():
                answer.set_result(_Answer(version, value))
        for error in response.errors:
            answer = self._answers.pop(error.id)
            if not answer.done():
                answer.set_exception(Failed(f"{error.reason}: {error.message}"))


def _columns(batch: list[_Operation]) -> storage_pb2.PipelineRequest:
    indexes: dict[str, int] = {}
    address_indexes = [indexes.setdefault(operation.object_name, len(indexes)) for operation in batch]
    flat = list(indexes) == [""]
    return storage_pb2.PipelineRequest(
        ids=[operation.id for operation in batch],
        methods=[operation.method for operation in batch],
        addresses=[] if flat else [storage_pb2.Address(object=name) for name in indexes],
        address_indexes=[] if flat else address_indexes,
        keys=[operation.key for operation in batch],
        values=[operation.value for operation in batch],
    )


def _entry(entry: storage_pb2.Entry) -> Entry:
    return Entry(entry.key, entry.value, entry.version)


def _replacement(object_name: str, key: str, version: int, value: bytes) -> storage_pb2.TransactRequest:
    return storage_pb2.TransactRequest(
        object=object_name,
        conditions=[storage_pb2.Condition(key=key, version=version)],
        operations=[storage_pb2.Operation(set=storage_pb2.SetItem(key=key, value=value))],
    )


def _replaced(response: storage_pb2.TransactResponse) -> int | Entry:
    return response.results[0].set.version if response.committed else _entry(response.conflicts[0])
