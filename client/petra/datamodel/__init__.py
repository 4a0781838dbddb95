"""Models over a datastore: what their records are, and how these are validated, stored and found.

A model is a class on `Model`, or a plain definition made by `define`, whose records are `DataModel`s. This package is
for asyncio, petra.sync.datamodel for threads; they have the same names.
"""

from __future__ import annotations

from petra.datamodel.backfill import Progress
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
from petra.datamodel.differences import Difference, Reconciliation
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
from petra.datamodel.expressions import (
    Avg,
    Column,
    Condition,
    Count,
    Max,
    Min,
    Sum,
    and_,
    col,
    condition,
    escape_like,
    not_,
    or_,
)
from petra.datamodel.hooks import Event
from petra.datamodel.migrate import initialize, migration_history, migration_plan
from petra.datamodel.model import Model
from petra.datamodel.outcome import Applied, Initialized
from petra.datamodel.pages import CursorPage, Explanation, Listing, Pagination
from petra.datamodel.plan import Plan, definitions_of
from petra.datamodel.query import Query
from petra.datamodel.recipes import MigrationRefused, Refusal
from petra.datamodel.reconcile import reconcile
from petra.datamodel.record import Record
from petra.datamodel.registry import MODELS, Models
from petra.datamodel.seeds import MissingVariable
from petra.datamodel.state import Change
from petra.datamodel.validation import Rules

__all__ = [
    "MODELS",
    "Applied",
    "Avg",
    "Bound",
    "BulkFailed",
    "Change",
    "Column",
    "Condition",
    "Count",
    "CursorPage",
    "DataModel",
    "DefinitionError",
    "Difference",
    "Duplicate",
    "Event",
    "Explanation",
    "FieldDefinition",
    "HookRefused",
    "IndexDefinition",
    "Initialized",
    "KvPlacement",
    "Listing",
    "Max",
    "MigrationRefused",
    "Min",
    "MissingVariable",
    "Model",
    "ModelDefinition",
    "Models",
    "NotInitialized",
    "Options",
    "Pagination",
    "Plan",
    "Progress",
    "Query",
    "Reconciliation",
    "Record",
    "Refusal",
    "Rules",
    "SeedDefinition",
    "Sum",
    "TablePlacement",
    "UnknownField",
    "UnknownModel",
    "ValidationError",
    "and_",
    "col",
    "condition",
    "define",
    "definitions_of",
    "escape_like",
    "initialize",
    "migration_history",
    "migration_plan",
    "not_",
    "or_",
    "reconcile",
]
