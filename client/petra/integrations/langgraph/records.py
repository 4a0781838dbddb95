"""What a thread's object holds, as keys and bytes. Pure.

    c/<namespace>/<checkpoint id>                    a checkpoint without the values of its channels
    b/<namespace>/<channel>/<version>                the value of a channel at a version; none when it is empty
    w/<namespace>/<checkpoint id>/<task>/<index>     one pending write of a task

The parts of a key are quoted as in a URL, so `/` only divides them. A long value goes on in keys with `/+` at their
end; it is in pieces as a value of Petra has a largest size.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

# A server takes values of 2 MiB unless it is set otherwise.
PIECE_BYTES: Final = 1 << 20

_MORE: Final = "/+"
_LENGTH: Final = struct.Struct(">I")


def checkpoint_key(namespace: str, checkpoint_id: str) -> str:
    """The key of a checkpoint."""
    return _joined("c", namespace, checkpoint_id)


def checkpoints_prefix(namespace: str | None) -> str:
    """Before the keys of all checkpoints of a namespace, or of all namespaces."""
    return "c/" if namespace is None else _joined("c", namespace, "")


def blob_key(namespace: str, channel: str, version: object) -> str:
    """The key of a channel's value at a version."""
    return _joined("b", namespace, channel, str(version))


def write_key(namespace: str, checkpoint_id: str, task_id: str, index: int) -> str:
    """The key of a pending write."""
    return _joined("w", namespace, checkpoint_id, task_id, str(index))


def writes_prefix(namespace: str, checkpoint_id: str) -> str:
    """Before the keys of all pending writes of a checkpoint."""
    return _joined("w", namespace, checkpoint_id, "")


@dataclass(frozen=True, slots=True, order=True)
class CheckpointName:
    """A checkpoint of a thread. The ids of checkpoints grow with time, so their order is that of names."""

    checkpoint_id: str
    namespace: str

    @property
    def key(self) -> str:
        """The key of the checkpoint."""
        return checkpoint_key(self.namespace, self.checkpoint_id)


def checkpoint_names(keys: Iterable[str]) -> list[CheckpointName]:
    """The checkpoints whose keys these are, newest first."""
    parts = (key.split("/") for key in keys if _MORE not in key)
    return sorted((CheckpointName(unquote(id_), unquote(namespace)) for _, namespace, id_ in parts), reverse=True)


def without_piece(key: str) -> str:
    """The key of a value, of which this is the key of one piece."""
    return key.partition(_MORE)[0]


# Values.


def pack(*parts: bytes) -> bytes:
    """Several strings of bytes as one."""
    return b"".join(_LENGTH.pack(len(part)) + part for part in parts)


def unpack(data: bytes) -> list[bytes]:
    """What was packed."""
    parts, start = [], 0
    while start < len(data):
        (length,) = _LENGTH.unpack_from(data, start)
        start += _LENGTH.size + length
        parts.append(data[start - length : start])
    return parts


def in_pieces(key: str, data: bytes) -> dict[str, bytes]:
    """What is to be stored for a value of any length. The first piece says how many follow."""
    pieces = [data[start : start + PIECE_BYTES] for start in range(0, len(data), PIECE_BYTES)] or [b""]
    stored = {key: _LENGTH.pack(len(pieces) - 1) + pieces[0]}
    return stored | {_piece_key(key, number): piece for number, piece in enumerate(pieces[1:], start=1)}


def further_keys(key: str, first: bytes) -> list[str]:
    """The keys of the pieces that follow the first."""
    (count,) = _LENGTH.unpack_from(first)
    return [_piece_key(key, number) for number in range(1, count + 1)]


def whole(key: str, stored: Mapping[str, bytes]) -> bytes | None:
    """The value out of its pieces; None where one of them is missing, as it was removed meanwhile."""
    first = stored.get(key)
    if first is None:
        return None
    pieces = [stored.get(further) for further in further_keys(key, first)]
    there = [piece for piece in pieces if piece is not None]
    return b"".join([first[_LENGTH.size :], *there]) if len(there) == len(pieces) else None


def whole_values(stored: Mapping[str, bytes]) -> list[bytes]:
    """All values out of their pieces, in the order of their keys."""
    values = (whole(key, stored) for key in sorted(stored) if _MORE not in key)
    return [value for value in values if value is not None]


def _piece_key(key: str, number: int) -> str:
    return f"{key}{_MORE}{number:06}"


def _joined(*parts: str) -> str:
    return "/".join(quote(part, safe=":|,=@ ") for part in parts)
