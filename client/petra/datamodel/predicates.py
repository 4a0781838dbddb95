"""SQL of conditions: each holds or does not, absent values or not. Pure.

SQLite has a third outcome, unknown, for comparisons with NULL. As a part of AND, OR and WHERE it counts as false, and
a negation makes it plain with IS NOT TRUE.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from petra.datamodel.definition import FieldDefinition, ModelDefinition, quoted
from petra.datamodel.encoding import Unfit, column_value, json_text
from petra.datamodel.expressions import Comparison, Condition, Every, Membership, Negation, Pattern, Some
from petra.datamodel.selection import checked_column
from petra.errors import InvalidArgument
from petra.sql import SqlValue

# More of them go as one parameter, which is an array.
_MOST_PARAMETERS: Final = 100
# A message of some hundred kilobytes.
MOST_VALUES: Final = 10_000
# The server's limit: matching takes time exponential in the number of wildcards.
_LONGEST_PATTERN: Final = 1_000
# The server takes expressions 500 deep, and each of ours is a few of SQLite's.
_DEEPEST: Final = 100


@dataclass(slots=True)
class Parameters:
    """The parameters of a statement, by their names."""

    values: dict[str, SqlValue] = field(default_factory=dict)

    def bind(self, value: SqlValue, name: str = "") -> str:
        """The place of a value in the statement's text. What has a name is bound once."""
        name = name or f"p{len(self.values)}"
        self.values[name] = value
        return f":{name}"


def predicate(definition: ModelDefinition, condition: Condition, parameters: Parameters, depth: int = 0) -> str:
    """The text of a condition over the columns of `t`. Raises UnknownField, and InvalidArgument for unfit values."""
    if depth > _DEEPEST:
        raise InvalidArgument(f"The conditions are more than {_DEEPEST} deep in one another.", field="where")
    match condition:
        case Every(conditions) | Some(conditions):
            inner = [predicate(definition, one, parameters, depth + 1) for one in conditions]
            if not inner:
                return "1" if isinstance(condition, Every) else "0"
            return f"({(' AND ' if isinstance(condition, Every) else ' OR ').join(inner)})"
        case Negation(one):
            return f"({predicate(definition, one, parameters, depth + 1)} IS NOT TRUE)"
        case Comparison():
            return _comparison(_field(definition, condition), condition, parameters)
        case Membership():
            return _membership(_field(definition, condition), condition, parameters)
        case Pattern():
            return _pattern(_field(definition, condition), condition, parameters)
    raise InvalidArgument(f"{condition!r} is no condition that a query knows.", field="where")


def _field(definition: ModelDefinition, condition: Comparison | Membership | Pattern) -> FieldDefinition:
    return definition.by_name[checked_column(definition, condition.field, condition.model)]


def _comparison(one: FieldDefinition, condition: Comparison, parameters: Parameters) -> str:
    column = f"t.{quoted(one.name)}"
    equality = condition.operator in {"=", "!="}
    if not equality and one.type in {"json", "array"}:
        raise InvalidArgument(f"{one.name} is {one.type}, which has no order.", field=one.name)
    if condition.value is None:
        return {"=": f"{column} IS NULL", "!=": f"{column} IS NOT NULL"}.get(condition.operator, "0")
    bound = parameters.bind(_value(one, condition.value))
    # IS NOT counts an absent value as another one.
    return f"{column} {'IS NOT' if condition.operator == '!=' else condition.operator} {bound}"


def _membership(one: FieldDefinition, condition: Membership, parameters: Parameters) -> str:
    column = f"t.{quoted(one.name)}"
    values = list(dict.fromkeys(_value(one, value) for value in condition.values if value is not None))
    if len(values) > MOST_VALUES:
        raise InvalidArgument(f"{one.name} may be one of at most {MOST_VALUES:,} values at once.", field=one.name)
    found = []
    if len(values) > _MOST_PARAMETERS:
        found.append(f"{column} IN (SELECT value FROM json_each({parameters.bind(json_text(values))}))")
    elif values:
        found.append(f"{column} IN ({', '.join(parameters.bind(value) for value in values)})")
    if None in condition.values:
        found.append(f"{column} IS NULL")
    return f"({' OR '.join(found)})" if found else "0"


def _pattern(one: FieldDefinition, condition: Pattern, parameters: Parameters) -> str:
    if one.type not in {"string", "text"}:
        raise InvalidArgument(f"{one.name} is {one.type}; like is for texts.", field=one.name)
    if len(condition.pattern.encode("utf-8", "surrogatepass")) > _LONGEST_PATTERN:
        raise InvalidArgument(f"The pattern for {one.name} has more than {_LONGEST_PATTERN:,} bytes.", field=one.name)
    return f"t.{quoted(one.name)} LIKE {parameters.bind(_value(one, condition.pattern))} ESCAPE '\\'"


def _value(one: FieldDefinition, value: object) -> SqlValue:
    try:
        return column_value(one, value)
    except Unfit as error:
        hint = "; for one of several values use where_in" if isinstance(value, list | tuple | set) else ""
        raise InvalidArgument(f"{one.name} {error}{hint}.", field=one.name) from None
