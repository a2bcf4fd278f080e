"""Definitions within types: properties, capabilities, requirements, interfaces, artifacts, and how they may be refined."""

from __future__ import annotations

import math
from typing import Any

from cloudos.tosca import grammar
from cloudos.tosca.behaviour import Behaviour, Entries
from cloudos.tosca.documents import Document, Names
from cloudos.tosca.grammar import Fields
from cloudos.tosca.problems import Mark, nearest
from cloudos.tosca.scalars import bounds
from cloudos.tosca.source import LIST, MAP, Node
from cloudos.tosca.typemodel import (
    CapabilityDefinition,
    Condition,
    DataType,
    Property,
    RequirementDefinition,
    Schema,
)

# Until 1.2, a property that is defined again has its new constraints only; from 1.3 on constraints add up.
REPLACING = {"tosca_simple_profile_for_nfv_1_0_0", *(f"tosca_simple_yaml_1_{minor}" for minor in range(3))}
DEFINING = {"type", "default", "value", "mapping", "required", "validation", "constraints", "entry_schema", "key_schema"}


class Definitions(Behaviour):
    """Makes definitions of elements, on top of those that are inherited."""

    def __init__(self, types: Names):
        super().__init__(types)
        self.checked: list[tuple[Property, Document]] = []  # whose defaults and conditions are checked when all is there
        self.symbolic: list[tuple[RequirementDefinition, Node]] = []

    # Properties, attributes, parameters

    def properties(self, entries: Entries, inherited: dict[str, Property], document: Document, entity: str) -> dict[str, Property]:
        """Definitions by name: the inherited ones, refined, and the new ones."""
        found = dict(inherited)
        for name, node in entries:
            found[name] = self.property(name, node, inherited.get(name), document, entity)
        return found

    def property(self, name: str, node: Node, above: Property | None, document: Document, entity: str) -> Property:
        """One definition; `entity` is property, attribute or parameter."""
        if self._is_value(node, above, entity):
            schema = above.schema if above else None
            made = Property(name, Mark.of(node.place), schema, metadata=above.metadata if above else {})
            if entity == "parameter" or document.modern:
                made.fixed = node
            else:  # fixed values are 2.0's
                made.default, made.required = node, above.required if above else True
            self._refinement(made, above, node)
        else:
            fields = grammar.read(entity, node, self.problems)
            made = Property(name, Mark.of(node.place), self._schema(fields, above, document, entity, node))
            made.required = fields.flag("required", above.required if above else entity != "attribute")
            made.default = fields.get("default") or (above.default if above else None)
            made.fixed = fields.get("value") or (above.fixed if above else None)
            made.mapping = fields.get("mapping")
            made.metadata = fields.data("metadata") or {}
            self._refinement(made, above, node)
        self.checked.append((made, document))
        return made

    @staticmethod
    def _is_value(node: Node, above: Property | None, entity: str) -> bool:
        """Whether the one-line form stands here: a fixed value where a property is refined or a parameter given."""
        if entity == "parameter":
            return not (node.kind == MAP and (not node.items or any(key in DEFINING or key == "description" for key, _ in node.pairs())))
        return (
            bool(above) and node.kind != MAP and not (isinstance(node.value, str) and above.schema and above.schema.type.name == node.value)
        )

    def _refinement(self, made: Property, above: Property | None, node: Node) -> None:
        if above is None:
            return
        if above.fixed is not None and made.fixed is not above.fixed and made.fixed is not None:
            message = f"{made.name} has the fixed value {above.fixed.data()!r} ({above.place})"
            self.problems.add("value.fixed", node.place, message, "Remove the value.")
        if above.required and not made.required:
            self.problems.add("type.refinement", node.place, f"{made.name} is required where it is inherited from", "Keep it required.")

    def _schema(self, fields: Fields, above: Property | None, document: Document, entity: str, node: Node) -> Schema | None:
        """The schema of a definition, refining that of the inherited one."""
        if fields.absent("type") and above is None and entity != "parameter":
            self.problems.add("key.missing", node.place, f"{entity} lacks type", "Add type.")
            return None
        if "type" not in fields and not (above and above.schema):
            return None
        return self.schema(fields, document, above.schema if above else None)

    def schema(self, fields: Fields, document: Document, above: Schema | None = None) -> Schema | None:
        """The schema that fields with a type (or one inherited) describe."""
        name = fields.text("type")
        found: DataType | None = above.type if above else None
        if name is not None:
            node = fields["type"]
            found = self.types.get("data", name, document, node)
            if found and found.name == "scalar" and found.document is None:
                self.problems.add("type.abstract", node, "scalar is abstract", "Derive a type with units from it.")
            if found and above and not found.is_a(above.type):
                message = f"type {found.name} does not derive from {above.type.name}, the inherited type"
                self.problems.add("type.refinement", node, message, f"Use {above.type.name} or a type derived from it.")
        if found is None:
            return None
        own = self.conditions(fields)
        kept = above is not None and not (own and document.version in REPLACING)
        made = Schema(found, [*(above.conditions if above and kept else []), *own])
        self.nested(made, fields, document, found.base, above)
        return made

    def nested(self, made: Schema, fields: Fields, document: Document, base: str, above: Schema | None) -> None:
        """Key and entry schemas, where the type is a collection."""
        for key, holders in (("key_schema", ("map",)), ("entry_schema", ("list", "map"))):
            upper = (above.key if key == "key_schema" else above.entry) if above else None
            node = fields.get(key)
            if node is not None and base not in holders:
                self.problems.add("schema.invalid", node.place, f"{key} stands for type {made.type.name}, which is {base}", "Remove it.")
                continue
            inner = upper if node is None else self._inner(node, document, upper)
            if key == "entry_schema":
                made.entry = inner
            else:
                made.key = inner
                if inner and node is not None and document.modern and inner.type.base not in ("string", "integer"):
                    self.problems.add("schema.invalid", node, f"keys of type {inner.type.name} are no strings", "Derive from string.")

    def _inner(self, node: Node, document: Document, above: Schema | None) -> Schema | None:
        fields = grammar.read("schema", node, self.problems)
        if fields.absent("type") and above is None:
            self.problems.add("key.missing", node.place, "schema lacks type", "Add type.")
            return None
        return self.schema(fields, document, above)

    @staticmethod
    def conditions(fields: Fields) -> list[Condition]:
        """Validation clause (2.0) or constraints (1.x) of a definition."""
        found = [Condition(fields["validation"])] if "validation" in fields else []
        node = fields.get("constraints")
        for item in node.value if node is not None and node.kind == LIST else ():
            for key, value in item.pairs() if item.kind == MAP else (("", item),):
                found.append(Condition(value, key))
        return found

    # Capabilities and requirements

    def capabilities(self, entries: Entries, inherited: dict[str, CapabilityDefinition], document: Document) -> dict:
        """Capability definitions by name."""
        found = dict(inherited)
        for name, node in entries:
            found[name] = self._capability(name, node, inherited.get(name), document)
        return found

    def _capability(self, name: str, node: Node, above: CapabilityDefinition | None, document: Document) -> CapabilityDefinition:
        fields = grammar.read("capability", node, self.problems)
        kind = above.type if above else None
        if "type" in fields and (data := self._data_instead(fields, document)):
            return CapabilityDefinition(name, Mark.of(node.place), None, data.properties)
        if "type" in fields:
            kind = self.types.fill(self.types.get("capability", fields.text("type") or "", document, fields["type"]))
            if kind and above and above.type and not kind.is_a(above.type):
                self.problems.add(
                    "type.refinement", fields["type"], f"{kind.name} does not derive from {above.type.name}", "Only narrow it."
                )
        elif above is None:
            self.problems.add("key.missing", node.place, "capability lacks type", "Add type.")
        made = CapabilityDefinition(name, Mark.of(node.place), kind)
        same = above if above and above.type is kind else None
        for section, entity in (("properties", "property"), ("attributes", "attribute")):
            base = {**(getattr(kind, section) if kind else {}), **(getattr(same, section) if same else {})}
            self._only_known(fields.entries(section), base, f"{kind.name if kind else name}", entity, document)
            setattr(made, section, self.properties(fields.entries(section), base, document, entity))
        upper = same or kind
        made.sources = self.types.names("node", fields, "valid_source_node_types", document, upper.sources if upper else None)
        made.relationships = self.types.names(
            "relationship", fields, "valid_relationship_types", document, upper.relationships if upper else None
        )
        made.least, made.most = self.range(fields.get("occurrences"), (above.least, above.most) if above else (0, math.inf))
        return made

    def _data_instead(self, fields: Fields, document: Document) -> DataType | None:
        """A data type named where a capability type belongs; 1.x files in use do that."""
        name = fields.text("type") or ""
        if document.modern or self.types.known("capability", name, document) or not (found := self.types.known("data", name, document)):
            return None
        self.problems.add(
            "type.misplaced", fields["type"], f"{name} is a data type, used as a capability type", "Define a capability type."
        )
        return self.types.fill(found)

    def _only_known(self, entries: Entries, known: dict, owner: str, entity: str, document: Document) -> None:
        """Refinements name what is there (2.0); 1.x lets a capability definition add properties."""
        for name, node in entries:
            if document.modern and name not in known:
                self.problems.add(f"{entity}.unknown", node.place, f"{owner} has no {entity} {name} to refine", nearest(name, known))

    def range(self, node: Node | None, default: tuple[float, float]) -> tuple[float, float]:
        """Bounds written as [least, most]; the default with the problem told when they are not."""
        if node is None:
            return default
        found = bounds(node.data())
        if found is None or any(isinstance(bound, float) and bound != math.inf for bound in found) or not 0 <= found[0] < math.inf:
            self.problems.add(
                "definition.invalid", node, f"{node.data()!r} is no range of counts", "Write [least, most] or [least, UNBOUNDED]."
            )
            return default
        return found

    def requirements(self, entries: Entries, inherited: dict[str, RequirementDefinition], document: Document) -> dict:
        """Requirement definitions by name."""
        found, own = dict(inherited), set()
        for name, node in entries:
            if name in own:
                self.problems.add("name.duplicate", node.place, f"requirement {name} is defined twice", "Use a count range.")
            own.add(name)
            found[name] = self._requirement(name, node, inherited.get(name), document)
        return found

    def _requirement(self, name: str, node: Node, above: RequirementDefinition | None, document: Document) -> RequirementDefinition:
        fields = grammar.read("requirement", node, self.problems)
        made = RequirementDefinition(name, Mark.of(node.place))
        made.node = self._narrowed("node", fields.get("node"), above.node if above else None, document)
        relation = fields.get("relationship")
        relationship = grammar.read("relationship_definition", relation, self.problems).get("type") if relation is not None else None
        made.relationship = self._narrowed("relationship", relationship, above.relationship if above else None, document)
        self._needed(made, fields, above, document)
        made.filters = [*(above.filters if above else []), *([fields["node_filter"]] if "node_filter" in fields else [])]
        default = (above.least, above.most) if above else (0, math.inf) if document.modern else (1, 1)
        made.least, made.most = self.range(fields.get("count_range"), default)
        made.stated = document.modern or "count_range" in fields or bool(above and above.stated)
        if above and document.modern and (made.least < above.least or made.most > above.most):
            self.problems.add("type.refinement", fields["count_range"], "the range is wider than the inherited one", "Only narrow it.")
        return made

    def _narrowed(self, kind: str, node: Node | None, above: Any, document: Document) -> Any:
        if node is None or not isinstance(node.value, str):
            return above
        found = self.types.get(kind, node.value, document, node)
        if found and above and not found.is_a(above):
            self.problems.add(
                "type.refinement", node, f"{found.name} does not derive from {above.name}, which is inherited", "Only narrow it."
            )
        return found or above

    def _needed(self, made: RequirementDefinition, fields: Fields, above: RequirementDefinition | None, document: Document) -> None:
        """The capability that is needed: a type, or the name of a capability of the node type."""
        node = fields.get("capability")
        made.capability = above.capability if above else None
        made.capability_name = above.capability_name if above else None
        if node is None or not isinstance(node.value, str):
            if node is None and above is None:
                self.problems.add("key.missing", fields.node.place, f"requirement {made.name} lacks capability", "Add capability.")
            return
        if found := self.types.known("capability", node.value, document, node):
            made.capability = found
            if above and above.capability and not found.is_a(above.capability):
                message = f"{found.name} does not derive from {above.capability.name}, which is inherited"
                self.problems.add("type.refinement", node, message, "Only narrow it.")
        elif made.node:
            made.capability_name = node.value
            self.symbolic.append((made, node))
        else:
            self.types.get("capability", node.value, document, node)
