"""TOSCA's functions as far as they need nothing but their arguments, and how a function call is written."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jsonschema
import referencing
import referencing.exceptions

from cloudos.tosca import patterns
from cloudos.tosca.scalars import Moment, Quantity, Version, bounds
from cloudos.tosca.source import LIST, MAP, SCALAR, Node

MANY = 1000
OLDER = {
    "get_input", "get_property", "get_attribute", "get_operation_output", "get_nodes_of_type", "get_artifact",
    "concat", "join", "token",
}  # fmt: skip


@dataclass(frozen=True)
class Call:
    """A function call in a document: its name without `$`, and its arguments."""

    name: str
    arguments: list[Node]
    node: Node


class Malformed(Exception):
    """A map with a function among other keys."""


class BadArguments(Exception):
    """Arguments that a function does not take; the text says why."""


def call_of(node: Node) -> Call | None:
    """The call that an element is, by the rules of its version. Raises Malformed."""
    if node.kind == SCALAR:
        text = node.value
        if node.source.modern and isinstance(text, str) and text[:1] == "$" and text[:2] != "$$" and len(text) > 1:
            return Call(text[1:], [], node)
        return None
    if node.kind != MAP or not node.items:
        return None
    key = node.items[0][0].text or ""
    if not node.source.modern:
        return Call(key, _arguments(node), node) if len(node.items) == 1 and key in OLDER else None
    names = [name for name, _ in node.pairs() if name[:1] == "$" and name[:2] != "$$"]
    if names and len(node.items) > 1:
        raise Malformed(f"function {names[0]} stands among other keys")
    return Call(names[0][1:].partition("$")[0], _arguments(node), node) if names else None


def _arguments(node: Node) -> list[Node]:
    value = node.items[0][1]
    if value.kind == LIST:
        return value.value
    return [] if value.empty else [value]


def literal(node: Node) -> Any:
    """The value of a scalar that is no call: 2.0's `$$` means `$`."""
    text = node.value
    return text[1:] if node.source.modern and isinstance(text, str) and text[:2] == "$$" else text


def _pair(left: Any, right: Any) -> tuple[Any, Any]:
    """Two values made comparable: text becomes what the other one is. Raises BadArguments."""
    if type(left) is type(right) and left is not None:
        return left, right
    for kind in (Quantity, Version, Moment):
        if isinstance(left, kind) and not isinstance(right, kind):
            right = left.coerce(right)
        elif isinstance(right, kind) and not isinstance(left, kind):
            left = right.coerce(left)
    if left is None or right is None:
        raise BadArguments("the values are of different types")
    numbers = [isinstance(one, int | float) and not isinstance(one, bool) for one in (left, right)]
    if all(numbers) or type(left) is type(right):
        return left, right
    raise BadArguments(f"{left!r} and {right!r} are of different types")


def _ordered(left: Any, right: Any, test: Callable[[Any, Any], bool]) -> bool:
    first, second = _pair(left, right)
    if not isinstance(first, int | float | str | Quantity | Version | Moment) or isinstance(first, bool):
        raise BadArguments(f"{left!r} has no order")
    return test(first, second)


def equal(left: Any, right: Any) -> bool:
    """Equality; text equals the version, time or quantity that it means."""
    try:
        first, second = _pair(left, right)
    except BadArguments:
        return left == right and type(left) is type(right)
    return bool(first == second)


def _length(value: Any) -> int:
    if not isinstance(value, str | list | dict):
        raise BadArguments(f"{value!r} has no length")
    return len(value)


def _matches(text: Any, pattern: Any, whole: bool = False) -> bool:
    if not isinstance(text, str | int | float) or not isinstance(pattern, str):
        raise BadArguments("a pattern applies to text")
    try:
        return patterns.matches(str(text), pattern, whole)
    except patterns.BadPattern as error:
        raise BadArguments(str(error)) from error


def _entries(value: Any) -> list:
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list):
        return value
    raise BadArguments(f"{value!r} is neither list nor map")


def _keys(value: Any) -> list:
    if not isinstance(value, dict):
        raise BadArguments(f"{value!r} is no map")
    return list(value)


def _has(values: list, wanted: Any) -> bool:
    return any(equal(value, wanted) for value in values)


def _sequence(value: Any, part: Any) -> tuple[Any, Any]:
    if type(value) is not type(part) or not isinstance(value, str | list):
        raise BadArguments("both must be text, or both lists")
    return value, part


def _contains(value: Any, part: Any) -> bool:
    whole, piece = _sequence(value, part)
    if isinstance(whole, str):
        return piece in whole
    return any(whole[start : start + len(piece)] == piece for start in range(len(whole) - len(piece) + 1))


def _prefix(value: Any, part: Any) -> bool:
    whole, piece = _sequence(value, part)
    return whole[: len(piece)] == piece


def _suffix(value: Any, part: Any) -> bool:
    whole, piece = _sequence(value, part)
    return not piece or whole[-len(piece) :] == piece


def _concat(*parts: Any) -> Any:
    if parts and all(isinstance(part, list) for part in parts):
        return [item for part in parts for item in part]
    if any(isinstance(part, list | dict) or part is None for part in parts):
        raise BadArguments("parts must be text, or all lists")
    return "".join(_text(part) for part in parts)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _join(parts: Any, delimiter: Any = "") -> str:
    if not isinstance(parts, list) or not isinstance(delimiter, str):
        raise BadArguments("a list of texts and a delimiter are joined")
    return delimiter.join(_text(part) for part in parts)


def _token(text: Any, separators: Any, index: Any) -> str:
    if not isinstance(text, str) or not isinstance(separators, str) or not separators or not _whole(index):
        raise BadArguments("token takes a text, separators and an index")
    parts = text.split(separators)
    if not 0 <= index < len(parts):
        raise BadArguments(f"{text!r} has {len(parts)} tokens, none with index {index}")
    return parts[index]


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _numbers(values: tuple) -> tuple:
    if not all(isinstance(value, int | float | Quantity) and not isinstance(value, bool) for value in values):
        raise BadArguments("arguments must be numbers")
    return tuple(value.amount if isinstance(value, Quantity) else value for value in values)


def _quotient(left: Any, right: Any) -> Any:
    first, second = _numbers((left, right))
    if not second:
        raise BadArguments("division by zero")
    return first // second if _whole(first) and _whole(second) and first % second == 0 else first / second


def _remainder(left: Any, right: Any) -> Any:
    if not _whole(left) or not _whole(right) or not right:
        raise BadArguments("remainder takes two integers, the second not zero")
    return int(math.fmod(left, right))


def _union(*lists: Any) -> list:
    found: list = []
    for value in (item for one in lists for item in _entries(one)):
        if not _has(found, value):
            found.append(value)
    return found


def _intersection(*lists: Any) -> list:
    first, *others = (_entries(one) for one in lists)
    return _union([value for value in first if all(_has(other, value) for other in others)])


def _boolean(*values: Any) -> tuple[bool, ...]:
    if not all(isinstance(value, bool) for value in values):
        raise BadArguments("arguments must be booleans")
    return values


def _rounded(how: Callable[[float], int]) -> Callable[[Any], int]:
    return lambda value: int(how(_numbers((value,))[0]))


def _half_up(value: float) -> int:
    return math.floor(value + 0.5)


def _in_range(value: Any, limits: Any) -> bool:
    if not isinstance(limits, list) or len(limits) != 2:
        raise BadArguments("in_range takes two bounds")
    low, high = limits
    inner = [one for one in (value if isinstance(value, list) else [value]) if one != "UNBOUNDED"]
    above = low == "UNBOUNDED" or all(_ordered(one, low, lambda a, b: a >= b) for one in inner)
    return above and (high == "UNBOUNDED" or all(_ordered(one, high, lambda a, b: a <= b) for one in inner))


def _schema(value: Any, schema: Any) -> bool:
    """JSON text (or data) against a JSON schema, which is text, too; text that is no JSON satisfies none."""
    try:
        document = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return False
    try:
        return _json_schema(schema).is_valid(document)
    except referencing.exceptions.Unresolvable as error:
        raise BadArguments(f"the schema refers to {error.ref!r}, which is not in it") from error
    except RecursionError as error:
        raise BadArguments("the schema refers to itself without end") from error


def _json_schema(schema: Any) -> jsonschema.Draft202012Validator:
    """The JSON schema that a text is, which finds nothing outside itself. Raises BadArguments."""
    try:
        wanted = json.loads(schema) if isinstance(schema, str) else schema
        jsonschema.Draft202012Validator.check_schema(wanted)
    except ValueError as error:
        raise BadArguments(f"{schema!r} is no JSON: {error}") from error
    except jsonschema.SchemaError as error:
        raise BadArguments(f"{schema!r} is no JSON schema: {error.message}") from error
    return jsonschema.Draft202012Validator(wanted, registry=referencing.Registry())


@dataclass(frozen=True)
class Function:
    """How many arguments a function takes, and what it does with them."""

    least: int
    most: int
    apply: Callable


# 2.0, chapter 10.2: those that give a boolean, then all; concat, join and token also in 1.x.
BOOLEAN = {
    "and": Function(1, MANY, lambda *values: all(_boolean(*values))),
    "or": Function(1, MANY, lambda *values: any(_boolean(*values))),
    "not": Function(1, 1, lambda value: not _boolean(value)[0]),
    "xor": Function(2, 2, lambda left, right: _boolean(left, right)[0] != right),
    "equal": Function(2, 2, equal),
    "greater_than": Function(2, 2, lambda left, right: _ordered(left, right, lambda a, b: a > b)),
    "greater_or_equal": Function(2, 2, lambda left, right: _ordered(left, right, lambda a, b: a >= b)),
    "less_than": Function(2, 2, lambda left, right: _ordered(left, right, lambda a, b: a < b)),
    "less_or_equal": Function(2, 2, lambda left, right: _ordered(left, right, lambda a, b: a <= b)),
    "valid_values": Function(2, 2, lambda value, values: _has(_entries(values), value)),
    "matches": Function(2, 2, _matches),
    "has_suffix": Function(2, 2, _suffix),
    "has_prefix": Function(2, 2, _prefix),
    "contains": Function(2, 2, _contains),
    "has_entry": Function(2, 2, lambda value, entry: _has(_entries(value), entry)),
    "has_key": Function(2, 2, lambda value, key: _has(_keys(value), key)),
    "has_all_entries": Function(2, 2, lambda value, entries: all(_has(_entries(value), one) for one in _entries(entries))),
    "has_all_keys": Function(2, 2, lambda value, keys: all(_has(_keys(value), one) for one in _entries(keys))),
    "has_any_entry": Function(2, 2, lambda value, entries: any(_has(_entries(value), one) for one in _entries(entries))),
    "has_any_key": Function(2, 2, lambda value, keys: any(_has(_keys(value), one) for one in _entries(keys))),
}
FUNCTIONS = {
    **BOOLEAN,
    "length": Function(1, 1, _length),
    "concat": Function(1, MANY, _concat),
    "join": Function(1, 2, _join),
    "token": Function(3, 3, _token),
    "union": Function(1, MANY, _union),
    "intersection": Function(1, MANY, _intersection),
    "sum": Function(1, MANY, lambda *values: sum(_numbers(values))),
    "difference": Function(2, 2, lambda left, right: _numbers((left,))[0] - _numbers((right,))[0]),
    "product": Function(1, MANY, lambda *values: math.prod(_numbers(values))),
    "quotient": Function(2, 2, _quotient),
    "remainder": Function(2, 2, _remainder),
    "round": Function(1, 1, _rounded(_half_up)),
    "floor": Function(1, 1, _rounded(math.floor)),
    "ceil": Function(1, 1, _rounded(math.ceil)),
}

# Functions that need the template, or run time: least and most arguments.
GRAPH = {
    "get_input": (1, MANY), "get_property": (2, MANY), "get_attribute": (2, MANY), "get_artifact": (2, MANY),
    "get_operation_output": (4, 4), "get_nodes_of_type": (1, 1), "value": (0, MANY), "node_index": (0, 0),
    "relationship_index": (0, 0), "available_allocation": (2, MANY),
}  # fmt: skip

# Constraints of 1.x: what is applied to the value and the constraint's own argument.
CONSTRAINTS: dict[str, Callable[[Any, Any], bool]] = {
    **{name: FUNCTIONS[name].apply for name in ("equal", "greater_than", "greater_or_equal", "less_than", "less_or_equal")},
    "in_range": _in_range,
    "valid_values": FUNCTIONS["valid_values"].apply,
    "length": lambda value, size: _length(value) == size,
    "min_length": lambda value, size: _length(value) >= size,
    "max_length": lambda value, size: _length(value) <= size,
    "pattern": lambda value, pattern: _matches(value, pattern, whole=True),
    "schema": _schema,
}


def constraint_problem(operator: str, argument: Any) -> str | None:
    """What is wrong with a 1.x constraint whatever the value is; None when nothing."""
    if operator == "in_range":
        found = isinstance(argument, list) and len(argument) == 2
        wrong = found and all(isinstance(one, int | float) for one in argument) and bounds(argument) is None
        return None if found and not wrong else "in_range takes two bounds, the lower one first"
    if operator == "valid_values":
        return None if isinstance(argument, list) else "valid_values takes a list"
    if operator in ("length", "min_length", "max_length"):
        return None if _whole(argument) and argument >= 0 else f"{operator} takes a count"
    try:
        if operator == "pattern":
            patterns.compiled(str(argument))
        elif operator == "schema":
            _json_schema(argument)
    except (BadArguments, patterns.BadPattern) as error:
        return str(error)
    return None
