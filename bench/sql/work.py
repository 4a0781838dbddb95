"""The table and the statements that every contestant of `bench sql` runs: the same text for all of them.

Chance is in the text, so that one payload, which is all that h2load sends, touches rows at random.
"""

from __future__ import annotations

ROWS = 10_000
# Rows of each value of the indexed column.
_EQUAL = 20

SCHEMA = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INT, c REAL, d TEXT, e INT, f TEXT, g INT)",
    "CREATE INDEX by_b ON t (b)",
)
FILL = (
    "INSERT INTO t WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n WHERE x < {last})"
    f" SELECT x, printf('name%010d', x), x / {_EQUAL}, 0.5, printf('%040d', x), x, printf('%020d', x), 7 FROM n"
)
# An 8-column row with one secondary index, which most of the time changes with it.
UPSERT = (
    f"INSERT INTO t VALUES (abs(random()) % {ROWS}, printf('name%010d', abs(random()) % 1000000),"
    f" abs(random()) % {ROWS // _EQUAL}, 1.5, printf('%040d', 1), 5, printf('%020d', 2), 7)"
    " ON CONFLICT (id) DO UPDATE SET a = excluded.a, b = excluded.b, c = excluded.c, d = excluded.d,"
    " e = excluded.e, f = excluded.f, g = excluded.g"
)
QUERY = f"SELECT * FROM t WHERE b >= (SELECT abs(random()) % {ROWS // _EQUAL - 10}) ORDER BY b LIMIT 20"
READ = f"SELECT a FROM t WHERE id = (SELECT abs(random()) % {ROWS})"

STATEMENTS = {"upsert": UPSERT, "query": QUERY, "read": READ}


def fill(rows: int = ROWS) -> str:
    return FILL.format(last=rows - 1)
