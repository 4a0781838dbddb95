"""Models over a datastore: what their records are, and how these are validated, stored and found.

A model is a class on `Model`, or a plain definition made by `define`, whose records are `DataModel`s. This package is
for asyncio, petra.sync.datamodel for threads; they have the same names.
"""

from __future__ import annotations

from petra.datamodel.bound import Bound
from petra.datamodel.define import define
from petra.datamodel.definition import (
    FieldDefinition,
    IndexDefinition,
    KvPlacement,
    ModelDefinition,
    Options,
    SeedDefinition,
    TablePlacement,
)
from petra.datamodel.dynamic import DataModel
from petra.datamodel.errors import (
    BulkFailed,
    DefinitionError,
    Duplicate,
    HookRefused,
    NotInitialized,
    UnknownField,
    UnknownModel,
    ValidationError,
)
from petra.datamodel.expressions import Avg, Column, Condition, Count, Max, Min, Sum, and_, col, escape_like, not_, or_
from petra.datamodel.hooks import Event
from petra.datamodel.model import Model
from petra.datamodel.query import Query
from petra.datamodel.record import Record
from petra.datamodel.registry import MODELS, Models
from petra.datamodel.state import Change
from petra.datamodel.validation import Rules

__all__ = [
    "MODELS",
    "Avg",
    "Bound",
    "BulkFailed",
    "Change",
    "Column",
    "Condition",
    "Count",
    "DataModel",
    "DefinitionError",
    "Duplicate",
    "Event",
    "FieldDefinition",
    "HookRefused",
    "IndexDefinition",
    "KvPlacement",
    "Max",
    "Min",
    "Model",
    "ModelDefinition",
    "Models",
    "NotInitialized",
    "Options",
    "Query",
    "Record",
    "Rules",
    "SeedDefinition",
    "Sum",
    "TablePlacement",
    "UnknownField",
    "UnknownModel",
    "ValidationError",
    "and_",
    "col",
    "define",
    "escape_like",
    "not_",
    "or_",
]
