"""Types: found by name, derived from each other, filled with what they inherit, and checked.

In three steps, because types name each other in circles: a shell (name and lineage), its content (which needs the
content of the parent only), and checks of values (which need everything).
"""

from __future__ import annotations

from typing import Any

from cloudos.tosca import grammar, scalartypes
from cloudos.tosca.definitions import Definitions
from cloudos.tosca.documents import Document
from cloudos.tosca.grammar import Fields
from cloudos.tosca.problems import Mark, Place, Problems, nearest
from cloudos.tosca.scalars import UNITS
from cloudos.tosca.source import Node
from cloudos.tosca.typemodel import (
    ArtifactType,
    CapabilityType,
    DataType,
    GroupType,
    InterfaceType,
    NodeType,
    PolicyType,
    RelationshipType,
    Schema,
    Type,
)

CLASSES: dict[str, type[Type]] = {
    "artifact": ArtifactType,
    "capability": CapabilityType,
    "data": DataType,
    "group": GroupType,
    "interface": InterfaceType,
    "node": NodeType,
    "policy": PolicyType,
    "relationship": RelationshipType,
}
ANCESTORS = 100
ALIASES = {"int": "integer", "bool": "boolean", "str": "string", "number": "float", "dict": "map", "array": "list"}


def _primitive(name: str, base: str, units: dict[str, float] | None = None) -> DataType:
    made = DataType(name, "data", Mark("(built in)"), base=base, units=units or {})
    made.lineage = (made,)
    return made


PRIMITIVES = {
    **{name: _primitive(name, name) for name in ("string", "integer", "float", "boolean", "timestamp", "list", "map", "version")},
    **{name: _primitive(name, "scalar", units) for name, units in UNITS.items()},
}
for _unit in UNITS:
    PRIMITIVES[_unit].number = PRIMITIVES["integer" if _unit == "scalar-unit.size" else "float"]
MODERN = {name: _primitive(name, name) for name in ("bytes", "nil", "scalar")}
OLDER = {name: _primitive(name, name) for name in ("range", "null", "any")}
STRING = Schema(PRIMITIVES["string"])


class Types:
    """All types of the documents of one load."""

    def __init__(self, problems: Problems):
        self.problems = problems
        self.definitions = Definitions(self)
        self.made: list[Type] = []
        self.uses: dict[int, list[Type]] = {}  # what each type names, by the type's id; under 0 what no type names
        self._filling: list[Type] = []
        self._depth = 0
        self._begun: set[tuple[int, str, str]] = set()
        self._filled: set[int] = set()

    def get(self, kind: str, name: str, document: Document, place: Place) -> Any:
        """The type that a name means in a document; None, with the problem told, when there is none."""
        if found := self.known(kind, name, document, place):
            self.uses.setdefault(id(self._filling[-1]) if self._filling else 0, []).append(found)
            return found
        if kind == "data" and name in ALIASES:
            self.problems.add("type.alias", place, f"{name} is no TOSCA type, taken for {ALIASES[name]}", f"Write {ALIASES[name]}.")
            return PRIMITIVES[ALIASES[name]]
        names = [*document.names(kind), *(self._primitives(document) if kind == "data" else ())]
        self.problems.add("type.unknown", place, f"{kind} type {name} is not defined", nearest(name, names))
        return None

    def known(self, kind: str, name: str, document: Document, place: Place | None = None) -> Any:
        """The type that a name means in a document; None when there is none."""
        if found := document.find(kind, name):
            return self.shell(kind, found[1], found[0])
        if kind == "data" and (primitive := self._primitives(document).get(name.removeprefix("" if document.modern else "tosca:"))):
            return primitive
        return None if document.modern else self._indirect(kind, name, document, place)

    def _indirect(self, kind: str, name: str, document: Document, place: Place | None) -> Any:
        """1.x files are used to names that only the file importing them knows."""
        seen, row = {id(document)}, list(document.importers)
        while row:
            importer = row.pop(0)
            if id(importer) in seen:
                continue
            seen.add(id(importer))
            row += importer.importers
            if found := importer.find(kind, name):
                if place:
                    message = f"{kind} type {name} is not imported here, only in {importer.source.file}"
                    self.problems.add("import.indirect", place, message, "Import its file here, too.")
                return self.shell(kind, found[1], found[0])
        return None

    @staticmethod
    def _primitives(document: Document) -> dict[str, DataType]:
        return {**PRIMITIVES, **(MODERN if document.modern else OLDER)}

    def shell(self, kind: str, name: str, document: Document) -> Any:
        """The type that a document defines, with its lineage."""
        if found := document.types.get((kind, name)):
            return found
        key = (id(document), kind, name)
        if key in self._begun:
            return None
        self._begun.add(key)
        node = document.definitions[kind][name]
        self._depth += 1
        made = CLASSES[kind](name, kind, Mark.of(node.place), document=document)
        made.parent = self._parent(kind, name, node, document)
        made.lineage = (made, *(made.parent.lineage if made.parent else ()))
        self._depth -= 1
        if isinstance(made, DataType) and made.parent:
            made.base = made.parent.base
        document.types[(kind, name)] = made
        self.made.append(made)
        return made

    def _parent(self, kind: str, name: str, node: Node, document: Document) -> Any:
        parent = node.get("derived_from")
        if parent is None or not isinstance(parent.value, str):
            return None
        if self._depth > ANCESTORS:
            self.problems.add("type.depth", parent, f"{name} derives through more than {ANCESTORS} types", "Derive from fewer.")
            return None
        if not parent.value:
            self.problems.add("key.shape", parent, "derived_from is empty", "Name the parent or remove it.")
            return None
        found = document.find(kind, parent.value)
        if found and (id(found[0]), kind, found[1]) in self._begun and (kind, found[1]) not in found[0].types:
            message = f"{kind} type {name} derives from itself, through {parent.value}"
            self.problems.add("type.cycle", parent, message, "Break the circle.")
            return None
        return self.get(kind, parent.value, document, parent)

    def complete(self) -> None:
        """Fill every type that was named so far, and those that these name."""
        while len(self._filled) < len(self.made):
            for made in list(self.made):
                self.fill(made)

    def fill(self, made: Any) -> Any:
        """Give a type its content, after its parent's. Returns the type."""
        if made is None or made.finished or id(made) in self._filled or made.document is None:
            return made
        self._filled.add(id(made))
        self.fill(made.parent)
        self._filling.append(made)
        try:
            self._fill(made)
        finally:
            self._filling.pop()
        return made

    def used(self) -> set[int]:
        """Ids of the types that anything but types names, and of those that these need."""
        found, row = set(), list(self.uses.get(0, []))
        while row:
            one = row.pop()
            if id(one) not in found:
                found.add(id(one))
                row += [*one.lineage, *self.uses.get(id(one), [])]
        return found

    def _fill(self, made: Any) -> None:
        node = made.document.definitions[made.kind][made.name]
        fields = grammar.read(f"{made.kind}_type", node, self.problems)
        made.metadata = fields.data("metadata") or {}
        self._shared(made, fields)
        getattr(self, f"_fill_{made.kind}")(made, fields)

    def _shared(self, made: Any, fields: Fields) -> None:
        """What several kinds have: properties, attributes, interfaces."""
        parent, make = made.parent, self.definitions
        for section, entity in (("properties", "property"), ("attributes", "attribute")):
            inherited = getattr(parent, section) if parent else {}
            setattr(made, section, make.properties(fields.entries(section), inherited, made.document, entity))
        if isinstance(made, NodeType | RelationshipType):
            inherited = parent.interfaces if parent else {}
            made.interfaces = make.interfaces(fields.entries("interfaces"), inherited, made.document)

    def names(self, kind: str, fields: Fields, key: str, document: Document, inherited: list | None) -> list | None:
        """The types in a list of names; each must be one of `inherited`, or derive from one."""
        if key not in fields:
            return inherited
        found = []
        for node in fields.texts(key):
            if one := self.get(kind, node.value, document, node):
                found.append(one)
                if inherited is not None and not any(one.is_a(other) for other in inherited):
                    names = ", ".join(other.name for other in inherited)
                    self.problems.add("type.refinement", node, f"{key}: {one.name} widens what is inherited ({names})", "Only narrow it.")
        return found

    def _fill_artifact(self, made: ArtifactType, fields: Fields) -> None:
        parent = made.parent
        made.mime_type = fields.text("mime_type") or (parent.mime_type if parent else None)
        made.extensions = [node.value for node in fields.texts("file_ext")] or (parent.extensions if parent else [])

    def _fill_capability(self, made: CapabilityType, fields: Fields) -> None:
        parent = made.parent
        made.sources = self.names("node", fields, "valid_source_node_types", made.document, parent.sources if parent else None)
        upper = parent.relationships if parent else None
        made.relationships = self.names("relationship", fields, "valid_relationship_types", made.document, upper)

    def _fill_interface(self, made: InterfaceType, fields: Fields) -> None:
        parent = made.parent
        made.inputs = self.definitions.properties(fields.entries("inputs"), parent.inputs if parent else {}, made.document, "parameter")
        for section in ("operations", "notifications"):
            inherited = getattr(parent, section) if parent else {}
            found = dict(inherited)
            for name, node in fields.entries(section):
                found[name] = self.definitions.operation(name, node, inherited.get(name), made.document, bare=made.document.modern)
            setattr(made, section, found)

    def _fill_relationship(self, made: RelationshipType, fields: Fields) -> None:
        parent = made.parent
        made.capabilities = self._capabilities(made, fields, parent.capabilities if parent else None)
        made.sources = self.names("node", fields, "valid_source_node_types", made.document, parent.sources if parent else None)
        made.targets = self.names("node", fields, "valid_target_node_types", made.document, parent.targets if parent else None)

    def _capabilities(self, made: RelationshipType, fields: Fields, inherited: list | None) -> list | None:
        """In 1.x, valid_target_types may widen what is inherited: the normative types themselves do."""
        if made.document.modern:
            return self.names("capability", fields, "valid_capability_types", made.document, inherited)
        found = self.names("capability", fields, "valid_capability_types", made.document, None)
        return found if found is not None else inherited

    def _fill_node(self, made: NodeType, fields: Fields) -> None:
        parent, make = made.parent, self.definitions
        made.capabilities = make.capabilities(fields.entries("capabilities"), parent.capabilities if parent else {}, made.document)
        made.requirements = make.requirements(fields.entries("requirements"), parent.requirements if parent else {}, made.document)
        made.artifacts = dict(parent.artifacts) if parent else {}
        for name, node in fields.entries("artifacts"):
            made.artifacts[name] = make.artifact(name, node, made.document)

    def _fill_group(self, made: GroupType, fields: Fields) -> None:
        made.members = self.names("node", fields, "members", made.document, made.parent.members if made.parent else None)

    def _fill_policy(self, made: PolicyType, fields: Fields) -> None:
        parent = made.parent
        made.triggers = {**(parent.triggers if parent else {}), **self.definitions.triggers(fields.entries("triggers"))}
        made.targets = parent.targets if parent else None
        if "targets" not in fields:
            return
        made.targets = []
        for node in fields.texts("targets"):
            kind = "group" if self.known("group", node.value, made.document) else "node"
            if one := self.get(kind, node.value, made.document, node):
                made.targets.append(one)
                if parent and parent.targets is not None and not any(one.is_a(other) for other in parent.targets):
                    self.problems.add("type.refinement", node, f"targets: {one.name} widens what is inherited", "Only narrow it.")

    def _fill_data(self, made: DataType, fields: Fields) -> None:
        parent, document = made.parent, made.document
        made.conditions = [*(parent.conditions if parent else []), *self.definitions.conditions(fields)]
        if document.modern and not parent and not fields.entries("properties") and "derived_from" not in fields:
            self.problems.add("definition.invalid", made.place, f"data type {made.name} has neither parent nor properties", "Give it one.")
        if made.base != "complex" and "properties" in fields:
            place = fields["properties"].place
            self.problems.add("definition.invalid", place, f"{made.name} derives from {made.base}, which has no properties", "Remove them.")
        made.schema = Schema(made)
        above = parent.schema if parent else None
        self.definitions.nested(made.schema, fields, document, made.base, above)
        if "type" in fields and not document.modern and (base := self.get("data", fields.text("type") or "", document, fields["type"])):
            made.base = base.base
        scalartypes.fill(made, fields, self)
