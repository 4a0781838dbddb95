from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path

import pytest

from petra import Client
from petra.testing import TestServer
from tests.cli.dumps import Held, fill, held, lines_of, write_lines
from tests.cli.runner import COMMAND, Cli, environment


@pytest.fixture
def source(fresh_server: TestServer) -> Cli:
    """The command for a server that holds entries of all kinds."""
    fill(fresh_server.address, flat=20, objects=[f"o{number}" for number in range(100)])
    return Cli(fresh_server.address)


@pytest.fixture
def target(shared_server: TestServer) -> Cli:
    """The command for a server of another data directory and the same time, emptied."""
    with Client(shared_server.address) as client:
        for namespace in list(client.namespaces()):
            handle = client.namespace(namespace)
            handle.clear()
            for name in list(handle.objects()):
                handle.object(name).clear()
    return Cli(shared_server.address)


def address(cli: Cli) -> str:
    return cli.variables["PETRA_ADDRESS"]


def without_expiry(entries: set[Held]) -> set[Held]:
    return {entry._replace(expires_at=None) for entry in entries}


@pytest.mark.parametrize("name", ["export.jsonl", "export.jsonl.gz"])
def test_what_is_exported_and_imported_is_the_same(source: Cli, target: Cli, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    entries = held(address(source))
    report = source.json("export", str(file))
    assert report["entries"] == len(entries)
    assert len(lines_of(file)) == len(entries) + 2
    report = target.json("import", str(file))
    assert (report["imported"], report["expired"], report["broken"]) == (len(entries), 0, 0)
    assert report["whole_export"]
    imported = held(address(target))
    assert without_expiry(imported) == without_expiry(entries)
    # Both clocks stand still, at different times: what expires, expires at the same moment.
    assert {entry.expires_at for entry in imported} == {entry.expires_at for entry in entries}
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_lines_are_in_order(source: Cli, tmp_path: Path) -> None:
    source.out("export", str(tmp_path / "file"))
    lines = [json.loads(line) for line in lines_of(tmp_path / "file")[1:-1]]
    spots = [(line["namespace"], line.get("object", ""), line["key"]) for line in lines]
    assert spots == sorted(spots)


def test_a_namespace_or_an_object_alone(source: Cli, tmp_path: Path) -> None:
    everything = held(address(source))
    source.out("export", str(tmp_path / "namespace"), "-n", "räume")
    source.out("export", str(tmp_path / "object"), "-n", "räume", "--object", "room")
    source.out("export", str(tmp_path / "default"), "--object", "room")
    for file, namespace, object_name in (
        ("namespace", "räume", None),
        ("object", "räume", "room"),
        ("default", "default", "room"),
    ):
        header, *lines, _ = (json.loads(line) for line in lines_of(tmp_path / file))
        assert (header["petra_export"]["namespace"], header["petra_export"]["object"]) == (namespace, object_name)
        wanted = {each for each in everything if each.namespace == namespace and object_name in (None, each.object)}
        assert len(lines) == len(wanted)
        assert {line["namespace"] for line in lines} == {namespace}


def test_the_variable_does_not_make_an_export_smaller(source: Cli, tmp_path: Path) -> None:
    result = source("export", str(tmp_path / "file"), variables={"PETRA_NAMESPACE": "räume"})
    assert result.exit_code == 0
    assert len(lines_of(tmp_path / "file")) == len(held(address(source))) + 2


def test_an_empty_server(fresh_server: TestServer, tmp_path: Path) -> None:
    cli = Cli(fresh_server.address)
    assert cli.json("export", str(tmp_path / "file"))["entries"] == 0
    report = cli.json("import", str(tmp_path / "file"))
    assert (report["imported"], report["whole_export"]) == (0, True)


def test_a_file_that_is_there_is_not_written_over(source: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    result = source("export", str(tmp_path / "file"))
    assert result.exit_code == 2
    assert "--resume" in result.stderr
    assert (tmp_path / "file").read_text() == "precious"


def test_a_complete_export_is_left_as_it_is(source: Cli, tmp_path: Path) -> None:
    count = source.json("export", str(tmp_path / "file"))["entries"]
    before = (tmp_path / "file").read_bytes()
    assert source.json("export", str(tmp_path / "file"), "--resume")["entries"] == count
    assert (tmp_path / "file").read_bytes() == before


@pytest.mark.parametrize("name", ["export.jsonl", "export.jsonl.gz"])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.99], ids=str)
def test_an_export_that_was_cut_is_resumed_to_the_same(source: Cli, tmp_path: Path, name: str, kept: float) -> None:
    whole, cut = tmp_path / f"whole-{name}", tmp_path / name
    source.out("export", str(whole))
    content = whole.read_bytes()
    cut.write_bytes(content[: int(len(content) * kept)])
    source.out("export", str(cut), "--resume")
    assert lines_of(cut)[1:] == lines_of(whole)[1:]


def test_an_export_of_something_else_is_not_continued(source: Cli, target: Cli, tmp_path: Path) -> None:
    file = str(tmp_path / "file")
    source.out("export", file, "-n", "räume")
    write_lines(tmp_path / "file", lines_of(tmp_path / "file")[:-1])
    for cli, args in ((source, ()), (source, ("-n", "b")), (target, ("-n", "räume"))):
        result = cli("export", file, "--resume", *args)
        assert result.exit_code == 2
        assert "something else" in result.stderr


def test_through_a_pipe(source: Cli, target: Cli) -> None:
    entries = held(address(source))
    exported = subprocess.run(
        [*COMMAND, "export", "-"], env=environment(**source.variables), capture_output=True, check=True
    )
    imported = subprocess.run(
        [*COMMAND, "import", "-"],
        env=environment(**target.variables),
        input=exported.stdout,
        capture_output=True,
        check=True,
    )
    assert f"{len(entries)} entries".encode() in imported.stderr
    assert held(address(target)) == entries


class TestExpiry:
    def test_what_has_expired_is_left_out_and_counted(
        self, source: Cli, target: Cli, shared_server: TestServer, fresh_server: TestServer, tmp_path: Path
    ) -> None:
        with Client(fresh_server.address, namespace="soon") as client:
            # By then the other server's clock has passed.
            early = (client.info().now - shared_server.clock.now).total_seconds()
            client.set("gone", 1, ttl=1)
            client.set("later", 1, ttl=100_000)
        source.out("export", str(tmp_path / "file"), "-n", "soon")
        shared_server.clock.advance(max(2.0, early + 2.0))
        report = target.json("import", str(tmp_path / "file"))
        assert (report["imported"], report["expired"], report["whole_export"]) == (1, 1, True)
        assert {each.key for each in held(address(target))} == {"later"}


class TestBrokenLines:
    @pytest.fixture
    def file(self, source: Cli, tmp_path: Path) -> Path:
        """An export with a broken line 7 and another one further on."""
        source.out("export", str(tmp_path / "file"))
        lines = lines_of(tmp_path / "file")
        lines[6:6] = [b'{"key":"broken","value":\n']
        lines[50:50] = [b'{"key":"k"}\n']
        write_lines(tmp_path / "file", lines)
        return tmp_path / "file"

    def test_the_import_ends_there_and_goes_on_when_it_is_mended(
        self, source: Cli, target: Cli, file: Path, tmp_path: Path
    ) -> None:
        result = target("import", str(file))
        assert result.exit_code == 5
        assert result.stderr == (
            "petra: line 7 cannot be imported: it is no JSON: Expecting value at character 26. 5 entries were imported "
            "before it. The same command with --resume goes on when the line is mended; with --skip-broken ASIDE it is "
            "put aside.\n"
        )
        assert len(held(address(target))) == 5
        lines = lines_of(file)
        lines[6] = b'{"key":"mended","value":7}\n'
        write_lines(file, lines)
        result = target("import", str(file), "--resume")
        assert result.exit_code == 5
        assert "line 51 cannot be imported: it has no value." in result.stderr
        write_lines(file, lines[:50] + lines[51:])
        report = target.json("import", str(file), "--resume")
        assert report["imported"] == len(held(address(source))) + 1
        assert without_expiry(held(address(target))) > without_expiry(held(address(source)))
        assert [path.name for path in tmp_path.iterdir()] == ["file"]

    def test_they_are_put_aside_when_asked(self, source: Cli, target: Cli, file: Path, tmp_path: Path) -> None:
        aside = tmp_path / "aside"
        result = target("import", str(file), "--skip-broken", str(aside), "-o", "json")
        assert result.exit_code == 0
        assert json.loads(result.stdout)["broken"] == 2
        assert "line 7 cannot be imported" in result.stderr
        assert "line 51 cannot be imported" in result.stderr
        assert aside.read_bytes() == b'{"key":"broken","value":\n{"key":"k"}\n'
        assert held(address(target)) == held(address(source))

    def test_a_stop_before_skipping_goes_on_with_skipping(self, source: Cli, target: Cli, file: Path) -> None:
        assert target("import", str(file)).exit_code == 5
        aside = file.with_name("aside")
        assert target.json("import", str(file), "--resume", "--skip-broken", str(aside))["broken"] == 2
        assert held(address(target)) == held(address(source))

    def test_a_line_that_the_server_refuses_is_broken_too(self, target: Cli, file: Path) -> None:
        lines = lines_of(file)
        long_key = b'{"key":"%s","value":1}\n' % (b"k" * 3_000)
        write_lines(file, [*lines[:3], long_key, *lines[3:6], *lines[7:50], *lines[51:]])
        result = target("import", str(file))
        assert result.exit_code == 5
        assert result.stderr.startswith("petra: line 4 cannot be imported: ")
        assert "2 entries were imported before it." in result.stderr
        report = target.json("import", str(file), "--resume", "--skip-broken", str(file.with_name("aside")))
        assert (report["broken"], report["imported"]) == (1, len(held(address(target))))
        assert file.with_name("aside").read_bytes() == long_key

    def test_a_file_that_is_no_export(self, target: Cli, tmp_path: Path) -> None:
        for content, sentence in ((b"hello\n", "line 1 cannot be imported"), (b"", "is empty")):
            (tmp_path / "file").write_bytes(content)
            result = target("import", str(tmp_path / "file"), "--skip-broken", str(tmp_path / "aside"))
            assert result.exit_code == 5
            assert sentence in result.stderr


class TestWholeness:
    def test_a_file_without_its_end_is_imported_with_a_warning(self, source: Cli, target: Cli, tmp_path: Path) -> None:
        source.out("export", str(tmp_path / "file"))
        write_lines(tmp_path / "file", lines_of(tmp_path / "file")[:-1])
        result = target("import", str(tmp_path / "file"))
        assert result.exit_code == 0
        assert "it may not be the whole export" in result.stderr
        assert held(address(target)) == held(address(source))

    def test_a_file_that_lacks_lines_says_so(self, source: Cli, target: Cli, tmp_path: Path) -> None:
        count = source.json("export", str(tmp_path / "file"))["entries"]
        lines = lines_of(tmp_path / "file")
        write_lines(tmp_path / "file", [*lines[:5], *lines[6:]])
        result = target("import", str(tmp_path / "file"), "-o", "json")
        assert f"the export had {count} entries, and the file has {count - 1}." in result.stderr
        assert not json.loads(result.stdout)["whole_export"]

    def test_a_compressed_file_that_was_cut(self, source: Cli, target: Cli, tmp_path: Path) -> None:
        source.out("export", str(tmp_path / "file.gz"))
        content = (tmp_path / "file.gz").read_bytes()
        (tmp_path / "file.gz").write_bytes(content[:-10])
        result = target("import", str(tmp_path / "file.gz"))
        assert result.exit_code == 5
        assert "its end is missing" in result.stderr
        (tmp_path / "file.gz").write_bytes(gzip.compress(b"".join(lines_of_bytes(content))))
        assert target("import", str(tmp_path / "file.gz"), "--resume").exit_code == 0
        assert held(address(target)) == held(address(source))


def lines_of_bytes(compressed: bytes) -> list[bytes]:
    return gzip.decompress(compressed).splitlines(keepends=True)


def test_a_position_of_another_server_is_refused(source: Cli, target: Cli, tmp_path: Path) -> None:
    source.out("export", str(tmp_path / "file"))
    lines = lines_of(tmp_path / "file")
    write_lines(tmp_path / "file", [*lines[:5], b"broken\n"])
    position = tmp_path / "where"
    assert target("import", str(tmp_path / "file"), "--position", str(position)).exit_code == 5
    assert json.loads(position.read_bytes())["imported"] == 4
    result = source("import", str(tmp_path / "file"), "--position", str(position), "--resume")
    assert result.exit_code == 2
    assert "another server" in result.stderr
    position.write_text("{}")
    assert target("import", str(tmp_path / "file"), "--position", str(position), "--resume").exit_code == 2


def test_of_two_lines_with_one_key_the_last_one_counts(target: Cli, source: Cli, tmp_path: Path) -> None:
    source.out("export", str(tmp_path / "file"), "-n", "b")
    lines = lines_of(tmp_path / "file")
    entry = [b'{"key":"k","value":%d}\n' % number for number in range(3)]
    entry[1] = b'{"key":"k","value":1,"expires_at":"2999-01-01T00:00:00Z"}\n'
    write_lines(tmp_path / "file", [lines[0], *entry])
    assert target.json("import", str(tmp_path / "file"))["imported"] == 3
    assert target.json("get", "k")["value"] == 2
    assert target.json("get", "k")["expires_at"] is None
