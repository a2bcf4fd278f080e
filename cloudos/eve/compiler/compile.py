"""From a template whose requirements are matched to a graph of resources and operations.

A node is expanded to its instances: those of a scalable node (the leader) and of all that goes along with it, such as the
ports, volumes and software of a server. Between nodes that go along with the same leader the instances pair off; elsewhere
every instance meets every other.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

from cloudos.eve.compiler import addresses, operations, unserved
from cloudos.eve.compiler.bound import Choices
from cloudos.eve.compiler.counts import Counts
from cloudos.eve.compiler.expressions import ExpressionError, Refusal, empty
from cloudos.eve.compiler.instances import Instance, Link, Owner, arguments
from cloudos.eve.compiler.policies import PolicyView, governing
from cloudos.eve.compiler.values import Values
from cloudos.eve.graph import Graph, Resource
from cloudos.eve.problems import Problem, Undeployable
from cloudos.eve.provider import Pool
from cloudos.tosca.model import NodeTemplate, Relationship, Template

HOSTED = "tosca.relationships.HostedOn"
LOGIN_KEY = "eve-login-key"


def compile_topology(
    template: Template,
    pools: Mapping[str, Pool],
    topology: str = "topology",
    placement: Mapping[str, str] | None = None,
    instances: Mapping[str, int] | None = None,
    login_key: str | None = None,
    choices: Mapping[str, Mapping[str, Any]] | None = None,
) -> Graph:
    """The graph of a template.

    `pools`: where things can be made, the first being where they are when nothing else is said; `placement`: node -> pool;
    `instances`: node -> how many are wanted now; `login_key`: public SSH key that servers get for Eve's own operations;
    `choices`: node -> what (such as flavor) -> {"name", "id"} of the one that it is made of, or that fulfils its open requirement.
    Raises Undeployable with every problem.
    """
    return Compiler(template, pools, topology, placement or {}, instances or {}, login_key, choices or {}).graph()


class Compiler:
    """Compiles one template once."""

    def __init__(self, template: Template, pools: Mapping[str, Pool], topology: str, placement: Mapping[str, str],
                 instances: Mapping[str, int], login_key: str | None, choices: Mapping[str, Mapping[str, Any]]):  # fmt: skip
        self.template, self.pools, self.topology, self.placement = template, pools, topology, placement
        self.asked, self.login_key = instances, login_key
        self.counts = Counts(self, instances)
        self.problems: list[Problem] = []
        self._notes: dict[str, None] = {}
        self.resources: dict[str, Resource] = {}
        self._positions = {name: number for number, name in enumerate(template.nodes)}
        self._values = Values(self)
        self._links: dict[tuple, Link] = {}
        self.choices = Choices(self, choices)
        self._connect([one for one in template.relationships() if one.source and one.target])
        # Where nodes are follows from the links within the template, and what was chosen is where its node is.
        if choices:
            self._connect(self.choices.relationships())

    def _connect(self, relationships: list[Relationship]) -> None:
        self.relationships = relationships
        self._by_source: dict[str, list[Relationship]] = {}
        self._by_target: dict[str, list[Relationship]] = {}
        for one in relationships:
            self._by_source.setdefault(one.source.name, []).append(one)
            if one.target not in self.choices.targets:  # of what exists nobody asks who uses it
                self._by_target.setdefault(one.target.name, []).append(one)

    def links_from(self, node: NodeTemplate) -> list[Relationship]:
        """What a node requires, in the order of its requirements."""
        return self._by_source.get(node.name, [])

    def links_to(self, node: NodeTemplate) -> list[Relationship]:
        """What requires a node."""
        return self._by_target.get(node.name, [])

    def graph(self) -> Graph:
        """All of it. Raises Undeployable."""
        unserved.demand_templates(self)
        if self.problems:  # what would have come for a node is missing everywhere else
            raise Undeployable(dict.fromkeys(self.problems))
        named = dict.fromkeys((*self.asked, *self.placement, *self.choices.nodes))
        if unknown := [name for name in named if name not in self.template.nodes]:
            self.problem(self.template, f"there is no node {', '.join(unknown)}", f"The nodes are {', '.join(self.template.nodes)}.")
        for policy in self.template.policies.values():
            self._guarded(policy, self._policy, policy)
        for node in self.template.nodes.values():
            self._guarded(node, self._node, node)
        for node in self.template.nodes.values():
            self._guarded(node, self._order, node)
        self._after()
        addresses.check(self)
        operations.add(self)
        counts = {name: self.count(node) for name, node in self.template.nodes.items() if self.counts.is_scalable(node)}
        outputs = {name: self._guarded(one, self._values.output, one) for name, one in self.template.outputs.items()}
        if self.problems:
            raise Undeployable(dict.fromkeys(self.problems))
        self.counts.note_unheeded()
        notes = [*self._notes, *self.choices.unused(), *unserved.notes(self)]
        return Graph(self.resources, outputs, counts, self.choices.fulfilled(), notes)

    # Problems

    def problem(self, thing: Any, message: str, mend: str) -> None:
        """Something stands in the way of a deployment."""
        self.problems.append(Problem(str(thing.place), message, mend))

    def note(self, name: str, words: str) -> None:
        """Something that a plan tells besides, once: what the template says and nothing is made of."""
        self._notes[f"{name}: {words}"] = None

    def _guarded(self, thing: Any, method: Any, *values: Any) -> Any:
        try:
            return method(*values)
        except ExpressionError as error:
            kind = getattr(thing, "type", None)
            where = "it in the template" if isinstance(error, Refusal) else "the value, or the provider's mapping"
            self.problem(thing, f"{thing.name if hasattr(thing, 'name') else 'this'} ({kind.name if kind else 'value'}): {error}",
                         f"Correct {where}.")  # fmt: skip
        return None

    # Nodes, pools and mapping entries

    def position(self, node: NodeTemplate) -> int:
        """Place of a node in the template."""
        return self._positions[node.name]

    @functools.cache  # noqa: B019 - a compiler lives as long as one compilation
    def pool_of(self, node: NodeTemplate) -> Pool:
        """Where the node's resources are: by placement, its metadata `pool`, its host's pool, where all is that it is connected with, or
        the first."""
        name = self._placed(node)
        if name is None and (host := self.host_of(node)):
            return self.pool_of(host)
        name = name or self._surroundings(node)
        if name is not None and name not in self.pools:
            self.problem(node, f"node {node.name} is placed in pool {name}", f"The pools are {', '.join(self.pools)}.")
        return self.pools.get(name) or next(iter(self.pools.values()))

    def _placed(self, node: NodeTemplate) -> str | None:
        return self.placement.get(node.name) or node.metadata.get("pool")

    def _surroundings(self, node: NodeTemplate) -> str | None:
        """The one pool in which placed nodes are connected with this one, directly or by nodes that nobody placed, such as a router."""
        found, seen, waiting = set(), {node.name}, [node]
        while waiting and len(self.pools) > 1:
            one = waiting.pop()
            near = [link.target for link in self.links_from(one)]
            for other in (*near, *(link.source for link in self.links_to(one))):
                if place := self._placed(other):
                    found.add(place)
                elif other.name not in seen and not self.host_of(other):
                    seen.add(other.name)
                    waiting.append(other)
        return found.pop() if len(found) == 1 else None

    @functools.cache  # noqa: B019
    def entry_of(self, node: NodeTemplate) -> Mapping[str, Any]:
        """The mapping's entry for the node's type; empty with a problem told when nothing can stand for it."""
        entry = self.pool_of(node).mapping.of("types", node.type.lineage)
        if entry is None:
            self.problem(node, f"provider {self.pool_of(node).provider} has nothing for {node.type.name} (node {node.name})",
                         "Use another type, place the node in another pool, or add the type to the provider's mapping.")  # fmt: skip
        return entry or {}

    def link_entry(self, relationship: Relationship, source: Instance) -> Mapping[str, Any]:
        """The mapping's entry for a relationship type."""
        lineage = relationship.type.lineage if relationship.type else ()
        return source.pool.mapping.of("relationships", lineage) or {}

    def host_of(self, node: NodeTemplate) -> NodeTemplate | None:
        """What the node is hosted on."""
        for one in self.links_from(node):
            if one.type and any(kind.name == HOSTED for kind in one.type.lineage):
                return one.target
        return None

    # Instances

    def count(self, node: NodeTemplate) -> dict[str, Any]:
        """{"count", "min", "max"} of a node's instances."""
        return self.counts.of(node)

    @functools.cache  # noqa: B019
    def instances(self, node: NodeTemplate) -> list[Instance]:
        """All instances of a node."""
        return [Instance(self, node, index) for index in range(self.count(node)["count"])]

    def peers(self, instance: Instance, node: NodeTemplate) -> list[Instance]:
        """The instances of another node that an instance has to do with."""
        if node in self.choices.targets:
            return [self.choices.targets[node]]
        others = self.instances(node)
        return [others[instance.index]] if self.counts.leader_of(instance.template) is self.counts.leader_of(node) else others

    # Links

    def outgoing(self, instance: Instance) -> list[Link]:
        """Links from an instance, in the order of its requirements."""
        return [self.link(one, instance, peer) for one in self.links_from(instance.template)
                for peer in self.peers(instance, one.target)]  # fmt: skip

    def incoming(self, instance: Instance) -> list[Link]:
        """Links to an instance."""
        return [self.link(one, peer, instance) for one in self.links_to(instance.template)
                for peer in self.peers(instance, one.source)]  # fmt: skip

    def link(self, relationship: Relationship, source: Instance, target: Instance) -> Link:
        """The one object for a link."""
        key = (id(relationship), source.index, target.index)
        if key not in self._links:
            self._links[key] = Link(self, relationship, source, target)
        return self._links[key]

    # Policies

    def policies_on(self, node: NodeTemplate, kind: str) -> list[PolicyView]:
        """Policies of a type on a node for which there is a resource."""
        found = [one for one in governing(self.template, node) if any(level.name == kind for level in one.type.lineage)]
        return [view for one in found if (view := PolicyView(self, one, self.pool_of(node))).resources]

    def _policy(self, policy: Any) -> None:
        for pool in {self.pool_of(node).name: self.pool_of(node) for node in self.template.nodes.values()
                     if policy in governing(self.template, node)}.values():  # fmt: skip
            self._add(PolicyView(self, policy, pool), policy.name, 0)

    # Resources

    def values(self, values: Mapping[str, Any], instance: Instance, link: Link | None = None) -> dict[str, Any]:
        """Data of values in the template, as one instance sees them."""
        return self._values.of(values, instance, link)

    def plain(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Data of values in the template, where nothing can refer to an instance."""
        return self._values.plain(values)

    def file(self, artifact: Any) -> str:
        """Name of an artifact's file in the template's tree."""
        return operations.path_of(artifact)

    def login_key_in(self, pool: Pool) -> Any:
        """A reference to the name of Eve's own key pair in a pool, where there is one and the provider has such."""
        if self.login_key is None or "keypair" not in pool.mapping.kinds:
            return None
        name = LOGIN_KEY if pool is next(iter(self.pools.values())) else f"{LOGIN_KEY}-{pool.name}"
        self.resources.setdefault(name, Resource(name, "keypair", "", pool.name, {"public_key": self.login_key}))
        return {"$attribute": [name, "name"]}

    def choice(self, node: NodeTemplate, what: str, by: str = "id") -> str | None:
        """What was chosen for a node, by its id or else its name; None where nothing was."""
        return self.choices.chosen(node, what, by)

    def use(self, pool: Pool, node: str, kind: str, **wanted: Any) -> Any:
        """A reference to something that exists in the pool; None when nothing is known of it."""
        known = {key: value for key, value in wanted.items() if not empty(value) and value != ""}
        if not known:
            return None
        name = f"{kind}:{','.join(f'{key}={value}' for key, value in known.items())}"
        if pool is not next(iter(self.pools.values())):
            name += f"@{pool.name}"
        self.resources.setdefault(name, Resource(name, kind, node, pool.name, known, existing=True))
        return {"$attribute": [name, "id"]}

    def _node(self, node: NodeTemplate) -> None:
        unserved.demand_made(self, node)
        for instance in self.instances(node):
            self._add(instance, node.name, instance.index)
            for link in self.outgoing(instance):
                self._add(link, node.name, instance.index, needs=self.names(link.target))

    def _add(self, owner: Owner, node: str, index: int, needs: Iterable[str] = ()) -> None:
        for name, made, existing in owner.resources:
            if name in self.resources:
                if made.get("shared") or existing:
                    continue
                raise Refusal(f"two things would be named {name}; rename one of the nodes")
            data = existing or arguments(owner, made)
            before = () if existing else tuple(sorted({*needs} - {name}))
            self.resources[name] = Resource(name, made["kind"], node, owner.pool.name, data, before, existing is not None, index)

    def belonging(self, instance: Instance) -> set[str]:
        """Names of all resources of an instance and of its links."""
        owners = [instance, *self.outgoing(instance)]
        return {name for owner in owners for name in self.names(owner)}

    @staticmethod
    def names(owner: Owner) -> set[str]:
        """Names of an owner's resources."""
        return {name for name, _, _ in owner.resources}

    def _order(self, node: NodeTemplate) -> None:
        """What a requirement says of the order: a source comes after its target, unless the mapping says otherwise."""
        for instance in self.instances(node):
            for link in self.outgoing(instance):
                order = link.entry.get("order", "after")
                first, second = (link.target, instance) if order == "after" else (instance, link.target)
                if order == "none":
                    continue
                for one in filter(None, map(self.resources.get, self.names(second))):
                    if not one.existing:
                        one.needs = tuple(sorted({*one.needs, *self.names(first)} - {one.name}))

    def _after(self) -> None:
        """What the kinds of a provider need to come after, in whichever of its pools: several may be one cloud."""
        for mapping in {pool.provider: pool.mapping for pool in self.pools.values()}.values():
            places = {pool.name for pool in self.pools.values() if pool.provider == mapping.name}
            for kind, other in ((kind, other) for kind, one in mapping.kinds.items() for other in one.after):
                names = {one.name for one in self.resources.values() if one.kind == other and one.pool in places}
                for one in self.resources.values():
                    if one.kind == kind and one.pool in places and not one.existing:
                        one.needs = tuple(sorted({*one.needs, *names}))
