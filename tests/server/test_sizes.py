from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petra_server.sizes import GIB, KIB, MIB, TIB, format_size, parse_size

FACTORS = {
    "": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": KIB, "MiB": MIB, "GiB": GIB, "TiB": TIB,
}  # fmt: skip


@given(
    st.integers(0, 10**15 - 1), st.sampled_from(sorted(FACTORS)), st.sampled_from(["", " "]), st.sampled_from(["", " "])
)
def test_a_size_is_its_number_times_its_unit_in_any_case(number: int, unit: str, space: str, margin: str) -> None:
    for spelling in (unit, unit.lower(), unit.upper()):
        assert parse_size(f"{margin}{number}{space}{spelling}{margin}") == number * FACTORS[unit]


@given(st.one_of(st.integers(0, 10**15 - 1), st.integers(0, 10**5).map(lambda count: count * MIB)))
def test_a_formatted_size_parses_to_itself(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.text(st.characters(exclude_categories=["Nd"])))
def test_a_text_without_digits_is_refused_with_advice(text: str) -> None:
    with pytest.raises(ValueError, match="such as 64MiB"):
        parse_size(text)


@pytest.mark.parametrize(
    "text", ["", "MiB", "-1", "+1", "1.5GiB", "1e6", "64M", "64k", "1_000", "64 MiBs", "٣", "9" * 16]
)
def test_what_is_ambiguous_or_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


def test_sizes_are_shown_in_the_largest_unit_that_is_exact() -> None:
    assert [format_size(size) for size in (0, 1000, 1024, 128 * MIB, MIB + 1, 2048 * MIB)] == [
        "0", "1000", "1KiB", "128MiB", "1048577", "2GiB",
    ]  # fmt: skip
