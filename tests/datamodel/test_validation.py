"""Rules of fields: what passes, what does not, and that everything wrong with a record is found at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from petra.datamodel import Models, ValidationError, define
from petra.datamodel.checks import checked
from petra.datamodel.state import new_data
from petra.errors import InvalidArgument, PetraError


def even(value: object) -> bool:
    return isinstance(value, int) and value % 2 == 0


def short(value: object) -> str | None:
    return None if len(str(value)) < 3 else "is too long for me"


def loud(value: object) -> None:
    if str(value) != str(value).upper():
        raise ValueError("must be loud")


@pytest.mark.parametrize(
    ("field_type", "rule", "good", "bad", "words"),
    [
        ("string", "url", "https://example.org:8080/a?b#c", "example.org", "URL"),
        ("string", "url", "http://[::1]/", "ftp://example.org", "URL"),
        ("string", "url", "http://localhost", "http://", "URL"),
        ("string", "url", "http://a", "http://a b", "URL"),
        ("string", "url", "http://a:1", "http://a:99999", "URL"),
        ("string", "url", "http://a", "javascript:alert(1)", "URL"),
        ("string", "email", "a.b+c@example.co.uk", "a@b", "email"),
        ("string", "email", "ü@exämple.de", "a b@example.org", "email"),
        ("string", "email", "a@b.c", "a@b..c", "email"),
        ("string", "email", "a@b.c", "a@b@c.d", "email"),
        ("string", "email", "a@b.c", f"{'a' * 250}@b.cd", "email"),
        ("string", {"regex": "[a-z]+"}, "abc", "abc\n", "must match"),
        ("string", re.compile("[a-z]+", re.IGNORECASE), "ABC", "1", "must match"),
        ("string", ["a", "b"], "a", "c", "one of 'a', 'b'"),
        ("int", [1, 2], 1, 3, "one of 1, 2"),
        ("int", {"min": 1, "max": 5}, 5, 6, "at most 5"),
        ("int", {"min": 1}, 1, 0, "at least 1"),
        ("float", {"max": 0.5}, 0.5, 0.51, "at most 0.5"),
        ("string", {"min": 2}, "ab", "a", "at least 2 characters"),
        ("array", {"max": 1}, [1], [1, 2], "at most 1 items"),
        ("int", even, 2, 3, "not allowed"),
        ("string", short, "ab", "abc", "too long for me"),
        ("string", {"check": [short, loud]}, "AB", "a", "must be loud"),
    ],
)
def test_a_rule(field_type: str, rule: object, good: object, bad: object, words: str) -> None:
    model = define({"name": "M", "fields": {"x": {"type": field_type, "validation": rule}}}, registry=Models())
    data = new_data(model)
    assert checked(model, {**data, "x": good})["x"] == good
    assert checked(model, data)["x"] is None, "a rule does not ask for a value"
    with pytest.raises(ValidationError, match=re.escape(words)) as raised:
        checked(model, {**data, "x": bad})
    assert list(raised.value.errors) == ["x"]


def test_true_is_not_the_number_one() -> None:
    model = define({"name": "M", "fields": {"x": {"type": "json", "validation": [1]}}}, registry=Models())
    with pytest.raises(ValidationError):
        checked(model, {**new_data(model), "x": True})


def test_all_that_is_wrong_is_found_at_once_by_field() -> None:
    model = define(
        {
            "name": "USER",
            "fields": {
                "mail": {"type": "string", "required": True, "validation": {"email": True, "max": 5}},
                "name": {"type": "string", "required": True},
                "age": {"type": "int", "validation": {"min": 0}},
                "site": {"type": "string", "validation": "url"},
                "team": "string",
            },
            "kv": {"key_pattern": "user:{team}:{id}"},
        },
        registry=Models(),
    )
    with pytest.raises(ValidationError) as raised:
        checked(model, {**new_data(model), "mail": "nobody here", "age": "old", "site": "x", "team": "a:b"})
    error = raised.value
    assert error.errors == {
        "team": ["is part of the key, so it must not contain ':'"],
        "mail": ["must be an email address", "must have at most 5 characters"],
        "name": ["is required"],
        "age": ["must be a whole number"],
        "site": ["must be a URL with http or https"],
    }
    assert isinstance(error, PetraError)
    assert isinstance(error, InvalidArgument)
    assert all(name in str(error) for name in error.errors)


def test_a_rule_over_several_fields_sees_data_that_is_right_by_itself() -> None:
    seen = []

    def in_order(data: Mapping[str, object]) -> dict[str, list[str]]:
        seen.append(data)
        return {} if str(data["begin"]) <= str(data["end"]) else {"end": ["must not be before the begin"]}

    model = define(
        {"name": "TRIP", "fields": {"begin": "timestamp", "end": "timestamp"}, "check": in_order}, registry=Models()
    )
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    assert checked(model, {**new_data(model), "begin": early, "end": late})["end"] == late
    with pytest.raises(ValidationError) as raised:
        checked(model, {**new_data(model), "begin": late, "end": early})
    assert raised.value.errors == {"end": ["must not be before the begin"]}
    with pytest.raises(ValidationError):
        checked(model, {**new_data(model), "begin": "soon", "end": early})
    assert len(seen) == 2, "it is not asked about data that is wrong already"


def test_a_new_record_has_its_defaults_and_no_others() -> None:
    model = define(
        {
            "name": "M",
            "fields": {
                "tags": {"type": "array", "default": []},
                "n": {"type": "int", "default": lambda: 7},
                "x": "int",
            },
        },
        registry=Models(),
    )
    one, other = new_data(model), new_data(model)
    assert (one["tags"], one["n"], one["x"]) == ([], 7, None)
    one["tags"].append("a")
    assert other["tags"] == []
    assert one["id"] != other["id"]


def test_ids_that_sort_come_in_the_order_in_which_they_were_made() -> None:
    model = define({"name": "M", "fields": {"x": "int"}, "options": {"primary": "uuid7"}}, registry=Models())
    ids = [new_data(model)["id"] for _ in range(1_000)]
    assert ids == sorted(set(ids))
