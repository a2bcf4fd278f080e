"""What was chosen for the nodes of a template: what they are made of, and what exists and fulfils a requirement that the template
leaves open. A requirement is open where no node of the template fulfils it; `Template.openings()` names it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cloudos.eve.compiler.expressions import asked
from cloudos.eve.compiler.instances import Compilation, Instance
from cloudos.tosca.model import NodeTemplate, Relationship, Requirement


class Bound(Instance):
    """Something that exists and was chosen: as the target of a requirement it is like an instance of a node, but never made."""

    def __init__(self, compiler: Compilation, source: NodeTemplate, requirement: Requirement, name: str, kind: str, identity: str):
        self.compiler, self.index, self._source, self._kind, self._identity = compiler, 0, source, kind, identity
        # What is made between the two is named after both: not like what leads to a node of the template.
        self.name = f"bound-{name}" if name in compiler.template.nodes else name
        self.template = NodeTemplate(self.name, requirement.place, requirement.node_type or source.type)
        self.pool, self.entry, self._context = compiler.pool_of(source), {}, None

    @functools.cached_property
    def resources(self) -> list[tuple[str, dict, dict | None]]:
        """The one thing, as all have it that are used and not made."""
        reference = self.compiler.use(self.pool, self._source.name, self._kind, name=self._identity)
        return [(reference["$attribute"][0], {"kind": self._kind}, {"name": self._identity})]


class Choices:
    """The choices of one compilation: node -> what -> {"name", perhaps "id", and "resource" where Graffiti bound it}."""

    def __init__(self, compiler: Compilation, given: Mapping[str, Mapping[str, Any]]):
        self.compiler, self._given, self.nodes = compiler, given, given.keys()
        self.targets: dict[NodeTemplate, Bound] = {}
        self._things: dict[tuple[str, str], Bound] = {}
        self._used: set[tuple[str, str]] = set()

    def chosen(self, node: NodeTemplate, what: str, by: str = "id") -> str | None:
        """What was chosen for a node, by its id or else its name; None where nothing was."""
        one = self._given.get(node.name, {}).get(what)
        if one is None:
            return None
        self._used.add((node.name, what))
        return one.get(by) or one["name"]

    def relationships(self) -> list[Relationship]:
        """The links of the template, in its order, and among them those to what was chosen for its open requirements."""
        template = self.compiler.template
        opened = template.openings() if self._given else []
        bound = {id(one): found for node, one, name in opened if (found := self._bound(node, one, name))}
        requirements = [one for node in template.nodes.values() for one in node.requirements]
        links = [bound.get(id(one)) or (one.relationship if one.target else None) for one in requirements]
        return [one for one in links if one and one.source and one.target]

    def _bound(self, node: NodeTemplate, one: Requirement, name: str) -> Relationship | None:
        if name not in self._given.get(node.name, {}) or one.relationship is None:
            return None
        kind = self._kinds(node).get(one.name)
        if kind is None:
            return None
        thing = Bound(self.compiler, node, one, name, kind, self.chosen(node, name) or "")
        self.targets[thing.template] = self._things[node.name, name] = thing
        return replace(one.relationship, source=node, target=thing.template, requirement=one.name)

    def _kinds(self, node: NodeTemplate) -> Mapping[str, str]:
        """Requirement that a node may leave open -> kind of what can be chosen for it."""
        return self.compiler.entry_of(node).get("bound") or {}

    def fulfilled(self) -> dict[str, str]:
        """Resource that exists -> what it is, who chose it, and for which requirements of which nodes."""
        found: dict[str, tuple[str, list[str]]] = {}
        for (node, name), thing in self._things.items():
            if self.compiler.instances(self.compiler.template.nodes[node]):
                choice = self._given[node][name]
                resource, made, _ = thing.resources[0]
                words = f"{made['kind'].replace('_', ' ')} {choice['name']} ({'bound by Graffiti' if 'resource' in choice else 'chosen'})"
                found.setdefault(resource, (words, []))[1].append(f"{node}.{name}")
        return {resource: f"{words} for {', '.join(where)}" for resource, (words, where) in found.items()}

    def unused(self) -> list[str]:
        """The choices that nothing was made of, each with the reason and with what its node can take. Asked when all is compiled.

        One that says what the node says itself is none, nor is one for a node without instances.
        """
        opened: dict[str, set[str]] = {}
        for node, one, name in self.compiler.template.openings() if self._given else ():
            if one.name in self._kinds(node):
                opened.setdefault(node.name, set()).add(name)
        return [self._unused(node, what, one, opened.get(node.name, set())) for node in map(self.compiler.template.nodes.get, self._given)
                if node and self.compiler.instances(node) for what, one in self._given[node.name].items()
                if (node.name, what) not in self._used and not _same(node, what, one)]  # fmt: skip

    def _unused(self, node: NodeTemplate, what: str, one: Mapping[str, Any], opened: set[str]) -> str:
        links = [link for instance in self.compiler.instances(node) for link in self.compiler.outgoing(instance)]
        takes = {what for owner in (*self.compiler.instances(node), *links) for what in asked(owner.entry, "chosen")}
        if what in takes:
            why = "what the template says of the node goes first"
        elif what in self._kinds(node):
            why = "the template does not leave that requirement open"
        else:
            why = f"{node.type.name} takes no such choice"
        can = ", ".join(sorted(takes | opened))
        return f"node {node.name}: {one['name']}, which is chosen for {what}, is used by nothing; {why}. It can take {can or 'none'}"


def _same(node: NodeTemplate, what: str, one: Mapping[str, Any]) -> bool:
    said = node.properties.get(what)
    return said is not None and said.value in (one["name"], one.get("id") or one["name"])
