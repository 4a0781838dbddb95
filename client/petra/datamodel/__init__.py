"""Models over a datastore: definitions, typed classes, records, queries and migrations."""

from __future__ import annotations
