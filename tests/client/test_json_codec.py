from __future__ import annotations

import json
import math
import sys
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petra.errors import DecodeError, EncodeError
from petra.values import Codec, Encoding, JSONCodec

CODEC: Codec = JSONCodec()


class Color(Enum):
    RED = "red"
    NESTED = (1, "two")


class Level(IntEnum):
    HIGH = 3


class Fruit(StrEnum):
    PEAR = "pear"


class Unit(Enum):
    """Its members cannot be written: their values are no JSON."""

    SECOND = timedelta(seconds=1)


Point = namedtuple("Point", "x y")


@dataclass
class Person:
    name: str
    born: date


@dataclass
class Order:
    owner: Any
    lines: list[Any] = field(default_factory=list)


class Model:
    """What pydantic calls a model, as far as a codec looks at it."""

    def __init__(self, **fields: object) -> None:
        self.fields = fields

    def model_dump(self, *, mode: str) -> dict[str, object]:
        assert mode == "json", "otherwise pydantic gives objects that JSON does not have"
        return self.fields


class BrokenModel:
    def model_dump(self, *, mode: str) -> dict[str, object]:
        raise ValueError(f"no serializer for mode {mode}")


class AnswersToAnything:
    """As a mock does."""

    def __getattr__(self, name: str) -> Callable[..., dict[str, object]]:
        return lambda **options: {}


class EndlessModel:
    """It contains a new one of its kind each time that it is asked."""

    def model_dump(self, *, mode: str) -> dict[str, object]:
        return {"next": EndlessModel()}


# Any text that UTF-8 can have.
texts = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=30,
)


def written(value: object) -> object:
    """The value, as it reads when it was written."""
    data, encoding = CODEC.encode(value)
    assert encoding is Encoding.JSON
    return CODEC.decode(data, encoding)


def refused(value: object) -> EncodeError:
    with pytest.raises(EncodeError) as caught:
        CODEC.encode(value)
    assert str(caught.value).startswith(f"{caught.value.path}: ")
    # It can be printed and sent: no part of the value makes the message itself unwritable.
    assert str(caught.value).encode()
    assert caught.value.field == "value"
    return caught.value


# What can be written.


@given(json_values)
def test_what_json_has_comes_back_as_it_was(value: object) -> None:
    back = written(value)

    assert back == value
    # True == 1 == 1.0, and they are three values.
    assert json.dumps(back) == json.dumps(value)


@given(json_values)
def test_it_is_compact_json_for_any_reader(value: object) -> None:
    data, _ = CODEC.encode(value)

    # A reader of another make has no NaN.
    assert json.loads(data, parse_constant=pytest.fail) == value
    assert data == json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@given(st.binary())
def test_bytes_stay_bytes(data: bytes) -> None:
    for value in (data, bytearray(data), memoryview(data)):
        written_bytes, encoding = CODEC.encode(value)
        assert (written_bytes, type(written_bytes), encoding) == (data, bytes, Encoding.BYTES)
        assert CODEC.decode(written_bytes, encoding) == data


def test_a_view_with_gaps_is_its_bytes() -> None:
    assert CODEC.encode(memoryview(b"a-b-c")[::2]) == (b"abc", Encoding.BYTES)


@pytest.mark.parametrize(
    ("value", "back"),
    [
        ((1, (2, "x")), [1, [2, "x"]]),
        (Point(1, 2), [1, 2]),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        ({1: "a", 2.5: "b", False: "c", None: "d"}, {"1": "a", "2.5": "b", "false": "c", "null": "d"}),
        (datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=UTC), "2026-02-03T04:05:06.000789+00:00"),
        (datetime(2026, 2, 3, tzinfo=timezone(timedelta(hours=-2))), "2026-02-03T00:00:00-02:00"),
        (date(2026, 2, 3), "2026-02-03"),
        (time(4, 5), "04:05:00"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (Decimal("1.10"), "1.10"),
        (Color.RED, "red"),
        (Color.NESTED, [1, "two"]),
        (Level.HIGH, 3),
        (Fruit.PEAR, "pear"),
        (Person("Ada", date(1815, 12, 10)), {"name": "Ada", "born": "1815-12-10"}),
        (Model(name="Ada", tags=["x"]), {"name": "Ada", "tags": ["x"]}),
        (10**4000, 10**4000),
    ],
)
def test_what_json_does_not_have_is_written_as_its_nearest(value: object, back: object) -> None:
    assert written(value) == back
    assert written({"deep": [value]}) == {"deep": [back]}


def test_objects_are_written_within_each_other() -> None:
    order = Order(
        Person("Ada", date(1815, 12, 10)),
        [Model(price=Decimal("9.90"), order=Order(None, [Color.RED])), (UUID(int=0), {"at": time(1)})],
    )

    assert written([order]) == [
        {
            "owner": {"name": "Ada", "born": "1815-12-10"},
            "lines": [
                {"price": "9.90", "order": {"owner": None, "lines": ["red"]}},
                ["00000000-0000-0000-0000-000000000000", {"at": "01:00:00"}],
            ],
        }
    ]


def test_a_part_may_stand_in_a_value_twice() -> None:
    part = [Person("Ada", date(1815, 12, 10))]

    assert written({"a": part, "b": [part, part]}) == {
        "a": [{"name": "Ada", "born": "1815-12-10"}],
        "b": [[{"name": "Ada", "born": "1815-12-10"}]] * 2,
    }


def test_a_real_pydantic_model_is_written() -> None:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Event", at=(datetime, ...), tags=(set[str], ...))

    assert written([model(at=datetime(2026, 1, 1, tzinfo=UTC), tags={"x"})]) == [
        {"at": "2026-01-01T00:00:00Z", "tags": ["x"]}
    ]


# What cannot.


def itself() -> list[object]:
    ring: list[object] = []
    ring.append({"back": ring})
    return [1, ring]


def itself_by_object() -> Order:
    order = Order(None)
    order.lines.append(order)
    return order


REFUSED: list[tuple[str, object, str, str]] = [
    (
        "a set",
        {"orders": [1, 2, 3, Order({1, 2})]},
        "value.orders[3].owner",
        "a set cannot be written as JSON; make it",
    ),
    ("a frozen set", frozenset(), "value", "a frozenset cannot be written as JSON; make it a list"),
    ("bytes inside", {"photo": b"\xff"}, "value.photo", "base64"),
    ("a bytearray inside", [bytearray()], "value[0]", "base64"),
    ("a view inside", [memoryview(b"")], "value[0]", "base64"),
    ("a class", {"kind": Person}, "value.kind", "an instance of it"),
    ("a length of time", timedelta(seconds=1), "value", "total_seconds()"),
    ("an object", [object()], "value[0]", "an object cannot be written as JSON; make it a dict"),
    ("a complex number", {"z": 1j}, "value.z", "a complex cannot"),
    ("a generator", (n for n in [1]), "value", "a generator cannot"),
    ("a mock", [AnswersToAnything()], "value[0]", "an AnswersToAnything cannot"),
    ("not a number", {"rate": [1.0, math.nan]}, "value.rate[1]", "nan is no number of JSON"),
    ("infinity", math.inf, "value", "inf is no number of JSON"),
    ("minus infinity in an object", Order(-math.inf), "value.owner", "-inf is no number of JSON"),
    ("a tuple as key", {"grid": {(1, 2): "x"}}, "value.grid", "its key (1, 2) is a tuple; keys of a JSON object are"),
    ("bytes as key", [{b"k": 1}], "value[0]", "its key b'k' is a bytes"),
    ("an enum as key", {Color.RED: 1}, "value", "is a Color"),
    ("not a number as key", {"x": {math.nan: 1}}, "value.x", "its key nan: nan is no number of JSON"),
    ("half a pair", {"name": "a\ud800"}, "value.name", "half of a surrogate pair"),
    ("half a pair in a key", [{"\udfff": 1}], "value[0]", "its key '\\udfff': half of a surrogate pair"),
    ("a ring", itself(), "value[1][0].back", "it contains itself"),
    ("a ring by objects", itself_by_object(), "value.lines[0]", "it contains itself"),
    ("a model that fails", {"m": [BrokenModel()]}, "value.m[0]", "no serializer for mode json"),
    ("a part of a model", Model(a=1, b=Model(c={1})), "value.b.c", "a set cannot"),
    ("a part of a member", [Unit.SECOND], "value[0]", "a timedelta cannot"),
    ("a part of a named tuple", Point(1, {2}), "value[1]", "a set cannot"),
    ("under a key with a space", {"a b": {1}}, "value['a b']", "a set cannot"),
    ("under an empty key", {"": {1}}, "value['']", "a set cannot"),
    ("under a number", {7: {None: {1}}}, "value[7][None]", "a set cannot"),
    ("under a long key", {"k" * 100: {1}}, f"value.{'k' * 60}...", "a set cannot"),
    ("under a long key with a space", {" " * 100: {1}}, f"value['{' ' * 59}...]", "a set cannot"),
    ("the first of two", {"a": [1, {"b": {1}}], "c": math.nan}, "value.a[1].b", "a set cannot"),
    ("the second, which UTF-8 refuses last", {"a": "\ud800", "b": {1}}, "value.a", "half of a surrogate pair"),
]


@pytest.mark.parametrize(("value", "path", "says"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_cannot_be_written_is_named_with_its_path(value: object, path: str, says: str) -> None:
    error = refused(value)

    assert error.path == path
    assert says in str(error)


def test_an_integer_that_python_will_not_write_is_named() -> None:
    error = refused({"n": [10 ** (sys.get_int_max_str_digits() + 1)]})

    assert error.path == "value.n[0]"
    assert "too many digits" in str(error)


def deep_list() -> object:
    value: object = 1
    for _ in range(200_000):
        value = [value]
    return value


@pytest.mark.parametrize("make", [deep_list, EndlessModel])
def test_a_value_without_a_floor_is_refused(make: Callable[[], object]) -> None:
    error = refused(make())

    assert "nested too deeply" in str(error)


def test_a_fault_far_down_is_found() -> None:
    value: object = {1}
    for _ in range(100):
        value = [value]

    assert refused(value).path == "value" + "[0]" * 100


def test_a_mistake_in_the_users_own_code_is_not_hidden() -> None:
    class Wrong:
        def model_dump(self, *, mode: str) -> dict[str, object]:
            raise KeyError(mode)

    with pytest.raises(KeyError, match="json"):
        CODEC.encode([Wrong()])


@given(json_values, st.data())
def test_a_fault_anywhere_is_found_where_it_is(value: object, data: st.DataObject) -> None:
    """Walks into any value by the way that was drawn, and puts a set there."""
    path, at = "value", value
    holder: list[Any] = [value]
    index: Any = 0
    while isinstance(at, list | dict) and at and data.draw(st.booleans()):
        holder = at  # type: ignore[assignment]
        index = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
        if isinstance(at, list):
            path += f"[{index}]"
        else:
            shown = index if index.isidentifier() else repr(index)
            shown = shown if len(shown) <= 60 else f"{shown[:60]}..."
            path += f".{shown}" if index.isidentifier() else f"[{shown}]"
        at = at[index]
    holder[index] = {1}

    assert refused(holder[0] if path == "value" else value).path == path


# Reading.


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"1 2",
        b"\xff",
        b"'a'",
        b"NaN",
        b'{"a":-Infinity}',
        b"\xef\xbb\xbf1",
        b"[" * 200_000,
        b"1" * (sys.get_int_max_str_digits() + 1),
    ],
    ids=lambda data: repr(data[:20]),
)
def test_what_is_no_json_is_not_read_as_such(data: bytes) -> None:
    with pytest.raises(DecodeError, match=r"^The entry says that it is JSON, and cannot be read as such: ."):
        CODEC.decode(data, Encoding.JSON)

    assert CODEC.decode(data, Encoding.BYTES) == data


@given(st.binary())
def test_reading_ends_with_a_value_or_a_decode_error(data: bytes) -> None:
    try:
        value = CODEC.decode(data, Encoding.JSON)
    except DecodeError:
        return
    assert value == json.loads(data.decode())


def test_json_of_others_is_read_with_its_white_space_and_escapes() -> None:
    assert CODEC.decode(b' { "a" : "\\u00e9\\n" , "b": [ 1e2 ] } \n', Encoding.JSON) == {"a": "é\n", "b": [100.0]}
