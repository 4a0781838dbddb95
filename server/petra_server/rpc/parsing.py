"""From bytes to messages, with errors that name the field."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from petra_server.errors import Reason, Refusal

_M = TypeVar("_M", bound=Message)

_LENGTH_DELIMITED = 2
# Looking for the fault takes a microsecond or more a field, and a larger message may have millions of them.
_EXAMINED_BYTES = 64 << 10
_REASON_OF_FIELD = {
    "namespace": Reason.INVALID_NAMESPACE,
    "object": Reason.INVALID_OBJECT,
    "key": Reason.INVALID_KEY,
    "keys": Reason.INVALID_KEY,
    "prefix": Reason.INVALID_RANGE,
    "start": Reason.INVALID_RANGE,
    "start_after": Reason.INVALID_RANGE,
    "end": Reason.INVALID_RANGE,
}


def parse(kind: type[_M], data: bytes) -> _M:
    """The message. Raises Refusal: for a string that is no UTF-8 with the reason of its field, or MALFORMED_MESSAGE."""
    try:
        return kind.FromString(data)
    except DecodeError:
        pass
    field = _first_bad_string(kind.DESCRIPTOR, data) if len(data) <= _EXAMINED_BYTES else ""
    if field:
        raise Refusal(
            _REASON_OF_FIELD.get(field.rpartition(".")[2], Reason.MALFORMED_MESSAGE),
            f"The field {field} is not valid UTF-8. Encode strings as UTF-8; only values may be any bytes.",
            field=field,
        )
    raise Refusal(
        Reason.MALFORMED_MESSAGE,
        f"The request is not a valid {kind.DESCRIPTOR.full_name}. Generate the client from Petra's .proto files.",
    )


def _first_bad_string(
    kind: Any,  # noqa: ANN401 - the descriptors of upb and of Python
    data: bytes,
    path: str = "",
) -> str:
    """The path of the first string field that is no UTF-8, "" for none. `data` could not be parsed as a whole."""
    try:
        raw = cast(Iterable[Any], UnknownFieldSet(Empty.FromString(data)))
    except DecodeError:
        return ""
    for item in raw:
        field = kind.fields_by_number.get(item.field_number)
        if field is None or item.wire_type != _LENGTH_DELIMITED:
            continue
        if field.type == FieldDescriptor.TYPE_STRING:
            try:
                item.data.decode()
            except UnicodeDecodeError:
                return path + str(field.name)
        elif field.type == FieldDescriptor.TYPE_MESSAGE and field.message_type is not None:
            found = _first_bad_string(field.message_type, item.data, f"{path}{field.name}.")
            if found:
                return found
    return ""
