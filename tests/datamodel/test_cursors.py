"""Cursors hold what they were made of, and everything else is refused in one way."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petra.datamodel.cursors import decode_cursor, encode_cursor
from petra.errors import InvalidArgument

VALUES = st.lists(
    st.one_of(
        st.none(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(),
    ),
    max_size=4,
)


@given(VALUES, st.text(max_size=5))
def test_a_cursor_holds_what_it_was_made_of(values: list[int | float | str | None], scope: str) -> None:
    cursor = encode_cursor(scope, values)
    assert cursor.isascii()
    assert decode_cursor(scope, cursor, len(values)) == values


@given(VALUES, st.data())
def test_a_cursor_that_was_changed_is_refused(values: list[int | float | str | None], data: st.DataObject) -> None:
    cursor = encode_cursor("scope", values)
    at = data.draw(st.integers(0, len(cursor) - 1))
    changed = cursor[:at] + data.draw(st.sampled_from("Aab9_-")) + cursor[at + 1 :]
    for other in (changed, cursor[:at], cursor + "A", cursor + "=", " " + cursor):
        if other != cursor:
            with pytest.raises(InvalidArgument):
                decode_cursor("scope", other, len(values))


@given(st.one_of(st.text(), st.binary(), st.none(), st.integers()))
def test_anything_else_is_refused(given: object) -> None:
    with pytest.raises(InvalidArgument) as error:
        decode_cursor("scope", given, 1)
    assert error.value.field == "cursor"


def test_a_cursor_belongs_to_its_scope_and_its_length() -> None:
    cursor = encode_cursor("one", [1])
    for scope, length in (("two", 1), ("one", 2)):
        with pytest.raises(InvalidArgument):
            decode_cursor(scope, cursor, length)


@pytest.mark.parametrize("text", ["[true]", "[[1]]", "{}", "[1e999]", "[9223372036854775808]", "nonsense", "[NaN]"])
def test_a_cursor_that_somebody_has_signed_holds_nothing_but_values(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("petra.datamodel.cursors._checksum", lambda scope, data: b"12345678")
    cursor = urlsafe_b64encode(b"12345678" + text.encode()).rstrip(b"=").decode()
    with pytest.raises(InvalidArgument):
        decode_cursor("scope", cursor, 1)
