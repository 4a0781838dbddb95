from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from petra.cli.transfer import export_file
from petra.cli.transfer.export_file import NotContinuable, continued, sink_for
from petra.cli.transfer.lines import End, Header, end_line, header_line

HEADER = Header("id", "0.1.0", "2026-10-17T12:00:00.000Z", None, None)
LINES = [
    header_line(HEADER),
    *(f'{{"namespace":"default","key":"k{number:03}","value":"ü{number}"}}\n'.encode() for number in range(40)),
    end_line(End(40), "2026-10-17T12:00:00.000Z"),
]


@pytest.fixture(params=["export.jsonl", "export.jsonl.gz"])
def path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of either kind, whose gzip members hold a few lines each."""
    monkeypatch.setattr(export_file, "_MEMBER_BYTES", 200)
    return tmp_path / str(request.param)


def write(path: Path, lines: list[bytes], size: int = 0) -> None:
    """Continues a file at a size."""
    path.touch()
    with path.open("r+b") as file:
        file.truncate(size)
        file.seek(size)
        sink = sink_for(path, file, durable=False)
        for line in lines:
            sink.write(line)
        sink.close()


def read(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def test_a_complete_file_reads_as_one(path: Path) -> None:
    write(path, LINES)
    written = continued(path)
    assert written is not None
    assert (written.header, written.entries, written.complete) == (HEADER, 40, True)
    assert read(path) == b"".join(LINES)


def test_a_file_cut_anywhere_is_continued_to_the_same_file(path: Path) -> None:
    write(path, LINES)
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        written = continued(path)
        if written is None:
            write(path, LINES)
        else:
            # The header, and the entries up to the last one that is named.
            assert written.entries < 41
            assert not written.complete
            if written.last is None:
                assert written.entries == 0
            else:
                assert written.last.spot.key == f"k{written.entries - 1:03}"
            write(path, LINES[written.entries + 1 :], written.size)
        assert read(path) == b"".join(LINES), cut


def test_rubbish_after_the_last_gzip_member_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "export.gz"
    write(path, LINES[:-1])
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + bytes(100))
    written = continued(path)
    assert written is not None
    assert (written.size, written.entries) == (size, 40)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"hello\n", "its first or its last line is broken: it is no JSON object"),
        (LINES[1], "its first line is no header"),
        (LINES[0] + b"{\n", "its first or its last line is broken"),
    ],
)
def test_a_file_that_is_no_export_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(NotContinuable, match=why):
        continued(tmp_path / "file")


def test_a_gzip_file_of_others_that_ends_within_a_line_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file.gz").write_bytes(gzip.compress(LINES[0] + LINES[1][:-5]))
    with pytest.raises(NotContinuable, match="not written by petra export"):
        continued(tmp_path / "file.gz")


def test_lines_longer_than_what_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_file, "_CHUNK_BYTES", 7)
    path = tmp_path / "export.jsonl"
    write(path, [*LINES[:5], b"{torn"])
    written = continued(path)
    assert written is not None
    assert (written.entries, written.size) == (4, len(b"".join(LINES[:5])))
