from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petra_server.errors import Reason, Refusal
from petra_server.intake.admission import Admission


@pytest.fixture
def admission() -> Admission:
    return Admission(max_connection_bytes=100, max_server_bytes=150)


def refusal(admission: Admission, peer: str, size_bytes: int) -> Refusal:
    with pytest.raises(Refusal) as caught:
        admission.enter(peer, size_bytes)
    return caught.value


def test_a_connection_has_a_bound_of_its_own(admission: Admission) -> None:
    admission.enter("a", 60)
    refused = refusal(admission, "a", 41)
    assert (refused.reason, refused.retry_after_ms > 0) == (Reason.OVERLOADED, True)
    assert "this connection" in refused.message
    admission.enter("a", 40)
    admission.enter("b", 50)


def test_the_server_has_one_for_all(admission: Admission) -> None:
    admission.enter("a", 100)
    assert "the server" in refusal(admission, "b", 51).message
    admission.enter("b", 50)


def test_what_has_left_makes_room_and_the_refused_takes_none(admission: Admission) -> None:
    leave = admission.enter("a", 100)
    refusal(admission, "a", 1)
    assert admission.server_bytes == 100
    leave()
    assert admission.server_bytes == 0
    admission.enter("a", 100)


def test_one_message_alone_always_goes_in_however_large(admission: Admission) -> None:
    leave = admission.enter("a", 1_000)
    assert refusal(admission, "b", 1).reason is Reason.OVERLOADED
    leave()
    admission.enter("b", 1)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 80), st.booleans()), max_size=40))
def test_the_bounds_hold_and_nothing_is_left_at_the_end(events: list[tuple[str, int, bool]]) -> None:
    admission = Admission(max_connection_bytes=100, max_server_bytes=150)
    inside: list[tuple[str, int]] = []
    leaves: list[Callable[[], None]] = []
    for peer, size_bytes, leaving in events:
        if leaving and leaves:
            leaves.pop()()
            inside.pop()
        try:
            leaves.append(admission.enter(peer, size_bytes))
            inside.append((peer, size_bytes))
        except Refusal:
            pass
        assert admission.server_bytes == sum(size for _, size in inside) <= 150
        assert all(sum(size for one, size in inside if one == peer) <= 100 for peer in "abc")
    for leave in leaves:
        leave()
    assert admission.server_bytes == 0
