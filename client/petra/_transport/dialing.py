"""From a host and a port to a connected socket, and from what fails there to one clear sentence."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Sequence
from typing import TypeAlias

from petra.errors import Unavailable


async def dial(host: str, port: int, peer: str) -> socket.socket:
    """A connected socket, to the first address of the host that takes the connection. Raises Unavailable.

    Each address but the last has its share of a few seconds at most: one that never answers must not take the time of
    those behind it.
    """
    loop = asyncio.get_running_loop()
    try:
        addresses = await _addresses(loop, host, port)
    except (socket.gaierror, UnicodeError) as error:
        raise Unavailable(f"{peer} cannot be reached: the host name is not known ({_reason(error)}).") from None
    failure: OSError | None = None
    for index, (family, kind, protocol, _, address) in enumerate(addresses, start=1):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(None if index == len(addresses) else _SHARE_SECONDS):
                await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise unavailable(failure or OSError("no address"), peer)


# For one address of several.
_SHARE_SECONDS = 2.0

# As `socket.getaddrinfo` has it: family, kind, protocol, name, and the address itself.
_Address: TypeAlias = tuple[int, int, int, str, tuple[object, ...]]


async def _addresses(loop: asyncio.AbstractEventLoop, host: str, port: int) -> Sequence[_Address]:
    try:
        # What is a number already needs no thread to wait in.
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass
    try:
        return await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except RuntimeError:
        # The main thread has ended, and with it those of the loop; other threads may still make calls. Theirs wait.
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def unavailable(error: OSError, peer: str) -> Unavailable:
    """What the failure of a connection that was being made says to a user."""
    if isinstance(error, ConnectionRefusedError):
        return Unavailable(f"{peer} refused the connection. Is the server running there?")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unavailable(f"The TLS certificate of {peer} cannot be verified: {error.verify_message.rstrip('.')}.")
    if isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
        return Unavailable(f"{peer} does not speak TLS. Connect without it, or look at the port.")
    if isinstance(error, ssl.SSLError):
        return Unavailable(f"No TLS connection to {peer}: {_reason(error)}.")
    if isinstance(error, TimeoutError):
        return Unavailable(f"{peer} cannot be reached: no answer.")
    return Unavailable(f"{peer} cannot be reached: {_reason(error)}.")


def lost(error: Exception | None, peer: str) -> str:
    """The sentence on a connection that was made and has ended."""
    if error is None:
        return f"{peer} closed the connection."
    return f"The connection to {peer} was lost: {_reason(error)}."


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.strip().rstrip(".") or type(error).__name__


def disown(fileno: int) -> None:
    """Makes a descriptor of a forked process lead nowhere.

    The connection itself stays with the parent alone, nothing that runs here can read from it or write to it, and the
    number stays taken until its owner is collected.
    """
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
    except OSError:
        # No descriptor is free. It stays as it is, and nobody uses it.
        return
    try:
        os.dup2(nowhere, fileno, inheritable=False)
    finally:
        os.close(nowhere)
