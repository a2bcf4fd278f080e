"""One template put in the place of a node of another: names, values, links, groups, policies and workflows become the outer one's.

What was `server` inside of node `app` is `app.server` then. Nothing of the outer template is touched before it is clear that all of it
can be done.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cloudos.tosca import filters, paths
from cloudos.tosca.matching import implicit
from cloudos.tosca.model import (
    INVALID,
    Capability,
    Group,
    NodeTemplate,
    Reference,
    Relationship,
    Requirement,
    Step,
    Substituted,
    Template,
    Workflow,
)
from cloudos.tosca.problems import Problems
from cloudos.tosca.rework import derives, owned, reworked, values_of
from cloudos.tosca.typemodel import GroupType
from cloudos.tosca.values import Checker
from cloudos.tosca.workflows import reuses

if TYPE_CHECKING:
    from cloudos.tosca import Report

SUBSTITUTED = {"substitute", "substitutable"}
PATHS = {"get_property", "get_attribute", "get_artifact", "get_operation_output"}
ORDER_ONLY = "tosca.capabilities.Node"  # that a whole node is needed means: all of what comes for it


class Unfit(Exception):
    """A template cannot be put in the place of a node; the text says why."""


class Expansion:
    """One template for one node. `late`: input -> data of the node that is known at run time only. Raises Unfit when it is made."""

    def __init__(self, template: Template, node: NodeTemplate, report: Report, inner: Template, late: dict[str, Any], checker: Checker,
                 file: str):  # fmt: skip
        self.template, self.node, self.report, self.inner, self.checker, self.file = template, node, report, inner, checker, file
        self.offer, self.modern = inner.substitution, template.document.modern
        self.names = {name: f"{node.name}.{name}" for part in (inner.nodes, inner.relationship_templates, inner.groups, inner.policies,
                                                                inner.workflows) for name in part}  # fmt: skip
        self.workflow_inputs = {name for one in inner.workflows.values() for name in one.inputs}
        self.selected: dict[str, Requirement] = {}  # selected inner node -> the outer requirement whose target it stands for
        self.links: list[tuple[NodeTemplate, Requirement, Requirement]] = []  # (inner node, its requirement, the outer one)
        self.unmapped: list[Requirement] = []
        self._no_clashes()
        self._requirements()
        self.late: dict[str, Any] = {}
        self.circular = late.keys()
        self.late = {name: self._outward(value, node, True) for name, value in late.items()}
        self.reached = [(one, made, self._reached(one, made)) for one in template.nodes.values() for made in one.requirements
                        if made.target is node and one is not node]  # fmt: skip
        others = (value for value in values_of(template, node))
        self.changed = [(value, data) for value in others if (data := self._outward(value.value, value.owner)) != value.value]
        self.workflows = {name: self._workflow(one) for name, one in template.workflows.items()}
        self._bring()

    def _no_clashes(self) -> None:
        outer = (self.template.nodes, self.template.relationship_templates, self.template.groups, self.template.policies,
                 self.template.workflows)  # fmt: skip
        if clash := [name for name in self.names.values() if any(name in part for part in outer)]:
            raise Unfit(f"{clash[0]} is the name of something else in the design")
        if self.node.name in self.template.groups:
            raise Unfit(f"group {self.node.name} has the name of the node, whose group it would be")
        if hidden := sorted(self.workflow_inputs & self.inner.definitions.keys()):
            raise Unfit(f"input {hidden[0]} is one of a workflow and one of the template; rename one")

    # Requirements of the node

    def _requirements(self) -> None:
        further: list[Requirement] = []
        for name in dict.fromkeys(one.name for one in self.node.requirements):
            ours = [one for one in self.node.requirements if one.name == name]
            rows = [(key, targets) for key, targets in self.offer.requirements if (key if isinstance(key, str) else key[0]) == name]
            left = ours
            for key, targets in rows:
                count = (len(left) if len(rows) == 1 else 1) if isinstance(key, str) else key[1] if len(key) == 2 else None
                count = len(left) if count == "UNBOUNDED" else count
                if not isinstance(count, int) or count < 0:
                    raise Unfit(f"its mapping of requirement {key} ({self.offer.place}) has no count")
                taken, left = left[:count], left[count:]
                for one in taken:
                    self._mapped(one, targets)
            further += left
        for one in further:
            self._not_mapped(one)

    def _mapped(self, outer: Requirement, targets: list[Any]) -> None:
        for target in targets:
            if isinstance(target, str):
                if outer.target:
                    self.selected[target] = outer
            else:
                self._bind(self.inner.nodes[target[0]], target[1], outer)

    def _not_mapped(self, outer: Requirement) -> None:
        """Mapped to nothing: the order of things is kept; of anything else it is told that nobody has it."""
        kind = outer.definition.capability
        if outer.target and kind is not None and kind.name == ORDER_ONLY:
            for node in self.inner.nodes.values():
                if outer.name in node.type.requirements and node.name not in self.selected:
                    self._bind(node, outer.name, outer)
        elif outer.target:
            self.unmapped.append(outer)

    def _bind(self, node: NodeTemplate, name: str, outer: Requirement) -> None:
        """Let an open requirement of an inner node have the target of an outer one."""
        mine = [one for one in node.requirements if one.name == name]
        taken = [one for _, one, _ in self.links]
        made = next((one for one in mine if one.node_name is None and one not in taken), None)
        if made is None:
            if len(mine) >= node.type.requirements[name].most:
                raise Unfit(f"requirement {name} of its node {node.name} is fulfilled already ({node.place})")
            made = implicit(node, node.type.requirements[name])
            node.requirements.append(made)
        made.target, made.target_capability = None, None
        self.links.append((node, made, outer))
        if outer.target is None:  # left open outside: so it is inside
            made.filters, made.assigned = [*made.filters, *outer.filters], True
            made.node_type, made.capability_type = made.node_type or outer.node_type, made.capability_type or outer.capability_type
            return
        made.target, made.target_capability = outer.target, self._capability_for(node, made, outer)
        trial = Relationship(name, made.place, None, node, outer.target, name, made.target_capability)
        if why := filters.failure(made.filters, trial, self.checker):
            raise Unfit(f"{outer.target.name} does not do for requirement {name} of its node {node.name}: {why}")

    @staticmethod
    def _capability_for(node: NodeTemplate, made: Requirement, outer: Requirement) -> str:
        """The capability of the target that fulfils a requirement of an inner node; that of the outer requirement goes first."""
        wanted, target = made.definition.capability, outer.target
        for one in sorted(target.capabilities.values(), key=lambda one: one.name != outer.target_capability):
            sources = one.definition.sources
            if (wanted is None or derives(one.definition.type, wanted)) and (
                    sources is None or any(derives(node.type, kind) for kind in sources)):  # fmt: skip
                return one.name
        raise Unfit(f"{target.name} has no capability for requirement {made.name} of its node {node.name} ({node.place})")

    # Those who require the node

    def _reached(self, source: NodeTemplate, outer: Requirement) -> list[tuple[NodeTemplate, str]]:
        """(node, capability) that a link to the node leads to in its place."""
        name = outer.target_capability or ""
        if pair := self._pair(name):
            return [pair]
        kind = self.node.capabilities[name].definition.type
        if kind is None or kind.name != ORDER_ONLY:
            raise Unfit(f"capability {name}, which requirement {outer.name} of {source.name} ({outer.place}) leads to, is not mapped")
        found = [(one, capability.name) for key, one in self.inner.nodes.items() if key not in self.selected
                 for capability in one.capabilities.values() if derives(capability.definition.type, kind)
                 and capability.name == name]  # fmt: skip
        if not found:
            raise Unfit(f"none of its nodes has capability {name}, which requirement {outer.name} of {source.name} leads to")
        return found

    def _pair(self, name: str) -> tuple[NodeTemplate, str] | None:
        found = dict(self.offer.capabilities).get(name)
        if not (isinstance(found, list) and len(found) == 2 and isinstance(found[0], str) and found[0] in self.inner.nodes):
            return None
        if found[0] in self.selected:
            return self.selected[found[0]].target, found[1]
        return self.inner.nodes[found[0]], found[1]

    # Values

    def _inward(self, data: Any, owner: Any = None) -> Any:
        """Data of the inner template, with the names that things have in the outer one and the data that the node gives."""
        if isinstance(data, dict):
            return {key: self._inward(item) for key, item in data.items()}
        if isinstance(data, list):
            return [self._inward(item) for item in data]
        if not isinstance(data, Reference) or data is INVALID:
            return data
        arguments = [self._inward(one) for one in data.arguments]
        named = bool(arguments) and isinstance(arguments[0], str)
        if data.name == "get_input" and named and arguments[0] not in self.workflow_inputs:
            if arguments[0] in self.circular and not self.late:
                raise Unfit(f"its input {arguments[0]} depends on what becomes of it")
            return self._at(self.late.get(arguments[0]), arguments[1:], data)
        if data.name in PATHS and named:
            arguments[0] = self._name(arguments[0])
        return replace(data, arguments=tuple(arguments))

    def _name(self, name: str) -> str:
        return self.selected[name].target.name if name in self.selected else self.names.get(name, name)

    @staticmethod
    def _at(data: Any, path: list[Any], reference: Reference) -> Any:
        try:
            return paths.into(data, None, path)[0]
        except (paths.NoSuch, paths.Unresolved) as why:
            raise Unfit(f"{reference.place}: {why}") from why

    def _outward(self, data: Any, owner: Any = None, absolute: bool = False) -> Any:
        """Data of the outer template that asks the node for nothing any more; `absolute`: nor depends on what SELF is."""
        if isinstance(data, dict):
            return {key: self._outward(item, owner, absolute) for key, item in data.items()}
        if isinstance(data, list):
            return [self._outward(item, owner, absolute) for item in data]
        if not isinstance(data, Reference) or data is INVALID:
            return data
        path = [self._outward(one, owner, absolute) for one in data.arguments]
        made = replace(data, arguments=tuple(path))
        if data.name not in PATHS:
            return made
        try:
            entity, rest = paths.resolve(path, owner, self.template, self.modern)
        except (paths.NoSuch, paths.Unresolved):
            entity, rest = None, path
        if entity is self.node:
            return self._attribute(made, rest)
        ours = next((one.name for one in self.node.capabilities.values() if one is entity), None)
        if ours is not None:
            return self._capability(made, ours, rest)
        lost = isinstance(entity, Relationship) and entity.source is self.node
        if lost or (entity is None and (path[:1] == [self.node.name] or absolute)):
            raise Unfit(f"{data.place}: {data.name} {path} leads to what a template in the place of {self.node.name} does not have")
        return self._absolute(made, entity, rest) if absolute and path[0] not in self.template.nodes else made

    def _absolute(self, made: Reference, entity: Any, rest: list[Any]) -> Reference:
        if isinstance(entity, NodeTemplate):
            return replace(made, arguments=(entity.name, *rest))
        holders = [one for one in self.template.nodes.values() if isinstance(entity, Capability) and entity in one.capabilities.values()]
        if not holders:
            raise Unfit(f"{made.place}: {made.name} {list(made.arguments)} cannot be given to another template")
        return self._of_capability(made, holders[0].name, entity.name, rest)

    def _of_capability(self, made: Reference, node: str, capability: str, rest: list[Any]) -> Reference:
        return replace(made, arguments=(node, *(["CAPABILITY"] if self.modern else []), capability, *rest))

    def _attribute(self, made: Reference, rest: list[Any], key: Any = None) -> Any:
        """What an attribute of the node is mapped to, else the property of that name."""
        if made.name in ("get_attribute", "get_property") and rest:
            name, *path = rest
            found, leads = self._output(key or name)
            if found:
                return self._at(leads, path, made)
            if key is None and (value := self.node.properties.get(name)) is not None:
                return self._at(self._outward(value.value, self.node, True), path, made)
        raise Unfit(f"{made.place}: {made.name} {list(made.arguments)} asks {self.node.name} for what is mapped to no output")

    def _output(self, key: Any) -> tuple[bool, Any]:
        """(whether it is mapped, data) of an attribute; in 1.x also of the output that has its name."""
        leads = next((leads for name, leads in self.offer.attributes if name == key), None if self.modern else key)
        leads = leads.get("mapping") if isinstance(leads, dict) else leads
        if isinstance(leads, list) and len(leads) == 2 and isinstance(leads[0], str) and leads[0] in self.inner.nodes:
            return True, Reference("get_attribute", (self._name(leads[0]), leads[1]), self.offer.place)
        name = leads[0] if isinstance(leads, list) and len(leads) == 1 else leads
        found = self.inner.outputs.get(name) if isinstance(name, str) else None
        return found is not None, self._inward(found.value) if found else None

    def _capability(self, made: Reference, name: str, rest: list[Any]) -> Any:
        if rest and self._output(["CAPABILITY", name, rest[0]])[0]:
            return self._attribute(made, rest, ["CAPABILITY", name, rest[0]])
        if (pair := self._pair(name)) is None:
            raise Unfit(f"{made.place}: {made.name} {list(made.arguments)} asks capability {name}, which is not mapped")
        return self._of_capability(made, self._name(dict(self.offer.capabilities)[name][0]), pair[1], rest)

    # Workflows

    def _workflow(self, made: Workflow) -> Workflow:
        """An outer workflow that calls inner ones for what is mapped to them."""
        steps = {name: self._calling(step) if step.target == self.node.name else step for name, step in made.steps.items()}
        return reworked(replace(made, steps=steps), self.template, self._outward)

    def _calling(self, step: Step) -> Step:
        activities = []
        for one in step.activities:
            if one.kind == "call_operation":
                interface, _, operation = one.name.rpartition(".")
                workflow = (self.offer.interfaces.get(interface) or {}).get(operation)
                if workflow is None or step.target_relationship:
                    raise Unfit(f"{one.place}: operation {one.name} of {self.node.name} is mapped to no workflow")
                one = replace(one, kind="inline", name=self.names[workflow])
            activities.append(one)
        return replace(step, activities=activities)

    # What comes

    def _bring(self) -> None:
        """Let the inner template be as it will be in the outer one."""
        for value in values_of(self.inner):
            value.value = self._inward(value.value)
        inner = self.inner
        for name, one in inner.workflows.items():
            self.workflows[self.names[name]] = self._renamed_workflow(one)
        for node in inner.nodes.values():
            self._renamed(node)
        inner.nodes = {self.names[name]: node for name, node in inner.nodes.items() if name not in self.selected}

    def _renamed(self, node: NodeTemplate) -> None:
        node.name, node.count = self.names[node.name], self._inward(node.count)
        if "pool" in self.node.metadata:
            node.metadata = {"pool": self.node.metadata["pool"], **node.metadata}
        for one in node.requirements:
            one.count, one.candidates = self._inward(one.count), [self._name(name) for name in one.candidates]
            stands = next((outer for key, outer in self.selected.items() if self.inner.nodes[key] is one.target), None)
            if stands:
                self.links.append((node, one, stands))
                one.target, one.target_capability = stands.target, self._capability_for(node, one, stands)
            one.node_name = one.node_name and self._name(one.node_name)

    def _renamed_workflow(self, made: Workflow) -> Workflow:
        found = reworked(made, self.inner, self._inward)
        for step in found.steps.values():
            step.target = step.target and self._name(step.target)
            step.activities = [replace(one, name=self.names[one.name]) if reuses(one) else one for one in step.activities]
        found.preconditions = [replace(one, target=one.target and self._name(one.target)) for one in found.preconditions]
        found.outputs = {key: [self._name(path[0]), *path[1:]] if isinstance(path, list) and path and isinstance(path[0], str) else path
                         for key, path in found.outputs.items()}  # fmt: skip
        found.name = self.names[made.name]
        return found

    # Making it so

    def put(self, told: Problems) -> None:
        """Change the outer template."""
        template, inner = self.template, self.inner
        for value, data in self.changed:
            value.value = data
        self._link()
        nodes = {key: made for name, one in template.nodes.items()
                 for key, made in (inner.nodes.items() if one is self.node else [(name, one)])}  # fmt: skip
        template.nodes.clear()
        template.nodes.update(nodes)
        template.workflows.update(self.workflows)
        template.relationship_templates.update({self.names[name]: one for name, one in inner.relationship_templates.items()})
        self._organise()
        operations = {f"{key}.{name}": self.names[flow] for key, one in self.offer.interfaces.items() for name, flow in one.items()}
        template.substituted[self.node.name] = Substituted(self.node.name, self.node.place, self.node.type, self.file, operations)
        for one in self.unmapped:
            message = f"nothing in {self.file} is mapped to requirement {one.name} of {self.node.name}, which {one.target.name} fulfils"
            told.add("substitution.unmapped", one.place, message, "Remove the requirement, or map it.")

    def _link(self) -> None:
        for node, made, outer in self.links:
            said = outer.fields is not None and "relationship" in outer.fields and outer.relationship
            kind, theirs = (one and one.type for one in (made.relationship, outer.relationship))
            bare = kind is None or (not made.assigned and derives(theirs, kind))  # nobody said anything of it inside
            base = outer.relationship if said or bare else made.relationship
            made.relationship = owned(base or Relationship(made.name, made.place, None), node if made.target else None)
            made.relationship.target, made.relationship.requirement = made.target, made.name
            made.relationship.capability, made.node_name = made.target_capability, made.target.name if made.target else None
        for source, made, reached in self.reached:
            further = [replace(made, relationship=owned(made.relationship, source)) for _ in reached[1:]]
            for one, (target, capability) in zip([made, *further], reached, strict=True):
                one.target, one.target_capability, one.node_name, one.candidates = target, capability, target.name, [target.name]
                one.relationship.target, one.relationship.capability = target, capability
            at = source.requirements.index(made) + 1
            source.requirements[at:at] = further

    def _organise(self) -> None:
        template, node = self.template, self.node
        for group in template.groups.values():
            group.members[:] = [one for name in group.members for one in (self.inner.nodes if name == node.name else [name])]
        kind = GroupType(node.type.name, "group", node.type.place)
        kind.lineage = (kind,)
        template.groups[node.name] = Group(node.name, node.place, kind, list(self.inner.nodes))
        for name, group in self.inner.groups.items():
            group.name, group.members = self.names[name], [self._name(one) for one in group.members]
            template.groups[group.name] = group
        for name, policy in self.inner.policies.items():
            policy.name, policy.targets = self.names[name], [self._name(one) for one in policy.targets]
            listed = policy.properties.get("targets")
            if listed is not None and isinstance(listed.value, list):  # before 1.1 some wrote the targets there
                listed.value = [self._name(one) if isinstance(one, str) else one for one in listed.value]
            template.policies[policy.name] = policy
