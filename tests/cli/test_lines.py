from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petra import Encoding, Entry
from petra.cli.stored import Stored
from petra.cli.transfer.lines import (
    BrokenLine,
    End,
    Header,
    Item,
    Spot,
    end_line,
    entry_lines,
    header_line,
    read_line,
    same_scope,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HEADER = Header("id", "0.1.0", "2026-10-17T12:00:00.000Z", "ns", None)

names = st.text(min_size=1).filter(lambda text: not any("\ud800" <= character <= "\udfff" for character in text))
json_texts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda parts: st.lists(parts) | st.dictionaries(st.text(), parts),
    max_leaves=8,
).flatmap(lambda value: st.sampled_from([json.dumps(value), json.dumps(value, indent=1), f" {json.dumps(value)} "]))
values = st.builds(Stored, st.binary(), st.sampled_from(Encoding)) | st.builds(
    lambda text: Stored(text.encode("utf-8", "surrogatepass"), Encoding.JSON), json_texts
)
expiries = st.none() | st.integers(1, 253_402_300_799_999)


@given(names, st.just("") | names, names, values, expiries)
def test_an_entry_comes_back_exactly(
    namespace: str, object_name: str, key: str, value: Stored, expires_at_ms: int | None
) -> None:
    expires_at = None if expires_at_ms is None else EPOCH + timedelta(milliseconds=expires_at_ms)
    (line,) = entry_lines(namespace, object_name, [Entry(key, value, 1, expires_at)])
    assert line.count("\n") == 1
    assert line.endswith("\n")
    json.loads(line)
    assert read_line(line.encode()) == Item(Spot(namespace, object_name, key), value, expires_at_ms or 0)


def test_json_stands_in_the_line_as_it_was_stored() -> None:
    text = '{"b" : 1.0, "a":[1e400,"\\u00fc"], "a":0}'
    (line,) = entry_lines("default", "", [Entry("k", Stored(text.encode(), Encoding.JSON), 1, None)])
    assert line == f'{{"namespace":"default","key":"k","value":{text}}}\n'


def test_the_first_and_the_last_line() -> None:
    assert read_line(header_line(HEADER)) == HEADER
    assert read_line(end_line(End(7), "2026-10-17T12:00:00.000Z")) == End(7)


def test_the_order_and_form_of_the_members_are_free() -> None:
    line = b' { "version" : 3, "value":[1 ,2],\t"key" :"k","expires_at":"1970-01-01T01:00:01+01:00" } \r\n'
    assert read_line(line) == Item(Spot("default", "", "k"), Stored(b"[1 ,2]", Encoding.JSON), 1_000)


def test_base64_is_bytes_unless_it_says_json() -> None:
    assert read_line(b'{"key":"k","base64":"e30="}') == Item(Spot("default", "", "k"), Stored(b"{}", Encoding.BYTES), 0)
    said = read_line(b'{"key":"k","base64":"e30=","encoding":"json"}')
    assert said == Item(Spot("default", "", "k"), Stored(b"{}", Encoding.JSON), 0)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"", "it is no JSON object"),
        (b"[]", "it is no JSON object"),
        (b"{}", "it has no key"),
        (b'{"key":"k","value":1', "it is no JSON: Expecting '}' at character 21"),
        (b'{"key":"k","value":}', "it is no JSON: Expecting value at character 20"),
        (b'{"key":"k","value":1}{', "it is no JSON: Extra data at character 22"),
        (b'{"key" "k"}', "it is no JSON: Expecting ':'"),
        (b'{1:"k"}', "a member of it has no name"),
        (b'{"key":"k",}', "it is no JSON: Expecting value"),
        (b'{"key":"k","value":NaN}', "NaN is no JSON"),
        (b'{"key":"k","value":' + b"9" * 5_000 + b"}", "it is no JSON: Exceeds the limit"),
        (b'{"key":"k","value":' + b"[" * 100_000 + b"}", "it is nested too deeply"),
        (b'{"key":"\xff","value":1}', "it is not UTF-8"),
        (b'{"key":"k"}', "it has no value"),
        (b'{"value":1}', "it has no key"),
        (b'{"key":"","value":1}', "its key is empty"),
        (b'{"key":7,"value":1}', "its key is no string"),
        (b'{"key":"\\ud800","value":1}', "its key has half of a surrogate pair"),
        (b'{"namespace":"","key":"k","value":1}', "its namespace is empty"),
        (b'{"object":[],"key":"k","value":1}', "its object is no string"),
        (b'{"key":"k","key":"l","value":1}', "key is there twice"),
        (b'{"key":"k","value":1,"base64":""}', "it has both value and base64"),
        (b'{"key":"k","base64":"?"}', "its base64 cannot be read"),
        (b'{"key":"k","base64":7}', "its base64 is no string"),
        (b'{"key":"k","base64":"","encoding":"text"}', "its encoding is 'text'"),
        (b'{"key":"k","value":1,"encoding":"bytes"}', "its encoding is 'bytes'"),
        (b'{"key":"k","value":1,"ttl":5}', "it has a member 'ttl', which is unknown"),
        (b'{"key":"k","value":1,"expires_at":"tomorrow"}', "its expires_at is 'tomorrow'"),
        (b'{"key":"k","value":1,"expires_at":"2026-10-17T12:00:00"}', "its expires_at is"),
        (b'{"key":"k","value":1,"expires_at":7}', "its expires_at is 7"),
        (b'{"petra_export":{}}', "it is no header of an export"),
        (b'{"petra_export":{"format":2}}', "it is of format 2"),
        (b'{"petra_export_end":{}}', "it is no end of an export"),
    ],
    ids=lambda each: repr(each)[:50],
)
def test_a_broken_line_says_why(line: bytes, why: str) -> None:
    with pytest.raises(BrokenLine) as caught:
        read_line(line)
    assert str(caught.value).startswith(why)


@given(st.binary())
def test_no_line_does_worse_than_be_broken(line: bytes) -> None:
    with suppress(BrokenLine):
        read_line(line)


def test_what_is_exported_of_which_server() -> None:
    later = Header("id", "9.9", "2027-01-01T00:00:00.000Z", "ns", None)
    assert same_scope(HEADER, later)
    assert not same_scope(HEADER, Header("other", "9.9", later.time, "ns", None))
    assert not same_scope(HEADER, Header("id", "9.9", later.time, None, None))
    assert not same_scope(HEADER, Header("id", "9.9", later.time, "ns", "room"))
