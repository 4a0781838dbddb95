"""Starts that must not succeed: each is refused with a sentence that says what to do, and harms nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from petra.v1 import storage_pb2 as pb
from tests.server.rpc.calls import Connection
from tests.support.server import ServerProcess


def _refusal(data: Path, *arguments: str) -> str:
    """What the server says while it refuses to start."""
    server = ServerProcess(data, *arguments)
    with pytest.raises(RuntimeError):
        server.start()
    assert server.wait() > 0
    said = server.stderr_text().strip()
    assert "Traceback" not in said
    return said


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with 4 actors and one entry."""
    with ServerProcess(tmp_path / "data", "--actors", "4") as server, Connection(server.address) as connection:
        assert isinstance(connection.ask(pb.SetRequest(key="k", value=b"v")), pb.SetResponse)
        assert server.terminate() == 0
    return tmp_path / "data"


def _still_opens(data: Path) -> None:
    with ServerProcess(data) as server, Connection(server.address) as connection:
        assert [entry.key for entry in connection.entries()] == ["k"]


def test_second_server_on_a_directory(data: Path) -> None:
    with ServerProcess(data) as first, Connection(first.address) as connection:
        said = _refusal(data)
        assert str(data) in said
        assert "in use" in said
        assert str(first.pid) in said
        assert [entry.key for entry in connection.entries()] == ["k"]


def test_second_server_on_an_address(data: Path, tmp_path: Path) -> None:
    with ServerProcess(data) as first:
        said = _refusal(tmp_path / "other", "--listen", first.address)
        assert first.address in said
        assert "--listen" in said
    # The directory that was opened meanwhile was closed again.
    with ServerProcess(tmp_path / "other"):
        pass


def test_other_number_of_actors(data: Path) -> None:
    said = _refusal(data, "--actors", "8")
    assert "4 actors" in said
    assert "--actors" in said
    _still_opens(data)


def test_newer_format(data: Path) -> None:
    _rewrite_marker(data, format_version=2)
    said = _refusal(data)
    assert "format 2" in said
    assert "newer" in said
    _rewrite_marker(data, format_version=1)
    _still_opens(data)


def _rewrite_marker(data: Path, **fields: int) -> None:
    marker = data / "PETRA"
    marker.write_text(json.dumps(json.loads(marker.read_text()) | fields))


def test_directory_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    said = _refusal(tmp_path)
    assert "thesis.txt" in said
    assert "--data" in said
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    assert {path.name for path in tmp_path.iterdir()} <= {"thesis.txt", "LOCK"}


def test_file_instead_of_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    said = _refusal(tmp_path / "file")
    assert str(tmp_path / "file") in said
    assert (tmp_path / "file").read_text() == "no directory"


def test_address_of_another_machine(tmp_path: Path) -> None:
    # 192.0.2.1 is kept for documentation, so no machine has it.
    assert "192.0.2.1" in _refusal(tmp_path / "data", "--listen", "192.0.2.1:7475")


def test_directory_that_lost_its_current_file(data: Path) -> None:
    (data / "partition-0000" / "CURRENT").unlink()
    said = _refusal(data)
    assert str(data) in said


@pytest.mark.parametrize("text", ["", "{}", "no JSON", '{"format_version": "x", "actors": 4}'])
def test_directory_with_a_damaged_marker(data: Path, text: str) -> None:
    whole = (data / "PETRA").read_text()
    (data / "PETRA").write_text(text)
    said = _refusal(data)
    assert str(data / "PETRA") in said
    assert "backup" in said
    (data / "PETRA").write_text(whole)
    _still_opens(data)
