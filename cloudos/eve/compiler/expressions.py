"""Jinja expressions of the mapping files: each compiled once, and evaluated for every instance of a node.

A text that is one expression (`"{{ properties.size }}"`) gives what that evaluates to; any other text stands for itself.
What is not there is None and stays so when asked further; an argument of None, or of an empty list or mapping, is left out.
A mapping of `each` and `value` is a list: `value` for every `item` of the list `each`.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Mapping
from typing import Any

import jinja2
import jinja2.nodes
from jinja2.sandbox import SandboxedEnvironment

from cloudos.tosca import scalars

SINGLE = re.compile(r"\s*\{\{(.*)\}\}\s*", re.DOTALL)
SIZES = scalars.UNITS["scalar-unit.size"]


class ExpressionError(Exception):
    """An expression of a mapping file fails; the text shows the expression and the reason."""


class Refusal(ExpressionError):
    """A mapping refuses what the template says; the text is the reason, and where in the mapping helps nobody."""


def amount(value: Any, unit: str) -> int | None:
    """A size in whole units, rounded up; a plain number has the unit already."""
    if value is None or isinstance(value, jinja2.Undefined | Nothing):
        return None
    if isinstance(value, int | float):
        return math.ceil(value)
    found = scalars.split(str(value), SIZES)
    if found is None:
        match = scalars.NUMBER.fullmatch(str(value))
        found = _loose(match) if match else None
    if found is None:
        raise ExpressionError(f"{value!r} is no size such as 10 GB")
    return math.ceil(found[0] * found[1] / SIZES[unit])


def _loose(match: re.Match) -> tuple[float, float] | None:
    """TOSCA 1.x does not care for upper and lower case of units."""
    wanted = (match[2] or "").lower()
    return next(((float(match[1]), size) for unit, size in SIZES.items() if unit.lower() == wanted), None)


def gigabytes(value: Any) -> int | None:
    """What clouds call GB. "10 GB" and "10 GiB" both mean 10 to them."""
    return amount(value.replace("GB", "GiB") if isinstance(value, str) else value, "GiB")


def megabytes(value: Any) -> int | None:
    """What clouds call MB, in the same sense."""
    return amount(value.replace("MB", "MiB").replace("GB", "GiB") if isinstance(value, str) else value, "MiB")


def _parsed(value: Any) -> Any:
    """JSON in a text; None when it is none, or nothing is there."""
    try:
        return json.loads(value) if isinstance(value, str) else value or None
    except ValueError:
        raise ExpressionError(f"{value!r} is no JSON") from None


class Nothing:
    """What `first` gives of nothing: false, with every attribute like itself, and None when it is asked something."""

    def __bool__(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Nothing:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, key: Any) -> Nothing:
        return self

    def __call__(self, *arguments: Any) -> None:
        return None


def _environment() -> SandboxedEnvironment:
    environment = SandboxedEnvironment(undefined=jinja2.ChainableUndefined)
    environment.filters.update(gigabytes=gigabytes, megabytes=megabytes, kilobits=lambda value: value and math.ceil(value / 1024))
    environment.filters["first"] = lambda items: next(iter(items or ()), Nothing())
    environment.filters["from_json"] = _parsed
    return environment


ENVIRONMENT = _environment()


@functools.lru_cache(maxsize=4096)
def compiled(text: str) -> Any:
    """A function of a context, or None for a text that is no expression."""
    match = SINGLE.fullmatch(text)
    return ENVIRONMENT.compile_expression(match[1].strip(), undefined_to_none=True) if match else None


@functools.lru_cache(maxsize=4096)
def _first_arguments(text: str, function: str) -> frozenset[str]:
    if not SINGLE.fullmatch(text):
        return frozenset()
    calls = ENVIRONMENT.parse(text).find_all(jinja2.nodes.Call)
    return frozenset(call.args[0].value for call in calls if isinstance(call.node, jinja2.nodes.Name) and call.node.name == function
                     and call.args and isinstance(call.args[0], jinja2.nodes.Const))  # fmt: skip


def asked(value: Any, function: str) -> set[str]:
    """The first arguments with which the expressions in a value, at any depth, may call a function."""
    if isinstance(value, str):
        return {*_first_arguments(value, function)}
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return {found for item in inner for found in asked(item, function)}


def evaluate(value: Any, context: Mapping[str, Any]) -> Any:
    """The value with all expressions evaluated and what is empty left out. Raises ExpressionError."""
    if isinstance(value, str):
        return _one(value, context)
    if isinstance(value, list):
        return [found for item in value if not empty(found := evaluate(item, context))]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"each", "value"}:
        items = evaluate(value["each"], context) or []
        return [found for item in items if not empty(found := evaluate(value["value"], {**context, "item": item}))]
    return {key: found for key, item in value.items() if not empty(found := evaluate(item, context))}


def _one(text: str, context: Mapping[str, Any]) -> Any:
    function = compiled(text)
    if function is None:
        return text
    try:
        found = function(context)
    except Refusal:
        raise
    except ExpressionError as error:
        raise ExpressionError(f"{text}: {error}") from error
    except (jinja2.TemplateError, TypeError, ValueError, KeyError, AttributeError, ZeroDivisionError) as error:
        raise ExpressionError(f"{text}: {type(error).__name__}: {error}") from error
    if isinstance(found, Nothing | jinja2.Undefined):
        return None
    return str(found) if isinstance(found, str) else found


def empty(value: Any) -> bool:
    """Whether an argument says nothing."""
    return value is None or isinstance(value, jinja2.Undefined | Nothing) or (isinstance(value, list | dict | tuple) and not value)
