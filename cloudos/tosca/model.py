"""What a validated topology is made of: the template with everything resolved, on top of the types.

Every object has `place` (file, line, column). Values are plain data in which a `Reference` stands for what is known at
run time only. One model serves TOSCA 1.0 to 2.0.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from cloudos.tosca.problems import Mark
from cloudos.tosca.source import Node
from cloudos.tosca.typemodel import (
    Artifact,
    CapabilityDefinition,
    CapabilityType,
    GroupType,
    Implementation,
    Interface,
    NodeType,
    PolicyType,
    Property,
    RelationshipType,
    RequirementDefinition,
    Schema,
    Trigger,
)


@dataclass(frozen=True)
class Reference:
    """A function that is evaluated at run time: `name` without `$`, its arguments (data, with References inside)."""

    name: str
    arguments: tuple
    place: Mark = field(compare=False, default=Mark(""))
    schema: Schema | None = field(compare=False, default=None, repr=False)  # of the result, where that is known

    def to_json(self) -> dict:
        """The function in the notation of TOSCA 2.0."""
        return {f"${self.name}": plain(list(self.arguments))}


INVALID = Reference("invalid", ())  # stands for what was told to be wrong already


@dataclass(eq=False)
class Value:
    """A value in a template. `node` is where it comes from: the assignment, or the default of the definition.

    `called`: it is an input of an operation, for which inputs of the workflow that calls it go before the template's (1.x).
    """

    value: Any
    place: Mark
    definition: Property | None = None
    assigned: bool = True
    node: Node | None = field(default=None, repr=False)
    owner: Any = field(default=None, repr=False)  # what SELF means in it
    called: bool = False


@dataclass(eq=False)
class Capability:
    """A capability of a node."""

    name: str
    place: Mark
    definition: CapabilityDefinition
    properties: dict[str, Value] = field(default_factory=dict)
    attributes: dict[str, Value] = field(default_factory=dict)
    directives: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Relationship:
    """A link from a requirement to a capability, or a relationship template not used yet (source and target None)."""

    name: str
    place: Mark
    type: RelationshipType | None
    source: NodeTemplate | None = None
    target: NodeTemplate | None = None
    requirement: str | None = None
    capability: str | None = None
    properties: dict[str, Value] = field(default_factory=dict)
    attributes: dict[str, Value] = field(default_factory=dict)
    interfaces: dict[str, Interface] = field(default_factory=dict)


@dataclass(eq=False)
class Requirement:
    """One requirement of a node. With `target` it is matched; without, `rejected` tells why each candidate failed."""

    name: str
    place: Mark
    definition: RequirementDefinition
    node_type: NodeType | None = None
    node_name: str | None = None  # the template that was asked for by name
    node_index: Any = None  # of [template, index]
    capability_type: CapabilityType | None = None
    capability_name: str | None = None
    filters: list[Node] = field(default_factory=list)
    allocation: dict[str, Value] = field(default_factory=dict)
    count: Any = 1
    optional: bool = False
    directives: list[str] = field(default_factory=list)
    assigned: bool = True  # False: the definition demands it, the template does not mention it
    relationship: Relationship | None = None
    target: NodeTemplate | None = None
    target_capability: str | None = None
    candidates: list[str] = field(default_factory=list)
    rejected: dict[str, str] = field(default_factory=dict)
    fields: Any = field(default=None, repr=False)  # the assignment as it was read


@dataclass(eq=False)
class NodeTemplate:
    """A node with everything its type and the template say of it."""

    name: str
    place: Mark
    type: NodeType
    directives: list[str] = field(default_factory=list)
    count: Any = 1
    properties: dict[str, Value] = field(default_factory=dict)
    attributes: dict[str, Value] = field(default_factory=dict)
    capabilities: dict[str, Capability] = field(default_factory=dict)
    requirements: list[Requirement] = field(default_factory=list)
    interfaces: dict[str, Interface] = field(default_factory=dict)
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    node_filter: Node | None = None
    metadata: dict = field(default_factory=dict)
    candidates: list[str] = field(default_factory=list)  # files of templates that could be put in its place (directive substitute)
    rejected: dict[str, str] = field(default_factory=dict)  # those that could not: file -> why


@dataclass(eq=False)
class Group:
    """Nodes (and groups) taken together."""

    name: str
    place: Mark
    type: GroupType
    members: list[str] = field(default_factory=list)
    properties: dict[str, Value] = field(default_factory=dict)
    attributes: dict[str, Value] = field(default_factory=dict)


@dataclass(eq=False)
class Policy:
    """A policy, what it governs, and its own and inherited triggers."""

    name: str
    place: Mark
    type: PolicyType
    targets: list[str] = field(default_factory=list)
    properties: dict[str, Value] = field(default_factory=dict)
    triggers: dict[str, Trigger] = field(default_factory=dict)


@dataclass(frozen=True)
class Activity:
    """What a step does: `kind` is delegate, set_state, call_operation or inline, `name` the workflow, state or operation."""

    kind: str
    name: str
    inputs: dict[str, Any]
    place: Mark


@dataclass(frozen=True)
class Guard:
    """What must hold of a node or of each member of a group (`target`; None: of the template) before a workflow begins.

    `condition`: True, False, or a Reference to a function that gives a boolean; SELF in it is the target.
    """

    place: Mark
    target: str | None
    condition: Any


@dataclass(eq=False)
class Step:
    """One step of a workflow: activities in their order, on a node or each member of a group.

    `filter`: None, or as a Guard's condition, about each instance; `host`: where operations are called instead (1.x).
    """

    name: str
    place: Mark
    target: str | None
    target_relationship: str | None
    activities: list[Activity] = field(default_factory=list)
    on_success: list[str] = field(default_factory=list)
    on_failure: list[str] = field(default_factory=list)
    filter: Any = None
    host: str | None = None


@dataclass(eq=False)
class Workflow:
    """An imperative workflow: steps, or an `implementation`. `outputs`: name -> [node, attribute] as data; `given`: inputs of one
    that is to be run, and `values` with those that have a default."""

    name: str
    place: Mark
    inputs: dict[str, Property] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    preconditions: list[Guard] = field(default_factory=list)
    implementation: Implementation | None = None
    defaults: dict[str, Any] = field(default_factory=dict)  # of inputs, evaluated
    given: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] | None = None


@dataclass(eq=False)
class Substitution:
    """What the template can stand in for. Mappings as data: (name on the node type, what it leads to here).

    A capability leads to [node, capability]; a requirement to a list of [node, requirement] and names of selected nodes.
    """

    place: Mark
    node_type: NodeType
    properties: list[tuple[Any, Any]] = field(default_factory=list)
    attributes: list[tuple[Any, Any]] = field(default_factory=list)
    capabilities: list[tuple[str, Any]] = field(default_factory=list)
    requirements: list[tuple[Any, Any]] = field(default_factory=list)
    interfaces: dict[str, dict[str, str]] = field(default_factory=dict)
    filter: Node | None = None


@dataclass(frozen=True)
class Substituted:
    """A node that a template was put in the place of. `name` is that of the node, of the group of what came for it, and what their
    names begin with, before a dot; `operations`: "interface.operation" -> workflow that it is mapped to."""

    name: str
    place: Mark
    type: NodeType
    file: str
    operations: dict[str, str]


@dataclass(eq=False)
class Template:
    """A whole topology. `inputs` holds the values in force, `definitions` what they may be."""

    place: Mark
    version: str
    description: str = ""
    metadata: dict = field(default_factory=dict)
    definitions: dict[str, Property] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Value] = field(default_factory=dict)
    nodes: dict[str, NodeTemplate] = field(default_factory=dict)
    relationship_templates: dict[str, Relationship] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    workflows: dict[str, Workflow] = field(default_factory=dict)
    substitution: Substitution | None = None
    substituted: dict[str, Substituted] = field(default_factory=dict)
    document: Any = field(default=None, repr=False)
    broken: set[str] = field(default_factory=set)  # names of nodes and groups that could not be made, which was told

    def relationships(self) -> list[Relationship]:
        """All links between nodes of the template, in their order."""
        return [one.relationship for node in self.nodes.values() for one in node.requirements if one.target and one.relationship]

    def unmatched(self) -> list[tuple[NodeTemplate, Requirement]]:
        """Requirements that nothing in the template fulfils: what is asked of the world outside."""
        return [(node, one) for node in self.nodes.values() for one in node.requirements if one.target is None]

    def openings(self) -> list[tuple[NodeTemplate, Requirement, str]]:
        """The unmatched requirements, each with the name by which choices are made for it: its own, of the second of that name of a
        node `<name>-2`, and so on."""
        found, seen = [], Counter[tuple[str, str]]()
        for node, one in self.unmatched():
            seen[node.name, one.name] += 1
            number = seen[node.name, one.name]
            found.append((node, one, one.name if number == 1 else f"{one.name}-{number}"))
        return found


def plain(data: Any) -> Any:
    """Data as JSON can hold it: References in 2.0's notation."""
    if isinstance(data, Reference):
        return data.to_json()
    if isinstance(data, dict):
        return {str(key): plain(value) for key, value in data.items()}
    return [plain(item) for item in data] if isinstance(data, list | tuple) else data


def unknown(data: Any) -> bool:
    """Whether anything in the data is known at run time only."""
    if isinstance(data, Reference):
        return True
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return any(unknown(item) for item in inner)
