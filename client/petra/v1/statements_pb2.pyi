from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ValueKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VALUE_KIND_UNSPECIFIED: _ClassVar[ValueKind]
    VALUE_KIND_INTEGER: _ClassVar[ValueKind]
    VALUE_KIND_DOUBLE: _ClassVar[ValueKind]
    VALUE_KIND_TEXT: _ClassVar[ValueKind]
    VALUE_KIND_BLOB: _ClassVar[ValueKind]
VALUE_KIND_UNSPECIFIED: ValueKind
VALUE_KIND_INTEGER: ValueKind
VALUE_KIND_DOUBLE: ValueKind
VALUE_KIND_TEXT: ValueKind
VALUE_KIND_BLOB: ValueKind

class Cells(_message.Message):
    __slots__ = ("kinds", "integers", "doubles", "texts", "blobs")
    KINDS_FIELD_NUMBER: _ClassVar[int]
    INTEGERS_FIELD_NUMBER: _ClassVar[int]
    DOUBLES_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    BLOBS_FIELD_NUMBER: _ClassVar[int]
    kinds: _containers.RepeatedScalarFieldContainer[ValueKind]
    integers: _containers.RepeatedScalarFieldContainer[int]
    doubles: _containers.RepeatedScalarFieldContainer[float]
    texts: _containers.RepeatedScalarFieldContainer[str]
    blobs: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, kinds: _Optional[_Iterable[_Union[ValueKind, str]]] = ..., integers: _Optional[_Iterable[int]] = ..., doubles: _Optional[_Iterable[float]] = ..., texts: _Optional[_Iterable[str]] = ..., blobs: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Statement(_message.Message):
    __slots__ = ("sql", "parameters", "names", "times")
    SQL_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    sql: str
    parameters: Cells
    names: _containers.RepeatedScalarFieldContainer[str]
    times: int
    def __init__(self, sql: _Optional[str] = ..., parameters: _Optional[_Union[Cells, _Mapping]] = ..., names: _Optional[_Iterable[str]] = ..., times: _Optional[int] = ...) -> None: ...

class Column(_message.Message):
    __slots__ = ("name", "declared_type")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DECLARED_TYPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    declared_type: str
    def __init__(self, name: _Optional[str] = ..., declared_type: _Optional[str] = ...) -> None: ...

class StatementResult(_message.Message):
    __slots__ = ("columns", "cells", "changes", "last_insert_rowid", "rows_read", "rows_written", "duration_us")
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    CELLS_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    LAST_INSERT_ROWID_FIELD_NUMBER: _ClassVar[int]
    ROWS_READ_FIELD_NUMBER: _ClassVar[int]
    ROWS_WRITTEN_FIELD_NUMBER: _ClassVar[int]
    DURATION_US_FIELD_NUMBER: _ClassVar[int]
    columns: _containers.RepeatedCompositeFieldContainer[Column]
    cells: Cells
    changes: int
    last_insert_rowid: int
    rows_read: int
    rows_written: int
    duration_us: int
    def __init__(self, columns: _Optional[_Iterable[_Union[Column, _Mapping]]] = ..., cells: _Optional[_Union[Cells, _Mapping]] = ..., changes: _Optional[int] = ..., last_insert_rowid: _Optional[int] = ..., rows_read: _Optional[int] = ..., rows_written: _Optional[int] = ..., duration_us: _Optional[int] = ...) -> None: ...
