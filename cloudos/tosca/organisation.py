"""Groups, policies and workflows of a service template."""

from __future__ import annotations

from typing import Any

from cloudos.tosca import grammar
from cloudos.tosca.assembly import Assembly
from cloudos.tosca.evaluation import Context
from cloudos.tosca.grammar import Fields
from cloudos.tosca.model import Group, NodeTemplate, Policy, Reference, Step, Workflow
from cloudos.tosca.problems import Mark, nearest
from cloudos.tosca.source import LIST, MAP, Node
from cloudos.tosca.typemodel import Interface, Property, RelationshipType, Trigger

STANDARD_WORKFLOWS = {"deploy", "undeploy"}
ACTIVITIES = {"delegate": "workflow", "set_state": "state", "call_operation": "operation", "inline": "workflow"}


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
        action, names = trigger.node.get("action"), {name for name, _ in self.assembly.fields.entries("workflows")}
        for part in action.value if action is not None and action.kind == LIST else ():
            self._activity(part, None, Workflow(trigger.name, trigger.place), names)

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

    # Workflows

    def workflows(self) -> None:
        """All imperative workflows."""
        entries = self.assembly.fields.entries("workflows")
        names = {name for name, _ in entries}
        for name, node in entries:
            fields = grammar.read("workflow", node, self.problems)
            made = Workflow(name, Mark.of(node.place))
            self.template.workflows[name] = made
            made.inputs = self.types.definitions.properties(fields.entries("inputs"), {}, self.document, "parameter")
            self.types.complete()
            made.outputs = {key: value.data() for key, value in fields.entries("outputs")}
            if (precondition := fields.get("precondition") or fields.get("preconditions")) is not None:
                made.precondition = precondition.data()
                if self.document.modern:
                    self.checker.calls.condition(precondition, "a precondition")
            if (implementation := fields.get("implementation")) is not None:
                made.implementation = self.types.definitions.implementation(implementation, self.document)
                if "steps" in fields:
                    self.problems.add("key.conflict", implementation.place, "implementation and steps stand together", "Keep one.")
            steps = dict(fields.entries("steps"))
            for key, part in steps.items():
                made.steps[key] = self._step(key, part, steps, made, names)

    def _step(self, name: str, node: Node, steps: dict, workflow: Workflow, workflows: set[str]) -> Step:
        fields = grammar.read("step", node, self.problems)
        made = Step(name, Mark.of(node.place), fields.text("target"), fields.text("target_relationship"), filter=fields.data("filter"))
        target = self.template.nodes.get(made.target or "") or self.template.groups.get(made.target or "")
        if made.target and target is None and made.target not in self.template.broken:
            mend = nearest(made.target, [*self.template.nodes, *self.template.groups])
            self.problems.add("workflow.invalid", fields["target"], f"target {made.target} does not exist", mend)
        elif not made.target and self.document.modern:
            self.problems.add("key.missing", node.place, f"step {name} lacks target", "Add target.")
        if "filter" in fields and self.document.modern:
            self.checker.calls.condition(fields["filter"], "a step filter")
        entity = self._acted_on(target, fields)
        for key in ("on_success", "on_failure"):
            for following in fields.texts(key):
                getattr(made, key).append(following.value)
                if following.value not in steps:
                    mend = nearest(following.value, steps)
                    self.problems.add("workflow.invalid", following, f"step {following.value} does not exist", mend)
        activities = fields.get("activities")
        for part in activities.value if activities is not None and activities.kind == LIST else ():
            if activity := self._activity(part, entity, workflow, workflows):
                made.activities.append(activity)
        return made

    def _acted_on(self, target: Any, fields: Fields) -> Any:
        """What operations are called on: the node, or the relationship type of one of its requirements."""
        name = fields.text("target_relationship")
        if not name or not isinstance(target, NodeTemplate):
            return target
        if name not in target.type.requirements:
            mend = nearest(name, target.type.requirements)
            self.problems.add("workflow.invalid", fields["target_relationship"], f"{target.name} has no requirement {name}", mend)
            return None
        found = next((one.relationship.type for one in target.requirements if one.name == name and one.relationship), None)
        return found or target.type.requirements[name].relationship

    def _activity(self, node: Node, entity: Any, workflow: Workflow, workflows: set[str]) -> tuple[str, str, dict] | None:
        if node.kind != MAP or not node.items or node.items[0][0].text not in ACTIVITIES:
            message = f"an activity is one of {', '.join(ACTIVITIES)}"
            self.problems.add("workflow.invalid", node, message, "Write a map with one of these keys.")
            return None
        kind, value = node.items[0][0].text or "", node.items[0][1]
        inner = value.get(ACTIVITIES[kind]) if value.kind == MAP else value
        given = (value.get("inputs") if value.kind == MAP else None) or node.get("inputs")
        inputs = dict(given.pairs()) if given is not None and given.kind == MAP else {}
        if inner is None or not isinstance(inner.value, str):
            self.problems.add("workflow.invalid", value, f"{kind} lacks {ACTIVITIES[kind]}", f"Name the {ACTIVITIES[kind]}.")
            return None
        name = inner.value
        data = {}
        if kind in ("delegate", "inline") and name not in workflows | STANDARD_WORKFLOWS:
            self.problems.add("workflow.invalid", inner, f"workflow {name} does not exist", nearest(name, workflows | STANDARD_WORKFLOWS))
        elif kind == "call_operation":
            data = self._call(inner, inputs, entity, workflow)
        return kind, name, data or {key: part.data() for key, part in inputs.items()}

    def _call(self, node: Node, inputs: dict[str, Node], entity: Any, workflow: Workflow) -> dict[str, Any]:
        interface_name, dot, name = node.value.rpartition(".")
        if not isinstance(entity, NodeTemplate | RelationshipType):
            return {}
        interface = _interface(entity.interfaces, interface_name)
        if not dot or interface is None:
            message = f"{entity.name} has no interface {interface_name or '(none named)'}"
            self.problems.add("workflow.invalid", node, message, f"Write interface.operation. {nearest(interface_name, entity.interfaces)}")
            return {}
        operation = interface.operations.get(name)
        if operation is None:
            message = f"interface {interface_name} has no operation {name}"
            self.problems.add("workflow.invalid", node, message, nearest(name, interface.operations))
            return {}
        known: dict[str, Property] = {**interface.inputs, **operation.inputs}
        assigned = {**interface.values, **operation.values}
        context = Context(entity if isinstance(entity, NodeTemplate) else None, workflow.inputs)
        data = {}
        for key, part in inputs.items():
            if key not in known:
                self.problems.add("workflow.invalid", part.place, f"operation {node.value} has no input {key}", nearest(key, known))
            else:
                data[key] = self.checker.value(part, known[key].schema, context)
                self._perhaps_absent(known[key], data[key], part, workflow)
        for key, definition in known.items():
            absent = key not in inputs and key not in assigned and definition.default is None and definition.fixed is None
            if absent and definition.required and isinstance(entity, NodeTemplate):
                message = f"operation {node.value} is called without its required input {key}"
                self.problems.add("value.required", node, message, f"Give it below inputs; see {definition.place}.")
        return data

    def _perhaps_absent(self, definition: Property, data: Any, node: Node, workflow: Workflow) -> None:
        """An optional input of the workflow may have no value, which a required input cannot do with."""
        if not definition.required or not isinstance(data, Reference) or data.name != "get_input" or len(data.arguments) != 1:
            return
        source = workflow.inputs.get(data.arguments[0]) or self.template.definitions.get(data.arguments[0])
        if source and not source.required and source.default is None:
            message = f"required input {definition.name} gets {source.name}, which may have no value"
            self.problems.add("value.required", node, message, f"Make {source.name} required or give it a default.")


def _interface(known: dict[str, Interface], name: str) -> Interface | None:
    """An interface by its name, or by its type's."""
    return known.get(name) or next((one for one in known.values() if one.type and one.type.name == name), None)
