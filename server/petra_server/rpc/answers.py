"""The answers of one pipeline message, gathered as columns and written. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

from petra.v1 import storage_pb2 as pb
from petra_server.actor.operations import DeleteReply, GetReply, IncrementReply, Reply, SetReply, TouchReply
from petra_server.errors import Refusal
from petra_server.rpc.status import code_number
from petra_server.storage.records import Record

# What an operation or an answer costs beside its key and value.
ITEM_BYTES = 256
# What is said of an entry that is not there.
ABSENT = Record(0, 0, 0, b"")


class Answers:
    """A PipelineResponse that grows.

    An answer other than a refusal is a version, an expiry, an encoding and a value, as a record is, and a number.
    """

    __slots__ = (
        "_deletes",
        "_errors",
        "_gets",
        "_ids",
        "_increments",
        "_numbers",
        "_records",
        "_sets",
        "_touches",
        "size_bytes",
    )

    def __init__(self) -> None:
        self._ids: list[int] = []
        self._records: list[tuple[int, int, int, bytes]] = []
        self._numbers: list[int] = []
        self._errors: list[pb.OperationError] = []
        # How many there are of each kind that comes by columns, refusals left out.
        self._sets = self._gets = self._deletes = self._increments = self._touches = 0
        # What the answers take of a message, at most, as their sender counts them.
        self.size_bytes = 0

    def add(self, op_id: int, outcome: Reply | Refusal | bytes, size_bytes: int) -> None:
        """Adds a reply, a serialized response, or a refusal."""
        self.size_bytes += size_bytes
        number = 0
        record: tuple[int, int, int, bytes]
        if isinstance(outcome, SetReply):
            record = (outcome.version, 0, 0, b"")
            self._sets += 1
        elif isinstance(outcome, GetReply):
            record = outcome.record or ABSENT
            self._gets += 1
        elif isinstance(outcome, Refusal):
            self._errors.append(_error(op_id, outcome))
            return
        elif isinstance(outcome, IncrementReply):
            record, number = (outcome.version, 0, 0, b""), outcome.value
            self._increments += 1
        elif isinstance(outcome, bytes):
            record = (0, 0, 0, outcome)
        elif isinstance(outcome, DeleteReply):
            record, number = ABSENT, int(outcome.deleted)
            self._deletes += 1
        else:
            assert isinstance(outcome, TouchReply)
            record, number = (0, outcome.expires_at_ms, 0, b""), int(outcome.found)
            self._touches += 1
        self._ids.append(op_id)
        self._records.append(record)
        self._numbers.append(number)

    def add_records(self, op_ids: Sequence[int], records: Sequence[Record], size_bytes: int) -> None:
        """Adds what many Gets found, ABSENT for nothing; `size_bytes` is for all of them."""
        self.size_bytes += size_bytes
        self._gets += len(op_ids)
        self._ids.extend(op_ids)
        self._records.extend(records)
        self._numbers.extend(repeat(0, len(op_ids)))

    def done(self) -> list[tuple[str, int]]:
        """How many operations of each method by columns are answered here, and were done."""
        return [
            (method, count)
            for method, count in (
                ("Get", self._gets),
                ("Set", self._sets),
                ("Delete", self._deletes),
                ("Increment", self._increments),
                ("Touch", self._touches),
            )
            if count
        ]

    def write(self) -> bytes:
        """The serialized message. Columns that hold nothing but the default are left out."""
        response = pb.PipelineResponse(ids=self._ids, errors=self._errors)
        if self._ids:
            versions, expires_at_ms, encodings, values = zip(*self._records, strict=True)
            if any(versions):
                response.versions.extend(versions)
            if any(values):
                response.values.extend(values)
            if any(encodings):
                response.encodings.extend(encodings)
            if any(expires_at_ms):
                response.expires_at_ms.extend(expires_at_ms)
            if any(self._numbers):
                response.numbers.extend(self._numbers)
        return response.SerializeToString()


def _error(op_id: int, refusal: Refusal) -> pb.OperationError:
    return pb.OperationError(
        id=op_id,
        code=code_number(refusal.reason),
        reason=refusal.reason.value,
        message=refusal.message,
        metadata=dict(refusal.metadata),
        retry_after_ms=refusal.retry_after_ms,
        field=refusal.field,
    )
