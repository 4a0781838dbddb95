"""Entries of all kinds, and what a server holds, to compare."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from petra import AsyncClient, AsyncNamespace, AsyncObject, Encoding
from petra.cli.shown import as_json
from petra.cli.stored import Stored, StoredCodec

BYTES = Stored(bytes(range(256)), Encoding.BYTES)
# As other clients may write them: spread over lines, more exact than Python's floats, called JSON without being it.
_TEXTS = (
    b'{"b": 1.0,"a":[1e400,null]}',
    '"zwölf\u2028"'.encode(),
    b"[1,\n2]\n",
    b"0.1000000000000000000001",
    b"{",
    b"\xff",
)
JSONS = [Stored(text, Encoding.JSON) for text in _TEXTS]


class Held(NamedTuple):
    """An entry, without the version, which every server gives anew."""

    namespace: str
    object: str
    key: str
    value: Stored
    expires_at: datetime | None


def fill(address: str, *, flat: int = 0, objects: Sequence[str] = ()) -> None:
    """Writes entries of all kinds, so many flat keys, and those objects with one entry each."""
    asyncio.run(_fill(address, flat, objects))


async def _fill(address: str, flat: int, objects: Sequence[str]) -> None:
    async with AsyncClient(address, codec=StoredCodec(), timeout=60) as client:
        await client.set_many({f"json-{number}": value for number, value in enumerate(JSONS)})
        for namespace in (client, client.namespace("räume"), client.namespace("b")):
            await namespace.set("schlüssel \x00\t\n", BYTES)
            await namespace.set("expires", BYTES, ttl=90)
            for name in ("room", 'größe "\x00"'):
                room = namespace.object(name)
                await room.set_many({f"k{number}": value for number, value in enumerate([*JSONS, BYTES])})
                await room.set("expires", BYTES, ttl=3_600.5)
        many, last = client.namespace("many"), client.namespace("z")
        for names in _by_thousands(objects):
            await asyncio.gather(*(many.object(name).set("k", _json(name), durability="buffered") for name in names))
        for keys in _by_thousands([f"flat-{number:06}" for number in range(flat)]):
            await last.set_many({key: _json(key) for key in keys}, durability="buffered")


def _json(text: str) -> Stored:
    return Stored(as_json(text).encode(), Encoding.JSON)


def _by_thousands(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + 1_000] for start in range(0, len(names), 1_000))


def held(address: str) -> set[Held]:
    """All entries of a server."""
    return asyncio.run(_held(address))


async def _held(address: str) -> set[Held]:
    async with AsyncClient(address, codec=StoredCodec(), timeout=60) as client:
        found: set[Held] = set()
        for namespace in [name async for name in client.namespaces()]:
            handle = client.namespace(namespace)
            names = [name async for name in handle.objects()]
            found |= await _entries(namespace, "", handle)
            for some in _by_thousands(names):
                parts = await asyncio.gather(*(_entries(namespace, name, handle.object(name)) for name in some))
                found.update(*parts)
        return found


async def _entries(namespace: str, name: str, handle: AsyncNamespace | AsyncObject) -> set[Held]:
    return {Held(namespace, name, each.key, each.value, each.expires_at) async for each in handle.list()}


def lines_of(path: Path) -> list[bytes]:
    """The lines of an export."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return content.splitlines(keepends=True)


def write_lines(path: Path, lines: Iterable[bytes]) -> None:
    path.write_bytes(b"".join(lines))
