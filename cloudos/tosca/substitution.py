"""Substitution mappings: what a template offers as the inside of a node, checked on both sides."""

from __future__ import annotations

from typing import Any

from cloudos.tosca import filters, grammar
from cloudos.tosca.assembly import Assembly
from cloudos.tosca.grammar import Fields
from cloudos.tosca.model import Substitution
from cloudos.tosca.problems import Mark, nearest
from cloudos.tosca.source import LIST, MAP, SCALAR, Node
from cloudos.tosca.typemodel import NodeType


class Mappings:
    """The substitution mappings of one template."""

    def __init__(self, assembly: Assembly):
        self.assembly, self.types, self.checker = assembly, assembly.types, assembly.checker
        self.problems, self.template, self.document = assembly.problems, assembly.template, assembly.document

    def run(self) -> None:
        """Read and check the section, if there is one."""
        node = self.assembly.fields.get("substitution_mappings")
        if node is None:
            return
        fields = grammar.read("substitution", node, self.problems)
        kind = (
            self.types.get("node", fields.text("node_type") or "", self.document, fields["node_type"]) if fields.text("node_type") else None
        )
        self.types.complete()
        if not isinstance(kind, NodeType):
            return
        made = Substitution(Mark.of(node.place), kind)
        self.template.substitution = made
        self._properties(made, fields)
        self._attributes(made, fields)
        self._capabilities(made, fields)
        self._requirements(made, fields)
        self._interfaces(made, fields)
        made.filter = fields.get("substitution_filter")
        if made.filter is not None and self.document.modern:
            self.checker.calls.condition(made.filter, "a substitution filter")
        elif made.filter is not None:
            filters.check(made.filter, self.checker, self.problems)

    def _wrong(self, node: Node, message: str, mend: str) -> None:
        self.problems.add("substitution.invalid", node.place, message, mend)

    def _properties(self, made: Substitution, fields: Fields) -> None:
        for key, value in _items(fields.get("properties")):
            name = key.data()
            made.properties.append((name, value.data()))
            known = made.node_type.properties
            if isinstance(name, str) and name not in known:
                self._wrong(key, f"node type {made.node_type.name} has no property {name}", nearest(name, known))
                continue
            source = value.value[0] if value.kind == LIST and len(value.value) == 1 else value
            if source.kind != SCALAR or not isinstance(source.value, str):
                continue
            definition = self.template.definitions.get(source.value)
            if definition is None and (self.document.modern or value.kind == LIST):
                self._wrong(value, f"{source.value} is no input of the template", nearest(source.value, self.template.definitions))
            elif definition and isinstance(name, str):
                self._same_type(value, known[name].schema, definition.schema)

    def _same_type(self, node: Node, outer: Any, inner: Any) -> None:
        if outer and inner and not (outer.type.is_a(inner.type) or inner.type.is_a(outer.type) or outer.type.base == inner.type.base):
            self._wrong(node, f"{outer.type.name} is mapped to {inner.type.name}", "Map what has the same type.")

    def _attributes(self, made: Substitution, fields: Fields) -> None:
        for key, value in _items(fields.get("attributes")):
            name = key.data()
            made.attributes.append((name, value.data()))
            known = {**made.node_type.properties, **made.node_type.attributes}
            if isinstance(name, str) and name not in known:
                self._wrong(key, f"node type {made.node_type.name} has no attribute {name}", nearest(name, known))
            elif self.document.modern and isinstance(value.value, str) and value.value not in self.template.outputs:
                self._wrong(value, f"{value.value} is no output of the template", nearest(value.value, self.template.outputs))

    def _capabilities(self, made: Substitution, fields: Fields) -> None:
        for name, value in fields.entries("capabilities"):
            made.capabilities.append((name, (value.get("mapping") or value).data()))
            definition = made.node_type.capabilities.get(name)
            if definition is None:
                self._wrong(value, f"node type {made.node_type.name} has no capability {name}", nearest(name, made.node_type.capabilities))
                continue
            value = value.get("mapping") or value
            if (pair := self._pair(value)) is None:
                if self.document.modern:
                    self._wrong(value, "a capability is mapped to [node template, capability]", "Write such a list.")
                continue
            node, capability = pair
            if node and (found := node.capabilities.get(capability)) is None:
                self._wrong(value, f"node {node.name} has no capability {capability}", nearest(capability, node.capabilities))
            elif node and definition.type and found.definition.type and not found.definition.type.is_a(definition.type):
                self._wrong(value, f"{found.definition.type.name} does not derive from {definition.type.name}", "Map what fits.")

    def _pair(self, value: Node) -> tuple[Any, str] | None:
        """(node template or None with the problem told, name) of a list of two texts."""
        if value.kind != LIST or len(value.value) != 2 or not all(isinstance(part.value, str) for part in value.value):
            return None
        name = value.value[0].value
        node = self.template.nodes.get(name)
        if node is None and name not in self.template.broken:
            self._wrong(value.value[0], f"node template {name} does not exist", nearest(name, self.template.nodes))
        return node, value.value[1].value

    def _requirements(self, made: Substitution, fields: Fields) -> None:
        node = fields.get("requirements")
        if node is not None and self.document.modern and node.kind != LIST:
            self._wrong(node, f"requirements is {node.words()}, must be a list", "Write a list of maps.")
            return
        for part in node.value if node is not None and node.kind == LIST else [node]:
            for key, value in _items(part):
                self._requirement(made, key, value)

    def _requirement(self, made: Substitution, key: Node, value: Node) -> None:
        name = key.data()[0] if key.kind == LIST and key.value else key.text
        targets = self._targets(value)
        made.requirements.append((key.data(), [target.data() for target in targets]))
        if name not in made.node_type.requirements:
            known = made.node_type.requirements
            self._wrong(key, f"node type {made.node_type.name} has no requirement {name}", nearest(name, known))
            return
        for target in targets:
            if isinstance(target.value, str):
                node = self.template.nodes.get(target.value)
                if target.value in self.template.broken:
                    continue
                if node is None:
                    self._wrong(target, f"node template {target.value} does not exist", nearest(target.value, self.template.nodes))
                elif "select" not in node.directives:
                    self._wrong(target, f"node {node.name} is not selectable", "Map to [node, requirement], or give it directive select.")
            elif (pair := self._pair(target)) is None:
                self._wrong(target, "a requirement is mapped to [node template, requirement]", "Write such a list.")
            elif pair[0] and pair[1] not in pair[0].type.requirements:
                known = pair[0].type.requirements
                self._wrong(target, f"node {pair[0].name} has no requirement {pair[1]}", nearest(pair[1], known))

    def _targets(self, value: Node) -> list[Node]:
        """One mapping or several: a name, [node, requirement], or a list of these."""
        value = value.get("mapping") or value
        if value.kind != LIST:
            return [value]
        texts = [part.value for part in value.value]
        if len(texts) == 2 and all(isinstance(text, str) for text in texts):
            node = self.template.nodes.get(texts[0])
            if texts[1] not in self.template.nodes or (node and texts[1] in node.type.requirements):
                return [value]
        return value.value

    def _interfaces(self, made: Substitution, fields: Fields) -> None:
        for name, value in fields.entries("interfaces"):
            interface = made.node_type.interfaces.get(name)
            if interface is None:
                self._wrong(value, f"node type {made.node_type.name} has no interface {name}", nearest(name, made.node_type.interfaces))
                continue
            made.interfaces[name] = {}
            for key, workflow in _items(value):
                made.interfaces[name][key.text or ""] = workflow.value
                if key.text not in interface.operations:
                    self._wrong(key, f"interface {name} has no operation {key.text}", nearest(key.text, interface.operations))
                if not isinstance(workflow.value, str) or workflow.value not in self.template.workflows:
                    self._wrong(workflow, f"workflow {workflow.text} does not exist", nearest(workflow.text, self.template.workflows))


def _items(node: Node | None) -> list[tuple[Node, Node]]:
    return node.items if node is not None and node.kind == MAP else []
