"""Conditions, orders and aggregates over the fields of a model: values that a query is made of. Pure.

A condition holds or it does not, for every record: a comparison with an absent value (None) is plainly false, except
that None equals None. So `not_(condition)` holds exactly where the condition does not, as in Python and unlike SQL.
Whether the fields are there, and what their values may be, is judged where a query is compiled.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, NoReturn, TypeAlias, cast

from petra.errors import InvalidArgument

__all__ = [
    "Aggregate",
    "Avg",
    "Column",
    "Comparison",
    "Condition",
    "Count",
    "Every",
    "Max",
    "Membership",
    "Min",
    "Negation",
    "Ordering",
    "Pattern",
    "Some",
    "Sum",
    "and_",
    "col",
    "condition",
    "escape_like",
    "not_",
    "or_",
]

ComparisonOperator: TypeAlias = Literal["=", "!=", "<", "<=", ">", ">="]

# What escapes a wildcard in a pattern.
ESCAPE: Final = "\\"

_COMPARISONS: Final[dict[str, ComparisonOperator]] = {
    "=": "=",
    "==": "=",
    "is": "=",
    "!=": "!=",
    "<>": "!=",
    "is not": "!=",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
}


class Condition:
    """What a record fulfils or not. Made by comparing columns; joined with &, | and ~, or and_, or_ and not_."""

    __slots__ = ()

    def __and__(self, other: Condition) -> Condition:
        return and_(self, other)

    def __or__(self, other: Condition) -> Condition:
        return or_(self, other)

    def __invert__(self) -> Condition:
        return not_(self)

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "A condition is neither true nor false before it is run. Use and_, or_ and not_ (or &, | and ~) instead of"
            " `and`, `or` and `not`, and two conditions instead of a chain such as 1 < x < 5."
        )


@dataclass(frozen=True, slots=True)
class Comparison(Condition):
    """A field beside a value. With None, `=` and `!=` ask whether there is a value; the others never hold."""

    field: str
    operator: ComparisonOperator
    value: object
    model: str = ""


@dataclass(frozen=True, slots=True)
class Membership(Condition):
    """A field whose value is one of several. None among them stands for no value; of none at all nothing is one."""

    field: str
    values: tuple[object, ...]
    model: str = ""


@dataclass(frozen=True, slots=True)
class Pattern(Condition):
    r"""A text that matches a pattern: % is any text, _ any character, and \ takes the next one as it is.

    A to Z and a to z are the same.
    """

    field: str
    pattern: str
    model: str = ""


@dataclass(frozen=True, slots=True)
class Every(Condition):
    """All of them hold; of none that is so."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Some(Condition):
    """At least one of them holds; of none that is not so."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Negation(Condition):
    """The condition does not hold."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class Ordering:
    """A field that results are ordered by. Absent values are less than all others."""

    field: str
    descending: bool = False
    model: str = ""


class Column:
    """A field of a model in a query: comparing it makes conditions. `model` is the model's name, empty for any."""

    __slots__ = ("model", "name")

    def __init__(self, name: str, model: str = "") -> None:
        self.name = name
        self.model = model

    def __repr__(self) -> str:
        return f"<Column {self.model}.{self.name}>" if self.model else f"<Column {self.name}>"

    def __eq__(self, other: object) -> Condition:  # type: ignore[override]
        return self._compared("=", other)

    def __ne__(self, other: object) -> Condition:  # type: ignore[override]
        return self._compared("!=", other)

    def __lt__(self, other: object) -> Condition:
        return self._compared("<", other)

    def __le__(self, other: object) -> Condition:
        return self._compared("<=", other)

    def __gt__(self, other: object) -> Condition:
        return self._compared(">", other)

    def __ge__(self, other: object) -> Condition:
        return self._compared(">=", other)

    def __hash__(self) -> int:
        return hash((self.model, self.name))

    def in_(self, values: Iterable[object]) -> Condition:
        """The value is one of these."""
        return Membership(self.name, listed(self.name, values), self.model)

    def not_in(self, values: Iterable[object]) -> Condition:
        """The value is none of these."""
        return not_(self.in_(values))

    def like(self, pattern: str) -> Condition:
        r"""The text matches a pattern: % is any text, _ any character, \ takes the next one as it is.

        A to Z and a to z are the same. Text of others goes through `escape_like` first.
        """
        return Pattern(self.name, _pattern(self.name, pattern), self.model)

    def is_null(self) -> Condition:
        """There is no value."""
        return self._compared("=", None)

    def is_not_null(self) -> Condition:
        """There is a value."""
        return self._compared("!=", None)

    def asc(self) -> Ordering:
        """Order by this field, the least first."""
        return Ordering(self.name, False, self.model)

    def desc(self) -> Ordering:
        """Order by this field, the greatest first."""
        return Ordering(self.name, True, self.model)

    def _compared(self, operator: ComparisonOperator, other: object) -> Condition:
        if isinstance(other, Column):
            raise InvalidArgument(
                f"{self.name} is compared with the column {other.name}; a column is compared with a value.",
                field=self.name,
            )
        return Comparison(self.name, operator, other, self.model)


def col(field: object) -> Column:
    """The column that a field of a typed model is in a query: `col(Page.title).like("a%")`.

    For type checkers `Page.title` is a text; this says what it is when it runs.
    """
    if isinstance(field, Column):
        return field
    raise InvalidArgument(f"{field!r} is no field of a model class: write col(Page.title), not col(page.title).")


def and_(*conditions: Condition | bool) -> Condition:
    """All of them hold."""
    checked = tuple(_condition(one) for one in conditions)
    return checked[0] if len(checked) == 1 else Every(checked)


def or_(*conditions: Condition | bool) -> Condition:
    """At least one of them holds."""
    checked = tuple(_condition(one) for one in conditions)
    return checked[0] if len(checked) == 1 else Some(checked)


def not_(condition: Condition | bool) -> Condition:
    """It does not hold."""
    return Negation(_condition(condition))


def condition(field: str, operator: object, value: object) -> Condition:
    """A condition whose operator is text: = == != <> < <= > >= is, in, like, and the last three with `not`.

    Raises InvalidArgument for another one.
    """
    name = " ".join(operator.lower().split()) if isinstance(operator, str) else ""
    if name in _COMPARISONS:
        return Column(field)._compared(_COMPARISONS[name], value)
    negated = name.startswith("not ")
    if name.removeprefix("not ") == "in":
        made: Condition = Membership(field, listed(field, value))
    elif name.removeprefix("not ") == "like":
        made = Pattern(field, _pattern(field, value))
    else:
        known = ", ".join((*_COMPARISONS, "in", "not in", "like", "not like"))
        raise InvalidArgument(f"{operator!r} is no operator; there are {known}.", field=field)
    return not_(made) if negated else made


def escape_like(text: str) -> str:
    """A text as it stands in a pattern of `like` to be taken as it is."""
    return text.replace(ESCAPE, ESCAPE * 2).replace("%", f"{ESCAPE}%").replace("_", f"{ESCAPE}_")


def listed(field: str, values: object) -> tuple[object, ...]:
    """The values that a field may have. Raises InvalidArgument for a text or what else is no list of them."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InvalidArgument(f"{field} may be one of several values: give a list, not {values!r}.", field=field)
    return tuple(cast("Iterable[object]", values))


def _condition(given: object) -> Condition:
    """What a type checker takes for a bool, and is a condition when it runs."""
    if isinstance(given, Condition):
        return given
    raise InvalidArgument(
        f"{given!r} is no condition. Compare a field of the model's class, as in Page.status == 'done'; the fields of"
        " a record are plain values."
    )


def _pattern(field: str, pattern: object) -> str:
    if not isinstance(pattern, str):
        raise InvalidArgument(f"The pattern for {field} is text, not {pattern!r}.", field=field)
    if (len(pattern) - len(pattern.rstrip(ESCAPE))) % 2:
        raise InvalidArgument(
            f"The pattern for {field} ends with a single {ESCAPE}, which takes the next character as it is: double it,"
            " or use escape_like.",
            field=field,
        )
    return pattern


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A figure over many records, of one field or of none."""

    function: Literal["count", "sum", "avg", "min", "max"]
    field: str
    model: str = ""


def Count(field: object = "") -> Aggregate:  # noqa: N802 - reads as what it makes
    """The number of records, or of those with a value in the field."""
    return _aggregate("count", field)


def Sum(field: object) -> Aggregate:  # noqa: N802 - reads as what it makes
    """The sum of a field of numbers; 0 of none."""
    return _aggregate("sum", field)


def Avg(field: object) -> Aggregate:  # noqa: N802 - reads as what it makes
    """The mean of a field of numbers; None of none."""
    return _aggregate("avg", field)


def Min(field: object) -> Aggregate:  # noqa: N802 - reads as what it makes
    """The least value of a field; None of none."""
    return _aggregate("min", field)


def Max(field: object) -> Aggregate:  # noqa: N802 - reads as what it makes
    """The greatest value of a field; None of none."""
    return _aggregate("max", field)


def _aggregate(function: Literal["count", "sum", "avg", "min", "max"], field: object) -> Aggregate:
    if isinstance(field, Column):
        return Aggregate(function, field.name, field.model)
    if isinstance(field, str):
        return Aggregate(function, field)
    raise InvalidArgument(f"{field!r} is no field: give its name, or a field of the model's class.")
