from __future__ import annotations

import json
from datetime import UTC, datetime

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from petra import Encoding, Entry
from petra.cli import shown
from petra.cli.options import duration
from petra.cli.stored import Stored, StoredCodec, json_line

MOMENT = datetime(2026, 10, 17, 12, 0, 0, 123_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("1.5h", 5_400),
        ("500ms", 0.5),
        ("15m", 900),
        ("2H", 7_200),
        ("7d", 604_800),
        ("1w", 604_800),
    ],
)
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-1", "1y", "1h30m", "h", "1e3", "\u0661", "nan"])
def test_what_is_no_length_of_time(text: str) -> None:
    with pytest.raises(click.BadParameter):
        duration(text)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b'{"a": 1.0,"a":2}', '{"a": 1.0,"a":2}'),
        (b"1e999", "1e999"),
        (b'"\\ud800"', '"\\ud800"'),
        (b"[1,\n2]", None),
        (b" 1", None),
        (b"1 ", None),
        (b"NaN", None),
        (b"", None),
        (b"\xff", None),
        (b"{", None),
        (b"[" * 100_000, None),
        (b"9" * 5_000, None),
    ],
    ids=lambda each: repr(each)[:20],
)
def test_json_that_fits_into_a_line_as_it_is(data: bytes, line: str | None) -> None:
    assert json_line(Stored(data, Encoding.JSON)) == line
    assert json_line(Stored(data, Encoding.BYTES)) is None


@given(st.binary(), st.sampled_from(Encoding))
def test_any_stored_value_becomes_json_on_one_line(data: bytes, encoding: Encoding) -> None:
    text = shown.value_json(Stored(data, encoding))
    assert "\n" not in text
    json.loads(text)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_json_that_is_spread_over_lines_keeps_its_meaning(value: object) -> None:
    stored = Stored(json.dumps(value, indent=2).encode() + b"\n", Encoding.JSON)
    assert json.loads(shown.value_json(stored)) == value


def test_json_of_an_entry_is_that_of_none_with_other_values() -> None:
    entry = Entry('a"b', Stored(b"[1, 2]", Encoding.JSON), 7, MOMENT)
    there, absent = shown.entry_json(entry), shown.no_entry_json('a"b')
    assert there == (
        '{"key":"a\\"b","found":true,"value":[1, 2],"encoding":"json","version":7'
        ',"expires_at":"2026-10-17T12:00:00.123Z"}'
    )
    assert json.loads(there).keys() == json.loads(absent).keys()


def test_text_that_utf_8_does_not_have_is_printed_as_json() -> None:
    assert shown.value_text(Stored(b'"\\ud800"', Encoding.JSON), terminal=False) == b'"\\ud800"\n'


def test_what_calls_itself_json_and_is_none_is_printed_as_bytes() -> None:
    assert shown.value_text(Stored(b"{\xff", Encoding.JSON), terminal=False) == b"{\xff"
    assert shown.value_text(Stored(b"{\xff", Encoding.JSON), terminal=True) == b"base64:e/8=\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.1234, "0.123 s"), (59, "59 s"), (60, "1 min"), (3_661, "1 h 1 min"), (90_000, "1 d 1 h"), (86_400, "1 d")],
)
def test_lengths_of_time_for_people(seconds: float, text: str) -> None:
    assert shown.duration_text(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (1_023, "1023 bytes"), (1_536, "1.5 KiB"), (1 << 60, "1048576.0 TiB")]
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert shown.size_text(size) == text


def test_the_codec_keeps_what_it_is_given() -> None:
    codec = StoredCodec()
    stored = Stored(b"\x00", Encoding.JSON)
    assert codec.decode(*codec.encode(stored)) == stored
