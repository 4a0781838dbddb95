from __future__ import annotations

import math
import pickle
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petra import values
from petra.errors import DecodeError, InvalidArgument
from petra.v1 import storage_pb2 as pb
from petra.values import Encoding, Entry, Throttled, to_timeout, to_ttl_ms


def test_the_encodings_are_those_of_the_wire() -> None:
    on_the_wire = {name.removeprefix("ENCODING_"): number for name, number in pb.Encoding.items() if number}

    assert {member.name: member.value for member in Encoding} == on_the_wire
    assert Encoding(pb.ENCODING_UNSPECIFIED) is Encoding.BYTES


def test_an_encoding_of_a_newer_server_is_named() -> None:
    with pytest.raises(DecodeError, match="encoding 9"):
        Encoding(9)


# Entries and verdicts.


def test_an_entry_is_a_value() -> None:
    entry = Entry("k", {"a": 1}, 7, datetime(2026, 1, 1, tzinfo=UTC))

    assert pickle.loads(pickle.dumps(entry)) == entry == Entry("k", {"a": 1}, 7, datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(FrozenInstanceError):
        entry.version = 8  # type: ignore[misc]


@pytest.mark.parametrize("allowed", [True, False])
def test_a_verdict_is_true_when_it_allows(allowed: bool) -> None:
    verdict = Throttled(allowed, 10, 0, 0.5, 2.0)

    assert bool(verdict) is allowed
    assert (verdict.limit, verdict.remaining, verdict.retry_after, verdict.reset_after) == (10, 0, 0.5, 2.0)


def test_every_public_name_of_the_module_is_there() -> None:
    own = {name for name, thing in vars(values).items() if getattr(thing, "__module__", "") == "petra.values"}

    assert {name for name in own if not name.startswith("_")} <= set(values.__all__)
    assert all(hasattr(values, name) for name in values.__all__)


# Seconds.


@pytest.mark.parametrize(
    ("ttl", "milliseconds"),
    [
        (None, 0),
        (1, 1_000),
        (60.0, 60_000),
        (1.1, 1_100),
        (0.001, 1),
        (0.0011, 2),
        (1e-12, 1),
        (5e-324, 1),
        (1.0001, 1_001),
        (timedelta(days=1), 86_400_000),
        (timedelta(microseconds=1), 1),
        (timedelta(microseconds=1_001), 2),
        (9_000_000_000_000_000, 9_000_000_000_000_000_000),
    ],
)
def test_a_ttl_is_whole_milliseconds_and_never_shorter(ttl: float | timedelta | None, milliseconds: int) -> None:
    assert to_ttl_ms(ttl) == milliseconds


@given(st.integers(1, 2**40))
def test_whole_milliseconds_stay_what_they_are(milliseconds: int) -> None:
    assert to_ttl_ms(milliseconds / 1_000) == milliseconds
    assert to_ttl_ms(timedelta(milliseconds=milliseconds)) == milliseconds


@given(st.floats(min_value=0, max_value=9e15, exclude_min=True))
def test_any_ttl_fits_its_column(ttl: float) -> None:
    milliseconds = to_ttl_ms(ttl)

    assert 1 <= milliseconds < 2**63
    assert pb.SetRequest(ttl_ms=milliseconds).ttl_ms == milliseconds
    # Up to what floats of this size can tell apart, and a nanosecond.
    tolerance = max(1e-6, ttl * 1_000 * 2e-15)
    assert ttl * 1_000 - tolerance <= milliseconds <= ttl * 1_000 + 1 + tolerance


BAD_SECONDS: list[tuple[Any, str]] = [
    (0, "is 0; it must be more than 0 seconds"),
    (-1, "is -1; it must be more than 0"),
    (-0.5, "is -0.5; it must be more than 0"),
    (timedelta(), "is 0:00:00; it must be more than 0"),
    (timedelta(seconds=-1), "must be more than 0"),
    (True, "is a number of seconds or a timedelta, not bool"),
    ("60", "is a number of seconds or a timedelta, not str"),
    (Decimal(1), "is a number of seconds or a timedelta, not Decimal"),
    (math.inf, "must be finite"),
    (-math.inf, "must be finite"),
    (math.nan, "must be finite"),
    (1e300, "at most 9000000000000000 seconds"),
    (10**400, "at most 9000000000000000 seconds"),
    (-(10**5000), "at most 9000000000000000 seconds"),
]


@pytest.mark.parametrize(("seconds", "says"), BAD_SECONDS, ids=[says for _, says in BAD_SECONDS])
def test_what_is_no_length_of_time_is_refused(seconds: float, says: str) -> None:
    with pytest.raises(InvalidArgument) as of_ttl:
        to_ttl_ms(seconds)
    with pytest.raises(InvalidArgument) as of_timeout:
        to_timeout(seconds)
    with pytest.raises(InvalidArgument) as of_period:
        to_ttl_ms(seconds, field="period")

    for caught, name in ((of_ttl, "ttl"), (of_timeout, "timeout"), (of_period, "period")):
        assert caught.value.field == name
        assert str(caught.value).startswith(f"{name} ")
        assert says in str(caught.value)


def test_who_means_removal_by_a_ttl_of_none_at_all_is_told_how() -> None:
    with pytest.raises(InvalidArgument, match="To remove an entry, delete it"):
        to_ttl_ms(0)
    with pytest.raises(InvalidArgument) as of_period:
        to_ttl_ms(0, field="period")
    assert "delete" not in str(of_period.value)


@pytest.mark.parametrize(
    ("timeout", "seconds"), [(None, None), (2, 2.0), (0.25, 0.25), (timedelta(milliseconds=1_500), 1.5)]
)
def test_a_timeout_is_seconds(timeout: float | timedelta | None, seconds: float | None) -> None:
    assert to_timeout(timeout) == seconds
    assert seconds is None or type(to_timeout(timeout)) is float
