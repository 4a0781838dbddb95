from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petra.errors import InvalidArgument
from petra.integrations._clients import shared_client
from petra.integrations._keys import KEY_BYTES, fitting_key, is_cut
from petra.integrations._location import Location, parse_location

USUAL = Location("usual", durability="buffered")


def test_nothing_is_the_usual_place() -> None:
    assert parse_location("", USUAL) == Location("usual", "localhost:7475", 5.0, "buffered", tls=False)


@pytest.mark.parametrize("text", ["db:1", "petra://db:1", "petra://db:1/", "async+petra://db:1"])
def test_an_address_may_have_a_scheme(text: str) -> None:
    assert parse_location(text, USUAL) == Location("usual", "db:1", durability="buffered")


def test_the_query_has_options_and_arguments_overrule_them() -> None:
    text = "petra://db:1/?namespace=shop&timeout=2.5&durability=fsync&tls=yes"
    assert parse_location(text, USUAL) == Location("shop", "db:1", 2.5, "fsync", tls=True)
    assert parse_location(text, USUAL, {"namespace": "other", "tls": False}) == Location("other", "db:1", 2.5, "fsync")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("petra://db:1/0", "is no address"),
        ("petra://ann:secret@db:1", "is no address"),
        ("petra://db:1/?name=x", "'name' is no option"),
        ("petra://db:1/?timeout=soon", "timeout is a number"),
        ("petra://db:1/?durability=none", "durability is fsync or buffered"),
        ("petra://db:1/?tls=maybe", "tls is true or false"),
    ],
)
def test_what_cannot_be_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(InvalidArgument, match=sentence):
        parse_location(text, USUAL)


def test_a_shared_client_is_one_for_each_place() -> None:
    here = shared_client(Location("here"))
    assert shared_client(Location("here")) is here
    assert shared_client(Location("there")) is not here


@given(st.text(max_size=2_000))
def test_every_key_fits(key: str) -> None:
    fitted = fitting_key(key)
    assert len(fitted.encode()) <= KEY_BYTES
    assert is_cut(fitted) == (fitted != key.encode(errors="backslashreplace").decode())


@pytest.mark.parametrize("length", [KEY_BYTES + 1, 5_000])
def test_long_keys_stay_different_and_in_their_prefix(length: int) -> None:
    one, other = (fitting_key("users/" + "ö" * length + end) for end in "ab")
    assert one != other
    assert one.startswith("users/ö")


def test_a_key_that_looks_like_a_cut_one_is_another() -> None:
    cut = fitting_key("x" * 2_000)
    assert fitting_key(cut) != cut
