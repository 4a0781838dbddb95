from petra.v1 import statements_pb2 as _statements_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Encoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENCODING_UNSPECIFIED: _ClassVar[Encoding]
    ENCODING_BYTES: _ClassVar[Encoding]
    ENCODING_JSON: _ClassVar[Encoding]

class Durability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DURABILITY_UNSPECIFIED: _ClassVar[Durability]
    DURABILITY_FSYNC: _ClassVar[Durability]
    DURABILITY_BUFFERED: _ClassVar[Durability]

class Algorithm(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ALGORITHM_UNSPECIFIED: _ClassVar[Algorithm]
    ALGORITHM_GCRA: _ClassVar[Algorithm]
    ALGORITHM_FIXED_WINDOW: _ClassVar[Algorithm]
    ALGORITHM_SLIDING_WINDOW: _ClassVar[Algorithm]

class Method(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    METHOD_UNSPECIFIED: _ClassVar[Method]
    METHOD_GET: _ClassVar[Method]
    METHOD_SET: _ClassVar[Method]
    METHOD_DELETE: _ClassVar[Method]
    METHOD_INCREMENT: _ClassVar[Method]
    METHOD_TOUCH: _ClassVar[Method]
    METHOD_GET_MANY: _ClassVar[Method]
    METHOD_SET_MANY: _ClassVar[Method]
    METHOD_DELETE_MANY: _ClassVar[Method]
    METHOD_LIST: _ClassVar[Method]
    METHOD_CLEAR: _ClassVar[Method]
    METHOD_THROTTLE: _ClassVar[Method]
    METHOD_TRANSACT: _ClassVar[Method]
    METHOD_EXECUTE: _ClassVar[Method]

class OperationOption(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OPERATION_OPTION_UNSPECIFIED: _ClassVar[OperationOption]
    OPERATION_OPTION_IF_VERSION: _ClassVar[OperationOption]
    OPERATION_OPTION_KEEP_TTL: _ClassVar[OperationOption]
ENCODING_UNSPECIFIED: Encoding
ENCODING_BYTES: Encoding
ENCODING_JSON: Encoding
DURABILITY_UNSPECIFIED: Durability
DURABILITY_FSYNC: Durability
DURABILITY_BUFFERED: Durability
ALGORITHM_UNSPECIFIED: Algorithm
ALGORITHM_GCRA: Algorithm
ALGORITHM_FIXED_WINDOW: Algorithm
ALGORITHM_SLIDING_WINDOW: Algorithm
METHOD_UNSPECIFIED: Method
METHOD_GET: Method
METHOD_SET: Method
METHOD_DELETE: Method
METHOD_INCREMENT: Method
METHOD_TOUCH: Method
METHOD_GET_MANY: Method
METHOD_SET_MANY: Method
METHOD_DELETE_MANY: Method
METHOD_LIST: Method
METHOD_CLEAR: Method
METHOD_THROTTLE: Method
METHOD_TRANSACT: Method
METHOD_EXECUTE: Method
OPERATION_OPTION_UNSPECIFIED: OperationOption
OPERATION_OPTION_IF_VERSION: OperationOption
OPERATION_OPTION_KEEP_TTL: OperationOption

class Entry(_message.Message):
    __slots__ = ("key", "value", "encoding", "version", "expires_at_ms")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_MS_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: bytes
    encoding: Encoding
    version: int
    expires_at_ms: int
    def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ..., encoding: _Optional[_Union[Encoding, str]] = ..., version: _Optional[int] = ..., expires_at_ms: _Optional[int] = ...) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("namespace", "object", "key")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    object: str
    key: str
    def __init__(self, namespace: _Optional[str] = ..., object: _Optional[str] = ..., key: _Optional[str] = ...) -> None: ...

class GetResponse(_message.Message):
    __slots__ = ("entry",)
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    entry: Entry
    def __init__(self, entry: _Optional[_Union[Entry, _Mapping]] = ...) -> None: ...

class SetRequest(_message.Message):
    __slots__ = ("namespace", "object", "key", "value", "encoding", "ttl_ms", "if_version", "keep_ttl", "durability", "request_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    IF_VERSION_FIELD_NUMBER: _ClassVar[int]
    KEEP_TTL_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    object: str
    key: str
    value: bytes
    encoding: Encoding
    ttl_ms: int
    if_version: int
    keep_ttl: bool
    durability: Durability
    request_id: bytes
    def __init__(self, namespace: _Optional[str] = ..., object: _Optional[str] = ..., key: _Optional[str] = ..., value: _Optional[bytes] = ..., encoding: _Optional[_Union[Encoding, str]] = ..., ttl_ms: _Optional[int] = ..., if_version: _Optional[int] = ..., keep_ttl: bool = ..., durability: _Optional[_Union[Durability, str]] = ..., request_id: _Optional[bytes] = ...) -> None: ...

class SetResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: int
    def __init__(self, version: _Optional[int] = ...) -> None: ...

class DeleteRequest(_message.Message):
    __slots__ = ("namespace", "object", "key", "if_version", "durability", "request_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    IF_VERSION_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    object: str
    key: str
    if_version: int
    durability: Durability
    request_id: bytes
    def __init__(self, namespace: _Optional[str] = ..., object: _Optional[str] = ..., key: _Optional[str] = ..., if_version: _Optional[int] = ..., durability: _Optional[_Union[Durability, str]] = ..., request_id: _Optional[bytes] = ...) -> None: ...

class DeleteResponse(_message.Message):
    __slots__ = ("deleted",)
    DELETED_FIELD_NUMBER: _ClassVar[int]
    deleted: bool
    def __init__(self, deleted: bool = ...) -> None: ...

class GetManyRequest(_message.Message):
    __slots__ = ("namespace", "object", "keys")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    object: str
    keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, namespace: _Optional[str] = ..., object: _Optional[str] = ..., keys: _Optional[_Iterable[str]] = ...) -> None: ...

class GetManyResponse(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[Entry]
    def __init__(self, entries: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ...) -> None: ...

class SetItem(_message.Message):
    __slots__ = ("key", "value", "encoding", "ttl_ms", "if_version", "keep_ttl")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    IF_VERSION_FIELD_NUMBER: _ClassVar[int]
    KEEP_TTL_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: bytes
    encoding: Encoding
    ttl_ms: int
    if_version: int
    keep_ttl: bool
    def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ..., encoding: _Optional[_Union[Encoding, str]] = ..., ttl_ms: _Optional[int] = ..., if_version: _Optional[int] = ..., keep_ttl: bool = ...) -> None: ...

class SetManyRequest(_message.Message):
    __slots__ = ("namespace", "object", "items", "durability", "request_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    object: str
    items: _containers.RepeatedCompositeFieldContainer[SetItem]
    durability: Durability
    request_id: bytes
    def __init__(self, namespace: _Optional[str] = ..., object: _Optional[str] = ..., items: _Optional[_Iterable[_Union[SetItem, _Mapping]]] = ..., durability: _Optional[_Union[Durability, str]] = ..., request_id: _Optional[bytes] = ...) -> None: ...

class SetManyResponse(_message.Message):
    __slots__ = ("versions",)
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, versions: _Optional[_Iterable[int]] = ...) -> None: ...

class DeleteManyRequest(_message.Message):
    __slots__ = ("namespace", "object", "keys", "durability", "request_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    object: str
    keys: _containers.RepeatedScalarFieldContainer[str]
    durability: Durability
    request_id: bytes
    def __init__(self, namespace: _Optional[str] = ..., object: _Optional[str] = ..., keys: _Optional[_Iterable[str]] = ..., durability: _Optional[_Union[Durability, str]] = ..., request_id: _Optional[bytes] = ...) -> None: ...

class DeleteManyResponse(_message.Message):
    __slots__ = ("deleted",)
    DELETED_FIELD_NUMBER: _ClassVar[int]
    deleted: int
    def __init__(self, deleted: _Optional[int] = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ("namespace", "object", "prefix", "start", "start_after", "end", "limit", "reverse", "keys_only", "page_token")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    START_AFTER_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    REVERSE_FIELD_NUMBER: _ClassVar[int]
    KEYS_ONLY_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    object: str
    prefix: str
    start: str
    start_after: str
    end: str
    limit: int
    reverse: bool
    keys_only: bool
    page_token: bytes
    def __init__(self, namespace: _Optional[str] = ..., object: _Optional[str] = ..., prefix: _Optional[str] = ..., start: _Optional[str] = ..., start_after: _Optional[str] = ..., end: _Optional[str] = ..., limit: _Optional[int] = ..., reverse: bool = ..., keys_only: bool = ..., page_token: _Optional[bytes] = ...) -> None: ...

class ListResponse(_message.Message):
    __slots__ = ("entries", "next_page_token")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[Entry]
    next_page_token: bytes
    def __init__(self, entries: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ..., next_page_token: _Optional[bytes] = ...) -> None: ...

class ClearRequest(_message.Message):
    __slots__ = ("namespace", "object", "prefix", "durability")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    object: str
    prefix: str
    durability: Durability
    def __init__(self, namespace: _Optional[str] = ..., object: _Optional[str] = ..., prefix: _Optional[str] = ..., durability: _Optional[_Union[Durability, str]] = ...) -> None: ...

class ClearResponse(_message.Message):
    __slots__ = ("deleted",)
    DELETED_FIELD_NUMBER: _ClassVar[int]
    deleted: int
    def __init__(self, deleted: _Optional[int] = ...) -> None: ...

class IncrementRequest(_message.Message):
    __slots__ = ("namespace", "object", "key", "delta", "initial", "ttl_ms", "durability", "request_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    INITIAL_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    object: str
    key: str
    delta: int
    initial: int
    ttl_ms: int
    durability: Durability
    request_id: bytes
    def __init__(self, namespace: _Optional[str] = ..., object: _Optional[str] = ..., key: _Optional[str] = ..., delta: _Optional[int] = ..., initial: _Optional[int] = ..., ttl_ms: _Optional[int] = ..., durability: _Optional[_Union[Durability, str]] = ..., request_id: _Optional[bytes] = ...) -> None: ...

class IncrementResponse(_message.Message):
    __slots__ = ("value", "version")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    value: int
    version: int
    def __init__(self, value: _Optional[int] = ..., version: _Optional[int] = ...) -> None: ...

class TouchRequest(_message.Message):
    __slots__ = ("namespace", "object", "key", "ttl_ms")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    object: str
    key: str
    ttl_ms: int
    def __init__(self, namespace: _Optional[str] = ..., object: _Optional[str] = ..., key: _Optional[str] = ..., ttl_ms: _Optional[int] = ...) -> None: ...

class TouchResponse(_message.Message):
    __slots__ = ("found", "expires_at_ms")
    FOUND_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_MS_FIELD_NUMBER: _ClassVar[int]
    found: bool
    expires_at_ms: int
    def __init__(self, found: bool = ..., expires_at_ms: _Optional[int] = ...) -> None: ...

class ThrottleRequest(_message.Message):
    __slots__ = ("namespace", "object", "key", "algorithm", "limit", "period_ms", "burst", "cost", "peek", "durability", "request_id", "limits")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PERIOD_MS_FIELD_NUMBER: _ClassVar[int]
    BURST_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    PEEK_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    object: str
    key: str
    algorithm: Algorithm
    limit: int
    period_ms: int
    burst: int
    cost: int
    peek: bool
    durability: Durability
    request_id: bytes
    limits: _containers.RepeatedCompositeFieldContainer[ThrottleLimit]
    def __init__(self, namespace: _Optional[str] = ..., object: _Optional[str] = ..., key: _Optional[str] = ..., algorithm: _Optional[_Union[Algorithm, str]] = ..., limit: _Optional[int] = ..., period_ms: _Optional[int] = ..., burst: _Optional[int] = ..., cost: _Optional[int] = ..., peek: bool = ..., durability: _Optional[_Union[Durability, str]] = ..., request_id: _Optional[bytes] = ..., limits: _Optional[_Iterable[_Union[ThrottleLimit, _Mapping]]] = ...) -> None: ...

class ThrottleLimit(_message.Message):
    __slots__ = ("algorithm", "limit", "period_ms", "burst")
    ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PERIOD_MS_FIELD_NUMBER: _ClassVar[int]
    BURST_FIELD_NUMBER: _ClassVar[int]
    algorithm: Algorithm
    limit: int
    period_ms: int
    burst: int
    def __init__(self, algorithm: _Optional[_Union[Algorithm, str]] = ..., limit: _Optional[int] = ..., period_ms: _Optional[int] = ..., burst: _Optional[int] = ...) -> None: ...

class ThrottleResponse(_message.Message):
    __slots__ = ("allowed", "limit", "remaining", "retry_after_ms", "reset_after_ms", "each")
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    REMAINING_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    RESET_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    EACH_FIELD_NUMBER: _ClassVar[int]
    allowed: bool
    limit: int
    remaining: int
    retry_after_ms: int
    reset_after_ms: int
    each: _containers.RepeatedCompositeFieldContainer[ThrottleResponse]
    def __init__(self, allowed: bool = ..., limit: _Optional[int] = ..., remaining: _Optional[int] = ..., retry_after_ms: _Optional[int] = ..., reset_after_ms: _Optional[int] = ..., each: _Optional[_Iterable[_Union[ThrottleResponse, _Mapping]]] = ...) -> None: ...

class Condition(_message.Message):
    __slots__ = ("key", "version")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    key: str
    version: int
    def __init__(self, key: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class DeleteItem(_message.Message):
    __slots__ = ("key", "if_version")
    KEY_FIELD_NUMBER: _ClassVar[int]
    IF_VERSION_FIELD_NUMBER: _ClassVar[int]
    key: str
    if_version: int
    def __init__(self, key: _Optional[str] = ..., if_version: _Optional[int] = ...) -> None: ...

class IncrementItem(_message.Message):
    __slots__ = ("key", "delta", "initial", "ttl_ms")
    KEY_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    INITIAL_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    key: str
    delta: int
    initial: int
    ttl_ms: int
    def __init__(self, key: _Optional[str] = ..., delta: _Optional[int] = ..., initial: _Optional[int] = ..., ttl_ms: _Optional[int] = ...) -> None: ...

class TouchItem(_message.Message):
    __slots__ = ("key", "ttl_ms")
    KEY_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    key: str
    ttl_ms: int
    def __init__(self, key: _Optional[str] = ..., ttl_ms: _Optional[int] = ...) -> None: ...

class ThrottleItem(_message.Message):
    __slots__ = ("key", "algorithm", "limit", "period_ms", "burst", "cost", "peek")
    KEY_FIELD_NUMBER: _ClassVar[int]
    ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PERIOD_MS_FIELD_NUMBER: _ClassVar[int]
    BURST_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    PEEK_FIELD_NUMBER: _ClassVar[int]
    key: str
    algorithm: Algorithm
    limit: int
    period_ms: int
    burst: int
    cost: int
    peek: bool
    def __init__(self, key: _Optional[str] = ..., algorithm: _Optional[_Union[Algorithm, str]] = ..., limit: _Optional[int] = ..., period_ms: _Optional[int] = ..., burst: _Optional[int] = ..., cost: _Optional[int] = ..., peek: bool = ...) -> None: ...

class GetItem(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    def __init__(self, key: _Optional[str] = ...) -> None: ...

class Operation(_message.Message):
    __slots__ = ("set", "delete", "increment", "touch", "throttle", "get", "sql")
    SET_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    INCREMENT_FIELD_NUMBER: _ClassVar[int]
    TOUCH_FIELD_NUMBER: _ClassVar[int]
    THROTTLE_FIELD_NUMBER: _ClassVar[int]
    GET_FIELD_NUMBER: _ClassVar[int]
    SQL_FIELD_NUMBER: _ClassVar[int]
    set: SetItem
    delete: DeleteItem
    increment: IncrementItem
    touch: TouchItem
    throttle: ThrottleItem
    get: GetItem
    sql: _statements_pb2.Statement
    def __init__(self, set: _Optional[_Union[SetItem, _Mapping]] = ..., delete: _Optional[_Union[DeleteItem, _Mapping]] = ..., increment: _Optional[_Union[IncrementItem, _Mapping]] = ..., touch: _Optional[_Union[TouchItem, _Mapping]] = ..., throttle: _Optional[_Union[ThrottleItem, _Mapping]] = ..., get: _Optional[_Union[GetItem, _Mapping]] = ..., sql: _Optional[_Union[_statements_pb2.Statement, _Mapping]] = ...) -> None: ...

class OperationResult(_message.Message):
    __slots__ = ("set", "delete", "increment", "touch", "throttle", "get", "sql")
    SET_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    INCREMENT_FIELD_NUMBER: _ClassVar[int]
    TOUCH_FIELD_NUMBER: _ClassVar[int]
    THROTTLE_FIELD_NUMBER: _ClassVar[int]
    GET_FIELD_NUMBER: _ClassVar[int]
    SQL_FIELD_NUMBER: _ClassVar[int]
    set: SetResponse
    delete: DeleteResponse
    increment: IncrementResponse
    touch: TouchResponse
    throttle: ThrottleResponse
    get: GetResponse
    sql: _statements_pb2.StatementResult
    def __init__(self, set: _Optional[_Union[SetResponse, _Mapping]] = ..., delete: _Optional[_Union[DeleteResponse, _Mapping]] = ..., increment: _Optional[_Union[IncrementResponse, _Mapping]] = ..., touch: _Optional[_Union[TouchResponse, _Mapping]] = ..., throttle: _Optional[_Union[ThrottleResponse, _Mapping]] = ..., get: _Optional[_Union[GetResponse, _Mapping]] = ..., sql: _Optional[_Union[_statements_pb2.StatementResult, _Mapping]] = ...) -> None: ...

class TransactRequest(_message.Message):
    __slots__ = ("namespace", "object", "conditions", "operations", "durability", "request_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    object: str
    conditions: _containers.RepeatedCompositeFieldContainer[Condition]
    operations: _containers.RepeatedCompositeFieldContainer[Operation]
    durability: Durability
    request_id: bytes
    def __init__(self, namespace: _Optional[str] = ..., object: _Optional[str] = ..., conditions: _Optional[_Iterable[_Union[Condition, _Mapping]]] = ..., operations: _Optional[_Iterable[_Union[Operation, _Mapping]]] = ..., durability: _Optional[_Union[Durability, str]] = ..., request_id: _Optional[bytes] = ...) -> None: ...

class TransactResponse(_message.Message):
    __slots__ = ("committed", "results", "conflicts")
    COMMITTED_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    CONFLICTS_FIELD_NUMBER: _ClassVar[int]
    committed: bool
    results: _containers.RepeatedCompositeFieldContainer[OperationResult]
    conflicts: _containers.RepeatedCompositeFieldContainer[Entry]
    def __init__(self, committed: bool = ..., results: _Optional[_Iterable[_Union[OperationResult, _Mapping]]] = ..., conflicts: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ...) -> None: ...

class Address(_message.Message):
    __slots__ = ("namespace", "object")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    object: str
    def __init__(self, namespace: _Optional[str] = ..., object: _Optional[str] = ...) -> None: ...

class PipelineRequest(_message.Message):
    __slots__ = ("ids", "methods", "addresses", "address_indexes", "keys", "values", "encodings", "ttl_ms", "if_versions", "options", "durabilities", "request_ids", "numbers", "initials", "timeouts_ms", "withdrawn")
    IDS_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_INDEXES_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    ENCODINGS_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    IF_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    DURABILITIES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_IDS_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    INITIALS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUTS_MS_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[int]
    methods: _containers.RepeatedScalarFieldContainer[Method]
    addresses: _containers.RepeatedCompositeFieldContainer[Address]
    address_indexes: _containers.RepeatedScalarFieldContainer[int]
    keys: _containers.RepeatedScalarFieldContainer[str]
    values: _containers.RepeatedScalarFieldContainer[bytes]
    encodings: _containers.RepeatedScalarFieldContainer[Encoding]
    ttl_ms: _containers.RepeatedScalarFieldContainer[int]
    if_versions: _containers.RepeatedScalarFieldContainer[int]
    options: _containers.RepeatedScalarFieldContainer[int]
    durabilities: _containers.RepeatedScalarFieldContainer[Durability]
    request_ids: _containers.RepeatedScalarFieldContainer[bytes]
    numbers: _containers.RepeatedScalarFieldContainer[int]
    initials: _containers.RepeatedScalarFieldContainer[int]
    timeouts_ms: _containers.RepeatedScalarFieldContainer[int]
    withdrawn: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, ids: _Optional[_Iterable[int]] = ..., methods: _Optional[_Iterable[_Union[Method, str]]] = ..., addresses: _Optional[_Iterable[_Union[Address, _Mapping]]] = ..., address_indexes: _Optional[_Iterable[int]] = ..., keys: _Optional[_Iterable[str]] = ..., values: _Optional[_Iterable[bytes]] = ..., encodings: _Optional[_Iterable[_Union[Encoding, str]]] = ..., ttl_ms: _Optional[_Iterable[int]] = ..., if_versions: _Optional[_Iterable[int]] = ..., options: _Optional[_Iterable[int]] = ..., durabilities: _Optional[_Iterable[_Union[Durability, str]]] = ..., request_ids: _Optional[_Iterable[bytes]] = ..., numbers: _Optional[_Iterable[int]] = ..., initials: _Optional[_Iterable[int]] = ..., timeouts_ms: _Optional[_Iterable[int]] = ..., withdrawn: _Optional[_Iterable[int]] = ...) -> None: ...

class PipelineResponse(_message.Message):
    __slots__ = ("ids", "versions", "values", "encodings", "expires_at_ms", "numbers", "errors")
    IDS_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    ENCODINGS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_MS_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[int]
    versions: _containers.RepeatedScalarFieldContainer[int]
    values: _containers.RepeatedScalarFieldContainer[bytes]
    encodings: _containers.RepeatedScalarFieldContainer[Encoding]
    expires_at_ms: _containers.RepeatedScalarFieldContainer[int]
    numbers: _containers.RepeatedScalarFieldContainer[int]
    errors: _containers.RepeatedCompositeFieldContainer[OperationError]
    def __init__(self, ids: _Optional[_Iterable[int]] = ..., versions: _Optional[_Iterable[int]] = ..., values: _Optional[_Iterable[bytes]] = ..., encodings: _Optional[_Iterable[_Union[Encoding, str]]] = ..., expires_at_ms: _Optional[_Iterable[int]] = ..., numbers: _Optional[_Iterable[int]] = ..., errors: _Optional[_Iterable[_Union[OperationError, _Mapping]]] = ...) -> None: ...

class OperationError(_message.Message):
    __slots__ = ("id", "code", "reason", "message", "metadata", "retry_after_ms", "field")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    id: int
    code: int
    reason: str
    message: str
    metadata: _containers.ScalarMap[str, str]
    retry_after_ms: int
    field: str
    def __init__(self, id: _Optional[int] = ..., code: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ..., retry_after_ms: _Optional[int] = ..., field: _Optional[str] = ...) -> None: ...
