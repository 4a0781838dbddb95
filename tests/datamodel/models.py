"""One model in both ways of defining it, so that one set of tests speaks of both."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from petra.datamodel import Bound, DataModel, Model, ModelDefinition, Models, Record, define
from petra.datamodel.typed import definition_of_class
from petra.datastore import Store

Pages: TypeAlias = Bound[DataModel] | Bound["Page"]

REGISTRY = Models()
PLAIN = define(
    {
        "name": "PLAIN_PAGE",
        "fields": {
            "project_id": {"type": "string", "required": True},
            "slug": {"type": "string", "required": True},
            "status": {"type": "string", "required": True, "default": "pending", "validation": ["pending", "done"]},
            "views": {"type": "int", "required": True, "default": 0, "validation": {"min": 0}},
            "hidden": {"type": "bool", "required": True, "default": False},
            "body": "text",
            "tags": {"type": "array", "required": True, "default": []},
        },
        "kv": {"key_pattern": "plain:{project_id}:{id}"},
        "d1": {"table": "plain_pages", "indexes": [["status", "-created_at"]], "unique": [["project_id", "slug"]]},
    },
    registry=REGISTRY,
)


class Page(
    Model,
    table="pages",
    key="page:{project_id}:{id}",
    indexes=[("status", "-created_at")],
    unique=[("project_id", "slug")],
    registry=REGISTRY,
):
    project_id: str
    slug: str
    status: Literal["pending", "done"] = "pending"
    views: int = 0
    hidden: bool = False
    body: str | None = None
    tags: list[str] = Field(default_factory=list)


KINDS = ("plain", "typed")


def definition(kind: str) -> ModelDefinition:
    return PLAIN if kind == "plain" else definition_of_class(Page)


def using(kind: str, store: Store) -> Bound[Record]:
    """The model on a store."""
    bound: object = DataModel.using(PLAIN, store) if kind == "plain" else Page.using(store)
    assert isinstance(bound, Bound)
    return bound
