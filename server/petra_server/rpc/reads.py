"""The Gets of a pipeline message that need no more than to look, answered without a call, a turn or a reply for each.

They are the most of what comes, and so a few microseconds each are most of what a server does.
"""

from __future__ import annotations

from collections.abc import Iterator

from petra.v1 import storage_pb2 as pb
from petra_server.actor.router import Reader
from petra_server.rpc.answers import ABSENT, ITEM_BYTES
from petra_server.rpc.columns import BY_COLUMNS, Columns, Row
from petra_server.storage.cache import MISSING
from petra_server.storage.records import Record

_GET = int(pb.METHOD_GET)


class Found:
    """What some Gets found, ABSENT for nothing, and what the answers are counted with."""

    __slots__ = ("op_ids", "records", "size_bytes")

    def __init__(self) -> None:
        self.op_ids: list[int] = []
        self.records: list[Record] = []
        self.size_bytes = 0


def read_at_once(
    columns: Columns, rows: Iterator[Row], read: Reader, *, late_ms: float, portion_bytes: int
) -> tuple[list[Found], list[Row]]:
    """What such Gets found, and the other operations in their order.

    A Get is not among the first when anything before it may concern the same key, or when its time was up `late_ms`
    after the message came. One Found is counted with `portion_bytes` at most, unless it holds a single one.
    """
    others: list[Row] = []
    other_keys: set[str] = set()
    found = Found()
    portions = [found]
    for row in rows:
        op_id, method, address_index, key, _, _, _, _, _, durability, request_id, _, _, timeout_ms = row
        if (
            method == _GET
            and not (durability or request_id or 0 < timeout_ms <= late_ms)
            and not (others and key in other_keys)
        ):
            try:
                entry = columns.entry(address_index, key)
                record = MISSING if entry is None else read(*entry)
            except Exception:  # noqa: BLE001 - it is met again in a turn, which tells of it
                record = MISSING
            if record is not MISSING:
                record = record or ABSENT
                size_bytes = ITEM_BYTES + len(record.value)
                if found.size_bytes + size_bytes > portion_bytes and found.op_ids:
                    found = Found()
                    portions.append(found)
                found.op_ids.append(op_id)
                found.records.append(record)
                found.size_bytes += size_bytes
                continue
        others.append(row)
        other_keys.add(key)
        if method not in BY_COLUMNS:
            # It may concern any key.
            others.extend(rows)
    return (portions if found.op_ids else []), others
