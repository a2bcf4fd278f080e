"""Jinja expressions in data files: compiled once each, and evaluated once per cloud where they do not ask for the node.

A value that is one expression (`"{{ 4 * 2 }}"`) gives what it evaluates to, such as a number, a list or None; other
text gives text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.meta import find_undeclared_variables

from cloudos.model.problems import nearest
from cloudos.model.source import Expression

ENVIRONMENT = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)


class ExpressionError(Exception):
    """An expression cannot be evaluated; `where` is its "file:line"."""

    def __init__(self, where: str, message: str):
        self.where = where
        super().__init__(message)


class UnknownName(LookupError):
    """Raised by functions that expressions call; the text names the thing and the nearest right name."""


@dataclass(frozen=True, slots=True)
class Template:
    """One compiled text: `per_node` tells whether it asks for `node`."""

    evaluate: Callable[[dict], Any]
    per_node: bool
    names: frozenset[str]


class Expressions:
    """Evaluates values for one cloud. `context(service)` gives the names that a service's expressions may use besides
    `node`."""

    def __init__(self, context: Callable[[str], dict]):
        self._make_context = context
        self._contexts: dict[str, dict] = {}
        self._templates: dict[str, Template] = {}
        self._values: dict[tuple[str, str], Any] = {}

    def per_node(self, value: Any) -> bool:
        """Whether a value, at any depth, depends on the node."""
        if isinstance(value, Expression):
            return self._template(value).per_node
        if isinstance(value, dict):
            return any(map(self.per_node, value.values()))
        return isinstance(value, list) and any(map(self.per_node, value))

    def value(self, value: Any, service: str, node: Any = None) -> Any:
        """`value` with the expressions at any depth evaluated. Raises ExpressionError."""
        if isinstance(value, Expression):
            return self._evaluate(value, service, node)
        if isinstance(value, dict):
            return {key: self.value(item, service, node) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item, service, node) for item in value]
        return value

    def _evaluate(self, text: Expression, service: str, node: Any) -> Any:
        template = self._template(text)
        if template.per_node:
            if node is None:
                raise ExpressionError(
                    text.where, f"{text}: this is the same on all nodes, so that node cannot be asked"
                )
            return self._call(template, text, {**self._context(service), "node": node})
        key = (text, service)
        if key not in self._values:
            self._values[key] = self._call(template, text, self._context(service))
        return self._values[key]

    def _call(self, template: Template, text: Expression, context: dict) -> Any:
        try:
            result = template.evaluate(context)
        except jinja2.UndefinedError as error:
            unknown = sorted(template.names - context.keys())
            hint = nearest(unknown[0], context) if unknown else ""
            raise ExpressionError(text.where, f"{_short(text)}: {error.message}{hint}") from error
        except UnknownName as error:
            raise ExpressionError(text.where, f"{_short(text)}: {error.args[0]}") from error
        except Exception as error:  # whatever an expression of somebody else's file does wrong is told with its place
            raise ExpressionError(text.where, f"{_short(text)}: {type(error).__name__}: {error}") from error
        return str(result) if isinstance(result, str) else result

    def _context(self, service: str) -> dict:
        if service not in self._contexts:
            self._contexts[service] = self._make_context(service)
        return self._contexts[service]

    def _template(self, text: Expression) -> Template:
        if text not in self._templates:
            self._templates[text] = _compile(text)
        return self._templates[text]


def _compile(text: Expression) -> Template:
    try:
        tree = ENVIRONMENT.parse(str(text))
        names = frozenset(find_undeclared_variables(tree))
        return Template(
            _native(text) if _single(tree) else ENVIRONMENT.from_string(str(text)).render, "node" in names, names
        )
    except jinja2.TemplateSyntaxError as error:
        raise ExpressionError(text.where, f"{_short(text)}: {error.message}") from error


def _single(tree: nodes.Template) -> bool:
    """Whether the whole text is one `{{ }}`."""
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output):
        return False
    output = tree.body[0].nodes
    return len(output) == 1 and not isinstance(output[0], nodes.TemplateData)


def _native(text: Expression) -> Callable[[dict], Any]:
    inner = text.strip().removeprefix("{{").removesuffix("}}").strip("-+ \n")
    evaluate = ENVIRONMENT.compile_expression(inner, undefined_to_none=False)

    def strict(context: dict) -> Any:
        result = evaluate(context)
        if isinstance(result, jinja2.Undefined):
            str(result)  # raises UndefinedError with its own words
        return result

    return strict


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:77] + "..."
