from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.client import work
from bench.client.library import GET, SET, Load
from bench.client.script import GROUPS, STEPS, Script
from bench.client.work import Versions
from bench.process import BenchError


def script(caller: int = 0, group: int = 1) -> Script:
    return Script(caller, prefix="test", group=group, value_bytes=64)


def test_no_two_callers_share_a_key_and_no_two_writes_a_value() -> None:
    scripts = [script(caller, group=3) for caller in range(4)]
    keys = [key for one in scripts for group in one.groups for key in group]
    values = [value for one in scripts for step in one.steps for value in step.values()]
    assert len(set(keys)) == len(keys) == 4 * GROUPS * 3
    assert len(set(values)) == len(values) == 4 * STEPS * 3
    assert {len(value) for value in values} == {64}


def test_a_value_too_short_to_say_whose_it_is_is_refused() -> None:
    with pytest.raises(ValueError, match="at least"):
        Script(0, prefix="test", group=1, value_bytes=8)


@given(writes=st.integers(min_value=0, max_value=3 * STEPS), group=st.integers(min_value=1, max_value=3))
def test_what_is_there_after_writes_is_what_the_calls_wrote(writes: int, group: int) -> None:
    one = script(group=group)
    stored = one.contents()

    def put(pairs: dict[str, bytes]) -> None:
        for key, value in pairs.items():
            assert stored[key] != value, "a write that changes nothing would not be seen"
            stored[key] = value

    calls = work.group_writes(put, one, lambda group, answer: True)
    for number in range(writes):
        calls.start(number)
    assert one.contents(writes) == stored


def test_reads_are_good_with_the_value_of_their_key_alone() -> None:
    one = script()
    stored = one.contents()
    calls = work.reads(stored.__getitem__, one)
    for number in range(2 * GROUPS):
        answer = calls.start(number)
        calls.check(number, answer)
        for wrong in (None, answer[:-1], stored[one.groups[(number + 1) % GROUPS][0]]):
            with pytest.raises(BenchError, match=f"{one.groups[number % GROUPS][0]} was read as"):
                calls.check(number, wrong)


@pytest.mark.parametrize("named", [True, False])
def test_group_reads_are_good_with_every_value_in_its_place(named: bool) -> None:
    one = script(group=3)
    stored = one.contents()

    def get(keys: list[str]) -> object:
        return {key: stored[key] for key in keys} if named else [stored[key] for key in keys]

    calls = work.group_reads(lambda keys: get(list(keys)), one, named=named)
    for number in range(GROUPS):
        calls.check(number, calls.start(number))
        with pytest.raises(BenchError, match="were read as"):
            calls.check(number, calls.start(number + 1))


def test_a_write_that_is_not_accepted_fails() -> None:
    one = script()
    calls = work.writes(lambda key, value: None, one, lambda group, answer: answer == "yes")
    calls.check(0, "yes")
    with pytest.raises(BenchError, match=f"the write of {one.groups[1][0]} was answered with 'no'"):
        calls.check(1, "no")


def test_versions_of_a_key_must_grow() -> None:
    versions = Versions(script())
    assert versions.one(0, 5)
    assert versions.one(0, 6)
    assert versions.one(1, 5)
    for wrong in (6, 4, 0, None, "7", [7]):
        assert not versions.one(0, wrong)


def test_versions_of_every_key_of_a_group_must_grow() -> None:
    one = script(group=2)
    versions = Versions(one)
    assert versions.listed(0, [1, 9])
    assert not versions.listed(0, [2, 9])
    assert not versions.listed(0, [2])
    assert not versions.listed(0, [2, OSError()])
    assert versions.named(0, dict(zip(one.groups[0], [2, 10], strict=True)))
    assert not versions.named(0, dict(zip(one.groups[1], [3, 11], strict=True)))
    assert not versions.named(0, [3, 11])


def test_a_pipeline_records_and_then_executes() -> None:
    class Recorded:
        def __init__(self) -> None:
            self.steps: list[tuple[object, ...]] = []

        def get(self, name: str, /) -> None:
            self.steps.append((name,))

        def set(self, name: str, value: bytes, /) -> None:
            self.steps.append((name, value))

        def execute(self) -> list[tuple[object, ...]]:
            return self.steps

    assert work.piped_get(Recorded)(["a", "b"]) == [("a",), ("b",)]
    assert work.piped_set(Recorded)({"a": b"1", "b": b"2"}) == [("a", b"1"), ("b", b"2")]


def test_loads_that_write_have_other_keys_than_loads_that_read() -> None:
    reading, writing = (Load("petra", call, callers=2).scripts(64) for call in (GET, SET))
    assert len(reading) == len(writing) == 2
    assert not {key for one in reading for key in one.contents()} & {key for one in writing for key in one.contents()}
