"""The ceiling of a unary call: a bare grpc.aio server that answers with the bytes it was sent.

No protobuf, no routing, no storage, and the gRPC options of a Petra server: what is between this server's rate and
Petra's is Petra. Started as `python -m bench.echo`; prints `serving HOST:PORT` and runs until SIGTERM.
"""

from __future__ import annotations

import asyncio
import signal

import grpc
import grpc.aio

from petra_server.app import grpc_options
from petra_server.settings import Settings

METHOD = "/bench.Echo/Echo"


async def _echo(request: bytes, _context: object) -> bytes:
    return request


async def _serve() -> None:
    server = grpc.aio.server(options=grpc_options(Settings()))
    # Without serializers grpc hands the handler the bytes of a message and takes bytes back.
    handler = grpc.method_handlers_generic_handler("bench.Echo", {"Echo": grpc.unary_unary_rpc_method_handler(_echo)})
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"serving 127.0.0.1:{port}", flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await server.stop(grace=1.0)


if __name__ == "__main__":
    asyncio.run(_serve())
