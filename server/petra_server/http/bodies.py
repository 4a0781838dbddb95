"""What requests and answers of the HTTP API are made of, as types. Pure.

JSON is read into them and written from them, and petra_server.http.openapi takes its schemas from them. Reading is
strict: a member that is not known, or of another type, is refused, so that nothing that a client asks for is silently
left out. Members that may be left out have a default.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from petra_server.intake.checks import MAX_TTL_MS

_INT64_MAX = 2**63 - 1

Base64 = Annotated[str, Meta(extra_json_schema={"contentEncoding": "base64"})]
# Any JSON: in a request read and written again, in an answer as it is kept.
AnyJson = Annotated[Any, Meta(extra_json_schema={})]
# Checked like that of gRPC, for the same reason.
Name = Annotated[str, Meta(extra_json_schema={"minLength": 1})]
Encoding = Literal["json", "bytes"]
Durability = Literal["fsync", "buffered"]
# Ranges are said to clients and checked where those of gRPC are, for the same reasons.
Version = Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": _INT64_MAX})]
Milliseconds = Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": MAX_TTL_MS})]
Instant = Annotated[int, Meta(extra_json_schema={"minimum": 0}, description="Milliseconds since 1970, by the server.")]


class Reading(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """What a client sends."""


class Writing(Struct, rename="camel", frozen=True):
    """What the server answers."""


# Query parameters.


class InNamespace(Reading, frozen=True):
    namespace: Annotated[str, Meta(description="The namespace; `default` when left out.")] = ""


class Address(InNamespace, frozen=True):
    """Where: the namespace, and the object or none."""

    object: Annotated[str, Meta(description="The object; left out for flat keys.")] = ""


class DeleteQuery(Address, frozen=True):
    if_version: Annotated[Version, Meta(description="Delete only this version.")] | UnsetType = UNSET
    durability: Annotated[Durability, Meta(description="When the answer comes.")] = "fsync"


class AddressOfKey(Address, frozen=True, kw_only=True):
    key: Name


class DeleteQueryOfKey(DeleteQuery, frozen=True, kw_only=True):
    key: Name


class AddressOfObject(InNamespace, frozen=True, kw_only=True):
    object: Name


class ListQuery(Address, frozen=True):
    prefix: Annotated[str, Meta(description="Only keys that begin with this.")] = ""
    start: Annotated[str, Meta(description="Only this key and those after it.")] = ""
    start_after: Annotated[str, Meta(description="Only keys after this one.")] = ""
    end: Annotated[str, Meta(description="Only keys before this one.")] = ""
    limit: Annotated[
        int, Meta(description="Entries of a page; 0 is the default of 1,000.", extra_json_schema={"minimum": 0})
    ] = 0
    reverse: Annotated[bool, Meta(description="From the last key to the first.")] = False
    keys_only: Annotated[bool, Meta(description="Entries without their values.")] = False
    cursor: Annotated[str, Meta(description="`cursor` of the page before.")] = ""


class Nothing(Reading, frozen=True):
    """No parameters."""


# Bodies.


class SetBody(Reading, frozen=True):
    value: Annotated[AnyJson, Meta(description="Any JSON; for `bytes` an object with `base64`.")]
    encoding: Encoding = "json"
    ttl_ms: Annotated[Milliseconds, Meta(description="0 or left out: no expiry.")] = 0
    keep_ttl: Annotated[bool, Meta(description="Keep the expiry that there is.")] = False
    if_version: Annotated[Version, Meta(description="Only over this version; 0 is none.")] | UnsetType = UNSET
    if_absent: Annotated[bool, Meta(description="Only if there is no entry; the same as version 0.")] = False
    durability: Durability = "fsync"


class BatchItem(Reading, frozen=True):
    key: Name
    value: AnyJson
    encoding: Encoding = "json"
    ttl_ms: Milliseconds = 0
    keep_ttl: bool = False
    if_version: Version | UnsetType = UNSET
    if_absent: bool = False


class BatchKeys(Reading, frozen=True):
    keys: list[Name]


class BatchDelete(Reading, frozen=True):
    keys: list[Name]
    durability: Durability = "fsync"


class BatchSet(Reading, frozen=True):
    items: list[BatchItem]
    durability: Durability = "fsync"


class ClearBody(Reading, frozen=True):
    prefix: Annotated[str, Meta(description="Only keys that begin with this; left out: all.")] = ""
    durability: Durability = "fsync"


class Blob(Writing, frozen=True):
    """Bytes, where JSON has none."""

    base64: Base64


class Special(Reading, frozen=True):
    """What JSON cannot say: bytes, or a number that is not finite. One of the two."""

    base64: Base64 | UnsetType = UNSET
    real: Literal["Infinity", "-Infinity"] | UnsetType = UNSET


SqlCell = Annotated[
    bool | int | float | str | Special | None,
    Meta(description="Null, a number with all its digits, text, or bytes as an object with `base64`."),
]
Parameters = Annotated[list[SqlCell] | dict[str, SqlCell], Meta(description="By position, or an object by name.")]


class StatementBody(Reading, frozen=True):
    sql: str
    params: Parameters = msgspec.field(default_factory=list)


class SqlBody(Reading, frozen=True):
    """Either `sql`, with `params` if it has any, or `statements`."""

    sql: str | UnsetType = UNSET
    params: Parameters | UnsetType = UNSET
    statements: Annotated[list[StatementBody], Meta(description="In order, all or none.")] | UnsetType = UNSET
    durability: Durability = "fsync"


# Answers.


class Answer(Writing, frozen=True):
    success: Annotated[bool, Meta(extra_json_schema={"const": True})] = True


class GetAnswer(Answer, kw_only=True, frozen=True):
    data: Annotated[msgspec.Raw, Meta(description="The value; for `bytes` an object with `base64`.")]
    encoding: Encoding
    version: Version
    expires_at_ms: Instant | None


class SetData(Writing, frozen=True):
    version: Version


class SetAnswer(Answer, kw_only=True, frozen=True):
    data: SetData


class DeleteData(Writing, frozen=True):
    deleted: bool


class DeleteAnswer(Answer, kw_only=True, frozen=True):
    data: DeleteData


class EntryData(Writing, frozen=True):
    key: Name
    version: Version
    expires_at_ms: Instant | None
    # Not there in a listing of keys.
    value: msgspec.Raw | UnsetType = UNSET
    encoding: Encoding | UnsetType = UNSET


class EntriesData(Writing, frozen=True):
    entries: list[EntryData]


class BatchGetAnswer(Answer, kw_only=True, frozen=True):
    data: EntriesData


class VersionsData(Writing, frozen=True):
    versions: list[Version]


class BatchSetAnswer(Answer, kw_only=True, frozen=True):
    data: VersionsData


class CountData(Writing, frozen=True):
    deleted: int


class CountAnswer(Answer, kw_only=True, frozen=True):
    data: CountData


class PageData(Writing, frozen=True):
    entries: list[EntryData]
    cursor: Annotated[str | None, Meta(description="For the next page; null at the end.")]


class ListAnswer(Answer, kw_only=True, frozen=True):
    data: PageData


class ColumnData(Writing, frozen=True):
    name: str
    declared_type: Annotated[str, Meta(description="Empty for an expression.")]


class ResultData(Writing, frozen=True):
    """What one statement did; its rows if it has any."""

    columns: list[ColumnData]
    rows: list[list[SqlCell]]
    changes: int
    last_insert_rowid: int
    rows_read: int
    rows_written: int


class ResultsData(Writing, frozen=True):
    results: Annotated[list[ResultData], Meta(description="One for each statement.")]


class SqlAnswer(Answer, kw_only=True, frozen=True):
    data: ResultsData


class StateData(Writing, frozen=True):
    state: Literal["serving"]
    writable: Annotated[bool, Meta(description="False while the disk is nearly full and writes are refused.")]


class StateAnswer(Answer, kw_only=True, frozen=True):
    data: StateData


class Failure(Writing, omit_defaults=True, frozen=True):
    code: str
    message: str
    field: Annotated[str, Meta(description="The wrong part of the request.")] = ""
    retry_after_ms: Annotated[int, Meta(description="When to try again.")] = 0
    details: Annotated[dict[str, str], Meta(description="Such as the present version in a conflict.")] = {}


class FailureAnswer(Writing, kw_only=True, frozen=True):
    success: Annotated[bool, Meta(extra_json_schema={"const": False})] = False
    error: Failure
