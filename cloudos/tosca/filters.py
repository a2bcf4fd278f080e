"""Node filters: whether a candidate satisfies what a requirement asks of it, and if not, what fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cloudos.tosca.evaluation import Context
from cloudos.tosca.functions import CONSTRAINTS, BadArguments, constraint_problem
from cloudos.tosca.model import NodeTemplate, Reference, Relationship, Value
from cloudos.tosca.problems import Problems, nearest
from cloudos.tosca.source import LIST, MAP, Node
from cloudos.tosca.typemodel import Condition
from cloudos.tosca.values import Checker


def failure(filters: list[Node], relation: Relationship, checker: Checker) -> str | None:
    """Why the target of a relationship does not pass; None when it does, or nobody can tell before run time."""
    for node in filters:
        reason = _modern(node, relation, checker) if node.source.modern else _older(node, relation.target, checker)
        if reason:
            return reason
    return None


def unsatisfied(node: Node, about: NodeTemplate, checker: Checker) -> str | None:
    """Why a node does not pass a filter about itself; None when it does, or nobody can tell before run time."""
    return _modern(node, about, checker) if node.source.modern else _older(node, about, checker)


def _modern(node: Node, owner: NodeTemplate | Relationship, checker: Checker) -> str | None:
    """The clauses of an `$and` one by one, so that the one that fails can be told."""
    inner = node.items[0][1] if node.kind == MAP and len(node.items) == 1 and node.items[0][0].text == "$and" else None
    for clause in inner.value if inner is not None and inner.kind == LIST else [node]:
        try:
            found = checker.value(clause, None, Context(owner, typed=True, lenient=True))
        except BadArguments as error:
            return str(error)
        if found is False:
            return f"filter {clause.data()!r} ({clause.file}:{clause.line}) is not satisfied"
    return None


def _older(node: Node, target: NodeTemplate | None, checker: Checker) -> str | None:
    for capability, name, condition in clauses(node):
        reason = _clause(capability, name, condition, target, checker) if target else None
        if reason:
            return reason
    return None


def _clause(capability: str | None, name: str, condition: Condition, target: NodeTemplate, checker: Checker) -> str | None:
    owners: list[Any] = [target]
    if capability is not None:
        owners = [one for one in target.capabilities.values() if _named(one, capability)]
        if not owners:
            return f"no capability {capability}"
    value: Value | None = next((one.properties[name] for one in owners if name in one.properties), None)
    shown = f"{capability}.{name}" if capability else name
    if value is None:
        return f"{shown} is not set"
    data = checker.of(value)
    if isinstance(data, Reference):
        return None
    schema = value.definition.schema if value.definition else None
    if checker.holds(condition, Context(target, value=(data, schema), typed=True)) is False:
        return f"{shown} is {data!r}, not {condition.operator} {condition.node.data()!r}"
    return None


def _named(capability: Any, name: str) -> bool:
    kind = capability.definition.type
    return capability.name == name or (kind is not None and any(name in (one.name, one.name.split(".")[-1]) for one in kind.lineage))


def clauses(node: Node) -> Iterator[tuple[str | None, str, Condition]]:
    """(capability or None, property, condition) of a 1.x filter, in its list and map forms."""
    yield from _properties(None, node.get("properties"))
    for name, inner in _pairs(node.get("capabilities")):
        yield from _properties(name, inner.get("properties"))


def _properties(capability: str | None, node: Node | None) -> Iterator[tuple[str | None, str, Condition]]:
    for name, value in _pairs(node):
        for part in value.value if value.kind == LIST else [value]:
            if part.kind == MAP:
                for operator, argument in part.pairs():
                    yield capability, name, Condition(argument, operator)
            else:
                yield capability, name, Condition(part, "equal")


def _pairs(node: Node | None) -> Iterator[tuple[str, Node]]:
    for part in node.value if node is not None and node.kind == LIST else [node]:
        if part is not None and part.kind == MAP:
            yield from part.pairs()


def check(node: Node, checker: Checker, problems: Problems) -> None:
    """Complain of a filter that is not well formed."""
    if node.source.modern:
        checker.calls.condition(node, "a node filter")
        return
    if node.kind != MAP:
        problems.add("constraint.invalid", node.place, "a node filter is a map", "Use properties and capabilities.")
        return
    _keys(node, ("properties", "capabilities", "tosca_id", "requirements"), "node filter", problems)
    _named_parts(node.get("properties"), "properties of node filter", problems)
    _named_parts(node.get("capabilities"), "capabilities of node filter", problems)
    for name, inner in _pairs(node.get("capabilities")):
        if inner.kind == MAP:
            _keys(inner, ("properties",), f"capability {name} of node filter", problems)
        _named_parts(inner.get("properties"), f"properties of capability {name}", problems)
    for _, _, condition in clauses(node):
        if condition.operator not in CONSTRAINTS:
            message = f"{condition.operator} is no constraint"
            problems.add("constraint.invalid", condition.node.place, message, nearest(condition.operator, CONSTRAINTS))
        elif reason := constraint_problem(condition.operator, condition.node.data()):
            problems.add("constraint.invalid", condition.node, reason, "Correct the constraint.")


def _keys(node: Node, known: tuple[str, ...], title: str, problems: Problems) -> None:
    for key, _ in node.items:
        if key.text not in known:
            problems.add("key.unknown", key, f"{key.text} is no keyname of {title}", nearest(key.text, known))


def _named_parts(node: Node | None, title: str, problems: Problems) -> None:
    """Parts of a filter are a list of maps, or one map (1.3, 3.6.5 and 3.6.6)."""
    if node is not None and node.kind != MAP and not (node.kind == LIST and all(part.kind == MAP for part in node.value)):
        problems.add("key.shape", node.place, f"{title} is {node.words()}, must be a list of maps", "Name what is compared.")
