from __future__ import annotations

import json
from pathlib import Path

import pytest

from petra import Client
from petra.testing import TestServer
from tests.cli.runner import Cli

BINARY = bytes(range(256))


class TestSetAndGet:
    def test_a_value_is_text_unless_it_is_called_something_else(self, cli: Cli, shared_server: TestServer) -> None:
        cli.out("set", "number", "5")
        cli.out("set", "--json", "json", "5")
        cli.out("set", "--bytes", "bytes", "5")
        with Client(shared_server.address, namespace=cli.variables["PETRA_NAMESPACE"]) as client:
            assert client.get_many(["number", "json", "bytes"]) == {"number": "5", "json": 5, "bytes": b"5"}

    def test_text_is_printed_as_it_is_and_other_values_as_json(self, cli: Cli) -> None:
        cli.out("set", "text", 'say "hé"')
        cli.out("set", "-j", "json", ' {"b": [1.50, null], "a": "x"} ')
        assert cli.out("get", "text") == 'say "hé"\n'
        assert cli.out("get", "json") == '{"b": [1.50, null], "a": "x"}\n'

    def test_numbers_that_python_cannot_hold_are_kept(self, cli: Cli) -> None:
        cli.out("set", "-j", "big", "[1e400,0.10000000000000000000001]")
        assert cli.out("get", "big") == "[1e400,0.10000000000000000000001]\n"

    def test_bytes_from_a_file_come_back_as_they_were(self, cli: Cli, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(BINARY)
        cli.out("set", "--bytes", "blob", "--file", str(tmp_path / "file"))
        assert cli("get", "blob").stdout_bytes == BINARY

    def test_a_value_from_standard_input(self, cli: Cli) -> None:
        cli.out("set", "text", "--file", "-", stdin="zwölf\n".encode())
        assert cli.out("get", "text") == "zwölf\n\n"

    def test_json_of_an_entry(self, cli: Cli) -> None:
        version = cli.json("set", "schlüssel", "wert", "--ttl", "90")["version"]
        entry = cli.json("get", "schlüssel")
        assert entry.pop("expires_at").endswith("Z")
        assert entry == {"key": "schlüssel", "found": True, "value": "wert", "encoding": "json", "version": version}

    def test_json_of_bytes(self, cli: Cli) -> None:
        cli.out("set", "--bytes", "b", "abc")
        assert cli.json("get", "b")["value"] == {"base64": "YWJj"}
        assert cli.json("get", "b")["encoding"] == "bytes"

    def test_a_missing_key_is_exit_code_1(self, cli: Cli) -> None:
        result = cli("get", "nothing")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "'nothing'" in result.stderr
        result = cli("get", "nothing", "-o", "json")
        assert (result.exit_code, result.stderr) == (1, "")
        assert json.loads(result.stdout) == {
            "key": "nothing", "found": False, "value": None, "encoding": None, "version": 0, "expires_at": None,
        }  # fmt: skip

    def test_conditions(self, cli: Cli) -> None:
        version = cli.json("set", "k", "1", "--if-absent")["version"]
        assert cli("set", "k", "2", "--if-absent").exit_code == 3
        assert cli("set", "k", "2", "--if-version", str(version + 1)).exit_code == 3
        assert cli.out("get", "k") == "1\n"
        cli.out("set", "k", "2", "--if-version", str(version))
        assert cli.out("get", "k") == "2\n"

    def test_keep_ttl(self, cli: Cli) -> None:
        cli.out("set", "k", "1", "--ttl", "1h")
        cli.out("set", "k", "2", "--keep-ttl")
        assert cli.json("get", "k")["expires_at"] is not None
        cli.out("set", "k", "3")
        assert cli.json("get", "k")["expires_at"] is None

    @pytest.mark.parametrize(
        ("args", "sentence"),
        [
            (("set", "k"), "Give VALUE or --file"),
            (("set", "k", "v", "--file", "-"), "Give VALUE or --file"),
            (("set", "--json", "k", "{no"), "the value is no JSON"),
            (("set", "--json", "k", "NaN"), "the value is no JSON"),
            (("set", "k", "v", "--ttl", "soon"), "'soon' is no length of time"),
            (("set", "k", "v", "--ttl", "1h", "--keep-ttl"), "ttl or keep_ttl"),
            (("set", "", "v"), "key"),
            (("delete", "a", "b", "--if-version", "1"), "--if-version is for one key"),
            (("clear",), "--yes"),
        ],
        ids=str,
    )
    def test_wrong_usage_is_exit_code_2_and_a_sentence(self, cli: Cli, args: tuple[str, ...], sentence: str) -> None:
        result = cli(*args)
        assert result.exit_code == 2
        assert result.stderr.startswith("petra: ")
        assert sentence in result.stderr
        assert len(result.stderr.splitlines()) == 1

    def test_text_that_is_no_text(self, cli: Cli) -> None:
        result = cli("set", "k", "--file", "-", stdin=b"\xff")
        assert result.exit_code == 2
        assert "--bytes" in result.stderr


class TestObjects:
    def test_an_object_is_a_place_of_its_own(self, cli: Cli) -> None:
        cli.out("set", "k", "flat")
        cli.out("set", "--object", "room", "k", "kept together")
        assert cli.out("get", "k") == "flat\n"
        assert cli.out("get", "k", "--object", "room") == "kept together\n"

    def test_what_an_object_holds(self, cli: Cli) -> None:
        cli.out("set", "--object", "room", "ä", "1")
        version = cli.json("set", "--object", "room", "b", "22", "--ttl", "1m")["version"]
        assert cli.json("object", "room") == {
            "namespace": cli.variables["PETRA_NAMESPACE"],
            "object": "room",
            "entries": 2,
            "expiring": 1,
            "key_bytes": 3,
            "value_bytes": 7,
            "newest_version": version,
            "first_key": "b",
            "last_key": "ä",
        }
        assert "entries" in cli.out("object", "room")
        assert cli("object", "nothing").exit_code == 1

    def test_names(self, cli: Cli) -> None:
        for name in ("room-1", "room-2", "shop"):
            cli.out("set", "--object", name, "k", "v")
        assert cli.out("objects") == "room-1\nroom-2\nshop\n"
        assert cli.json_lines("objects", "room", "--limit", "1") == [{"object": "room-1"}]
        assert cli.out("objects", "--limit", "0") == ""
        namespace = cli.variables["PETRA_NAMESPACE"]
        assert cli.json_lines("namespaces", namespace) == [{"namespace": namespace}]


class TestList:
    @pytest.fixture(autouse=True)
    def _entries(self, cli: Cli) -> None:
        for key in ("a", "b", "b/ü", "c\td"):
            cli.out("set", key, f"value of {key[0]}")
        cli.out("set", "--bytes", "z", "bytes")

    def test_keys_and_values_in_columns(self, cli: Cli) -> None:
        assert cli.out("list").splitlines() == [
            'a\t"value of a"',
            'b\t"value of b"',
            'b/ü\t"value of b"',
            '"c\\td"\t"value of c"',
            'z\t{"base64":"Ynl0ZXM="}',
        ]

    def test_bounds(self, cli: Cli) -> None:
        def keys(*args: str) -> list[str]:
            return [entry["key"] for entry in cli.json_lines("list", *args)]

        assert keys("b") == ["b", "b/ü"]
        assert keys("--start", "b", "--end", "z") == ["b", "b/ü", "c\td"]
        assert keys("--start-after", "b", "--keys") == ["b/ü", "c\td", "z"]
        assert keys("--reverse", "--limit", "2") == ["z", "c\td"]

    def test_long_lines_have_version_and_expiry(self, cli: Cli) -> None:
        version = cli.json("set", "a", "new", "--ttl", "1h")["version"]
        key, shown, expiry, value = cli.out("list", "a", "-l").rstrip("\n").split("\t")
        assert (key, shown, value) == ("a", str(version), '"new"')
        assert expiry == cli.json("get", "a")["expires_at"]

    def test_json_is_that_of_get(self, cli: Cli) -> None:
        assert cli.json_lines("list") == [cli.json("get", key) for key in ("a", "b", "b/ü", "c\td", "z")]


class TestChanges:
    def test_delete(self, cli: Cli) -> None:
        for key in ("a", "b", "c"):
            cli.out("set", key, "v")
        assert cli.out("delete", "a") == "deleted 1 of 1\n"
        assert cli.json("delete", "a", "b", "c") == {"deleted": 2}
        result = cli("delete", "a")
        assert (result.exit_code, result.stdout) == (1, "deleted 0 of 1\n")
        cli.out("set", "d", "v")
        assert cli("delete", "d", "--if-version", "1000000").exit_code == 3

    def test_incr(self, cli: Cli) -> None:
        assert cli.out("incr", "n") == "1\n"
        assert cli.json("incr", "n", "--by", "-7") == {"key": "n", "value": -6}
        assert cli.out("incr", "m", "--initial", "10", "--by", "5", "--ttl", "1h") == "15\n"
        assert cli.json("get", "m")["expires_at"] is not None
        cli.out("set", "text", "5")
        assert cli("incr", "text").exit_code == 3
        assert cli("incr", "n", "--by", str(2**63 - 1)).exit_code == 0
        assert cli("incr", "n", "--by", "9").exit_code == 3

    def test_expiry(self, cli: Cli, shared_server: TestServer) -> None:
        cli.out("set", "k", "v")
        assert cli.out("ttl", "k") == "none\n"
        cli.out("touch", "k", "15m")
        assert cli.out("ttl", "k") == "900.000\n"
        assert cli.json("ttl", "k")["ttl"] == 900
        assert cli.json("touch", "k", "none") == {"key": "k", "found": True}
        assert cli.json("ttl", "k") == {"key": "k", "found": True, "ttl": None, "expires_at": None}
        cli.out("touch", "k", "500ms")
        shared_server.clock.advance(0.5)
        for args in (("ttl", "k"), ("touch", "k", "1h"), ("get", "k")):
            assert cli(*args).exit_code == 1

    def test_clear(self, cli: Cli) -> None:
        for key in ("a1", "a2", "b"):
            cli.out("set", key, "v")
        cli.out("set", "--object", "room", "k", "v")
        assert cli.json("clear", "--yes", "--prefix", "a") == {"deleted": 2}
        assert cli.out("clear", "--yes") == "deleted 1\n"
        assert cli.out("objects") == "room\n"
        assert cli.out("clear", "-y", "--object", "room") == "deleted 1\n"
        assert cli.out("objects") == ""

    def test_throttle(self, cli: Cli) -> None:
        assert cli.json("throttle", "t", "2", "1m") == {
            "allowed": True, "limit": 2, "remaining": 1, "retry_after": 0.0, "reset_after": 30.0,
        }  # fmt: skip
        assert cli.out("throttle", "t", "2", "1m") == "allowed, 0 of 2 left, as new in 1 min\n"
        result = cli("throttle", "t", "2", "1m")
        assert (result.exit_code, result.stdout) == (1, "denied, 0 of 2 left, try again in 30 s\n")
        assert cli("throttle", "t", "2", "1m", "--peek").exit_code == 1
        assert cli.out("throttle", "w", "1", "10s", "--algorithm", "fixed_window").startswith("allowed")
        cli.out("set", "text", "v")
        assert cli("throttle", "text", "2", "1m").exit_code == 3
