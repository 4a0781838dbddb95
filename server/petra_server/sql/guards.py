"""What users may not do in SQL: an authorizer that SQLite asks about every part of a statement, and its limits.

Allowed is what concerns the object's own database and ends with the statement. Not allowed is what reaches outside
(ATTACH, extensions), what would go on beyond a request (transactions, temporary tables, settings of the connection),
and what could damage the database (writable_schema and its kind).
"""

from __future__ import annotations

import secrets

import apsw

from petra_server.errors import Refusal
from petra_server.sql.failures import not_allowed
from petra_server.sql.statements import SqlLimits

# Only who knows these texts may begin and end transactions: apsw keeps prepared statements by their text, so a text
# that a user could send would be run without being asked about again.
_SECRET = secrets.token_hex(16)
BEGIN, COMMIT, ROLLBACK = (f"{word} /* {_SECRET} */" for word in ("BEGIN", "COMMIT", "ROLLBACK"))

# Those that only tell, or that set something which is kept in the database.
_PRAGMAS = frozenset(
    (
        "application_id",
        "collation_list",
        "compile_options",
        "data_version",
        "defer_foreign_keys",
        "encoding",
        "foreign_key_check",
        "foreign_key_list",
        "foreign_keys",
        "freelist_count",
        "function_list",
        "index_info",
        "index_list",
        "index_xinfo",
        "integrity_check",
        "max_page_count",
        "module_list",
        "optimize",
        "page_count",
        "page_size",
        "pragma_list",
        "quick_check",
        "schema_version",
        "table_info",
        "table_list",
        "table_xinfo",
        "user_version",
    )
)
_PRAGMAS_NOT_SET = frozenset(
    ("data_version", "encoding", "foreign_keys", "freelist_count", "max_page_count", "page_size", "schema_version")
)
_MODULES = frozenset(("fts5", "fts5vocab", "fts3", "fts4", "fts4aux", "rtree", "rtree_i32", "geopoly"))
_FUNCTIONS_DENIED = frozenset(("load_extension", "fts3_tokenizer"))

_TEMPORARY = frozenset(
    (
        apsw.SQLITE_CREATE_TEMP_INDEX,
        apsw.SQLITE_CREATE_TEMP_TABLE,
        apsw.SQLITE_CREATE_TEMP_TRIGGER,
        apsw.SQLITE_CREATE_TEMP_VIEW,
    )
)
_SCHEMA_CHANGES = frozenset(
    (
        apsw.SQLITE_ALTER_TABLE,
        apsw.SQLITE_CREATE_INDEX,
        apsw.SQLITE_CREATE_TABLE,
        apsw.SQLITE_CREATE_TRIGGER,
        apsw.SQLITE_CREATE_VIEW,
        apsw.SQLITE_CREATE_VTABLE,
    )
)

# Deep enough for anybody, and shallow enough for the stack of a thread.
_EXPRESSION_DEPTH = 500
# A prepared statement of so many steps takes some megabytes.
_STEPS = 250_000
# Matching takes time exponential in the number of its wildcards.
_LIKE_PATTERN_BYTES = 1_000


class Guard:
    """The authorizer of one connection, and what it said last."""

    __slots__ = ("deferred", "enabled", "refusal", "schema_changed")

    def __init__(self) -> None:
        # Off while the connection is set up, and for our own transaction statements.
        self.enabled = False
        # Why the last statement was refused.
        self.refusal: Refusal | None = None
        # Whether a statement that adds to the schema was prepared. Set back by whoever has looked.
        self.schema_changed = False
        # Whether the checks of foreign keys were deferred, which happens when such a statement is prepared.
        self.deferred = False

    def __call__(
        self, action: int, first: str | None, second: str | None, database: str | None, trigger: str | None
    ) -> int:
        if not self.enabled:
            return apsw.SQLITE_OK
        refusal = self._judge(action, first or "", second)
        if refusal is None:
            return apsw.SQLITE_OK
        self.refusal = refusal
        return apsw.SQLITE_DENY

    def _judge(self, action: int, first: str, second: str | None) -> Refusal | None:
        if action in (apsw.SQLITE_READ, apsw.SQLITE_SELECT):
            return None
        if action in _SCHEMA_CHANGES:
            self.schema_changed = True
            if action == apsw.SQLITE_CREATE_VTABLE:
                return _judge_module(second or "")
            return None
        if action == apsw.SQLITE_PRAGMA:
            self.deferred = self.deferred or (first.lower() == "defer_foreign_keys" and second is not None)
            return _judge_pragma(first.lower(), second)
        if action in (apsw.SQLITE_ATTACH, apsw.SQLITE_DETACH):
            return not_allowed(
                "ATTACH, DETACH and VACUUM INTO are not allowed: an object has one database. Use another object."
            )
        if action in (apsw.SQLITE_TRANSACTION, apsw.SQLITE_SAVEPOINT):
            return not_allowed(
                f"{first} is not allowed: the statements of a request are one transaction already."
                " Send together what belongs together."
            )
        if action in _TEMPORARY:
            return not_allowed(
                "Temporary tables, views and triggers are not allowed: nothing of a connection lasts beyond a request."
                " Use WITH, or an ordinary table."
            )
        if action == apsw.SQLITE_FUNCTION and second is not None and second.lower() in _FUNCTIONS_DENIED:
            return not_allowed(f"The function {second} is not allowed.")
        return None


def _judge_pragma(name: str, argument: str | None) -> Refusal | None:
    if name not in _PRAGMAS:
        return not_allowed(
            f"PRAGMA {name} is not allowed: it is unsafe, or sets something that would not last beyond a request."
        )
    if argument is not None and name in _PRAGMAS_NOT_SET:
        hint = " To change rows in any order, use PRAGMA defer_foreign_keys = ON." if name == "foreign_keys" else ""
        return not_allowed(f"PRAGMA {name} can be read and not set.{hint}")
    return None


def _judge_module(module: str) -> Refusal | None:
    if module.lower() in _MODULES:
        return None
    return not_allowed(f"Virtual tables of the module {module} are not allowed.")


def limit_connection(connection: apsw.Connection, limits: SqlLimits) -> None:
    """Sets what SQLite bounds by itself."""
    connection.limit(apsw.SQLITE_LIMIT_LENGTH, limits.max_value_bytes)
    connection.limit(apsw.SQLITE_LIMIT_SQL_LENGTH, limits.max_sql_bytes)
    connection.limit(apsw.SQLITE_LIMIT_ATTACHED, 0)
    connection.limit(apsw.SQLITE_LIMIT_EXPR_DEPTH, _EXPRESSION_DEPTH)
    connection.limit(apsw.SQLITE_LIMIT_VDBE_OP, _STEPS)
    connection.limit(apsw.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, _LIKE_PATTERN_BYTES)
    connection.limit(apsw.SQLITE_LIMIT_WORKER_THREADS, 0)
    # No writes into the tables behind virtual ones, no writable_schema, no journal_mode=OFF.
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
