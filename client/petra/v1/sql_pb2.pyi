from petra.v1 import statements_pb2 as _statements_pb2
from petra.v1 import storage_pb2 as _storage_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExecuteRequest(_message.Message):
    __slots__ = ("namespace", "object", "statements", "durability", "request_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    STATEMENTS_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    object: str
    statements: _containers.RepeatedCompositeFieldContainer[_statements_pb2.Statement]
    durability: _storage_pb2.Durability
    request_id: bytes
    def __init__(self, namespace: _Optional[str] = ..., object: _Optional[str] = ..., statements: _Optional[_Iterable[_Union[_statements_pb2.Statement, _Mapping]]] = ..., durability: _Optional[_Union[_storage_pb2.Durability, str]] = ..., request_id: _Optional[bytes] = ...) -> None: ...

class ExecuteResponse(_message.Message):
    __slots__ = ("results", "database_bytes")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    DATABASE_BYTES_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[_statements_pb2.StatementResult]
    database_bytes: int
    def __init__(self, results: _Optional[_Iterable[_Union[_statements_pb2.StatementResult, _Mapping]]] = ..., database_bytes: _Optional[int] = ...) -> None: ...

class QueryRequest(_message.Message):
    __slots__ = ("namespace", "object", "statement")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    object: str
    statement: _statements_pb2.Statement
    def __init__(self, namespace: _Optional[str] = ..., object: _Optional[str] = ..., statement: _Optional[_Union[_statements_pb2.Statement, _Mapping]] = ...) -> None: ...

class QueryResponse(_message.Message):
    __slots__ = ("columns", "cells", "last", "rows_read", "duration_us", "database_bytes")
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    CELLS_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    ROWS_READ_FIELD_NUMBER: _ClassVar[int]
    DURATION_US_FIELD_NUMBER: _ClassVar[int]
    DATABASE_BYTES_FIELD_NUMBER: _ClassVar[int]
    columns: _containers.RepeatedCompositeFieldContainer[_statements_pb2.Column]
    cells: _statements_pb2.Cells
    last: bool
    rows_read: int
    duration_us: int
    database_bytes: int
    def __init__(self, columns: _Optional[_Iterable[_Union[_statements_pb2.Column, _Mapping]]] = ..., cells: _Optional[_Union[_statements_pb2.Cells, _Mapping]] = ..., last: bool = ..., rows_read: _Optional[int] = ..., duration_us: _Optional[int] = ..., database_bytes: _Optional[int] = ...) -> None: ...
