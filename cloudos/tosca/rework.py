"""All that has data in a template, and copies of parts of it with other data or another owner."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from cloudos.tosca.model import NodeTemplate, Relationship, Template, Value, Workflow
from cloudos.tosca.typemodel import Interface, Type

Change = Callable[[Any, Any], Any]  # (data, what SELF is in it) -> data


def derives(kind: Type | None, other: Type | None) -> bool:
    """Whether a type is, or derives from, one that another reading of the same files may have made."""
    return kind is not None and other is not None and any((one.name, one.place) == (other.name, other.place) for one in kind.lineage)


def reworked(made: Workflow, template: Template, change: Change) -> Workflow:
    """A workflow with other data."""
    steps = {}
    for name, step in made.steps.items():
        owner = template.nodes.get(step.target or "")
        activities = [replace(one, inputs={key: change(data, owner) for key, data in one.inputs.items()}) for one in step.activities]
        steps[name] = replace(step, filter=change(step.filter, owner), activities=activities)
    guards = [replace(one, condition=change(one.condition, template.nodes.get(one.target or ""))) for one in made.preconditions]
    defaults = {key: change(data, None) for key, data in made.defaults.items()}
    values = made.values and {key: change(data, None) for key, data in made.values.items()}
    return replace(made, steps=steps, preconditions=guards, defaults=defaults, values=values)


def owned(relation: Relationship, source: NodeTemplate | None) -> Relationship:
    """A relationship from another node, with values of its own."""
    made = replace(relation, source=source)

    def mine(values: dict[str, Any]) -> dict[str, Any]:
        return {key: replace(value, owner=made) if isinstance(value, Value) else value for key, value in values.items()}

    def whole(interface: Interface) -> Interface:
        parts = {part: {key: replace(one, values=mine(one.values)) for key, one in getattr(interface, part).items()}
                 for part in ("operations", "notifications")}  # fmt: skip
        return replace(interface, values=mine(interface.values), **parts)

    made.properties, made.attributes = mine(relation.properties), mine(relation.attributes)
    made.interfaces = {key: whole(one) for key, one in relation.interfaces.items()}
    return made


def values_of(template: Template, without: NodeTemplate | None = None) -> Iterator[Value]:
    """Every value of a template, each once; not those of one node."""
    found: dict[int, Value] = {}

    def take(*parts: dict[str, Any]) -> None:
        found.update({id(value): value for part in parts for value in part.values() if isinstance(value, Value)})

    def interfaces(thing: Any) -> None:
        for interface in thing.interfaces.values():
            take(interface.values, *(one.values for one in (*interface.operations.values(), *interface.notifications.values())))

    nodes = [one for one in template.nodes.values() if one is not without]
    links = [one.relationship for node in nodes for one in node.requirements if one.relationship]
    for thing in (*nodes, *links, *template.relationship_templates.values()):
        take(thing.properties, thing.attributes)
        interfaces(thing)
    for node in nodes:
        take(*(part for one in node.capabilities.values() for part in (one.properties, one.attributes)))
        take(*(one.allocation for one in node.requirements))
    take(template.outputs, *(one.properties for one in (*template.groups.values(), *template.policies.values())))
    yield from found.values()
