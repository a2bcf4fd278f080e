"""Conditions of workflows as Jinja: the same text is evaluated by Ansible when a step's time has come, and here for plans and
preconditions. What is not known is none, and nothing but `equal` holds of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from cloudos.eve.engine.tasks import expression
from cloudos.eve.problems import Refused
from cloudos.tosca import patterns
from cloudos.tosca.model import Reference

# Outputs of scripts are text, whatever their type is.
TYPED = {"integer": "({} | int(none))", "float": "({} | float(none))", "boolean": "({} | string | lower == 'true')"}
FORMS: dict[str, Callable[..., str]] = {
    "and": lambda *parts: f"({' and '.join(parts)})",
    "or": lambda *parts: f"({' or '.join(parts)})",
    "not": lambda part: f"(not {part})",
    "xor": lambda left, right: f"({left} != {right})",
    "equal": lambda left, right: f"({left} == {right})",
    "greater_than": lambda left, right: _order(left, ">", right),
    "greater_or_equal": lambda left, right: _order(left, ">=", right),
    "less_than": lambda left, right: _order(left, "<", right),
    "less_or_equal": lambda left, right: _order(left, "<=", right),
    "valid_values": lambda value, values: f"({value} in {values})",
    "has_entry": lambda values, value: f"({value} in ({values} | default([], true)))",
    "has_key": lambda values, key: f"({key} in ({values} | default({{}}, true)))",
    "contains": lambda text, part: f"({part} in ({text} | default('', true)))",
    "has_prefix": lambda text, part: f"({text} is not none and ({text})[:({part} | length)] == {part})",
    "has_suffix": lambda text, part: f"({text} is not none and (({part} | length) == 0 or ({text})[-({part} | length):] == {part}))",
    "matches": lambda text, pattern: f"({text} is not none and {text} | string is search({pattern}))",
    "pattern": lambda text, pattern: f"({text} is not none and {text} | string is match('(?:' ~ {pattern} ~ ')$'))",
    "length": lambda value: f"({value} | default('', true) | length)",
}


class Unusable(Refused):
    """A condition that cannot be evaluated; the text says why."""


def _order(left: str, operator: str, right: str) -> str:
    return f"({left} is not none and {left} {operator} {right})"


def text_of(condition: Any, leaf: Callable[[Any], Any]) -> str:
    """The Jinja expression of a condition of the model. `leaf`: a value or Reference -> data as graph.py has it. Raises Unusable."""
    if isinstance(condition, Reference) and condition.name in FORMS:
        return FORMS[condition.name](*(text_of(one, leaf) for one in condition.arguments))
    if isinstance(condition, bool):
        return "true" if condition else "false"
    if isinstance(condition, Reference):
        if condition.name not in ("get_attribute", "get_property", "get_operation_output", "get_input", "concat", "join", "token"):
            raise Unusable(f"function {condition.name} cannot be used in the condition of a workflow")
        found = f"({expression(leaf(condition))} | default(none))"
        return TYPED[condition.schema.type.base].format(found) if condition.schema and condition.schema.type.base in TYPED else found
    if isinstance(condition, list | tuple):
        return "[" + ", ".join(text_of(one, leaf) for one in condition) + "]"
    return expression(condition)


def holds(text: str, known: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a condition holds with what is known now: name -> attributes, outputs or state. Raises Unusable."""
    try:
        return bool(_environment().compile_expression(text)(hostvars={"localhost": {"eve_known": known}}))
    except (jinja2.TemplateError, TypeError, ValueError, SyntaxError, RecursionError, MemoryError, patterns.BadPattern) as error:
        raise Unusable(f"the condition {text[:500]} cannot be evaluated: {error}. Correct it in the template.") from error


def _environment() -> SandboxedEnvironment:
    made = SandboxedEnvironment(undefined=jinja2.ChainableUndefined)
    made.tests["search"] = patterns.matches
    made.tests["match"] = lambda text, pattern: patterns.matches(text, pattern.removesuffix("$"), whole=True)
    return made
