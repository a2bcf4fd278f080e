"""Conditions of workflows, 1.x's clauses and 2.0's expressions alike, as one tree: a boolean, or a Reference to a function of BOOLEAN.

Of 1.x's constraints `in_range` is written with the functions for order, the lengths with `length`; `pattern` stays: it is about the whole.
"""

from __future__ import annotations

from typing import Any

from cloudos.tosca.evaluation import Context
from cloudos.tosca.functions import CONSTRAINTS, constraint_problem
from cloudos.tosca.model import Reference
from cloudos.tosca.problems import Mark, nearest
from cloudos.tosca.source import LIST, MAP, Node
from cloudos.tosca.typemodel import Property, Schema
from cloudos.tosca.values import Checker

BOUNDS = (("greater_or_equal", 0), ("less_or_equal", 1))
LENGTHS = {"length": "equal", "min_length": "greater_or_equal", "max_length": "less_or_equal"}
NESTED = ("and", "or", "not", "assert")
COMPARED = ("equal", "greater_than", "greater_or_equal", "less_than", "less_or_equal")


class Guards:
    """Reads conditions; `context` says what SELF is and which inputs there are."""

    def __init__(self, checker: Checker, context: Context):
        self.checker, self.context, self.problems = checker, context, checker.problems

    def modern(self, node: Node, title: str) -> Any:
        """An expression of 2.0, or a list of them, of which all must hold."""
        parts = node.value if node.kind == LIST else [node]
        found = []
        for part in parts:
            self.checker.calls.condition(part, title)
            found.append(self._value(part))
        return found[0] if len(found) == 1 else Reference("and", tuple(found), Mark.of(node))

    def older(self, node: Node) -> Any:
        """A list of clauses of 1.x, of which all must hold; a single one may stand without the list."""
        parts = [self._clause(part) for part in (node.value if node.kind == LIST else [node])]
        return self._all(parts, node)

    @staticmethod
    def _all(parts: list[Any], node: Node) -> Any:
        return parts[0] if len(parts) == 1 else Reference("and", tuple(parts), Mark.of(node))

    def _clause(self, node: Node) -> Any:
        if node.kind != MAP or not node.items:
            message = f"a condition is a map of {', '.join(NESTED)} or of an attribute, not {node.words()}"
            self.problems.add("constraint.invalid", node.place, message, "Write assert: [{attribute: [{equal: value}]}].")
            return True
        parts = []
        for key, value in node.items:
            name = key.text or ""
            if name in ("and", "assert"):
                parts.append(self.older(value))
            elif name == "or":
                inner = value.value if value.kind == LIST else [value]
                parts.append(Reference("or", tuple(self._clause(part) for part in inner), Mark.of(key)))
            elif name == "not":
                parts.append(Reference("not", (self.older(value),), Mark.of(key)))
            else:
                parts.append(self._assertion(key, value))
        return self._all(parts, node)

    def _assertion(self, key: Node, node: Node) -> Any:
        """Constraints on an attribute of the target."""
        name, owner = key.text or "", self.context.owner
        definition = None
        if owner is None:
            self.problems.add("constraint.invalid", key, f"nothing has an attribute {name} here", "Name a node as the target.")
        else:
            known = {**owner.type.properties, **owner.type.attributes}
            definition = known.get(name)
            if definition is None and name != "state":
                message = f"node {owner.name} has no attribute {name}"
                self.problems.add("attribute.unknown", key, message, nearest(name, [*known, *NESTED]))
        asked = Reference("get_attribute", ("SELF", name), Mark.of(key), definition.schema if definition else None)
        parts = [self._constraint(asked, part, definition) for part in (node.value if node.kind == LIST else [node])]
        return self._all(parts, node)

    def _constraint(self, asked: Reference, node: Node, definition: Property | None) -> Any:
        operator = node.items[0][0].text or "" if node.kind == MAP and len(node.items) == 1 else ""
        if operator not in CONSTRAINTS or operator == "schema":
            message = f"{operator or node.words()} is no constraint that a condition can have"
            mend = nearest(operator, [name for name in CONSTRAINTS if name != "schema"])
            self.problems.add("constraint.invalid", node.place, message, mend)
            return True
        value = node.items[0][1]
        schema = Schema(definition.schema.type, entry=definition.schema.entry) if definition and definition.schema else None
        if operator in COMPARED:
            return self._made(operator, node, asked, self._value(value, schema))
        if reason := constraint_problem(operator, value.data()):
            self.problems.add("constraint.invalid", value, reason, "Correct the constraint.")
            return True
        if operator == "valid_values":
            return self._made(operator, node, asked, [self._value(part, schema) for part in value.value])
        if operator == "in_range":
            bounds = [(name, value.value[number]) for name, number in BOUNDS]
            parts = [self._made(name, node, asked, self._value(part, schema)) for name, part in bounds if part.value != "UNBOUNDED"]
            return self._all(parts, node)
        if operator in LENGTHS:
            return self._made(LENGTHS[operator], node, Reference("length", (asked,), Mark.of(node)), value.data())
        return self._made(operator, node, asked, str(value.data()))

    @staticmethod
    def _made(name: str, node: Node, *arguments: Any) -> Reference:
        return Reference(name, arguments, Mark.of(node))

    def _value(self, node: Node, schema: Schema | None = None) -> Any:
        return self.checker.value(node, schema, self.context)
