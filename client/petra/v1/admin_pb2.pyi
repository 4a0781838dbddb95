from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetInfoResponse(_message.Message):
    __slots__ = ("version", "data_id", "created_at_ms", "format_version", "actors", "started_at_ms", "writable", "disk_free_bytes", "disk_reserve_bytes", "limits", "now_ms", "open_databases", "sql_memory_bytes")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DATA_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    FORMAT_VERSION_FIELD_NUMBER: _ClassVar[int]
    ACTORS_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    WRITABLE_FIELD_NUMBER: _ClassVar[int]
    DISK_FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    DISK_RESERVE_BYTES_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    NOW_MS_FIELD_NUMBER: _ClassVar[int]
    OPEN_DATABASES_FIELD_NUMBER: _ClassVar[int]
    SQL_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    version: str
    data_id: str
    created_at_ms: int
    format_version: int
    actors: int
    started_at_ms: int
    writable: bool
    disk_free_bytes: int
    disk_reserve_bytes: int
    limits: Limits
    now_ms: int
    open_databases: int
    sql_memory_bytes: int
    def __init__(self, version: _Optional[str] = ..., data_id: _Optional[str] = ..., created_at_ms: _Optional[int] = ..., format_version: _Optional[int] = ..., actors: _Optional[int] = ..., started_at_ms: _Optional[int] = ..., writable: bool = ..., disk_free_bytes: _Optional[int] = ..., disk_reserve_bytes: _Optional[int] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., now_ms: _Optional[int] = ..., open_databases: _Optional[int] = ..., sql_memory_bytes: _Optional[int] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("namespace_bytes", "object_bytes", "key_bytes", "value_bytes", "batch_items", "message_bytes", "page_entries", "page_bytes", "sql_bytes", "sql_value_bytes", "sql_rows", "sql_result_bytes")
    NAMESPACE_BYTES_FIELD_NUMBER: _ClassVar[int]
    OBJECT_BYTES_FIELD_NUMBER: _ClassVar[int]
    KEY_BYTES_FIELD_NUMBER: _ClassVar[int]
    VALUE_BYTES_FIELD_NUMBER: _ClassVar[int]
    BATCH_ITEMS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    PAGE_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    PAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SQL_BYTES_FIELD_NUMBER: _ClassVar[int]
    SQL_VALUE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SQL_ROWS_FIELD_NUMBER: _ClassVar[int]
    SQL_RESULT_BYTES_FIELD_NUMBER: _ClassVar[int]
    namespace_bytes: int
    object_bytes: int
    key_bytes: int
    value_bytes: int
    batch_items: int
    message_bytes: int
    page_entries: int
    page_bytes: int
    sql_bytes: int
    sql_value_bytes: int
    sql_rows: int
    sql_result_bytes: int
    def __init__(self, namespace_bytes: _Optional[int] = ..., object_bytes: _Optional[int] = ..., key_bytes: _Optional[int] = ..., value_bytes: _Optional[int] = ..., batch_items: _Optional[int] = ..., message_bytes: _Optional[int] = ..., page_entries: _Optional[int] = ..., page_bytes: _Optional[int] = ..., sql_bytes: _Optional[int] = ..., sql_value_bytes: _Optional[int] = ..., sql_rows: _Optional[int] = ..., sql_result_bytes: _Optional[int] = ...) -> None: ...

class ListNamespacesRequest(_message.Message):
    __slots__ = ("prefix", "start_after", "limit")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    START_AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    start_after: str
    limit: int
    def __init__(self, prefix: _Optional[str] = ..., start_after: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class ListNamespacesResponse(_message.Message):
    __slots__ = ("namespaces", "more")
    NAMESPACES_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    namespaces: _containers.RepeatedScalarFieldContainer[str]
    more: bool
    def __init__(self, namespaces: _Optional[_Iterable[str]] = ..., more: bool = ...) -> None: ...

class ListObjectsRequest(_message.Message):
    __slots__ = ("namespace", "prefix", "start_after", "limit")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    START_AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    prefix: str
    start_after: str
    limit: int
    def __init__(self, namespace: _Optional[str] = ..., prefix: _Optional[str] = ..., start_after: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class ListObjectsResponse(_message.Message):
    __slots__ = ("objects", "more")
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    objects: _containers.RepeatedScalarFieldContainer[str]
    more: bool
    def __init__(self, objects: _Optional[_Iterable[str]] = ..., more: bool = ...) -> None: ...

class ListDatabasesRequest(_message.Message):
    __slots__ = ("namespace", "prefix", "start_after", "limit")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    START_AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    prefix: str
    start_after: str
    limit: int
    def __init__(self, namespace: _Optional[str] = ..., prefix: _Optional[str] = ..., start_after: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class ListDatabasesResponse(_message.Message):
    __slots__ = ("databases", "more")
    DATABASES_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    databases: _containers.RepeatedCompositeFieldContainer[DatabaseInfo]
    more: bool
    def __init__(self, databases: _Optional[_Iterable[_Union[DatabaseInfo, _Mapping]]] = ..., more: bool = ...) -> None: ...

class DatabaseInfo(_message.Message):
    __slots__ = ("object", "size_bytes", "tables")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    TABLES_FIELD_NUMBER: _ClassVar[int]
    object: str
    size_bytes: int
    tables: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, object: _Optional[str] = ..., size_bytes: _Optional[int] = ..., tables: _Optional[_Iterable[str]] = ...) -> None: ...

class DescribeActorsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DescribeActorsResponse(_message.Message):
    __slots__ = ("actors",)
    ACTORS_FIELD_NUMBER: _ClassVar[int]
    actors: _containers.RepeatedCompositeFieldContainer[ActorInfo]
    def __init__(self, actors: _Optional[_Iterable[_Union[ActorInfo, _Mapping]]] = ...) -> None: ...

class ActorInfo(_message.Message):
    __slots__ = ("index", "first_slot", "last_slot", "queue_depth", "keys", "keys_estimated", "version", "cache_bytes", "cache_entries", "cache_hits", "cache_misses", "turns", "operations", "swept", "statements")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    FIRST_SLOT_FIELD_NUMBER: _ClassVar[int]
    LAST_SLOT_FIELD_NUMBER: _ClassVar[int]
    QUEUE_DEPTH_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    KEYS_ESTIMATED_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CACHE_BYTES_FIELD_NUMBER: _ClassVar[int]
    CACHE_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    CACHE_HITS_FIELD_NUMBER: _ClassVar[int]
    CACHE_MISSES_FIELD_NUMBER: _ClassVar[int]
    TURNS_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    SWEPT_FIELD_NUMBER: _ClassVar[int]
    STATEMENTS_FIELD_NUMBER: _ClassVar[int]
    index: int
    first_slot: int
    last_slot: int
    queue_depth: int
    keys: int
    keys_estimated: bool
    version: int
    cache_bytes: int
    cache_entries: int
    cache_hits: int
    cache_misses: int
    turns: int
    operations: int
    swept: int
    statements: int
    def __init__(self, index: _Optional[int] = ..., first_slot: _Optional[int] = ..., last_slot: _Optional[int] = ..., queue_depth: _Optional[int] = ..., keys: _Optional[int] = ..., keys_estimated: bool = ..., version: _Optional[int] = ..., cache_bytes: _Optional[int] = ..., cache_entries: _Optional[int] = ..., cache_hits: _Optional[int] = ..., cache_misses: _Optional[int] = ..., turns: _Optional[int] = ..., operations: _Optional[int] = ..., swept: _Optional[int] = ..., statements: _Optional[int] = ...) -> None: ...
