"""Models as classes: what their annotations become, their fields as columns, and data that comes and goes exactly."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

import pydantic
import pytest
from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator, model_validator

from petra.datamodel import (
    DataModel,
    DefinitionError,
    Model,
    Models,
    Options,
    UnknownField,
    ValidationError,
    col,
)
from petra.datamodel.encoding import FieldType
from petra.datamodel.expressions import Comparison
from petra.datamodel.typed import definition_of_class
from petra.datastore import Datastore, Store
from tests.datamodel.agreement import make_tables, stored


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Address(BaseModel):
    street: str
    number: int = 1


class Everything(Model, registry=Models(), table="everything"):
    text: str
    maybe: str | None = None
    number: int = 7
    ratio: float = 0.5
    flag: bool = False
    moment: datetime
    day: date
    price: Decimal = Decimal("1.50")
    reference: UUID = Field(default_factory=uuid4)
    colour: Colour = Colour.RED
    level: Level = Level.LOW
    word: Literal["a", "b"] = "a"
    mixed: int | str = 1
    size: Annotated[int, Field(ge=0, le=9)] = 0
    address: Address
    addresses: list[Address] = Field(default_factory=list)
    names: set[str] = Field(default_factory=set)
    pair: tuple[int, str] = (1, "a")
    anything: Any = None
    counts: dict[str, int] = Field(default_factory=dict)
    secret: str = Field(default="not stored", exclude=True)


DATA: dict[str, Any] = {
    "text": "t",
    "moment": datetime(2026, 2, 28, 13, 5, 0, 123_456, UTC),
    "day": date(2026, 2, 28),
    "address": Address(street="s"),
}
TYPES: dict[str, FieldType] = {
    "text": "string",
    "maybe": "string",
    "number": "int",
    "ratio": "float",
    "flag": "bool",
    "moment": "timestamp",
    "day": "string",
    "price": "string",
    "reference": "string",
    "colour": "string",
    "level": "int",
    "word": "string",
    "mixed": "json",
    "size": "int",
    "address": "json",
    "addresses": "array",
    "names": "array",
    "pair": "array",
    "anything": "json",
    "counts": "json",
}


def test_annotations_become_types() -> None:
    model = definition_of_class(Everything)
    own = [one for one in model.fields if not one.built_in]
    assert {one.name: one.type for one in own} == TYPES
    assert {one.name for one in own if one.required} == {"text", "moment", "day", "address"}
    assert model.field("price").default == "1.50"
    assert model.field("colour").default == "red"
    unsynced = {name for name, one in TYPES.items() if one in {"json", "array"}}
    assert not unsynced.intersection(model.synced_names)
    assert set(TYPES) - unsynced <= set(model.synced_names)


async def test_all_types_come_back_as_they_went(ann: Store, datastore: Datastore) -> None:
    model = definition_of_class(Everything)
    await make_tables(datastore, model)
    bound = Everything.using(ann)
    one = await bound.create(
        **DATA,
        maybe="ä\x00",
        colour=Colour.BLUE,
        level=Level.HIGH,
        addresses=[Address(street="x", number=2)],
        names={"only"},
        pair=(2, "b"),
        anything={"a": [1, None]},
        counts={"x": 2**53 + 1},
        mixed="text",
    )
    again = await bound.get(one.id)
    assert again is not None
    for name in TYPES:
        value = getattr(again, name)
        assert value == getattr(one, name), name
        assert type(value) is type(getattr(one, name)), name
    assert again.secret == "not stored"
    assert again.changes == {}
    value = (await stored(datastore.database, model))[one.id]
    assert value["moment"] == "2026-02-28T13:05:00.123456Z"
    assert value["day"] == "2026-02-28"
    assert "secret" not in value
    again.address.number = 5
    again.names = {"other"}
    assert again.changes.keys() == {"address", "names"}
    await again.save()
    assert (await stored(datastore.database, model))[one.id]["address"] == {"street": "s", "number": 5}


def test_a_field_of_the_class_is_a_column() -> None:
    # Type checkers see a bool.
    compared: object = Everything.text == "a"
    assert compared == Comparison("text", "=", "a", "Everything")
    assert repr(col(Everything.id)) == "<Column Everything.id>"
    with pytest.raises(AttributeError):
        Everything.nothing  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(TypeError, match="neither true nor false"):
        assert Everything.text == "a"
    assert Everything(**DATA).text == "t"


def test_a_new_instance_is_pydantics_own() -> None:
    with pytest.raises(pydantic.ValidationError):
        Everything(text=1, moment=1, day=1, address=1)  # type: ignore[arg-type]
    one = Everything(**DATA)
    assert one.is_new
    assert one.id != Everything(**DATA).id
    assert Everything.model_validate_json(one.model_dump_json()).text == "t"


async def test_what_pydantic_finds_is_told_by_field(ann: Store, datastore: Datastore) -> None:
    await make_tables(datastore, definition_of_class(Everything))
    bound = Everything.using(ann)
    with pytest.raises(ValidationError) as raised:
        await bound.create(moment="x", day="2026-02-28", address={"number": "many"}, size=10)
    errors = raised.value.errors
    assert errors.keys() == {"text", "moment", "address", "size"}
    assert errors["text"] == ["is required"]
    assert [error.split(":")[0] for error in errors["address"]] == ["street", "number"]
    with pytest.raises(UnknownField):
        await bound.create(**DATA, nothing=1)
    one = await bound.create(**DATA)
    one.size, one.colour, one.moment, one.address = -1, "green", datetime(2026, 1, 1), object()  # type: ignore[assignment]  # noqa: DTZ001
    with pytest.raises(ValidationError) as raised:
        await one.save()
    assert raised.value.errors.keys() == {"size", "colour", "moment", "address"}
    assert "time zone" in raised.value.errors["moment"][0]


async def test_what_is_assigned_is_coerced_when_it_is_saved(ann: Store, datastore: Datastore) -> None:
    await make_tables(datastore, definition_of_class(Everything))
    one = await Everything.using(ann).create(**DATA)
    one.set({"number": "8", "colour": "blue", "reference": str(UUID(int=1)), "price": 2})
    await one.save()
    assert (one.number, one.colour, one.reference, one.price) == (8, Colour.BLUE, UUID(int=1), Decimal(2))


async def test_validators_of_the_class_are_asked(ann: Store, datastore: Datastore) -> None:
    class Trip(Model, registry=Models()):
        begin: int
        end: int

        @field_validator("begin")
        @classmethod
        def not_negative(cls, value: int) -> int:
            if value < 0:
                raise ValueError("must not be negative")
            return value

        @model_validator(mode="after")
        def in_order(self) -> Trip:
            if self.end < self.begin:
                raise ValueError("must end after it began")
            return self

    await make_tables(datastore, definition_of_class(Trip))
    trips = Trip.using(ann)
    trip = await trips.create(begin=1, end=2)
    trip.begin = -1
    with pytest.raises(ValidationError) as raised:
        await trip.save()
    assert raised.value.errors == {"begin": ["Value error, must not be negative"]}
    trip.begin = 3
    with pytest.raises(ValidationError) as raised:
        await trip.save()
    assert raised.value.errors == {"__model__": ["Value error, must end after it began"]}
    assert (await stored(datastore.database, definition_of_class(Trip)))[trip.id]["begin"] == 1


async def test_stored_data_that_the_class_does_not_allow_any_more_can_be_read(ann: Store, datastore: Datastore) -> None:
    class Before(Model, registry=Models(), name="T", table="t"):
        n: int
        word: str = "x"

    class After(Model, registry=Models(), name="T", table="t"):
        n: Annotated[int, Field(ge=10)]
        word: Literal["a", "b"] = "a"
        added: str

    await make_tables(datastore, definition_of_class(Before))
    old = await Before.using(ann).create(n=1)
    new = await After.using(ann).get(old.id)
    assert new is not None
    assert (new.n, new.word, new.created_at) == (1, "x", old.created_at)
    new.set({"n": 10, "word": "b"})
    with pytest.raises(ValidationError) as raised:
        await new.save()
    assert raised.value.errors.keys() == {"added"}


def test_abstract_classes_share_fields_and_are_no_models() -> None:
    models = Models()

    class Titled(Model, abstract=True):
        title: str

    class Song(Titled, registry=models):
        length: int

    class Cover(Song, registry=models, table="covers"):
        title: str = "untitled"
        by: str

    assert {model.name for model in models} == {"Song", "Cover"}
    assert [one.name for one in definition_of_class(Song).fields if not one.built_in] == ["title", "length"]
    assert definition_of_class(Cover).field("title").default == "untitled"
    with pytest.raises(DefinitionError, match="Titled is abstract"):
        Titled.where(title="x")
    with pytest.raises(AttributeError):
        Titled.title  # noqa: B018
    compared: object = Cover.title == "x"
    assert compared == Comparison("title", "=", "x", "Cover")


async def test_a_class_may_have_its_own_primary_key_and_options(ann: Store, datastore: Datastore) -> None:
    class Country(
        Model,
        registry=Models(),
        primary="code",
        options=Options(timestamps=False, soft_delete=False, user_tracking=False),
    ):
        code: str
        name: str

    class Event(Model, registry=Models(), options=Options(primary="uuid7")):
        n: int

    await make_tables(datastore, definition_of_class(Country), definition_of_class(Event))
    countries = Country.using(ann)
    await countries.create(code="nl", name="Netherlands")
    country = await countries.get("nl")
    assert country is not None
    assert country.get_data() == {"code": "nl", "name": "Netherlands", "_auth": ["ann"]}
    assert country.created_at is None
    assert await datastore.database.get("country:nl") == country.get_data()
    events = [await Event.using(ann).create(n=n) for n in range(10)]
    assert [event.id for event in events] == sorted(event.id for event in events)


@pytest.mark.parametrize("field", ["save", "changes", "where"])
@pytest.mark.filterwarnings("ignore:Field name:UserWarning")
def test_fields_that_would_hide_a_method_are_refused(field: str) -> None:
    with pytest.raises(DefinitionError, match=f"'{field}' is a method of models"):
        create_model("T", __base__=Model, __cls_kwargs__={"registry": Models()}, **{field: (str, "x")})  # type: ignore[call-overload]


def test_words_that_no_model_knows_are_refused() -> None:
    with pytest.raises(TypeError, match="'tabel'"):

        class T(Model, tabel="x", registry=Models()):
            n: int


def test_what_is_no_json_is_no_field() -> None:
    with pytest.raises(DefinitionError, match="cannot be stored as JSON"):

        class T(Model, registry=Models()):
            model_config = ConfigDict(arbitrary_types_allowed=True)
            thing: pytest.Config


def test_records_of_a_class_are_of_that_class(ann: Store) -> None:
    with pytest.raises(DefinitionError, match=r"use Everything\.using"):
        DataModel(definition_of_class(Everything), ann)
