"""Keys of records: no two that differ in a field have the same one, and none reaches into another pattern's."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from petra.datamodel.errors import DefinitionError
from petra.datamodel.keys import parse_pattern, part_error

PARTS = st.text().filter(lambda text: part_error(text) is None)
PATTERN = parse_pattern("page:{project}:v-{number}-x:{id}")


@given(st.tuples(PARTS, PARTS, PARTS), st.tuples(PARTS, PARTS, PARTS))
def test_records_that_differ_have_different_keys(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assume(one != other)
    keys = [PATTERN.key(dict(zip(PATTERN.fields, parts, strict=True))) for parts in (one, other)]
    assert keys[0] != keys[1]


@given(st.text())
def test_a_part_is_refused_or_stands_as_it_is(text: str) -> None:
    error = part_error(text)
    assert (error is None) == (":" not in text and text != "")
    if error is None:
        assert parse_pattern("a:{x}").key({"x": text}) == f"a:{text}"


def test_fields_and_their_errors() -> None:
    assert PATTERN.fields == ("project", "number", "id")
    assert PATTERN.key({"project": "p", "number": 7, "id": "i"}) == "page:p:v-7-x:i"
    assert set(PATTERN.errors({"project": "", "number": None, "id": "a:b"})) == {"project", "number", "id"}
    assert PATTERN.errors({"project": "p"}) == {}


@pytest.mark.parametrize("text", ["", "page", "page:", ":{id}", "a:{id}{x}", "a:{1d}", "a:{id", "a:id}", "a:{}"])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(DefinitionError):
        parse_pattern(text)
