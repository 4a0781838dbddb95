"""Servers over TCP that do what a test makes them do, without any gRPC library."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from petra._transport import frames
from tests.support.http2_peers import Frame

# What a server says first that speaks HTTP/2.
GREETING = frames.settings([])


@asynccontextmanager
async def tcp_server(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """The port of a server that does with each connection what `talk` does, and then closes it."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            # The client has gone, or the test is over.
            pass
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks)
        await server.wait_closed()


async def read_frame(reader: asyncio.StreamReader) -> Frame:
    word, flags, stream_id = frames.HEAD.unpack(await reader.readexactly(frames.HEAD_BYTES))
    return Frame(word & 0xFF, flags, stream_id, await reader.readexactly(word >> 8))


@asynccontextmanager
async def greeting_server(pings: asyncio.Queue[bytes], *, answers: bool) -> AsyncIterator[int]:
    """A server that takes calls and never answers them; of PINGs it keeps the payload, and may answer them."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        await reader.readexactly(len(frames.PREFACE))
        while True:
            try:
                frame = await read_frame(reader)
            except asyncio.IncompleteReadError:
                return
            if frame.kind == frames.PING:
                pings.put_nowait(frame.payload)
                if answers:
                    writer.write(frames.frame(frames.PING, frames.ACK, 0, frame.payload))

    async with tcp_server(talk) as port:
        yield port
