"""Requirements and what fulfils them inside the template: by name, by type, by capability and filter.

Deterministic: candidates are taken in the order of the template, those that the same requirement does not use yet first.
What was tried and why it failed stays with the requirement.
"""

from __future__ import annotations

import graphlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cloudos.tosca import filters, grammar
from cloudos.tosca.assembly import Assembly
from cloudos.tosca.evaluation import Context
from cloudos.tosca.grammar import Fields
from cloudos.tosca.model import Capability, NodeTemplate, Relationship, Requirement, Template
from cloudos.tosca.paths import is_hosted_on
from cloudos.tosca.problems import Problems, nearest
from cloudos.tosca.source import LIST, Node
from cloudos.tosca.typemodel import CapabilityDefinition, RequirementDefinition

SHOWN = 20  # candidates that are told, of those that fit and of those that do not
COMPARISONS = 500_000  # some seconds; a template that needs more is told to name its targets
NUMERIC = {"integer", "float", "scalar"}


class Matching:
    """Matches the requirements of one template."""

    def __init__(self, assembly: Assembly):
        self.assembly, self.types, self.checker = assembly, assembly.types, assembly.checker
        self.problems, self.template, self.document = assembly.problems, assembly.template, assembly.document
        self.by_capability: dict[int, list[NodeTemplate]] = {}
        self.by_type: dict[int, list[NodeTemplate]] = {}
        self.comparisons = 0
        self.reached: dict[tuple[int, str], int] = {}

    def run(self) -> None:
        """Read the assignments, add what definitions demand, and find a target for each."""
        for node in self.template.nodes.values():
            for requirement in node.requirements:
                self._read(node, requirement)
            self._counts(node)
            for kind in {id(one): one for capability in node.type.capabilities.values() for one in _lineage(capability)}.values():
                self.by_capability.setdefault(id(kind), []).append(node)
            for kind in node.type.lineage:
                self.by_type.setdefault(id(kind), []).append(node)
        wanted = [(node, one) for node in self.template.nodes.values() for one in node.requirements]
        for node, one in sorted(wanted, key=lambda pair: (pair[1].node_name is None, not pair[1].assigned, pair[1].optional)):
            self._match(node, one)
        self._reached_enough()
        self._allocations()
        cycles(self.template, self.problems)

    # Reading assignments

    def _read(self, node: NodeTemplate, made: Requirement) -> None:
        fields: Fields = made.fields
        for one in made.filters:
            filters.check(one, self.checker, self.problems)
        self._target(made, fields.get("node"))
        made.capability_type, made.capability_name = made.definition.capability, made.definition.capability_name
        if (wanted := fields.get("capability")) is not None:
            self._capability(made, wanted)
        made.relationship = self._relationship(node, made, fields.get("relationship"))
        for name, part in fields.entries("allocation"):
            made.allocation[name] = self.assembly._value(part, None, node)

    def _target(self, made: Requirement, node: Node | None) -> None:
        made.node_type = made.definition.node
        if node is None:
            return
        name, index = node, None
        if node.kind == LIST and len(node.value) == 2 and node.source.modern:
            name, index = node.value
            made.node_index = self.checker.value(index, None, Context(made))
        if not isinstance(name.value, str):
            self.problems.add("requirement.target", node, f"node is {node.words()}, must be a name, or [name, index]", "Correct it.")
            return
        if name.value in self.template.broken:
            made.rejected["*"] = f"{name.value} is not valid itself"
        elif name.value in self.template.nodes:
            made.node_name = name.value
        elif index is None and (kind := self.types.known("node", name.value, self.document)):
            self.types.complete()
            if made.node_type and not kind.is_a(made.node_type) and not made.node_type.is_a(kind):
                message = f"{kind.name} does not derive from {made.node_type.name}, which requirement {made.name} asks for"
                self.problems.add("requirement.mismatch", node, message, "Name a node or type that fits.")
            made.node_type = kind if not made.node_type or kind.is_a(made.node_type) else made.node_type
        else:
            mend = nearest(name.value, self.template.nodes)
            self.problems.add("requirement.target", name, f"{name.value} is neither a node template nor a node type", mend)
            made.node_type = None
            made.rejected["*"] = f"{name.value} does not exist"

    def _capability(self, made: Requirement, node: Node) -> None:
        name = str(node.value)
        target = self.template.nodes.get(made.node_name or "")
        kind = target.type if target else made.node_type
        if kind and name in kind.capabilities:
            made.capability_name = name
        elif found := self.types.known("capability", name, self.document):
            if made.definition.capability and not found.is_a(made.definition.capability):
                message = f"{found.name} does not derive from {made.definition.capability.name}, which {made.name} asks for"
                self.problems.add("requirement.mismatch", node, message, "Name a capability that fits.")
            else:
                made.capability_type = found
        else:
            where = f"{kind.name} has no capability {name}, and there is no such type" if kind else f"{name} is no capability type"
            self.problems.add("capability.unknown", node, where, nearest(name, kind.capabilities if kind else ()))

    def _relationship(self, source: NodeTemplate, made: Requirement, node: Node | None) -> Relationship | None:
        """The relationship to be, without its ends: of a type, of a template, or of the definition."""
        kind, wanted = made.definition.relationship, None
        fields = grammar.read("relationship_assignment", node, self.problems) if node is not None else Fields(made.fields.node, {})
        if name := fields.text("type"):
            wanted = self.types.known("relationship", name, self.document)
            if wanted is None and (template := self.template.relationship_templates.get(name)):
                self._fits(made, template.type, kind, node)
                return replace(template, source=None, target=None)
            if wanted is None:
                names = [*self.template.relationship_templates, *self.document.names("relationship")]
                message = f"{name} is neither a relationship type nor a relationship template"
                self.problems.add("requirement.relationship", fields["type"], message, nearest(name, names))
                return None
            self._fits(made, wanted, kind, node)
        kind = wanted or kind
        if node is None and kind is None:
            return Relationship(made.name, made.place, None)
        return self.assembly.relationship(made.name, fields, kind)

    def _fits(self, made: Requirement, kind: Any, wanted: Any, node: Node | None) -> None:
        if kind and wanted and not kind.is_a(wanted) and node is not None:
            message = f"{kind.name} does not derive from {wanted.name}, which requirement {made.name} asks for"
            if self.document.modern:
                self.problems.add("requirement.relationship", node.place, message, "Name a relationship type that fits.")

    def _counts(self, node: NodeTemplate) -> None:
        """Sums of counts within the ranges; requirements that must be there although nobody assigned them."""
        selected = {"select", "selectable"}.intersection(node.directives)
        for name, definition in node.type.requirements.items():
            own = [one for one in node.requirements if one.name == name]
            if not own:
                for _ in range(int(min(definition.least, 100)) if not selected else 0):
                    node.requirements.append(implicit(node, definition))
                continue
            if not all(isinstance(one.count, int) for one in own):
                continue
            total = sum(one.count for one in own)
            least = sum(one.count for one in own if not one.optional)
            if total > definition.most or least < definition.least:
                rule = "requirement.count"
                if not definition.stated and definition.least <= least:
                    rule = "requirement.implied"
                most = "any number" if definition.most == float("inf") else f"{definition.most:g}"
                message = f"node {node.name} has {least} to {total} {name}, must have {definition.least:g} to {most}"
                place = own[int(min(definition.most, len(own) - 1))].place
                self.problems.add(rule, place, message, f"See {definition.place}.")

    # Candidates

    def _match(self, node: NodeTemplate, made: Requirement) -> None:
        if made.count == 0 or made.directives == ["external"] or "*" in made.rejected:
            made.rejected.pop("*", None)
            return
        if made.node_name:
            self._named(node, made, self.template.nodes[made.node_name])
            return
        used = [one.target for one in node.requirements if one.name == made.name and one.target]
        fitting = self._fitting(node, made, used)
        if not fitting:
            self._unfulfilled(node, made)
            return
        self._take(node, made, *fitting[0])
        others = [candidate.name for candidate, _ in fitting[1:] if not any(candidate is one for one in used)]
        if others and made.assigned:
            message = f"requirement {made.name} of {node.name} takes {fitting[0][0].name}; {', '.join(others[:5])} would fit, too"
            self.problems.add("requirement.ambiguous", made.place, message, "Name the node, or add a node filter.")

    def _fitting(self, node: NodeTemplate, made: Requirement, used: list[NodeTemplate]) -> list[tuple[NodeTemplate, Capability]]:
        """Nodes that fit, with the capability that does; those in `used` last."""
        fitting: list[tuple[NodeTemplate, Capability]] = []
        for candidate in self._candidates(made):
            self.comparisons += 1
            if self.comparisons == COMPARISONS:
                self.problems.add("requirement.limit", made.place, "too many candidates were tried", "Name the node templates.")
            if self.comparisons >= COMPARISONS:
                break
            capability, reason = self._fit(node, made, candidate)
            if capability:
                fitting.append((candidate, capability))
            elif len(made.rejected) < SHOWN:
                made.rejected[candidate.name] = reason
            if len(fitting) > SHOWN + len(used):
                break
        fitting.sort(key=lambda pair: sum(pair[0] is one for one in used))
        made.candidates = [candidate.name for candidate, _ in fitting]
        return fitting

    def _unfulfilled(self, node: NodeTemplate, made: Requirement) -> None:
        if not made.rejected:
            made.rejected["*"] = f"no node is a {made.node_type.name}" if made.node_type else "no node has the capability"
        if made.directives == ["internal"]:
            why = "; ".join(f"{name}: {reason}" for name, reason in made.rejected.items())
            message = f"requirement {made.name} of {node.name} is not fulfilled: {why}"
            self.problems.add("requirement.internal", made.place, message, "Add a node, or allow external ones.")

    def _candidates(self, made: Requirement) -> Iterator[NodeTemplate]:
        """Nodes that may fit by their type and capabilities; each row is in the template's order."""
        rows = [list(self.template.nodes.values())]
        if made.capability_type is not None:
            rows.append(self.by_capability.get(id(made.capability_type), []))
        if made.node_type is not None:
            rows.append(self.by_type.get(id(made.node_type), []))
        yield from min(rows, key=len)

    def _named(self, node: NodeTemplate, made: Requirement, target: NodeTemplate) -> None:
        capability, reason = self._fit(node, made, target)
        if capability is None:
            message = f"{target.name} cannot fulfil requirement {made.name} of {node.name}: {reason}"
            self.problems.add("requirement.mismatch", made.fields.get("node") or made.place, message, f"See {made.definition.place}.")
            made.rejected[target.name] = reason
            return
        made.candidates = [target.name]
        if (kind := made.definition.node) and not target.type.is_a(kind):
            message = f"{target.name} is a {target.type.name}, not a {kind.name}, but has the capability"
            self.problems.add("requirement.loose", made.fields.get("node") or made.place, message, f"See {made.definition.place}.")
        self._take(node, made, target, capability)

    def _fit(self, source: NodeTemplate, made: Requirement, target: NodeTemplate) -> tuple[Capability | None, str]:
        """The capability of a node that fulfils a requirement, or why there is none."""
        if target is source:
            return None, "a node does not fulfil its own requirements"
        for kind in (made.node_type, made.definition.node) if not made.node_name else (made.definition.node,):
            if kind and not target.type.is_a(kind) and not (made.node_name and not self.document.modern):
                return None, f"its type {target.type.name} does not derive from {kind.name}"
        reasons = []
        for capability in self._ordered(made, target):
            reason = self._refused(source, made, target, capability)
            if reason is None:
                return capability, ""
            reasons.append(reason)
        wanted = made.capability_name or (made.capability_type.name if made.capability_type else "any")
        return None, "; ".join(dict.fromkeys(reasons)) or f"it has no capability {wanted}"

    @staticmethod
    def _ordered(made: Requirement, target: NodeTemplate) -> list[Capability]:
        """Capabilities of the wanted name or type; of several, the one named like the requirement first."""
        found = []
        for capability in target.capabilities.values():
            kind = capability.definition.type
            fits = made.capability_type is None or (kind is not None and kind.is_a(made.capability_type))
            if fits and made.capability_name in (None, capability.name):
                found.append(capability)
        return sorted(found, key=lambda one: one.name != made.name)

    def _refused(self, source: NodeTemplate, made: Requirement, target: NodeTemplate, capability: Capability) -> str | None:
        definition, relation = capability.definition, made.relationship
        if definition.sources is not None and not any(source.type.is_a(one) for one in definition.sources):
            return f"capability {capability.name} takes {_list(definition.sources)} only"
        kind = relation.type if relation else None
        if kind:
            if definition.relationships is not None and not any(kind.is_a(one) for one in definition.relationships):
                return f"capability {capability.name} takes relationships {_list(definition.relationships)} only"
            if kind.capabilities is not None and not any(definition.type and definition.type.is_a(one) for one in kind.capabilities):
                return f"relationship {kind.name} leads to {_list(kind.capabilities)} only"
            if kind.targets is not None and not any(target.type.is_a(one) for one in kind.targets):
                return f"relationship {kind.name} leads to nodes {_list(kind.targets)} only"
            if kind.sources is not None and not any(source.type.is_a(one) for one in kind.sources):
                return f"relationship {kind.name} comes from nodes {_list(kind.sources)} only"
        if capability.directives == ["external"]:
            return f"capability {capability.name} is for nodes outside the template"
        trial = Relationship(
            made.name, made.place, kind, source, target, made.name, capability.name, relation.properties if relation else {}
        )
        return filters.failure(made.filters, trial, self.checker) if made.filters else None

    def _take(self, node: NodeTemplate, made: Requirement, target: NodeTemplate, capability: Capability) -> None:
        made.target, made.target_capability = target, capability.name
        made.relationship = made.relationship or Relationship(made.name, made.place, None)
        relation = made.relationship
        relation.source, relation.target, relation.requirement, relation.capability = node, target, made.name, capability.name
        for value in (*relation.properties.values(), *relation.attributes.values()):
            value.owner = relation
        for interface in relation.interfaces.values():
            for part in (interface, *interface.operations.values(), *interface.notifications.values()):
                for value in part.values.values():
                    value.owner = relation
        key = (id(target), capability.name)
        self.reached[key] = self.reached.get(key, 0) + (made.count if isinstance(made.count, int) else 1)
        if self.reached[key] > capability.definition.most:
            message = f"capability {capability.name} of {target.name} takes {capability.definition.most:g} relationships"
            self.problems.add("requirement.occurrences", made.place, message, f"See {capability.definition.place}.")

    # What concerns all

    def _reached_enough(self) -> None:
        """Occurrences ask for relationships; that those may come from outside, and that 1.x's default asks for one, makes it a hint."""
        for node in self.template.nodes.values():
            for capability in node.capabilities.values():
                count = self.reached.get((id(node), capability.name), 0)
                if count < capability.definition.least:
                    message = f"capability {capability.name} of {node.name} is reached by {count} of {capability.definition.least:g}"
                    self.problems.add("requirement.unreached", node.place, message, f"See {capability.definition.place}.")

    def _allocations(self) -> None:
        sums: dict[tuple[int, str], float] = {}
        for node in self.template.nodes.values():
            for made in node.requirements:
                for name, value in made.allocation.items():
                    self._allocation(made, name, value, sums)

    def _allocation(self, made: Requirement, name: str, value: Any, sums: dict) -> None:
        definition = self._definition(made)
        schema_of = definition.properties if definition else (made.capability_type.properties if made.capability_type else {})
        found = schema_of.get(name)
        if found is None or found.schema is None or found.schema.type.base not in NUMERIC:
            what = "is not numeric" if found else "does not exist in the target capability"
            numeric = [key for key, one in schema_of.items() if one.schema and one.schema.type.base in NUMERIC]
            self.problems.add("requirement.allocation", value.place, f"property {name} {what}", nearest(name, numeric))
            return
        value.definition = replace(found, schema=replace(found.schema, conditions=[]))
        target = made.target.capabilities[made.target_capability or ""].properties.get(name) if made.target else None
        if target is None or made.target.count != 1:  # which of several nodes is reached is known at run time
            return
        amounts = [self.checker.typed(self.checker.of(one), found.schema) for one in (value, target)]
        numbers = [getattr(one, "amount", one) for one in amounts]
        if all(isinstance(one, int | float) for one in numbers):
            key = (id(target), name)
            sums[key] = sums.get(key, 0) + numbers[0] * (made.count if isinstance(made.count, int) else 1)
            if sums[key] > numbers[1]:
                message = f"allocations of {name} exceed {target.value!r} of {made.target.name}"
                self.problems.add("requirement.capacity", value.place, message, "Allocate less, or spread over more nodes.")

    @staticmethod
    def _definition(made: Requirement) -> CapabilityDefinition | None:
        if made.target:
            return made.target.capabilities[made.target_capability or ""].definition
        if made.node_type and made.capability_name:
            return made.node_type.capabilities.get(made.capability_name)
        return None


def implicit(node: NodeTemplate, definition: RequirementDefinition) -> Requirement:
    """A requirement that the template does not mention."""
    made = Requirement(definition.name, node.place, definition, definition.node, assigned=False)
    made.capability_type, made.capability_name = definition.capability, definition.capability_name
    made.filters = definition.filters
    made.relationship = Relationship(definition.name, node.place, definition.relationship)
    return made


def cycles(template: Template, problems: Problems) -> None:
    """Hosts and dependencies have an order, or nothing can be deployed."""
    graph: dict[str, set[str]] = {}
    for relation in template.relationships():
        if is_hosted_on(relation.type) or (relation.type and any(one.name.endswith("DependsOn") for one in relation.type.lineage)):
            graph.setdefault(relation.source.name, set()).add(relation.target.name)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        circle = error.args[1]
        first = min(circle)
        message = f"nodes need each other in a circle: {' -> '.join(circle)}"
        problems.add("requirement.cycle", template.nodes[first].place, message, "Remove one of the requirements.")


def _lineage(capability: CapabilityDefinition) -> tuple:
    return capability.type.lineage if capability.type else ()


def _list(kinds: list) -> str:
    return ", ".join(kind.name for kind in kinds)
