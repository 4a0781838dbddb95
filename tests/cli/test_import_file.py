from __future__ import annotations

import asyncio
import gzip
import io
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petra.cli.transfer import import_file
from petra.cli.transfer.import_file import Batch, LineReader, NotReadable, Position, batches, read_ahead, skip_to
from petra.cli.transfer.lines import Header, header_line
from petra.cli.transfer.position_file import NoPosition, Reached, load, save

HEAD = header_line(Header("id", "0.1.0", "2026-10-17T12:00:00.000Z", None, None))


def line(number: int) -> bytes:
    return f'{{"key":"k{number}","value":{number}}}\n'.encode()


def reader(content: bytes, *, zipped: bool = False) -> LineReader:
    return LineReader(io.BytesIO(content), gzip=zipped)


def read(content: bytes, *, skip_broken: bool = False) -> list[Batch]:
    return list(batches(reader(content), Position(), skip_broken=skip_broken))


@given(st.lists(st.binary().map(lambda text: text.replace(b"\n", b"")), max_size=20), st.integers(1, 40), st.booleans())
def test_lines_are_found_wherever_the_reads_end(lines: list[bytes], chunk: int, zipped: bool) -> None:
    content = b"".join(each + b"\n" for each in lines)

    class Slowly:
        def __init__(self, content: bytes) -> None:
            self._file = io.BytesIO(content)

        def read(self, size: int, /) -> bytes:
            return self._file.read(min(size, chunk))

    source = LineReader(Slowly(gzip.compress(content) if zipped else content), gzip=zipped)
    assert [each[:-1] for each in source] == lines


def test_several_gzip_members_and_one_that_is_cut() -> None:
    both = gzip.compress(b"a\nb") + gzip.compress(b"c\nd\n")
    assert list(reader(both, zipped=True)) == [b"a\n", b"bc\n", b"d\n"]
    with pytest.raises(NotReadable, match="its end is missing"):
        list(reader(both[:-3], zipped=True))
    with pytest.raises(NotReadable, match="no gzip file"):
        list(reader(b"hello", zipped=True))
    assert list(reader(b"", zipped=True)) == []


def test_what_is_no_text_of_lines_is_refused_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_file, "_CHUNK_BYTES", 64)
    monkeypatch.setattr(import_file, "_LONGEST_LINE", 1_000)
    with pytest.raises(NotReadable, match="longer than"):
        list(reader(b"x" * 2_000))


def test_batches_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_file, "_BATCH_ITEMS", 10)
    found = read(HEAD + b"".join(map(line, range(25))))
    assert [len(batch.lines) for batch in found] == [10, 10, 5]
    assert [batch.end.lines for batch in found] == [11, 21, 26]
    monkeypatch.setattr(import_file, "_BATCH_BYTES", 100)
    assert all(batch.size < 200 for batch in read(HEAD + b"".join(map(line, range(25)))))


def test_a_broken_line_ends_the_batches_unless_it_is_skipped() -> None:
    content = HEAD + line(1) + b"broken\n" + line(2)
    (only,) = read(content)
    assert [each.item.spot.key for each in only.lines] == ["k1"]
    assert [(each.number, each.text) for each in only.broken] == [(3, b"broken\n")]
    (whole,) = read(content, skip_broken=True)
    assert [each.item.spot.key for each in whole.lines] == ["k1", "k2"]
    assert len(whole.broken) == 1


@pytest.mark.parametrize("first", [line(1), b"hello\n"])
def test_a_file_without_a_header_is_no_export_whatever_is_skipped(first: bytes) -> None:
    (only,) = read(first + line(2), skip_broken=True)
    assert not only.lines
    assert only.broken[0].number == 1


def test_a_second_header_is_broken() -> None:
    (only,) = read(HEAD + line(1) + HEAD)
    assert only.broken[0].why == "it is a header, and not the first line"


def test_empty_lines_are_nothing() -> None:
    (only,) = read(HEAD + b"\n \r\n" + line(1) + b"\n")
    assert (len(only.lines), len(only.broken), only.end.lines) == (1, 0, 5)


class TestGoingOn:
    CONTENT = HEAD + b"".join(map(line, range(10)))

    def test_it_goes_on_after_the_position(self) -> None:
        reached = Position()
        for text in self.CONTENT.splitlines(keepends=True)[:4]:
            reached = reached.after(text)
        source = reader(self.CONTENT)
        skip_to(source, reached)
        (rest,) = batches(source, reached, skip_broken=False)
        assert [each.item.spot.key for each in rest.lines] == [f"k{number}" for number in range(3, 10)]

    @pytest.mark.parametrize("content", [CONTENT.replace(b"k1", b"K1"), CONTENT[:60], b"", b"\n" * 1_000])
    def test_another_file_is_refused(self, content: bytes) -> None:
        (whole,) = read(self.CONTENT)
        with pytest.raises(NotReadable, match="has changed"):
            skip_to(reader(content), whole.end)


class TestReadingAhead:
    def test_an_error_comes_out_where_it_is_awaited(self) -> None:
        def make() -> Iterator[Batch]:
            yield Batch(size=1)
            raise NotReadable("it ends here")

        async def main() -> None:
            found = read_ahead(make)
            assert (await anext(found)).size == 1
            with pytest.raises(NotReadable, match="it ends here"):
                await anext(found)

        asyncio.run(main())

    def test_it_does_not_read_further_than_a_few_batches(self) -> None:
        made = threading.Semaphore(0)

        def make() -> Iterator[Batch]:
            for number in range(10):
                yield Batch(size=number)
                made.release()

        async def main() -> None:
            async for _ in read_ahead(make):
                break
            # One was taken: as many more as may lie ahead were asked for, and no others.
            assert made._value <= 1 + import_file._BATCHES_AHEAD

        asyncio.run(main())

    def test_nobody_waits_for_a_pipe_that_says_nothing(self) -> None:
        silence = threading.Event()

        def make() -> Iterator[Batch]:
            yield Batch()
            silence.wait()
            yield Batch()

        async def main() -> int:
            async for _ in read_ahead(make):
                return 1
            return 0

        assert asyncio.run(main()) == 1
        silence.set()


class TestPositionFile:
    REACHED = Reached("id", Position(10, 2, 77), imported=1, expired=2, broken=3, broken_bytes=4)

    def test_it_says_what_was_saved(self, tmp_path: Path) -> None:
        assert load(tmp_path / "position") is None
        save(tmp_path / "position", self.REACHED)
        assert load(tmp_path / "position") == self.REACHED
        assert [path.name for path in tmp_path.iterdir()] == ["position"]

    @pytest.mark.parametrize("content", ["", "[]", "{}", '{"petra_import":2}', '{"petra_import":1,"position":{"x":1}}'])
    def test_what_is_no_position_is_refused(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "position").write_text(content)
        with pytest.raises(NoPosition):
            load(tmp_path / "position")
