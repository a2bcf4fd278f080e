"""The service template: its inputs, nodes, relationship templates and outputs, made of assignments and definitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cloudos.tosca import grammar
from cloudos.tosca.documents import Document
from cloudos.tosca.evaluation import Context
from cloudos.tosca.grammar import Fields
from cloudos.tosca.model import Capability, NodeTemplate, Reference, Relationship, Requirement, Value
from cloudos.tosca.problems import Mark, nearest
from cloudos.tosca.source import LIST, MAP, Node, Source
from cloudos.tosca.typemodel import Interface, NodeType, Operation, Property
from cloudos.tosca.types import Types
from cloudos.tosca.values import Checker

DIRECTIVES = {True: {"create", "select", "substitute"}, False: {"select", "selectable", "substitute", "substitutable"}}
SCOPES = {"internal", "external"}
MERGED = ("properties", "attributes", "capabilities", "interfaces", "artifacts")
SELECTED = {"select", "selectable"}


class Assembly:
    """Makes the template of one document. Requirements are matched, and values evaluated, by others."""

    def __init__(self, types: Types, checker: Checker, document: Document, fields: Fields):
        self.types, self.checker, self.problems = types, checker, types.problems
        self.template, self.document, self.fields = checker.template, document, fields
        self.values: list[Value] = []  # all that is to be evaluated

    # Inputs and outputs

    def inputs(self, given: Mapping[str, Any] | None) -> None:
        """Definitions of inputs, and the values in force."""
        template = self.template
        template.definitions = self.types.definitions.properties(self.fields.entries("inputs"), {}, self.document, "parameter")
        self.types.complete()
        self._known(given, template.definitions, self.fields.get("inputs") or self.fields.node, "the template")
        for name, definition in template.definitions.items():
            if given and name in given:
                template.inputs[name] = self._given(definition, given[name])
            elif definition.fixed or definition.default:
                self.checker.pending[name] = definition
            elif given is not None and definition.required:
                self.problems.add("input.missing", definition.place, f"input {name} has no value", f"Give it with -i {name}=VALUE.")

        for name in list(self.checker.pending):
            self.checker.settle(name)

    def given(self, definitions: Mapping[str, Property], given: Mapping[str, Any], defaults: Mapping[str, Any], place: Mark,
              title: str) -> dict[str, Any]:  # fmt: skip
        """Values of inputs that something else than the template has, checked; those of defaults where none are given."""
        self._known(given, definitions, place, title)
        for name, definition in definitions.items():
            if name not in given and name not in defaults and definition.required:
                message = f"input {name} of {title} has no value"
                self.problems.add("input.missing", definition.place, message, f"Give it with --input {name}=VALUE.")
        return {**defaults, **{name: self._given(one, given[name]) for name, one in definitions.items() if name in given}}

    def _known(self, given: Mapping[str, Any] | None, definitions: Mapping[str, Property], place: Any, title: str) -> None:
        for name in [name for name in given or {} if name not in definitions]:
            where = getattr(place, "place", place)
            self.problems.add("input.unknown", where, f"{title} has no input {name}", nearest(name, definitions))

    def _given(self, definition: Property, value: Any) -> Any:
        """A given value, checked; what is wrong with it is told of the input's definition, by its own rule. A Reference stays one."""
        if isinstance(value, Reference):
            return value
        node = Node(Source(definition.place.file, self.document.modern), definition.place.line, definition.place.column, MAP)
        known = dict(self.problems.found)
        data = self.checker.value(node.like(value), definition.schema, Context(final=True))
        for problem in [one for one in self.problems.found if one not in known]:
            del self.problems.found[problem]
            self.problems.add("input.invalid", definition.place, f"input {definition.name}: {problem.message}", problem.mend)
        return data

    def outputs(self) -> None:
        """Outputs with their values."""
        definitions = self.types.definitions.properties(self.fields.entries("outputs"), {}, self.document, "parameter")
        self.types.complete()
        for name, definition in definitions.items():
            self.template.outputs[name] = self._value(definition.fixed or definition.default, definition, None)

    def _value(self, node: Node | None, definition: Property | None, owner: Any, assigned: bool = True) -> Value:
        place = Mark.of(node or (definition.place if definition else self.fields.node))
        made = Value(None, place, definition, assigned, node, owner)
        self.values.append(made)
        return made

    # Nodes and relationship templates

    def nodes(self) -> None:
        """All node templates and relationship templates."""
        own = dict(self.fields.entries("relationship_templates"))
        for name, node in own.items():
            fields = self._copied("relationship_template", name, node, own)
            if made := self._relationship_template(name, fields):
                self.template.relationship_templates[name] = made
        own = dict(self.fields.entries("node_templates"))
        for name, node in own.items():
            self._node(name, self._copied("node_template", name, node, own))

    def _copied(self, entity: str, name: str, node: Node, section: dict[str, Node]) -> Fields:
        """Keynames of a template, on top of those of the template it copies."""
        fields = grammar.read(entity, node, self.problems)
        if not (source := fields.text("copy")):
            if fields.absent("type") and fields.absent("copy"):
                self.problems.add("key.missing", node.place, f"{name} lacks type", "Add type.")
            return fields
        if source not in section or source == name or section[source].get("copy") is not None:
            why = "does not exist" if source not in section else "copies itself"
            mend = nearest(source, [key for key in section if key != name])
            self.problems.add("copy.invalid", fields["copy"], f"{source} {why}, and cannot be copied", mend)
            return fields
        above = grammar.read(entity, section[source], self.problems)
        found = {**above, **fields}
        for key in MERGED:
            if key in above and key in fields:
                found[key] = _merged(above[key], fields[key])
        return Fields(node, found)

    def _node(self, name: str, fields: Fields) -> None:
        kind = self.types.get("node", fields.text("type") or "", self.document, fields["type"]) if fields.text("type") else None
        self.types.complete()
        if not isinstance(kind, NodeType):
            self.template.broken.add(name)
            return
        made = NodeTemplate(name, Mark.of(fields.node.place), kind, metadata=fields.data("metadata") or {})
        self.template.nodes[name] = made
        made.directives = self._directives(fields, DIRECTIVES[self.document.modern])
        made.count = self._count(fields.get("count"), made)
        made.node_filter = fields.get("node_filter")
        if made.node_filter is not None and made.node_filter.source.modern:
            self.checker.calls.condition(made.node_filter, "a node filter")
        needed = not SELECTED.intersection(made.directives)
        made.properties = self._assigned(fields, "properties", kind.properties, made, f"node {name}", needed)
        made.attributes = self._assigned(fields, "attributes", {**kind.properties, **kind.attributes}, made, f"node {name}", False)
        self._capabilities(made, fields, needed)
        made.interfaces = self.interfaces(fields, kind.interfaces, made, f"node type {kind.name}")
        made.artifacts = dict(kind.artifacts)
        for key, node in fields.entries("artifacts"):
            made.artifacts[key] = self.types.definitions.artifact(key, node, self.document)
            self.types.complete()
        self._requirements(made, fields)

    def _relationship_template(self, name: str, fields: Fields) -> Relationship | None:
        if not fields.text("type"):
            return None
        kind = self.types.get("relationship", fields.text("type") or "", self.document, fields["type"])
        return self.relationship(name, fields, kind) if kind else None

    def relationship(self, name: str, fields: Fields, kind: Any) -> Relationship:
        """A relationship with what is assigned to it; the ends are not known yet."""
        self.types.complete()
        made = Relationship(name, Mark.of(fields.node.place), kind)
        properties, attributes = (kind.properties, kind.attributes) if kind else ({}, {})
        title = f"relationship {kind.name if kind else name}"
        made.properties = self._assigned(fields, "properties", properties, made, title, kind is not None)
        made.attributes = self._assigned(fields, "attributes", {**properties, **attributes}, made, title, False)
        made.interfaces = self.interfaces(fields, kind.interfaces if kind else {}, made, title)
        return made

    def _directives(self, fields: Fields, known: set[str]) -> list[str]:
        found = []
        for node in fields.texts("directives"):
            if node.value not in known:
                self.problems.add("directive.unknown", node, f"{node.value} is no directive here", nearest(node.value, known))
            found.append(node.value)
        return found

    def _count(self, node: Node | None, owner: Any) -> Any:
        """A count: an integer, a Reference; 1.x's [least, most] gives the least."""
        if node is None:
            return 1
        data = self.checker.value(node, None, Context(owner))
        if isinstance(data, list) and not node.source.modern:
            data = self.types.definitions.range(node, (1, 1))[0]
        if isinstance(data, Reference) or (isinstance(data, int) and not isinstance(data, bool) and data >= 0):
            return data
        self.problems.add("value.type", node, f"count {data!r} is no non-negative integer", "Correct it.")
        return 1

    def _assigned(self, fields: Fields, section: str, definitions: dict, owner: Any, title: str, needed: bool) -> dict[str, Value]:
        """Values by name: assigned ones, fixed ones and defaults. `needed`: complain of required ones that have none."""
        entity = {"properties": "property", "attributes": "attribute"}[section]
        found: dict[str, Value] = {}
        for name, node in fields.entries(section):
            definition = definitions.get(name)
            if definition is None:
                self.problems.add(f"{entity}.unknown", node.place, f"{title} has no {entity} {name}", nearest(name, definitions))
            elif definition.fixed is not None and entity == "property" and node.data() != definition.fixed.data():
                message = f"{name} has the fixed value {definition.fixed.data()!r}"
                self.problems.add("value.fixed", node.place, message, f"Remove it; see {definition.place}.")
            elif not node.empty or (node.source.modern and entity == "property"):
                found[name] = self._value(node, definition, owner)
        for name, definition in definitions.items():
            if name not in found and (source := definition.fixed or definition.default) is not None:
                found[name] = self._value(source, definition, owner, assigned=False)
            elif name not in found and needed and definition.required and entity == "property" and not _has(fields, section, name):
                place = fields.get(section) or fields.node
                self.problems.add("value.required", place.place, f"{title}: required property {name} has no value", f"Assign {name}.")
        return found

    def _capabilities(self, made: NodeTemplate, fields: Fields, needed: bool) -> None:
        assigned = dict(fields.entries("capabilities"))
        for name, node in assigned.items():
            if name not in made.type.capabilities:
                mend = nearest(name, made.type.capabilities)
                self.problems.add("capability.unknown", node.place, f"node type {made.type.name} has no capability {name}", mend)
        for name, definition in made.type.capabilities.items():
            node = assigned.get(name)
            inner = grammar.read("capability_assignment", node, self.problems) if node is not None else Fields(fields.node, {})
            capability = Capability(name, Mark.of(inner.node.place), definition)
            made.capabilities[name] = capability
            title = f"capability {name} of node {made.name}"
            capability.properties = self._assigned(inner, "properties", definition.properties, made, title, needed)
            attributes = {**definition.properties, **definition.attributes}
            capability.attributes = self._assigned(inner, "attributes", attributes, made, title, False)
            capability.directives = self._directives(inner, SCOPES)

    # Interfaces

    def interfaces(self, fields: Fields, known: dict[str, Interface], owner: Any, title: str) -> dict[str, Interface]:
        """Interfaces of the type with what the template assigns; those without inputs are the type's own objects."""
        found = {}
        assigned = dict(fields.entries("interfaces"))
        for name, interface in known.items():
            inner = grammar.read("interface_assignment", assigned.pop(name), self.problems) if name in assigned else None
            found[name] = self._interface(interface, inner, owner)
        for name, node in assigned.items():
            if made := self._further(name, node, known, title):
                found[name] = self._interface(made, grammar.read("interface_assignment", node, self.problems), owner)
        return found

    def _further(self, name: str, node: Node, known: dict[str, Interface], title: str) -> Interface | None:
        """An interface that the type does not have: by its type's full name (1.x), or with inputs only."""
        fields = grammar.read("interface_assignment", node, self.problems)
        if not self.document.modern:
            if by_type := next((one for one in known.values() if one.type and name == one.type.name), None):
                return by_type
            if "type" in fields or self.types.known("interface", name, self.document):
                bare = Fields(fields.node, {key: value for key, value in fields.items() if key == "type"})
                made = self.types.definitions.interfaces([(name, _of(bare))], {}, self.document)[name]
                self.types.complete()
                return made
        if "operations" in fields or "notifications" in fields:
            self.problems.add("interface.unknown", node.place, f"{title} has no interface {name}", nearest(name, known))
            return None
        self.problems.add("interface.undeclared", node.place, f"{title} declares no interface {name}", nearest(name, known))
        return Interface(name, Mark.of(node.place), None)

    def _interface(self, above: Interface, fields: Fields | None, owner: Any) -> Interface:
        if (
            fields is None
            and not above.inputs
            and not any(one.inputs for one in (*above.operations.values(), *above.notifications.values()))
        ):
            return above
        made = replace(above)
        inputs = fields.entries("inputs") if fields else []
        made.inputs, made.values = self._inputs(above.inputs, inputs, owner)
        for section in ("operations", "notifications"):
            assigned = dict(fields.entries(section)) if fields else {}
            known = getattr(above, section)
            for name, node in assigned.items():
                if name not in known and above.type:
                    message = f"interface {above.name} ({above.type.name}) has no {section[:-1]} {name}"
                    self.problems.add("interface.unknown", node.place, message, nearest(name, known))
            setattr(made, section, {name: self._operation(one, assigned.get(name), owner) for name, one in known.items()})
        return made

    def _operation(self, above: Operation, node: Node | None, owner: Any) -> Operation:
        made = replace(above)
        fields = grammar.read("operation_assignment", node, self.problems) if node is not None else None
        made.inputs, made.values = self._inputs(above.inputs, fields.entries("inputs") if fields else [], owner)
        if fields:
            made.place = Mark.of(fields.node.place)
            made.outputs = {**above.outputs, **dict(fields.entries("outputs"))}
            if (implementation := fields.get("implementation")) is not None and not implementation.empty:
                made.implementation = self.types.definitions.implementation(implementation, self.document)
                self.types.complete()
        return made

    def _inputs(self, definitions: dict[str, Property], entries: list[tuple[str, Node]], owner: Any) -> tuple[dict, dict]:
        """(definitions, values) of inputs. 1.x lets a template define inputs where it could assign them."""
        found, values = dict(definitions), {}
        for name, node in entries:
            if not node.source.modern and node.kind == MAP and node.get("type") is not None and _defines(node):
                found[name] = self.types.definitions.property(name, node, None, self.document, "parameter")
                self.types.complete()
            else:
                values[name] = self._value(node, found.get(name), owner)
        for name, definition in found.items():
            if name not in values and (source := definition.fixed or definition.default) is not None:
                values[name] = self._value(source, definition, owner, assigned=False)
        for value in values.values():
            value.called = True
        return found, values

    # Requirements

    def _requirements(self, made: NodeTemplate, fields: Fields) -> None:
        for name, node in fields.entries("requirements"):
            definition = made.type.requirements.get(name)
            if definition is None and not self.document.modern and (known := made.type.requirements.get(name.rstrip("0123456789"))):
                message = f"{name} is taken as a further {known.name} of {made.name}"
                self.problems.add("requirement.numbered", node.place, message, f"Write {known.name}.")
                name, definition = known.name, known
            if definition is None:
                mend = nearest(name, made.type.requirements)
                self.problems.add("requirement.unknown", node.place, f"node type {made.type.name} has no requirement {name}", mend)
                continue
            requirement = self._requirement(name, node, definition, made)
            made.requirements.append(requirement)

    def _requirement(self, name: str, node: Node, definition: Any, owner: NodeTemplate) -> Requirement:
        if node.kind == LIST:  # the short form of [node template, index]
            inner = Node(node.source, node.line, node.column, MAP)
            inner.items, inner.lead = [(node.like("node"), node)], node.lead
            node = inner
        fields = grammar.read("requirement_assignment", node, self.problems)
        made = Requirement(name, Mark.of(node.place), definition)
        made.count = self._count(fields.get("count"), owner)
        made.optional = fields.flag("optional", False)
        made.directives = self._directives(fields, SCOPES)
        made.filters = [*definition.filters, *([fields["node_filter"]] if "node_filter" in fields else [])]
        made.fields = fields
        return made


def _merged(above: Node, own: Node) -> Node:
    made = Node(own.source, own.line, own.column, MAP)
    keys = {key.text for key, _ in own.items}
    made.items = [*((key, value) for key, value in above.items if key.text not in keys), *own.items]
    made.lead = own.lead
    return made


def _of(fields: Fields) -> Node:
    made = Node(fields.node.source, fields.node.line, fields.node.column, MAP)
    made.items = [(fields.node.like(key), value) for key, value in fields.items()]
    made.lead = fields.node.lead
    return made


def _has(fields: Fields, section: str, name: str) -> bool:
    return any(key == name for key, _ in fields.entries(section))


def _defines(node: Node) -> bool:
    return all(key in grammar.entities()[False]["parameter"].keys for key, _ in node.pairs())
