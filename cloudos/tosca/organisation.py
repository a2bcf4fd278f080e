"""Groups and policies of a service template."""

from __future__ import annotations

from typing import Any

from cloudos.tosca import grammar
from cloudos.tosca.assembly import Assembly
from cloudos.tosca.grammar import Fields
from cloudos.tosca.model import Group, Policy, Step, Workflow
from cloudos.tosca.problems import Mark, nearest
from cloudos.tosca.source import LIST, Node
from cloudos.tosca.typemodel import Trigger
from cloudos.tosca.workflows import Workflows


class Organisation:
    """What stands beside the nodes."""

    def __init__(self, assembly: Assembly):
        self.assembly, self.types, self.checker = assembly, assembly.types, assembly.checker
        self.problems, self.template, self.document = assembly.problems, assembly.template, assembly.document

    def _typed(self, kind: str, fields: Fields) -> Any:
        name = fields.text("type")
        found = self.types.get(kind, name, self.document, fields["type"]) if name else None
        self.types.complete()
        return found

    def groups(self) -> None:
        """All groups; members are nodes, or other groups."""
        entries = self.assembly.fields.entries("groups")
        names = {name for name, _ in entries}
        for name, node in entries:
            fields = grammar.read("group", node, self.problems)
            if (kind := self._typed("group", fields)) is None:
                self.template.broken.add(name)
                continue
            made = Group(name, Mark.of(node.place), kind)
            self.template.groups[name] = made
            made.properties = self.assembly._assigned(fields, "properties", kind.properties, made, f"group {name}", True)
            made.attributes = self.assembly._assigned(fields, "attributes", kind.attributes, made, f"group {name}", False)
            for member in fields.texts("members") or fields.texts("targets"):
                made.members.append(member.value)
                target = self.template.nodes.get(member.value)
                if target is None and member.value not in names | self.template.broken:
                    mend = nearest(member.value, [*self.template.nodes, *names])
                    self.problems.add("group.invalid", member, f"member {member.value} of group {name} does not exist", mend)
                elif target and kind.members is not None and not any(target.type.is_a(one) for one in kind.members):
                    known = ", ".join(one.name for one in kind.members)
                    message = f"{member.value} is a {target.type.name}; group type {kind.name} takes {known}"
                    self.problems.add("group.invalid", member, message, "Remove it from the group.")

    def policies(self) -> None:
        """All policies; targets are nodes and groups."""
        for name, node in self.assembly.fields.entries("policies"):
            if name in self.template.policies:
                self.problems.add("name.duplicate", node.place, f"policy {name} is defined twice", "Rename one.")
            fields = grammar.read("policy", node, self.problems)
            if (kind := self._typed("policy", fields)) is None:
                continue
            made = Policy(name, Mark.of(node.place), kind)
            self.template.policies[name] = made
            made.properties = self.assembly._assigned(fields, "properties", kind.properties, made, f"policy {name}", True)
            made.triggers = {**kind.triggers, **self.types.definitions.triggers(fields.entries("triggers"))}
            for target in fields.texts("targets"):
                made.targets.append(target.value)
                self._governed(made, target)
            for trigger in made.triggers.values():
                self._trigger(trigger)

    def _trigger(self, trigger: Trigger) -> None:
        """The condition of a trigger, and what it starts (2.0, 15.4 and 14.3); 1.x's are kept as they are."""
        if trigger.node is None or not trigger.node.source.modern:
            return
        if (condition := trigger.node.get("condition")) is not None:
            self.checker.calls.condition(condition, "what a trigger waits for")
        action = trigger.node.get("action")
        step = Step(trigger.name, trigger.place, None, None)
        for part in action.value if action is not None and action.kind == LIST else ():
            Workflows(self.assembly).activity(part, step, (), Workflow(trigger.name, trigger.place))

    def _governed(self, made: Policy, node: Node) -> None:
        target: Any = self.template.nodes.get(node.value) or self.template.groups.get(node.value)
        if node.value in self.template.broken:
            return
        if target is None:
            mend = nearest(node.value, [*self.template.nodes, *self.template.groups])
            self.problems.add("policy.invalid", node, f"target {node.value} of policy {made.name} does not exist", mend)
        elif made.type.targets is not None and not any(target.type.is_a(one) for one in made.type.targets):
            known = ", ".join(one.name for one in made.type.targets)
            message = f"{node.value} is a {target.type.name}; policy type {made.type.name} takes {known}"
            self.problems.add("policy.invalid", node, message, "Remove it from the targets.")
