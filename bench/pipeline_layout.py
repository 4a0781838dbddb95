"""Three layouts of a Pipeline message, timed: columns, one flat message an operation, and one with a nested request.

`python -m bench.pipeline_layout` prints the time an operation takes to write and to read, for 100 sets of 256 bytes in
one message and for the answers of 100 gets: the measurement behind the layout of petra.v1.PipelineRequest.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from bench.report import table

_OPERATIONS = 100
_ROUNDS = 300
_KEYS = [f"user:{number:08d}" for number in range(_OPERATIONS)]
_VALUE = b"x" * 256
_REQUEST_ID = b"r" * 16

_TYPES = descriptor_pb2.FieldDescriptorProto
_KINDS = {"u": _TYPES.TYPE_UINT64, "i": _TYPES.TYPE_INT64, "s": _TYPES.TYPE_STRING, "b": _TYPES.TYPE_BYTES}
_SET = {"namespace": "s", "object": "s", "key": "s", "value": "b", "encoding": "i", "ttl_ms": "i", "request_id": "b"}
_ENTRY = {"value": "b", "encoding": "i", "version": "u", "expires_at_ms": "i"}


def _messages() -> dict[str, Any]:
    """The message classes of the layouts: a letter is a type, `*` repeats it, anything else names a message."""
    layouts: dict[str, dict[str, str]] = {
        "Set": _SET,
        "Entry": _ENTRY,
        "Nested": {"id": "u", "set": "Set"},
        "NestedRequest": {"operations": "*Nested"},
        "NestedAnswer": {"id": "u", "entry": "Entry"},
        "NestedResponse": {"answers": "*NestedAnswer"},
        "Flat": {"id": "u", "method": "u", **_SET},
        "FlatRequest": {"operations": "*Flat"},
        "FlatAnswer": {"id": "u", **_ENTRY},
        "FlatResponse": {"answers": "*FlatAnswer"},
        "ColumnRequest": {"ids": "*u", "methods": "*u", "keys": "*s", "values": "*b", "request_ids": "*b"},
        "ColumnResponse": {"ids": "*u", "values": "*b", "encodings": "*i", "versions": "*u"},
    }
    file = descriptor_pb2.FileDescriptorProto(name="layouts.proto", package="layouts", syntax="proto3")
    for name, fields in layouts.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), start=1):
            added = message.field.add(name=field, number=number, label=_TYPES.LABEL_OPTIONAL)
            if kind.startswith("*"):
                added.label = _TYPES.LABEL_REPEATED
            bare = kind.removeprefix("*")
            if bare in _KINDS:
                added.type = _KINDS[bare]
            else:
                added.type, added.type_name = _TYPES.TYPE_MESSAGE, f".layouts.{bare}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"layouts.{name}")) for name in layouts}


def _nested(kinds: dict[str, Any]) -> list[Callable[[], object]]:
    def write() -> bytes:
        message = kinds["NestedRequest"]()
        for number, key in enumerate(_KEYS):
            request = message.operations.add(id=number).set
            request.key, request.value, request.request_id, request.encoding = key, _VALUE, _REQUEST_ID, 2
        return bytes(message.SerializeToString())

    def write_answers() -> bytes:
        message = kinds["NestedResponse"]()
        for number in range(_OPERATIONS):
            entry = message.answers.add(id=number).entry
            entry.value, entry.encoding, entry.version = _VALUE, 2, 5
        return bytes(message.SerializeToString())

    request, response = write(), write_answers()

    def read() -> object:
        return [
            (each.id, each.HasField("set"), one.namespace, one.object, one.key, one.value, one.encoding, one.request_id)
            for each in kinds["NestedRequest"].FromString(request).operations
            for one in (each.set,)
        ]

    def read_answers() -> object:
        return [
            (each.id, each.HasField("entry"), one.value, one.encoding, one.version)
            for each in kinds["NestedResponse"].FromString(response).answers
            for one in (each.entry,)
        ]

    return [write, read, write_answers, read_answers]


def _flat(kinds: dict[str, Any]) -> list[Callable[[], object]]:
    def write() -> bytes:
        message = kinds["FlatRequest"]()
        for number, key in enumerate(_KEYS):
            message.operations.add(id=number, method=2, key=key, value=_VALUE, request_id=_REQUEST_ID, encoding=2)
        return bytes(message.SerializeToString())

    def write_answers() -> bytes:
        message = kinds["FlatResponse"]()
        for number in range(_OPERATIONS):
            message.answers.add(id=number, value=_VALUE, encoding=2, version=5)
        return bytes(message.SerializeToString())

    request, response = write(), write_answers()

    def read() -> object:
        return [
            (one.id, one.method, one.namespace, one.object, one.key, one.value, one.encoding, one.request_id)
            for one in kinds["FlatRequest"].FromString(request).operations
        ]

    def read_answers() -> object:
        answers = kinds["FlatResponse"].FromString(response).answers
        return [(one.id, one.value, one.encoding, one.version) for one in answers]

    return [write, read, write_answers, read_answers]


def _columns(kinds: dict[str, Any]) -> list[Callable[[], object]]:
    numbers = range(_OPERATIONS)

    def write() -> bytes:
        columns = {
            "ids": numbers,
            "methods": [2] * _OPERATIONS,
            "keys": _KEYS,
            "values": [_VALUE] * _OPERATIONS,
            "request_ids": [_REQUEST_ID] * _OPERATIONS,
        }
        return bytes(kinds["ColumnRequest"](**columns).SerializeToString())

    def write_answers() -> bytes:
        columns = {
            "ids": numbers,
            "values": [_VALUE] * _OPERATIONS,
            "encodings": [2] * _OPERATIONS,
            "versions": [5] * _OPERATIONS,
        }
        return bytes(kinds["ColumnResponse"](**columns).SerializeToString())

    request, response = write(), write_answers()

    def read() -> object:
        one = kinds["ColumnRequest"].FromString(request)
        return list(zip(one.ids, one.methods, one.keys, one.values, one.request_ids, strict=True))

    def read_answers() -> object:
        one = kinds["ColumnResponse"].FromString(response)
        return list(zip(one.ids, one.values, one.encodings, one.versions, strict=True))

    return [write, read, write_answers, read_answers]


def measure() -> dict[str, list[float]]:
    """Microseconds an operation for each layout: write and read the requests, write and read the answers."""
    kinds = _messages()
    works = {"columns": _columns(kinds), "flat": _flat(kinds), "nested": _nested(kinds)}
    times: dict[str, list[list[float]]] = {name: [[] for _ in work] for name, work in works.items()}
    for _ in range(_ROUNDS):
        # In turns, so that a slow moment of the machine meets all of them.
        for name, work in works.items():
            for at, step in enumerate(work):
                begun = time.perf_counter()
                step()
                times[name][at].append((time.perf_counter() - begun) / _OPERATIONS * 1e6)
    return {name: [statistics.median(each) for each in steps] for name, steps in times.items()}


def main() -> None:
    header = ["layout, us an operation", "write request", "read request", "write answer", "read answer", "sum"]
    rows = [[name, *(f"{one:.2f}" for one in medians), f"{sum(medians):.2f}"] for name, medians in measure().items()]
    print(table(header, rows))


if __name__ == "__main__":
    main()
