"""TOSCA paths: from SELF or a name along relationships to the node, relationship or capability that a function means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cloudos.tosca.model import Capability, NodeTemplate, Reference, Relationship, Requirement, Template
from cloudos.tosca.problems import nearest
from cloudos.tosca.typemodel import Schema

KEYWORDS = {"RELATIONSHIP", "CAPABILITY", "SOURCE", "TARGET"}
OLDER_STARTS = {"SELF", "SOURCE", "TARGET", "HOST", "ORCHESTRATOR"}
Entity = NodeTemplate | Relationship | Capability


class NoSuch(Exception):
    """A path names what does not exist; `mend` is the next step."""

    def __init__(self, message: str, mend: str = ""):
        super().__init__(message)
        self.mend = mend


class Unresolved(Exception):
    """Where a path leads is known at run time only."""


def resolve(path: list[Any], owner: Any, template: Template, modern: bool) -> tuple[Entity, list[Any]]:
    """(entity, the rest of the path) of the arguments of a function. Raises NoSuch, Unresolved."""
    if any(isinstance(part, Reference) for part in path[:2]):
        raise Unresolved
    return _modern(path, owner, template) if modern else _older(path, owner, template)


def _start(name: Any, owner: Any, template: Template) -> Entity:
    if name == "SELF":
        if owner is None:
            raise NoSuch("SELF means nothing here", "Name a node template.")
        return owner
    found = template.nodes.get(name) or template.relationship_templates.get(name)
    if name in template.broken:
        raise Unresolved
    if not found:
        raise NoSuch(f"{name} is no node template", nearest(name, ["SELF", *template.nodes]))
    return found


def _modern(path: list[Any], owner: Any, template: Template) -> tuple[Entity, list[Any]]:
    here, rest = _start(path[0], owner, template), path[1:]
    if rest and isinstance(here, NodeTemplate) and _is_index(rest[0]) and len(rest) > 1:
        rest = rest[1:]
    while rest and rest[0] in KEYWORDS and not isinstance(here, Capability):
        here, rest = _step(here, rest)
    return here, rest


def _is_index(part: Any) -> bool:
    return part == "ALL" or (isinstance(part, int) and not isinstance(part, bool)) or isinstance(part, Reference)


def _step(here: Entity, rest: list[Any]) -> tuple[Entity, list[Any]]:
    word, rest = rest[0], rest[1:]
    if isinstance(here, Relationship):
        return _along(here, word), rest
    if word in ("SOURCE", "TARGET"):
        raise NoSuch(f"{word} follows a relationship, not node {here.name}", "Go through RELATIONSHIP and a requirement first.")
    if not rest:
        raise NoSuch(f"{word} lacks a name", "Add the name of a requirement or capability.")
    name, rest = rest[0], rest[1:]
    if word == "CAPABILITY":
        if rest and rest[0] == "RELATIONSHIP":
            raise Unresolved
        return _capability(here, name), rest
    index = 0
    if rest and _is_index(rest[0]):
        index, rest = rest[0], rest[1:]
    if not isinstance(index, int):
        raise Unresolved
    return _relationship(here, name, index), rest


def _along(here: Relationship, word: str) -> Entity:
    if word == "RELATIONSHIP" or here.source is None or here.target is None:
        raise Unresolved
    if word == "CAPABILITY":
        return here.target.capabilities[here.capability or ""]
    return here.source if word == "SOURCE" else here.target


def _capability(node: NodeTemplate, name: Any) -> Capability:
    if name not in node.capabilities:
        raise NoSuch(f"node {node.name} has no capability {name}", nearest(name, node.capabilities))
    return node.capabilities[name]


def requirements(node: NodeTemplate, name: Any) -> list[Requirement]:
    """The assignments of a requirement. Raises NoSuch."""
    if name not in node.type.requirements:
        raise NoSuch(f"node {node.name} has no requirement {name}", nearest(name, node.type.requirements))
    return [one for one in node.requirements if one.name == name]


def _relationship(node: NodeTemplate, name: Any, index: int) -> Relationship:
    for one in requirements(node, name):
        index -= one.count if isinstance(one.count, int) else 1
        if index < 0:
            if one.relationship is None or one.target is None:
                break
            return one.relationship
    raise Unresolved


def _older(path: list[Any], owner: Any, template: Template) -> tuple[Entity, list[Any]]:
    """1.x: [SELF | SOURCE | TARGET | HOST | node, optional capability or requirement, name, ...]."""
    start, rest = path[0], path[1:]
    if start in ("SOURCE", "TARGET"):
        if isinstance(owner, NodeTemplate):
            return _through_configure(owner, start, rest)
        here: Entity = _along(owner, start) if isinstance(owner, Relationship) else _start("SELF", owner, template)
    elif start == "HOST":
        return _host(_start("SELF", owner, template), rest)
    elif start == "ORCHESTRATOR":
        raise Unresolved
    else:
        here = _start(start, owner, template)
    if isinstance(here, NodeTemplate) and len(rest) > 1 and not isinstance(rest[1], int):
        if rest[0] in here.capabilities and rest[1] in _names(here.capabilities[rest[0]]):
            return here.capabilities[rest[0]], rest[1:]
        if rest[0] in here.type.requirements and rest[0] not in here.type.properties:
            return _through(here, rest)
        if rest[0] in here.capabilities and rest[0] not in here.type.properties:
            return here.capabilities[rest[0]], rest[1:]
    return here, rest


def _through_configure(owner: NodeTemplate, start: str, rest: list[Any]) -> tuple[Entity, list[Any]]:
    """Interfaces of relationships may be written at the node that has the requirement."""
    if start == "SOURCE":
        return owner, rest
    targets = [one.target for one in owner.requirements if one.target]
    if len(targets) != 1:
        raise Unresolved
    return targets[0], rest


def _through(here: NodeTemplate, rest: list[Any]) -> tuple[Entity, list[Any]]:
    """The capability that a requirement reaches if it has the property, else the node behind it."""
    relation = _relationship(here, rest[0], 0)
    target, name = relation.target, rest[1]
    reached = target.capabilities.get(relation.capability or "") if target else None
    if reached is not None and name in _names(reached):
        return reached, rest[1:]
    return target, rest[1:]


def _names(entity: Entity) -> Iterable[str]:
    definition = entity.definition if isinstance(entity, Capability) else entity.type
    return {*(definition.properties if definition else ()), *(definition.attributes if definition else ()), *entity.properties}


def _host(here: Entity, rest: list[Any]) -> tuple[Entity, list[Any]]:
    """The nearest host that has the property, looking through its capabilities, too."""
    seen: set[int] = set()
    name = rest[0] if rest else None
    while isinstance(here, NodeTemplate) and id(here) not in seen:
        seen.add(id(here))
        relation = _hosting(here)
        here = relation.target
        if name in _names(here):
            return here, rest
        for capability in here.capabilities.values():
            if name in _names(capability):
                return capability, rest
    raise NoSuch(f"no host has {name}", "Check the name, or name the node.")


def _hosting(here: NodeTemplate) -> Relationship:
    for one in here.requirements:
        hosts = one.name == "host" or (one.relationship and is_hosted_on(one.relationship.type))
        if hosts:
            if one.relationship is None or one.target is None:
                raise Unresolved
            return one.relationship
    raise NoSuch(f"node {here.name} has no host", "Check the name, or name the node.")


def is_hosted_on(kind: Any) -> bool:
    """Whether a relationship type means that one node lives on another."""
    return kind is not None and any(one.name.endswith("HostedOn") for one in kind.lineage)


def into(data: Any, schema: Schema | None, path: list[Any]) -> tuple[Any, Schema | None]:
    """What a path of keys and indexes leads to in a value, with the schema of that. Raises NoSuch, Unresolved."""
    for part in path:
        schema = _inner(schema, part)
        if isinstance(data, Reference) or isinstance(part, Reference):
            data = Reference(data.name, (*data.arguments, part), data.place, schema) if isinstance(data, Reference) else data
            if not isinstance(data, Reference):
                raise Unresolved
            continue
        if isinstance(part, int) and part < 0:
            raise NoSuch(f"{part} is no index", "Indexes count from 0.")
        try:
            data = data[part] if isinstance(data, list | dict) else None
        except (KeyError, IndexError, TypeError):
            raise NoSuch(f"there is no {part!r} in the value", "Check names and indexes.") from None
        if data is None:
            raise NoSuch(f"there is no {part!r} in the value", "Check names and indexes.")
    return data, schema


def _inner(schema: Schema | None, part: Any) -> Schema | None:
    if schema is None:
        return None
    if schema.type.base == "complex":
        if not schema.type.properties:
            return None
        if isinstance(part, str) and part not in schema.type.properties:
            raise NoSuch(f"type {schema.type.name} has no property {part}", nearest(part, schema.type.properties))
        found = schema.type.properties.get(part)
        return found.schema if found else None
    if schema.type.base in ("list", "map"):
        return schema.entry or (schema.type.schema.entry if schema.type.schema else None)
    raise NoSuch(f"{schema.type.name} has no {part!r} in it", "Remove it.")
