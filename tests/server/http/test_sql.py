"""SQL over HTTP."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.server.http.api import Api


def run(api: Api, sql: str, params: object = ()) -> list[list[Any]]:
    """The rows of one statement."""
    body = {"sql": sql, "params": params} if params else {"sql": sql}
    [result] = api.done("POST", "/sql/room", json=body)["data"]["results"]
    rows: list[list[Any]] = result["rows"]
    return rows


def test_values_of_every_kind_come_back(api: Api) -> None:
    values = [None, 2**63 - 1, -(2**63), 1.5, 0.1, "text é\u0000", {"base64": "AAH/"}, {"real": "-Infinity"}]
    places = ", ".join("?" for _ in values)
    assert run(api, f"SELECT {places}", values) == [values]
    assert run(api, "SELECT typeof(?), typeof(?), typeof(?), typeof(?)", [1.0, 1, True, {"base64": ""}]) == [
        ["real", "integer", "integer", "blob"]
    ]
    assert run(api, "SELECT 9e999") == [[{"real": "Infinity"}]]
    assert math.isclose(run(api, "SELECT 1.0 / 3")[0][0], 1 / 3, rel_tol=0)
    assert "9223372036854775807" in api.ask("POST", "/sql/room", json={"sql": "SELECT 9223372036854775807"}).text


def test_parameters_by_name(api: Api) -> None:
    assert run(api, "SELECT :a, @b, $c", {"a": 1, "b": "x", "c": None}) == [[1, "x", None]]


def test_statements_are_done_all_or_none(api: Api) -> None:
    run(api, "CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT)")
    statements = [{"sql": "INSERT INTO t VALUES (?, ?)", "params": [number, "x"]} for number in (1, 2, 1)]
    refusal = api.refused("POST", "/sql/room", json={"statements": statements})
    assert refusal == (409, "SQL_CONSTRAINT", "statements[2].sql")
    assert run(api, "SELECT count(*) FROM t") == [[0]]
    results = api.done("POST", "/sql/room", json={"statements": statements[:2]})["data"]["results"]
    assert [(result["changes"], result["lastInsertRowid"]) for result in results] == [(1, 1), (1, 2)]
    [result] = api.done("POST", "/sql/room", json={"sql": "SELECT k, v FROM t"})["data"]["results"]
    assert [column["name"] for column in result["columns"]] == ["k", "v"]
    assert result["rows"] == [[1, "x"], [2, "x"]]


def test_the_python_client_sees_the_same_database(api: Api) -> None:
    run(api, "CREATE TABLE t (k)")
    run(api, "INSERT INTO t VALUES (?)", [2**62])
    with api.client() as client:
        assert [tuple(row) for row in client.object("room").sql.execute("SELECT k FROM t").rows] == [(2**62,)]


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({}, 400, "INVALID_STATEMENT", "sql"),
        ({"sql": "SELECT 1", "statements": []}, 400, "INVALID_STATEMENT", "statements"),
        ({"sql": "SELEC 1"}, 400, "SQL_ERROR", "sql"),
        ({"sql": "SELECT ?", "params": [2**63]}, 400, "INVALID_STATEMENT", "params[0]"),
        ({"sql": "SELECT ?", "params": [{"base64": "*"}]}, 400, "INVALID_STATEMENT", "params[0]"),
        ({"sql": "SELECT ?", "params": [{}]}, 400, "INVALID_STATEMENT", "params[0]"),
        ({"sql": "SELECT ?", "params": [[]]}, 400, "INVALID_STATEMENT", "params[0]"),
        ({"sql": "ATTACH 'x' AS y"}, 400, "SQL_NOT_ALLOWED", "sql"),
        ({"sql": "SELECT '" + "x" * (256 << 10) + "'"}, 413, "SQL_TOO_LARGE", "sql"),
        ({"statements": [{"sql": "SELECT 1"}] * 1025}, 413, "BATCH_TOO_LARGE", "statements"),
        (
            {"sql": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000) SELECT i FROM n"},
            400,
            "RESULT_TOO_LARGE",
            "sql",
        ),
    ],
    ids=lambda part: str(part)[:30],
)
def test_what_is_wrong_is_named(api: Api, body: dict[str, object], status: int, code: str, field: str) -> None:
    assert api.refused("POST", "/sql/room", json=body) == (status, code, field)


def test_an_object_can_be_a_parameter(api: Api) -> None:
    api.done("POST", "/sql", params={"object": "a/b"}, json={"sql": "CREATE TABLE t (k)"})
    api.done("POST", "/sql/a%2Fb", json={"sql": "INSERT INTO t VALUES (1)"})
    with api.client() as client:
        assert [tuple(row) for row in client.object("a/b").sql.execute("SELECT k FROM t").rows] == [(1,)]
