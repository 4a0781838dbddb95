"""Writes the generated part of the corpus: `python -m tests.server.sql.corpus_writer`.

The cases are made with fixed seeds, and what they are to answer is what plain SQLite in memory answers. Files whose
names begin with `written` are by hand.
"""

# Statements are read more easily in one line.
# ruff: noqa: E501

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw

from tests.server.sql.sqllogic import shown

CORPUS = Path(__file__).parent / "corpus"
_WORDS = [
    "amber",
    "basalt",
    "cedar",
    "delta",
    "ember",
    "flint",
    "granite",
    "harbor",
    "iris",
    "jasper",
    "kelp",
    "lava",
    "maple",
    "north",
    "opal",
    "pine",
    "quartz",
]

Maker = Callable[[random.Random], str]


def tables(choices: random.Random) -> Iterator[str]:
    """Three tables with rows, indexes and a view."""
    yield "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT NOT NULL, age INT, city INT, score REAL)"
    yield "CREATE TABLE city (id INTEGER PRIMARY KEY, name TEXT UNIQUE, size INT)"
    yield "CREATE TABLE trip (person INT REFERENCES person, city INT REFERENCES city, day INT, cost REAL, note TEXT)"
    yield "CREATE INDEX trip_person ON trip (person, day)"
    yield "CREATE INDEX person_lower ON person (lower(name)) WHERE age IS NOT NULL"
    for number, word in enumerate(_WORDS[:8], start=1):
        yield f"INSERT INTO city VALUES ({number}, '{word.title()}', {choices.choice(['NULL', choices.randrange(9) * 100])})"
    for number in range(1, 31):
        name = choices.choice(_WORDS) + str(number % 7)
        age = choices.choice(["NULL", choices.randrange(10, 70)])
        score = choices.choice(["NULL", choices.randrange(1000) / 8])
        yield f"INSERT INTO person VALUES ({number}, '{name}', {age}, {choices.choice(['NULL', choices.randrange(1, 9)])}, {score})"
    for _ in range(60):
        yield (
            f"INSERT INTO trip VALUES ({choices.randrange(1, 31)}, {choices.randrange(1, 9)}, {choices.randrange(30)},"
            f" {choices.randrange(4000) / 16}, {choices.choice(['NULL', repr(choices.choice(_WORDS))])})"
        )
    yield "CREATE VIEW traveller AS SELECT p.id, p.name, count(t.day) AS trips, total(t.cost) AS spent FROM person p LEFT JOIN trip t ON t.person = p.id GROUP BY p.id"


def _condition(choices: random.Random, alias: str = "p") -> str:
    number = choices.randrange(70)
    return choices.choice(
        [
            f"{alias}.age > {number}",
            f"{alias}.age BETWEEN {number} AND {number + 15}",
            f"{alias}.age IS NULL",
            f"{alias}.name LIKE '%{choices.choice('aeiour')}%'",
            f"{alias}.name GLOB '{choices.choice('abcdef')}*'",
            f"lower({alias}.name) = '{choices.choice(_WORDS)}{choices.randrange(7)}' AND {alias}.age IS NOT NULL",
            f"{alias}.score * 2 < {number * 4}",
            f"NOT ({alias}.city = {choices.randrange(9)} OR {alias}.city IS NULL)",
            f"{alias}.id % {choices.randrange(2, 7)} = 1",
            f"{alias}.id IN ({', '.join(str(choices.randrange(31)) for _ in range(4))})",
            f"coalesce({alias}.score, {number}) >= {number}",
        ]
    )


def join(choices: random.Random) -> str:
    kind = choices.choice(["JOIN", "LEFT JOIN", "INNER JOIN", "RIGHT JOIN", "FULL JOIN"])
    columns = choices.choice(["p.name, c.name, c.size", "p.id, c.id", "p.age + c.size, c.name, p.score"])
    more = choices.choice(["", "", " JOIN trip t ON t.person = p.id AND t.city = c.id"])
    return f"SELECT {columns} FROM person p {kind} city c ON p.city = c.id{more} WHERE {_condition(choices)}"


def aggregate(choices: random.Random) -> str:
    key = choices.choice(["p.city", "p.age / 10", "substr(p.name, 1, 1)", "p.age IS NULL"])
    figure = choices.choice(
        ["count(*)", "sum(p.age)", "avg(p.score)", "min(p.name)", "max(p.age) - min(p.age)", "total(p.score)",
         "count(DISTINCT p.city)", "sum(p.age) FILTER (WHERE p.id % 2)", "group_concat(p.id, '-' ORDER BY p.id)"]
    )  # fmt: skip
    having = choices.choice(["", "", f" HAVING count(*) > {choices.randrange(1, 4)}"])
    return f"SELECT {key}, {figure} FROM person p WHERE {_condition(choices)} GROUP BY 1{having}"


def subquery(choices: random.Random) -> str:
    inner = choices.choice(
        [f"p.id IN (SELECT person FROM trip WHERE day < {choices.randrange(30)})",
         f"EXISTS (SELECT 1 FROM trip t WHERE t.person = p.id AND t.cost > {choices.randrange(250)})",
         f"(SELECT count(*) FROM trip t WHERE t.person = p.id) {choices.choice('<>=')} {choices.randrange(4)}",
         "p.age > (SELECT avg(age) FROM person)",
         f"(p.city, p.id % 2) IN (SELECT id, {choices.randrange(2)} FROM city)",
         "p.score = (SELECT max(score) FROM person q WHERE q.city IS p.city)"]
    )  # fmt: skip
    return f"SELECT p.id, p.name, (SELECT max(day) FROM trip t WHERE t.person = p.id) FROM person p WHERE {inner} AND {_condition(choices)}"


def expression(choices: random.Random) -> str:
    a, b = choices.randrange(-50, 50), choices.randrange(1, 20)
    word, other = choices.choice(_WORDS), choices.choice(_WORDS)
    parts = choices.sample(
        [f"{a} / {b}", f"{a} % {b}", f"{a} << {b % 8}", f"{a} | {b}", f"~{a}", f"{a} * 1.0 / {b}", f"'{word}' || {a}",
         f"upper('{word}')", f"substr('{word}', {b % 5}, 3)", f"substr('{word}', -{b % 4 + 1})", f"instr('{word}', '{other[0]}')",
         f"replace('{word}', 'a', '{other}')", f"'{word}' < '{other}'", f"'{word}' LIKE '{other[0]}%'", f"typeof({a} + 0.5)",
         f"CAST('{a}.7' AS INT)", f"CAST({a} AS TEXT)", f"round({a}.456, 1)", f"abs({a})", f"min({a}, {b}, 3)",
         f"coalesce(NULL, {a})", f"nullif({a}, {b})", f"iif({a} > {b}, 'yes', 'no')", f"hex('{word}')", f"quote('{word}''s')",
         f"printf('%05d|%-8s|%.2f', {a}, '{word}', {b}.125)", f"unicode('{word}')", f"char({65 + b}, {97 + b})",
         f"CASE {b} % 3 WHEN 0 THEN 'zero' WHEN 1 THEN 'one' END", f"trim('  {word} ')", f"ltrim('{word}', '{word[0]}')",
         f"date('2024-01-31', '+{b} days')", f"strftime('%Y-%j', {b * 86400}, 'unixepoch')", f"length(zeroblob({b}))",
         f"{a} BETWEEN {b - 30} AND {b}", f"{a} IS NOT {b}", f"NULL + {a}", f"hex(x'{b:02x}ff' || 'a')", f"sign({a})", f"{a} IN (1, NULL)"],
        3,
    )  # fmt: skip
    return f"SELECT {', '.join(parts)}"


def common_table(choices: random.Random) -> str:
    n = choices.randrange(3, 25)
    return choices.choice(
        [f"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {n}) SELECT sum(x), count(*), avg(x) FROM n",
         f"WITH RECURSIVE f(i, a, b) AS (VALUES (1, 0, 1) UNION ALL SELECT i + 1, b, a + b FROM f LIMIT {n}) SELECT i, a, b FROM f",
         f"WITH old AS (SELECT * FROM person p WHERE {_condition(choices)}), rich AS MATERIALIZED (SELECT * FROM old WHERE score > {n}) SELECT id, name, age FROM rich",
         f"WITH RECURSIVE n(x) AS (SELECT 2 UNION SELECT x + 1 FROM n WHERE x < {n}) SELECT x, (SELECT count(*) FROM n m WHERE n.x % m.x = 0), x FROM n",
         f"WITH busy AS (SELECT person, count(*) AS c FROM trip GROUP BY 1 HAVING c >= {n % 4 + 1}) SELECT p.id, p.name, c FROM busy JOIN person p ON p.id = person",
         f"SELECT id, name, trips FROM traveller WHERE trips > {n % 4} AND spent < {n * 20}",
         f"VALUES ({n}, 'a', 1.5), ({n + 1}, NULL, 2) UNION ALL SELECT id, name, score FROM person WHERE id < {n % 5}"]
    )  # fmt: skip


def window(choices: random.Random) -> str:
    function = choices.choice(
        ["row_number()", "rank()", "dense_rank()", "ntile(3)", "lag(p.age, 1, -1)", "lead(p.name)", "sum(p.age)", "count(*)",
         "first_value(p.id)", "last_value(p.id)", "nth_value(p.id, 2)", "avg(p.score)", "percent_rank()", "cume_dist()"]
    )  # fmt: skip
    frame = ""
    if function.split("(")[0] in ("sum", "count", "avg", "first_value", "last_value", "nth_value"):
        frame = choices.choice(["", " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW", " ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING",
                                " GROUPS 1 PRECEDING", " ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW"])  # fmt: skip
    part = choices.choice(["", "PARTITION BY p.city ", "PARTITION BY p.age IS NULL "])
    return f"SELECT p.id, {function} OVER ({part}ORDER BY p.id{choices.choice(['', ' DESC'])}{frame}), p.name FROM person p WHERE {_condition(choices)}"


def json(choices: random.Random) -> str:
    a, word = choices.randrange(100), choices.choice(_WORDS)
    document = f"""'{{"a":{a},"b":["{word}",null,{{"c":{a / 4}}}],"d":true}}'"""
    path = choices.choice(["$.a", "$.b", "$.b[0]", "$.b[2].c", "$.d", "$.none", "$.b[#-1]"])
    return choices.choice(
        [f"SELECT json_extract({document}, '{path}'), json_type({document}, '{path}')",
         f"SELECT {document} -> '{path}', {document} ->> '{path}'",
         f"SELECT key, type, atom FROM json_each({document})",
         f"SELECT fullkey, type, atom FROM json_tree({document}) WHERE atom IS NOT NULL",
         f"SELECT json_set({document}, '{path}', {a}), json_remove({document}, '{path}')",
         f"SELECT json_patch({document}, '{{\"a\":null,\"x\":[{a}]}}'), json_array_length({document}, '$.b')",
         f"SELECT json_group_array(name), json_group_object(id, age) FROM (SELECT * FROM person p WHERE {_condition(choices)} ORDER BY id)",
         f"SELECT json_object('w', '{word}', 'n', {a}, 'j', json({document})), json_valid({document}), json_quote('{word}')",
         f"SELECT json_extract(jsonb({document}), '{path}'), json_valid('{{{word}')"]
    )  # fmt: skip


def full_text(choices: random.Random) -> str:
    one, two = choices.sample(_WORDS, 2)
    term = choices.choice(
        [one, f"{one} {two}", f"{one} OR {two}", f"{one} NOT {two}", f'"{one} {two}"', f"{one[:2]}*", f"NEAR({one} {two}, 3)", f"body : {one}",
         f"title : {one[:1]}*", f"({one} OR {two}) AND {choices.choice(_WORDS)[:1]}*", f"^{one}"]
    )  # fmt: skip
    return choices.choice(
        [f"SELECT rowid, title FROM page WHERE page MATCH '{term}'",
         f"SELECT count(*) FROM page WHERE page MATCH '{term}'",
         f"SELECT rowid, highlight(page, 1, '[', ']') FROM page WHERE page MATCH '{term}'",
         f"SELECT rowid, snippet(page, 1, '<', '>', '...', 4) FROM page('{term}')",
         f"SELECT rowid FROM page WHERE page MATCH '{term}' AND rowid % 2 = 0"]
    )  # fmt: skip


def _pages(choices: random.Random) -> Iterator[str]:
    yield "CREATE VIRTUAL TABLE page USING fts5(title, body, tokenize = 'porter unicode61')"
    for number in range(1, 41):
        body = " ".join(choices.choices(_WORDS, k=choices.randrange(3, 12)))
        yield f"INSERT INTO page (rowid, title, body) VALUES ({number}, '{choices.choice(_WORDS)}', '{body}')"
    yield "DELETE FROM page WHERE rowid = 7"
    yield "UPDATE page SET body = 'amber basalt amber' WHERE rowid = 8"


def change(choices: random.Random) -> str:
    number, other = choices.randrange(1, 45), choices.randrange(1, 9)
    returning = choices.choice(["", " RETURNING id, name, age"])
    return choices.choice(
        [f"INSERT INTO person (id, name, age) VALUES ({number}, 'new{number}', {other}) ON CONFLICT (id) DO UPDATE SET age = coalesce(age, 0) + excluded.age{returning}",
         f"UPDATE person SET age = age + {other}, score = score / 2 WHERE id % {other + 2} = 1{returning}",
         f"DELETE FROM trip WHERE day = {number}",
         f"DELETE FROM person WHERE id = {number}{returning}",
         f"INSERT OR IGNORE INTO city (id, name, size) VALUES ({other}, 'City{number}', {number})",
         f"INSERT INTO city (name, size) VALUES ('{choices.choice(_WORDS).title()}', {number})",
         f"UPDATE person AS p SET city = c.id FROM city c WHERE c.id = p.id % 8 AND p.id < {number}",
         f"INSERT INTO trip SELECT p.id, p.city, {number}, p.score, NULL FROM person p WHERE p.city IS NOT NULL AND {_condition(choices)}",
         f"UPDATE trip SET person = {number + 40} WHERE rowid = {other}",
         f"REPLACE INTO city VALUES ({other + 100}, 'Z{other}', {number})"]
    )  # fmt: skip


FILES: dict[str, tuple[int, list[Maker]]] = {
    "joins": (230, [join]),
    "aggregates": (230, [aggregate]),
    "subqueries": (230, [subquery]),
    "expressions": (300, [expression]),
    "ctes": (200, [common_table]),
    "windows": (230, [window]),
    "json": (230, [json]),
    "fts5": (230, [full_text]),
    "changes": (320, [change, change, aggregate, join, subquery]),
}


def write_all() -> None:
    for name, (count, makers) in FILES.items():
        (CORPUS / f"{name}.test").write_text(_file(name, count, makers), encoding="utf-8")


def _file(name: str, count: int, makers: list[Maker]) -> str:
    choices = random.Random(name)
    connection = apsw.Connection(":memory:")
    connection.execute("PRAGMA foreign_keys = ON")
    begin = [*tables(choices), *(_pages(choices) if name == "fts5" else [])]
    texts = begin + [choices.choice(makers)(choices) for _ in range(count)]
    return (
        "\n\n".join(["# Made by tests/server/sql/corpus_writer.py.", *(_record(connection, text) for text in texts)])
        + "\n"
    )


def _record(connection: apsw.Connection, sql: str) -> str:
    try:
        cursor = connection.cursor()
        width = 0

        def note(cursor: apsw.Cursor, text: str, bindings: object) -> bool:
            nonlocal width
            width = len(cursor.get_description())
            return True

        cursor.exec_trace = note
        rows = list(cursor.execute(sql))
    except apsw.Error:
        return f"statement error\n{sql}"
    if not width:
        return f"statement ok\n{sql}"
    types = "".join(_type([row[at] for row in rows]) for at in range(width))
    return "\n".join([f"query {types} rowsort", sql, "----", *shown(rows, types, rowsort=True)])


def _type(values: list[object]) -> str:
    kinds = {type(value) for value in values} - {type(None)}
    if kinds and kinds <= {int}:
        return "I"
    return "R" if kinds and kinds <= {int, float} else "T"


if __name__ == "__main__":
    write_all()
