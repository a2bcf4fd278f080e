"""Nodes as the expressions of a mapping file see them: one object for each instance of a node, one for each link.

What asks for an attribute of a resource gets a reference to it, as nothing has been made yet.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from cloudos.eve.compiler.expressions import Refusal, empty, evaluate

if TYPE_CHECKING:
    from cloudos.eve.graph import Resource
    from cloudos.eve.provider import Pool
    from cloudos.tosca.model import NodeTemplate, Relationship, Template


class Compilation(Protocol):
    """The whole of which instances, links, values and operations are parts, as these see it; compile.Compiler is it."""

    template: Template
    pools: Mapping[str, Pool]
    topology: str
    resources: dict[str, Resource]
    relationships: list[Relationship]

    def problem(self, thing: Any, message: str, mend: str) -> None:
        """Something stands in the way of a deployment."""

    def note(self, name: str, words: str) -> None:
        """Something that a plan tells besides."""

    def position(self, node: NodeTemplate) -> int:
        """Place of a node in the template."""

    def pool_of(self, node: NodeTemplate) -> Pool:
        """Where the node's resources are."""

    def entry_of(self, node: NodeTemplate) -> Mapping[str, Any]:
        """The mapping's entry for the node's type."""

    def link_entry(self, relationship: Relationship, source: Instance) -> Mapping[str, Any]:
        """The mapping's entry for a relationship type."""

    def host_of(self, node: NodeTemplate) -> NodeTemplate | None:
        """What the node is hosted on."""

    def links_from(self, node: NodeTemplate) -> list[Relationship]:
        """What a node requires."""

    def links_to(self, node: NodeTemplate) -> list[Relationship]:
        """What requires a node."""

    def count(self, node: NodeTemplate) -> dict[str, Any]:
        """How many instances a node has, and may have."""

    def instances(self, node: NodeTemplate) -> list[Instance]:
        """All instances of a node."""

    def peers(self, instance: Instance, node: NodeTemplate) -> list[Instance]:
        """The instances of another node that an instance has to do with."""

    def outgoing(self, instance: Instance) -> list[Link]:
        """Links from an instance."""

    def incoming(self, instance: Instance) -> list[Link]:
        """Links to an instance."""

    def belonging(self, instance: Instance) -> set[str]:
        """Names of all resources of an instance and of its links."""

    def values(self, values: Mapping[str, Any], instance: Instance, link: Link | None = None) -> dict[str, Any]:
        """Data of values in the template."""

    def plain(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Data of values, where nothing can refer to an instance."""

    def file(self, artifact: Any) -> str:
        """Name of an artifact's file."""

    def policies_on(self, node: NodeTemplate, kind: str) -> list[Any]:
        """Policies of a type on a node."""

    def login_key_in(self, pool: Pool) -> Any:
        """A reference to Eve's own key pair in a pool."""

    def choice(self, node: NodeTemplate, what: str, by: str = "id") -> str | None:
        """What was chosen for a node."""

    def use(self, pool: Pool, node: str, kind: str, **wanted: Any) -> Any:
        """A reference to something that exists in the pool."""


class Owner:
    """What has resources of its own: an instance of a node, or a link between two. Entries are those of the mapping."""

    compiler: Compilation
    entry: Mapping[str, Any]
    pool: Pool
    name: str

    def context(self) -> dict[str, Any]:
        """The names that expressions may use."""
        raise NotImplementedError

    def resource_name(self, made: Mapping[str, Any], first: bool) -> str:
        """Name of the resource of one entry."""
        raise NotImplementedError

    @functools.cached_property
    def resources(self) -> list[tuple[str, dict, dict | None]]:
        """(name, entry, what an existing one is looked for by) of the resources that there are."""
        found = []
        for number, made in enumerate(self.entry.get("resources") or ()):
            if "when" in made and not self.evaluated(made["when"]):
                continue
            existing = self.evaluated(made["existing"]) if "existing" in made else None
            found.append((self.resource_name(made, number == 0), made, existing or None))
        return found

    def evaluated(self, value: Any) -> Any:
        """A value of the mapping for this owner."""
        return evaluate(value, self.context())

    def has(self, kind: str) -> bool:
        """Whether it has a resource of a kind."""
        return any(made["kind"] == kind for _, made, _ in self.resources)

    def own(self, path: str = "id", kind: str | None = None) -> Any:
        """A reference to an attribute of its resource of a kind (None: the first); None where it has none."""
        for name, made, _ in self.resources:
            if kind is None or made["kind"] == kind:
                return {"$attribute": [name, *path.split(".")]}
        return None

    @property
    def id(self) -> Any:
        """A reference to the identifier of its first resource."""
        return self.own()


class Instance(Owner):
    """One of the instances of a node, counted from 0."""

    def __init__(self, compiler: Compilation, node: NodeTemplate, index: int):
        self.compiler, self.template, self.index = compiler, node, index
        self.name = node.name if index == 0 else f"{node.name}-{index + 1}"
        self.pool = compiler.pool_of(node)
        self.entry = compiler.entry_of(node)
        self._context: dict[str, Any] | None = None

    def resource_name(self, made: Mapping[str, Any], first: bool) -> str:
        """The instance's own name for the first resource, so that templates are recognised in what they become."""
        return made.get("name", "{node}" if first else "{node}_" + made["kind"]).format(node=self.name, template=self.template.name)

    @functools.cached_property
    def properties(self) -> dict[str, Any]:
        """Values of properties, References as references to what gives them."""
        return self.compiler.values(self.template.properties, self)

    @functools.cached_property
    def capabilities(self) -> dict[str, dict]:
        """Capability -> properties."""
        return {name: self.compiler.values(one.properties, self) for name, one in self.template.capabilities.items()}

    @property
    def order(self) -> tuple:
        """Where it stands among its like: by its property `order`, else by its place in the template."""
        given = self.properties.get("order")
        return (given if isinstance(given, int) else 0, self.compiler.position(self.template))

    def targets(self, requirement: str) -> list[Instance]:
        """Instances that the matched requirements of a name lead to."""
        return [one for link in self.compiler.outgoing(self) if link.requirement == requirement for one in [link.target]]

    def links(self, kind: str) -> list[Link]:
        """Its links of a relationship type."""
        return [link for link in self.compiler.outgoing(self) if link.is_a(kind)]

    def sources(self, kind: str) -> list[Instance]:
        """Instances that lead here by links of a relationship type."""
        return [link.source for link in self.compiler.incoming(self) if link.is_a(kind)]

    def through(self, kind: str, requirement: str) -> Any:
        """The id of what the sources of a relationship type lead to in turn by a requirement."""
        return next((one.id for source in self.sources(kind) for one in source.targets(requirement)), None)

    def get(self, attribute: str, kind: str | None = None) -> Any:
        """A TOSCA attribute of the node as its mapping gives it, else the attribute of that name of its resource."""
        if kind is None and attribute in self.entry.get("attributes", {}):
            context = {**self.context(), "own": functools.partial(self._own, within=attribute)}
            return evaluate(self.entry["attributes"][attribute], context)
        return self.own(attribute, kind)

    def context(self) -> dict[str, Any]:
        """The names that expressions may use."""
        if self._context is None:
            compiler = self.compiler
            self._context = {
                "topology": compiler.topology, "node": self.name, "name": self.name, "index": self.index, "number": self.index + 1,
                "properties": self.properties, "capabilities": self.capabilities, "metadata": self.template.metadata,
                "artifacts": {name: compiler.file(one) for name, one in self.template.artifacts.items()},
                "pool": self.pool.defaults, "chosen": functools.partial(compiler.choice, self.template),
                "targets": self.targets, "links": self.links, "sources": self.sources,
                "policies": functools.partial(compiler.policies_on, self.template),
                "own": self._own, "use": functools.partial(compiler.use, self.pool, self.template.name),
                "login_key": compiler.login_key_in(self.pool), "refuse": refuse,
                "note": functools.partial(compiler.note, f"node {self.template.name}"),
            }  # fmt: skip
        return self._context

    def _own(self, attribute: str = "id", kind: str | None = None, within: str = "") -> Any:
        """An attribute in an expression; in one about an attribute (`within`), its own name means the resource's."""
        mapped = kind is None and attribute != within and attribute in self.entry.get("attributes", {})
        return self.get(attribute) if mapped else self.own(attribute, kind)


class Link(Owner):
    """A relationship between two instances."""

    def __init__(self, compiler: Compilation, relationship: Relationship, source: Instance, target: Instance):
        self.compiler, self.relationship, self.source, self.target = compiler, relationship, source, target
        self.requirement = relationship.requirement
        self.pool = source.pool
        self.entry = compiler.link_entry(relationship, source)
        self.name = f"{source.name}_{target.name}"

    def resource_name(self, made: Mapping[str, Any], first: bool) -> str:
        """Named after both ends; a shared one after the source's node, whichever instance it is."""
        names = {"source": self.source.name, "target": self.target.name}
        if made.get("shared") == "source":
            names["source"] = self.source.template.name
        return made.get("name", "{source}_{target}_" + made["kind"]).format(**names)

    def is_a(self, kind: str) -> bool:
        """Whether its type is, or derives from, the named one."""
        return self.relationship.type is not None and any(one.name == kind for one in self.relationship.type.lineage)

    @functools.cached_property
    def properties(self) -> dict[str, Any]:
        """Values of the relationship's properties."""
        return self.compiler.values(self.relationship.properties, self.source, self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self.properties:
            raise AttributeError(name)
        return self.properties[name]

    def get(self, attribute: str, kind: str | None = None) -> Any:
        """A reference to an attribute of its resource of a kind."""
        return self.own(attribute, kind)

    @property
    def order(self) -> int:
        """Where it stands among the links of its source, which are in the order of the requirements where it says nothing."""
        given = self.properties.get("order")
        return given if isinstance(given, int) else 0

    def context(self) -> dict[str, Any]:
        """The names that expressions may use."""
        compiler, source = self.compiler, self.source.template
        return {
            "topology": compiler.topology, "name": self.name, "source": self.source, "target": self.target, "properties": self.properties,
            "pool": self.pool.defaults, "chosen": functools.partial(compiler.choice, source), "resource": functools.partial(self.own, "id"),
            "use": functools.partial(compiler.use, self.pool, source.name),
        }  # fmt: skip


def refuse(reason: str) -> None:
    """In an expression: this cannot be."""
    raise Refusal(reason)


def arguments(owner: Owner, made: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of one resource of an owner, without what is empty."""
    found = owner.evaluated(made.get("arguments") or {})
    return {key: value for key, value in found.items() if not empty(value)}
