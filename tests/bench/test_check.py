from __future__ import annotations

from bench.ycsb.check import Stored, Unknown, Written, violations


def found(
    written: list[Written], stored: dict[int, Stored], unknown: list[Unknown] | None = None, *, counted: bool = False
) -> list[str]:
    return violations(written, unknown or [], stored, counted=counted)


def test_a_store_that_holds_the_newest_write_of_each_record_is_well() -> None:
    written = [Written(1, 5, 50), Written(1, 7, 51), Written(2, 6, 52)]
    assert found(written, {1: Stored(7, 51, 0), 2: Stored(6, 52, 0)}) == []


def test_a_record_that_is_gone_is_told() -> None:
    assert found([Written(1, 5, 50)], {}) == ["record 1: version 5 was acknowledged, and it is gone"]


def test_a_write_that_is_lost_is_told() -> None:
    (sentence,) = found([Written(1, 5, 50), Written(1, 7, 51)], {1: Stored(5, 50, 0)})
    assert sentence == "record 1: version 7 was acknowledged, and version 5 is there"


def test_another_write_under_the_acknowledged_version_is_told() -> None:
    assert found([Written(1, 5, 50)], {1: Stored(5, 99, 0)}) == ["record 1: version 5 holds another write"]


def test_a_version_that_nobody_was_told_of_is_told() -> None:
    (sentence,) = found([Written(1, 5, 50)], {1: Stored(6, 50, 0)})
    assert sentence == "record 1: version 6 is there, and nobody was told of it"


def test_a_write_whose_outcome_is_unknown_may_be_there_or_not() -> None:
    unknown = [Unknown(1, 60), Unknown(2, 61)]
    assert found([Written(1, 5, 50)], {1: Stored(6, 60, 0), 2: Stored(1, 61, 0)}, unknown) == []
    assert found([Written(1, 5, 50)], {1: Stored(5, 50, 0)}, unknown) == []


def test_two_writes_with_one_version_are_told() -> None:
    (sentence,) = found([Written(1, 5, 50), Written(1, 5, 51)], {1: Stored(5, 50, 0)})
    assert sentence == "record 1: two writes were told version 5"


def test_a_record_that_nobody_wrote_is_told() -> None:
    assert found([], {3: Stored(1, 1, 0)}) == ["record 3: nobody wrote it"]


def test_a_lost_increment_is_told() -> None:
    written = [Written(1, 1, 1), Written(1, 2, 2), Written(1, 3, 3)]
    assert found(written, {1: Stored(3, 3, 2)}, counted=True) == []
    (sentence,) = found(written, {1: Stored(3, 3, 1)}, counted=True)
    assert sentence == "record 1: 2 increments were committed, and its counter is 1"


def test_an_increment_whose_outcome_is_unknown_may_count_or_not() -> None:
    written = [Written(1, 1, 1), Written(1, 2, 2)]
    unknown = [Unknown(1, 9)]
    assert found(written, {1: Stored(3, 9, 2)}, unknown, counted=True) == []
    assert found(written, {1: Stored(2, 2, 1)}, unknown, counted=True) == []
    assert found(written, {1: Stored(3, 9, 3)}, unknown, counted=True) != []
