"""Composite keys: two different lists of parts never make the same key."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petra import AsyncClient
from petra.datastore import Datastore, composite_key
from petra.errors import InvalidArgument
from petra.values import Value

PARTS = st.lists(st.text(st.characters(exclude_characters=":"), min_size=1), min_size=1, max_size=5)


def test_parts_are_joined_by_colons() -> None:
    assert composite_key("proj_123", "page_456") == "proj_123:page_456"
    assert composite_key("alone") == "alone"


@given(PARTS)
def test_the_parts_can_be_told_apart_again(parts: list[str]) -> None:
    assert composite_key(*parts).split(":") == parts


@pytest.mark.parametrize("parts", [("a:b", "c"), ("a", "b:c"), ("a", ":"), ("", "a"), ("a", ""), ("a", None), (7,), ()])
def test_what_would_be_ambiguous_is_refused(parts: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidArgument, match="part"):
        composite_key(*parts)


@pytest.mark.parametrize("database", ["a:b", "", None])
async def test_a_database_has_no_colon_in_its_name(database: Value) -> None:
    async with AsyncClient("localhost:1") as client:
        with pytest.raises(InvalidArgument, match="database"):
            Datastore(client, database)
