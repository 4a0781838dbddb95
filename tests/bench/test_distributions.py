from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.ycsb.distributions import THETA, Zipfian, fnv64, latest, scramble

ITEMS = st.integers(min_value=1, max_value=5_000)
UNIFORM = st.floats(min_value=0, max_value=1, exclude_max=True)
THETAS = st.floats(min_value=0.1, max_value=0.995)

# Numbers that stand for the whole of [0, 1): with them, shares are areas and not chance.
GRID = [(index + 0.5) / 200_000 for index in range(200_000)]


def shares(items: int) -> list[float]:
    zipfian = Zipfian(items)
    counts = Counter(zipfian.rank(uniform) for uniform in GRID)
    return [counts[rank] / len(GRID) for rank in range(items)]


@given(ITEMS, THETAS, UNIFORM)
def test_a_rank_is_one_of_the_items(items: int, theta: float, uniform: float) -> None:
    assert 0 <= Zipfian(items, theta).rank(uniform) < items


@given(ITEMS, st.lists(UNIFORM, min_size=2, max_size=50))
def test_ranks_grow_with_the_number_given(items: int, uniforms: list[float]) -> None:
    zipfian = Zipfian(items)
    ranks = [zipfian.rank(uniform) for uniform in sorted(uniforms)]
    assert ranks == sorted(ranks)


@given(st.lists(ITEMS, min_size=1, max_size=5), UNIFORM)
def test_a_distribution_that_grew_is_the_one_that_was_made_so(sizes: list[int], uniform: float) -> None:
    steps = sorted(sizes)
    grown = Zipfian(steps[0])
    for size in steps[1:]:
        grown.grow(size)
    made = Zipfian(steps[-1])
    assert grown.items == made.items
    assert math.isclose(grown.zeta, made.zeta, rel_tol=1e-12)
    assert abs(grown.rank(uniform) - made.rank(uniform)) <= 1


@pytest.mark.parametrize("items", [1, 2, 3, 100, 10_000])
def test_the_two_most_frequent_ranks_have_exactly_their_shares(items: int) -> None:
    zeta = sum(1 / rank**THETA for rank in range(1, items + 1))
    found = shares(items)
    for rank in range(min(items, 2)):
        assert found[rank] == pytest.approx(1 / (rank + 1) ** THETA / zeta, abs=2 / len(GRID))


def test_the_other_ranks_have_about_their_shares() -> None:
    items = 1_000
    zeta = Zipfian(items).zeta
    found = shares(items)
    for low, high in [(2, 10), (10, 100), (100, 1_000)]:
        expected = sum(1 / (rank + 1) ** THETA for rank in range(low, high)) / zeta
        assert sum(found[low:high]) == pytest.approx(expected, rel=0.15)


@given(st.integers(min_value=0, max_value=2**64 - 1), ITEMS)
def test_a_scrambled_rank_is_one_of_the_items(rank: int, items: int) -> None:
    assert 0 <= scramble(rank, items) < items


def test_scrambling_parts_neighbours_and_spreads_evenly() -> None:
    items = 100
    counts = Counter(scramble(rank, items) for rank in range(100_000))
    assert len(counts) == items
    assert min(counts.values()) > 800
    assert max(counts.values()) < 1_200
    assert sum(abs(scramble(rank, 1_000) - scramble(rank + 1, 1_000)) == 1 for rank in range(1_000)) < 20


def test_the_latest_item_is_the_most_frequent_one() -> None:
    assert [latest(rank, 10) for rank in range(10)] == list(reversed(range(10)))


def test_fnv_gives_the_known_digests() -> None:
    # FNV-1a of eight zero bytes, and of "foobar" followed by two zero bytes, computed byte by byte.
    assert fnv64(0) == _fnv(bytes(8))
    assert fnv64(int.from_bytes(b"foobar\0\0", "little")) == _fnv(b"foobar\0\0")


def _fnv(data: bytes) -> int:
    digest = 14695981039346656037
    for byte in data:
        digest = (digest ^ byte) * 1099511628211 % 2**64
    return digest
