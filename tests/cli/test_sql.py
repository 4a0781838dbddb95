"""`petra sql` with commands, files and standard input, and `petra databases`."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result

from petra import Client
from petra.sync.database import Sql
from petra.testing import TestServer
from tests.cli.runner import COMMAND, Cli, environment

TABLE = "CREATE TABLE t (id INTEGER PRIMARY KEY, x UNIQUE); INSERT INTO t (x) VALUES ('a'), (NULL), (X'00ff')"


@pytest.fixture
def room(cli: Cli, shared_server: TestServer) -> Iterator[Sql]:
    """The database that `run` is about."""
    with Client(shared_server.address) as client:
        yield client.namespace(cli.variables["PETRA_NAMESPACE"]).object("room").sql


def run(cli: Cli, *args: str, stdin: bytes | None = None) -> Result:
    return cli("sql", "room", *args, stdin=stdin)


def out(cli: Cli, *args: str, stdin: bytes | None = None) -> str:
    return cli.out("sql", "room", *args, stdin=stdin)


class TestCommands:
    def test_each_statement_says_what_it_did(self, cli: Cli) -> None:
        assert out(cli, "-c", TABLE, "-c", "UPDATE t SET x = 'b' WHERE id = 1; SELECT * FROM t") == (
            "3 rows changed.\n1 row changed.\nid  x\n──  ───────\n 1  b\n 2  NULL\n 3  X'00ff'\n"
        )

    def test_csv(self, cli: Cli) -> None:
        result = run(cli, "-c", TABLE, "-c", "SELECT * FROM t", "-o", "csv")
        assert (result.stdout, result.stderr) == ("id,x\n1,a\n2,\n3,X'00ff'\n", "petra: 3 rows changed.\n")
        assert out(cli, "-c", "SELECT * FROM t", "-o", "csv", "--no-headers") == "1,a\n2,\n3,X'00ff'\n"

    def test_json(self, cli: Cli) -> None:
        lines = out(cli, "-c", TABLE, "-c", "SELECT * FROM t", "-o", "json").splitlines()
        assert [json.loads(line) for line in lines] == [
            {"changes": 3},
            {"id": 1, "x": "a"},
            {"id": 2, "x": None},
            {"id": 3, "x": {"base64": "AP8="}},
        ]

    def test_rows_of_statements_that_write(self, cli: Cli) -> None:
        assert out(cli, "-c", TABLE, "-c", "DELETE FROM t RETURNING id", "-o", "csv").splitlines() == [
            "id",
            "1",
            "2",
            "3",
        ]
        wrote = "WITH n AS (SELECT 1) INSERT INTO t (x) SELECT * FROM n; PRAGMA user_version = 7; PRAGMA user_version"
        assert out(cli, "-c", wrote, "-o", "json") == '{"changes":1}\n{"user_version":7}\n'

    def test_dot_commands(self, cli: Cli) -> None:
        out(cli, "-c", TABLE + "; CREATE VIEW v AS SELECT 1; CREATE VIRTUAL TABLE f USING fts5(x)")
        csv = ("-o", "csv", "--no-headers")
        assert out(cli, "-c", ".tables", *csv) == "f,virtual\nt,table\nv,view\n"
        assert out(cli, "-c", ".tables V", *csv) == "v,view\n"
        assert out(cli, "-c", ".indexes", *csv) == "sqlite_autoindex_t_1,t,1,0\n"
        assert out(cli, "-c", ".schema t") == "CREATE TABLE t (id INTEGER PRIMARY KEY, x UNIQUE);\n"
        assert "CREATE VIRTUAL TABLE f USING fts5(x);\n" in out(cli, "-c", ".schema")
        assert out(cli, "-c", ".mode csv", "-c", ".headers off", "-c", "SELECT 1, 2") == "1,2\n"
        assert ".dump [TABLE]" in out(cli, "-c", ".help")
        assert out(cli, "-c", ".quit", "-c", "SELECT 1") == ""
        assert run(cli, "-c", ".timer on", "-c", "SELECT 1").stderr.endswith(" ms.\n")

    @pytest.mark.parametrize(
        "line", [".nothing", ".mode xml", ".headers maybe", ".read", ".timeout soon", ".tables 'a"]
    )
    def test_wrong_dot_commands(self, cli: Cli, line: str) -> None:
        result = run(cli, "-c", line)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("petra: ")
        if line == ".nothing":
            assert ".schema" in result.stderr

    def test_parameters(self, cli: Cli) -> None:
        csv = ("-o", "csv", "--no-headers")
        assert out(cli, "-c", "SELECT ?, typeof(?)", "-p", "a=b", "-p", "5", *csv) == "a=b,text\n"
        assert out(cli, "-c", "SELECT :x || @y", "-p", "@y=2=2", "-p", ":x=1", *csv) == "12=2\n"

    @pytest.mark.parametrize(
        ("args", "code"),
        [
            (["-c", "SELECT 1; SELECT 2", "-p", "1"], 2),
            (["-c", "SELECT ?, :a", "-p", "1", "-p", ":a=1"], 2),
            (["-p", "1"], 2),
            (["-c", "SELECT 1", "-f", "-"], 2),
            (["-c", "SELEKT"], 2),
            (["-c", "SELECT * FROM missing"], 2),
            (["-c", "ATTACH 'x' AS y"], 2),
            (["-c", f"{TABLE}; INSERT INTO t (x) VALUES ('a')"], 3),
            (
                [
                    "-c",
                    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT count(*) FROM n",
                    "--timeout",
                    "50ms",
                ],
                4,
            ),
            (["-f", "/nowhere/at/all.sql"], 2),
        ],
    )
    def test_errors_are_one_sentence_and_an_exit_code(self, cli: Cli, args: list[str], code: int) -> None:
        result = run(cli, *args)
        assert result.exit_code == code
        assert result.stderr.startswith("petra: ")
        assert result.stderr.count("\n") == 1

    def test_what_is_before_an_error_is_done(self, cli: Cli) -> None:
        result = run(cli, "-c", TABLE, "-c", "SELECT 1", "-c", "SELECT nope", "-c", "DELETE FROM t")
        assert result.exit_code == 2
        assert "statement 4: SQLite says: no such column: nope" in result.stderr
        assert out(cli, "-c", "SELECT count(*) FROM t", "-o", "csv") == "count(*)\n3\n"

    def test_atomic(self, cli: Cli) -> None:
        result = run(cli, "--atomic", "-c", TABLE, "-c", "INSERT INTO t (x) VALUES ('a')")
        assert result.exit_code == 3
        assert out(cli, "-c", ".tables", "-o", "json") == ""
        assert out(cli, "--atomic", "-c", TABLE, "-c", "SELECT x FROM t WHERE id = 1", "-o", "csv") == "x\na\n"

    def test_readonly(self, cli: Cli) -> None:
        out(cli, "-c", TABLE)
        for args, stdin in ((["-c", "DELETE FROM t"], None), ([], b"SELECT 1; DELETE FROM t;")):
            result = run(cli, "--readonly", *args, stdin=stdin)
            assert result.exit_code == 2
            assert "only reads" in result.stderr
        assert out(cli, "--readonly", "-c", "SELECT count(*) FROM t", "-o", "csv") == "count(*)\n3\n"

    def test_a_server_that_is_not_there(self) -> None:
        result = Cli("localhost:1")("sql", "room", "-c", "SELECT 1")
        assert result.exit_code == 4
        assert result.stderr.startswith("petra: ")


class TestFiles:
    def test_statements_over_lines_with_triggers_and_comments(self, cli: Cli, tmp_path: Path) -> None:
        file = tmp_path / "schema.sql"
        file.write_text(
            "\ufeff-- A schema; it says.\nCREATE TABLE t (x,\n  y); CREATE TABLE log (x);\n"
            "CREATE TRIGGER kept AFTER INSERT ON t BEGIN\n  INSERT INTO log VALUES (new.x);\n  SELECT 1;\nEND;\n"
            "INSERT INTO t VALUES ('a;\r\nb', 1); /* no; */\nSELECT x FROM log\n-- the end"
        )
        assert out(cli, "--file", str(file), "-o", "json") == '{"x":"a;\\r\\nb"}\n{"statements":5,"changes":1}\n'

    def test_standard_input_is_a_file(self, cli: Cli) -> None:
        assert out(cli, stdin=b"CREATE TABLE t (x);\n.tables\nINSERT INTO t VALUES (1)") == (
            "name  type\n────  ─────\nt     table\n2 statements, 1 row changed.\n"
        )

    def test_an_error_says_where_it_is_and_what_is_done(self, cli: Cli) -> None:
        first = b"CREATE TABLE t (x UNIQUE);\n\n-- one\nINSERT INTO t VALUES\n (1);\n"
        result = run(cli, stdin=first + b"INSERT INTO t\nVALUES (1);\nDROP TABLE t;")
        assert result.exit_code == 3
        assert result.stderr == (
            "petra: standard input: statement 3, line 6: A constraint of the schema does not hold:"
            " UNIQUE constraint failed: t.x. What is before it is done: 2 statements.\n"
        )
        assert out(cli, "-c", "SELECT x FROM t", "-o", "csv") == "x\n1\n"

    @pytest.mark.parametrize("script", [b"BEGIN;\n%sCOMMIT;", b"%s"])
    def test_a_transaction_is_done_or_not(self, cli: Cli, script: bytes) -> None:
        out(cli, "-c", "CREATE TABLE t (x UNIQUE)")
        wrong = script % b"INSERT INTO t VALUES (1);\nINSERT INTO t VALUES (1);\n"
        result = run(cli, *([] if b"BEGIN" in script else ["--atomic"]), stdin=wrong)
        assert result.exit_code == 3
        assert f"line {3 if b'BEGIN' in script else 2}: " in result.stderr
        assert out(cli, "-c", "SELECT count(*) FROM t", "-o", "csv") == "count(*)\n0\n"

    def test_a_transaction_without_its_end_is_not_done(self, cli: Cli) -> None:
        result = run(cli, stdin=b"CREATE TABLE t (x);\nBEGIN;\nINSERT INTO t VALUES (1);\n")
        assert result.exit_code == 5
        assert "line 2 has no COMMIT" in result.stderr
        assert out(cli, "-c", "SELECT count(*) FROM t", "-o", "csv") == "count(*)\n0\n"

    def test_what_is_larger_than_a_step_is_done_in_several(self, cli: Cli) -> None:
        lines = "".join(f"INSERT INTO t VALUES ({number}, '{'x' * 900}');\n" for number in range(2_500))
        result = run(cli, stdin=f"CREATE TABLE t (x UNIQUE, y);\nBEGIN;\n{lines}COMMIT;".encode())
        assert (result.exit_code, result.stdout) == (0, "2,501 statements, 2,500 rows changed.\n")
        assert "line 2 is too long for one step" in result.stderr
        assert run(cli, stdin=lines.replace("VALUES (", "VALUES (1").encode()).exit_code == 3

    def test_many_statements_in_one_step(self, cli: Cli) -> None:
        lines = "".join(f"INSERT INTO t VALUES ({number});\n" for number in range(2_500))
        script = f"CREATE TABLE t (x UNIQUE);\n{lines}"
        result = run(cli, "--atomic", stdin=f"{script}INSERT INTO t VALUES (7); -- again".encode())
        assert result.exit_code == 3
        # More than a request may have go together as texts, of which one has failed.
        assert "statements 2500 to 2502, lines 2500 to 2502: " in result.stderr
        assert out(cli, "-c", ".tables", "-o", "json") == ""
        assert out(cli, "--atomic", stdin=script.encode()) == "2,501 statements, 2,500 rows changed.\n"

    def test_a_portion_that_changes_too_many_pages_is_done_in_parts(self) -> None:
        with TestServer(max_sql_write_bytes=128 << 10) as server:
            cli = Cli(server.address)
            lines = "".join(f"INSERT INTO t VALUES ('{'x' * 4_000}');\n" for _ in range(200))
            assert "200 rows" in out(cli, stdin=f"CREATE TABLE t (x);\n{lines}".encode())
            refused = run(cli, "--atomic", stdin=lines.encode())
            assert refused.exit_code == 2
            assert out(cli, "-c", "SELECT count(*) FROM t", "-o", "csv") == "count(*)\n200\n"

    def test_files_that_are_read_by_files(self, cli: Cli, tmp_path: Path) -> None:
        inner, outer, endless = (tmp_path / name for name in ("inner file.sql", "outer.sql", "endless.sql"))
        inner.write_text("INSERT INTO t VALUES (2);\nINSERT INTO missing VALUES (3);\n")
        outer.write_text(f"CREATE TABLE t (x);\n.read '{inner}'\n")
        endless.write_text(f".read '{endless}'\n")
        result = run(cli, "-f", str(outer))
        assert result.exit_code == 2
        assert f"{outer}: line 2: {inner}: statement 2, line 2: " in result.stderr
        assert run(cli, "-f", str(endless)).exit_code == 2
        assert run(cli, "-c", f".read '{tmp_path}/missing'").exit_code == 5

    def test_what_is_no_utf8_is_refused(self, cli: Cli) -> None:
        result = run(cli, stdin=b"SELECT 1;\nSELECT '\xff';")
        assert result.exit_code == 5
        assert "line 2 is not valid UTF-8" in result.stderr

    def test_an_atomic_script_has_no_dot_commands(self, cli: Cli) -> None:
        assert run(cli, "--atomic", stdin=b".tables\n").exit_code == 2


class TestStreams:
    NUMBERS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 100000) SELECT x FROM n"

    @pytest.mark.parametrize("mode", ["table", "csv", "json"])
    def test_results_may_be_larger_than_an_answer(self, cli: Cli, mode: str) -> None:
        lines = out(cli, "-c", self.NUMBERS, "-o", mode).splitlines()
        assert "100000" in lines[-1]
        assert len(lines) == 100_000 + {"table": 2, "csv": 1, "json": 0}[mode]

    def test_whoever_reads_may_go(self, shared_server: TestServer) -> None:
        endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
        with subprocess.Popen(
            [*COMMAND, "sql", "room", "-c", endless, "-o", "csv", "-s", shared_server.address],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert [process.stdout.readline() for _ in range(3)] == [b"x\n", b"1\n", b"2\n"]
            process.stdout.close()
            assert process.wait(60) == 141
            assert process.stderr.read() == b""

    def test_an_interrupt_ends_it(self, shared_server: TestServer) -> None:
        endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
        with subprocess.Popen(
            [*COMMAND, "sql", "room", "-c", endless, "-o", "csv", "-s", shared_server.address],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
            assert (process.returncode, said.strip()) == (130, b"")


class TestDatabases:
    def test_they_are_listed_with_size_and_tables(self, cli: Cli) -> None:
        cli.out("sql", "room-1", "-c", TABLE + "; CREATE TABLE s (x)")
        cli.out("sql", "room-2", "-c", 'CREATE TABLE "a\tb" (x)')
        cli.out("set", "--object", "room-3", "key", "value")
        found = cli.json_lines("databases")
        assert [(each["object"], each["tables"]) for each in found] == [("room-1", ["s", "t"]), ("room-2", ["a\tb"])]
        assert all(each["size_bytes"] > 0 for each in found)
        (line,) = cli.out("databases", "room-2").splitlines()
        assert line.split("\t")[0] == "room-2"
        assert line.split("\t")[2] == '"a\\tb"'
        assert len(cli.json_lines("databases", "--limit", "1")) == 1
        assert cli.out("databases", "none") == ""


def test_nothing_is_cut_where_no_terminal_is(cli: Cli) -> None:
    assert "x" * 500 in out(cli, "-c", f"SELECT '{'x' * 500}' AS a")
