"""The model's types and the definitions in them. One model serves TOSCA 1.0 to 2.0; everything has its `place`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cloudos.tosca.problems import Mark
from cloudos.tosca.source import Node

KINDS = ("artifact", "capability", "data", "group", "interface", "node", "policy", "relationship")
UNLIMITED = float("inf")
ROLE = "tosca.artifacts.AnsibleGalaxy.role"


@dataclass(eq=False)
class Condition:
    """A validation clause: an expression (2.0), or an operator applied to the value (1.x, `operator` set)."""

    node: Node
    operator: str | None = None


@dataclass(eq=False)
class Schema:
    """What values may be: a data type, conditions, and for lists and maps what keys and entries may be."""

    type: DataType
    conditions: list[Condition] = field(default_factory=list)
    key: Schema | None = None
    entry: Schema | None = None


@dataclass(eq=False)
class Property:
    """Definition of a property, attribute or parameter. `schema` None: any value (parameters without type)."""

    name: str
    place: Mark
    schema: Schema | None
    required: bool = True
    default: Node | None = None
    fixed: Node | None = None  # a value that nothing may change
    mapping: Node | None = None
    metadata: dict = field(default_factory=dict)


@dataclass(eq=False)
class Type:
    """What all types have. `lineage`: the type itself, its parent, and so on."""

    name: str
    kind: str
    place: Mark
    parent: Any = None
    lineage: tuple[Any, ...] = ()
    metadata: dict = field(default_factory=dict)
    document: Any = field(default=None, repr=False)
    finished: bool = False  # shared by many loads, and never changed again
    properties: dict[str, Property] = field(default_factory=dict)
    attributes: dict[str, Property] = field(default_factory=dict)

    def is_a(self, other: Type | None) -> bool:
        """Whether this is that type or derives from it."""
        return other is not None and any(other is one for one in self.lineage)


@dataclass(eq=False)
class DataType(Type):
    """`base`: the primitive that it is in the end, "scalar" for one with units, "complex" for one with properties."""

    base: str = "complex"
    schema: Schema | None = None  # key and entry schemas of derived lists and maps
    conditions: list[Condition] = field(default_factory=list)
    units: dict[str, float] = field(default_factory=dict)  # of scalars: every unit that may be written, with its multiplier
    bare_units: dict[str, float] = field(default_factory=dict)  # ... before prefixes were put to them
    prefixes: dict[str, float] = field(default_factory=dict)
    number: DataType | None = None  # of scalars: what the number must be


@dataclass(eq=False)
class CapabilityType(Type):
    """Valid sources and relationships; None: any."""

    sources: list[NodeType] | None = None
    relationships: list[RelationshipType] | None = None


@dataclass(eq=False)
class ArtifactType(Type):
    """Media type and file extensions."""

    mime_type: str | None = None
    extensions: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Implementation:
    """Files that carry out an operation."""

    place: Mark
    primary: Artifact | None = None
    dependencies: list[Artifact] = field(default_factory=list)
    timeout: int | None = None
    host: str | None = None


@dataclass(eq=False)
class Operation:
    """An operation or notification: definitions of inputs, and the values assigned to them so far."""

    name: str
    place: Mark
    inputs: dict[str, Property] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)  # in templates: model.Value by input
    outputs: dict[str, Node] = field(default_factory=dict)
    implementation: Implementation | None = None


@dataclass(eq=False)
class Interface:
    """An interface of a type or template, merged along the type chain and the interface type's own chain."""

    name: str
    place: Mark
    type: InterfaceType | None
    inputs: dict[str, Property] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)  # in templates: model.Value by input
    operations: dict[str, Operation] = field(default_factory=dict)
    notifications: dict[str, Operation] = field(default_factory=dict)


@dataclass(eq=False)
class InterfaceType(Type):
    """Inputs, operations and notifications, its own and inherited."""

    inputs: dict[str, Property] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    notifications: dict[str, Operation] = field(default_factory=dict)


@dataclass(eq=False)
class RelationshipType(Type):
    """What a relationship may lead from and to; None: anything."""

    interfaces: dict[str, Interface] = field(default_factory=dict)
    capabilities: list[CapabilityType] | None = None
    sources: list[NodeType] | None = None
    targets: list[NodeType] | None = None


@dataclass(eq=False)
class CapabilityDefinition:
    """A capability of a node type with its refined properties. `most`: relationships that may reach it (1.x)."""

    name: str
    place: Mark
    type: CapabilityType | None
    properties: dict[str, Property] = field(default_factory=dict)
    attributes: dict[str, Property] = field(default_factory=dict)
    sources: list[NodeType] | None = None
    relationships: list[RelationshipType] | None = None
    least: float = 0
    most: float = UNLIMITED


@dataclass(eq=False)
class RequirementDefinition:
    """What a node needs: a capability by type (or by `capability_name` of `node`), between `least` and `most` times."""

    name: str
    place: Mark
    capability: CapabilityType | None = None
    capability_name: str | None = None
    node: NodeType | None = None
    relationship: RelationshipType | None = None
    filters: list[Node] = field(default_factory=list)
    least: float = 0
    most: float = UNLIMITED
    stated: bool = True  # whether the range is written; 1.x assumes [1, 1] otherwise


@dataclass(eq=False)
class Artifact:
    """A file. `type` is None only where the grammar lets it be found by its extension and none fits."""

    name: str
    place: Mark
    file: str = ""
    type: ArtifactType | None = None
    repository: str | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    checksum: str | None = None
    checksum_algorithm: str | None = None
    document: Any = field(default=None, repr=False)

    @property
    def is_role(self) -> bool:
        """Whether it is an Ansible role: a directory. `file` is its path, or its name in Galaxy, by which it lies in `roles`."""
        return self.type is not None and any(one.name == ROLE for one in self.type.lineage)


@dataclass(eq=False)
class NodeType(Type):
    """A node type with all it inherits."""

    capabilities: dict[str, CapabilityDefinition] = field(default_factory=dict)
    requirements: dict[str, RequirementDefinition] = field(default_factory=dict)
    interfaces: dict[str, Interface] = field(default_factory=dict)
    artifacts: dict[str, Artifact] = field(default_factory=dict)


@dataclass(eq=False)
class GroupType(Type):
    """Permitted members; None: any node."""

    members: list[NodeType] | None = None


@dataclass(eq=False)
class PolicyType(Type):
    """Permitted targets, node or group types; None: any."""

    targets: list[Type] | None = None
    triggers: dict[str, Trigger] = field(default_factory=dict)


@dataclass(eq=False)
class Trigger:
    """An event, a condition and the activities that follow, as data."""

    name: str
    place: Mark
    event: Any = None
    condition: Any = None
    action: list[Any] = field(default_factory=list)
    node: Node | None = field(default=None, repr=False)
    other: dict[str, Any] = field(default_factory=dict)  # 1.x: schedule, target_filter, period ...
