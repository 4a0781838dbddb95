from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.ycsb.workloads import FIELD_BYTES, FIELDS, WORKLOADS, Layout, Record, pack, place, unpack

NUMBERS = st.integers(min_value=0, max_value=2**64 - 1)


@pytest.mark.parametrize("name", "ABCDEF")
def test_the_shares_of_a_workload_add_up(name: str) -> None:
    assert math.isclose(sum(WORKLOADS[name].mix.values()), 1)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_a_record_is_read_as_it_was_packed(number: int, counter: int, write: int) -> None:
    record = Record(number, counter, write)
    assert unpack(pack(record, bytes(FIELDS * FIELD_BYTES))) == record


def test_a_value_of_another_size_is_no_record() -> None:
    with pytest.raises(ValueError, match="a record of 3 bytes"):
        unpack(b"abc")


@pytest.mark.parametrize("layout", Layout)
def test_records_have_places_of_their_own(layout: Layout) -> None:
    assert len({place(layout, number) for number in range(10_000)}) == 10_000
