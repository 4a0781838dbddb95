"""A model with seeds of each kind, that several processes initialize at once."""

from __future__ import annotations

from petra.datamodel.define import read_definition

SEEDED = read_definition(
    {
        "name": "ITEM",
        "fields": {
            "title": {"type": "string", "required": True},
            "status": "string",
            "owner": {"type": "string", "default": "o"},
        },
        "d1": {"table": "items", "indexes": ["status", "owner"], "unique": ["title"]},
        "seeds": [
            {"strategy": "if_empty", "data": [{"title": f"empty{number}"} for number in range(5)]},
            {"strategy": "always", "match": ["title"], "data": [{"title": "always", "status": "on"}]},
            {"data": [{"title": "missing"}]},
        ],
    }
)
