"""Imperative workflows of a service template: what their steps name exists, fits, and does not lead round in a circle."""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping
from typing import Any

from cloudos.tosca import grammar
from cloudos.tosca.assembly import Assembly
from cloudos.tosca.evaluation import Context
from cloudos.tosca.grammar import Fields
from cloudos.tosca.guards import Guards
from cloudos.tosca.model import Activity, Group, Guard, NodeTemplate, Reference, Step, Workflow
from cloudos.tosca.problems import Mark, nearest
from cloudos.tosca.source import LIST, MAP, Node
from cloudos.tosca.typemodel import Interface, Property, RelationshipType

NORMATIVE = ("deploy", "undeploy")  # what a template overrides by declaring them
DECLARATIVE = (*NORMATIVE, "create", "configure", "start", "stop", "delete")  # of a node, as the orchestrator provides them
ACTIVITIES = {"delegate": "workflow", "set_state": "state", "call_operation": "operation", "inline": "workflow"}
HOSTS = ("SELF", "HOST", "SOURCE", "TARGET", "ORCHESTRATOR")
# 1.3, 3.4.1 and 3.4.2, and what its chapter 7.3 uses besides.
STATES = {"initial", "creating", "created", "configuring", "configured", "starting", "started", "stopping", "stopped", "deleting", "error",
          "available"}  # fmt: skip


class Workflows:
    """The workflows of one template."""

    def __init__(self, assembly: Assembly):
        self.assembly, self.types, self.checker = assembly, assembly.types, assembly.checker
        self.problems, self.template, self.document = assembly.problems, assembly.template, assembly.document
        self.names = {name for name, _ in assembly.fields.entries("workflows")}

    def run(self) -> None:
        """Make all of them."""
        entries = self.assembly.fields.entries("workflows")
        parts = []
        for name, node in entries:
            fields = grammar.read("workflow", node, self.problems)
            made = self.template.workflows[name] = Workflow(name, Mark.of(node.place))
            made.inputs = self.types.definitions.properties(fields.entries("inputs"), {}, self.document, "parameter")
            parts.append((made, fields))
        self.types.complete()
        for made, fields in parts:
            self._fill(made, fields)
        for made in self.template.workflows.values():
            self._normative(made)
            self._steps_in_a_circle(made)
        self._inlined_in_a_circle()

    def given(self, runs: Mapping[str, Mapping[str, Any]]) -> None:
        """Values for the inputs of workflows that are to be run, with those of defaults."""
        for name, values in runs.items():
            workflow = self.template.workflows.get(name)
            if workflow is None:
                place = self.assembly.fields.get("workflows") or self.assembly.fields.node
                message, known = f"the template has no workflow {name}", self.template.workflows
                self.problems.add("workflow.unknown", place.place, message, nearest(name, known))
            else:
                workflow.given = dict(values)
                workflow.values = self.assembly.given(workflow.inputs, values, workflow.defaults, workflow.place, f"workflow {name}")

    def _fill(self, made: Workflow, fields: Fields) -> None:
        for key, one in made.inputs.items():
            if (source := one.fixed or one.default) is not None:
                made.defaults[key] = self.checker.value(source, one.schema, Context())
        made.outputs = {key: value.data() for key, value in fields.entries("outputs")}
        made.preconditions = self._preconditions(made, fields)
        if (implementation := fields.get("implementation")) is not None:
            made.implementation = self.types.definitions.implementation(implementation, self.document)
            self.types.complete()
            if "steps" in fields:
                self.problems.add("key.conflict", implementation.place, "implementation and steps stand together", "Keep one.")
        steps = dict(fields.entries("steps"))
        for key, part in steps.items():
            made.steps[key] = self._step(key, part, steps, made)

    def _preconditions(self, made: Workflow, fields: Fields) -> list[Guard]:
        if (node := fields.get("precondition")) is not None:
            return [Guard(Mark.of(node.place), None, self._guards(made, None).modern(node, "a precondition"))]
        found = []
        node = fields.get("preconditions")
        for part in node.value if node is not None and node.kind == LIST else ():
            inner = grammar.read("precondition", part, self.problems)
            entity = self._target(inner, "precondition")
            if "condition" in inner and entity is not None:
                condition = self._guards(made, entity).older(inner["condition"])
                found.append(Guard(Mark.of(part.place), inner.text("target"), condition))
        return found

    def _guards(self, workflow: Workflow, entity: Any) -> Guards:
        if isinstance(entity, Group):  # each member is SELF in turn; the first shows which attributes there are
            entity = next((self.template.nodes[one] for one in entity.members if one in self.template.nodes), None)
        return Guards(self.checker, Context(entity, workflow.inputs))

    # Steps

    def _step(self, name: str, node: Node, steps: dict, workflow: Workflow) -> Step:
        fields = grammar.read("step", node, self.problems)
        made = Step(name, Mark.of(node.place), fields.text("target"), fields.text("target_relationship"))
        made.host = fields.text("operation_host")
        target = self._target(fields, f"step {name}")
        if not made.target and self.document.modern:
            self.problems.add("key.missing", node.place, f"step {name} lacks target", "Add target.")
        if made.host and made.host not in HOSTS:
            message = f"{made.host} is no host of operations"
            self.problems.add("workflow.invalid", fields["operation_host"], message, nearest(made.host, HOSTS))
        if "filter" in fields and target is not None:
            guards = self._guards(workflow, target)
            made.filter = guards.modern(fields["filter"], "a step filter") if self.document.modern else guards.older(fields["filter"])
        entities = self._acted_on(target, fields)
        for key in ("on_success", "on_failure"):
            for following in fields.texts(key):
                getattr(made, key).append(following.value)
                if following.value not in steps:
                    mend = nearest(following.value, steps)
                    self.problems.add("workflow.invalid", following, f"step {following.value} does not exist", mend)
        activities = fields.get("activities")
        for part in activities.value if activities is not None and activities.kind == LIST else ():
            if activity := self.activity(part, made, entities, workflow):
                made.activities.append(activity)
        return made

    def _target(self, fields: Fields, title: str) -> Any:
        """The node or group that is named."""
        name = fields.text("target") or ""
        target = self.template.nodes.get(name) or self.template.groups.get(name)
        if name and target is None and name not in self.template.broken:
            mend = nearest(name, [*self.template.nodes, *self.template.groups])
            where = "" if title.startswith("step") else f" of a {title}"
            self.problems.add("workflow.invalid", fields["target"], f"target {name}{where} does not exist", mend)
        return target

    def _acted_on(self, target: Any, fields: Fields) -> list[Any]:
        """What operations are called on: the node, each member of a group, or the relationship of one of the node's requirements."""
        name = fields.text("target_relationship")
        if not isinstance(target, NodeTemplate):
            if name and target is not None:
                message = f"{target.name} is a group, which has no requirements"
                self.problems.add("workflow.invalid", fields["target_relationship"], message, "Name a node as the target.")
            return [self.template.nodes[one] for one in target.members if one in self.template.nodes] if target and not name else []
        if not name:
            return [target]
        if name not in target.type.requirements:
            mend = nearest(name, target.type.requirements)
            self.problems.add("workflow.invalid", fields["target_relationship"], f"{target.name} has no requirement {name}", mend)
            return []
        found = [one.relationship for one in target.requirements if one.name == name and one.relationship]
        kind = target.type.requirements[name].relationship
        return found or ([kind] if kind else [])

    # Activities

    def activity(self, node: Node, step: Step, entities: Iterable[Any], workflow: Workflow) -> Activity | None:
        """One activity of a step, or of a trigger (`entities`: what operations are called on)."""
        if node.kind != MAP or not node.items or node.items[0][0].text not in ACTIVITIES:
            message = f"an activity is one of {', '.join(ACTIVITIES)}"
            self.problems.add("workflow.invalid", node, message, "Write a map with one of these keys.")
            return None
        kind, value = node.items[0][0].text or "", node.items[0][1]
        inner = value.get(ACTIVITIES[kind]) if value.kind == MAP else value
        given = (value.get("inputs") if value.kind == MAP else None) or node.get("inputs")
        inputs = dict(given.pairs()) if given is not None and given.kind == MAP else {}
        if inner is None or not isinstance(inner.value, str) or not inner.value:
            self.problems.add("workflow.invalid", value, f"{kind} lacks {ACTIVITIES[kind]}", f"Name the {ACTIVITIES[kind]}.")
            return None
        if kind != "inline" and not step.target and not self.document.modern:
            self.problems.add("workflow.invalid", inner, f"step {step.name} has no target, which {kind} needs", "Add target.")
        data = getattr(self, f"_{kind}")(inner, inputs, list(entities), workflow)
        return Activity(kind, inner.value, data, Mark.of(node.place))

    def _set_state(self, node: Node, inputs: dict[str, Node], entities: list[Any], workflow: Workflow) -> dict[str, Any]:
        defined = [one.type.attributes["state"] for one in entities if isinstance(one, NodeTemplate) and "state" in one.type.attributes]
        for definition in defined[:1]:
            self.checker.value(node, definition.schema, Context())
        if not self.document.modern and node.value not in STATES:
            self.problems.add("workflow.state", node, f"{node.value} is no state of the standard", nearest(node.value, STATES))
        return {}

    def _inline(self, node: Node, inputs: dict[str, Node], entities: list[Any], workflow: Workflow) -> dict[str, Any]:
        if node.value not in self.names:
            self.problems.add("workflow.invalid", node, f"workflow {node.value} does not exist", nearest(node.value, self.names))
            return {}
        other = self.template.workflows.get(node.value)
        known = other.inputs if other else {}
        return self._inputs(node, f"workflow {node.value}", inputs, known, Context(None, workflow.inputs), workflow)

    def _delegate(self, node: Node, inputs: dict[str, Node], entities: list[Any], workflow: Workflow) -> dict[str, Any]:
        if node.value in DECLARATIVE:
            return {key: self.checker.value(part, None, Context(None, workflow.inputs)) for key, part in inputs.items()}
        if node.value in self.names:
            return self._inline(node, inputs, entities, workflow)
        known = [*self.names, *DECLARATIVE]
        self.problems.add("workflow.invalid", node, f"workflow {node.value} does not exist", nearest(node.value, known))
        return {}

    def _call_operation(self, node: Node, inputs: dict[str, Node], entities: list[Any], workflow: Workflow) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for entity in entities:
            data = self._call(node, inputs, entity, workflow)
        return data

    def _call(self, node: Node, inputs: dict[str, Node], entity: Any, workflow: Workflow) -> dict[str, Any]:
        interface_name, dot, name = node.value.rpartition(".")
        if (interface := interface_of(entity.interfaces, interface_name)) is None or not dot:
            message = f"{entity.name} has no interface {interface_name or '(none named)'}"
            self.problems.add("workflow.invalid", node, message, f"Write interface.operation. {nearest(interface_name, entity.interfaces)}")
            return {}
        operation = interface.operations.get(name)
        if operation is None:
            message = f"interface {interface_name} has no operation {name}"
            self.problems.add("workflow.invalid", node, message, nearest(name, interface.operations))
            return {}
        known: dict[str, Property] = {**interface.inputs, **operation.inputs}
        assigned = set() if isinstance(entity, RelationshipType) else {*interface.values, *operation.values}
        if isinstance(entity, RelationshipType):  # of a requirement that nothing in the template fulfils: nobody can assign
            assigned = set(known)
        context = Context(entity, workflow.inputs)
        return self._inputs(node, f"operation {node.value}", inputs, known, context, workflow, assigned)

    def _inputs(self, node: Node, title: str, inputs: dict[str, Node], known: Mapping[str, Property], context: Context, workflow: Workflow,
                assigned: Iterable[str] = ()) -> dict[str, Any]:  # fmt: skip
        """Values of inputs by their definitions. `assigned`: those that have values already."""
        data = {}
        for key, part in inputs.items():
            if key not in known:
                self.problems.add("workflow.invalid", part.place, f"{title} has no input {key}", nearest(key, known))
            else:
                data[key] = self.checker.value(part, known[key].schema, context)
                self._perhaps_absent(known[key], data[key], part, workflow)
        for key, definition in known.items():
            absent = key not in inputs and key not in assigned and definition.default is None and definition.fixed is None
            if absent and definition.required:
                message = f"{title} is called without its required input {key}"
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

    # All of them together

    def _normative(self, made: Workflow) -> None:
        if made.name in NORMATIVE:
            message = f"workflow {made.name} would replace what Eve does for {made.name}, which goes by the nodes and by what is there"
            mend = "Give it another name: it is run on the deployed topology with `cloudos eve workflow run`."
            self.problems.add("workflow.normative", made.place, message, mend)

    def _steps_in_a_circle(self, made: Workflow) -> None:
        after = {name: {*step.on_success, *step.on_failure} & made.steps.keys() for name, step in made.steps.items()}
        if circle := _circle(after):
            message = f"steps of workflow {made.name} follow each other in a circle: {' -> '.join(circle)}"
            self.problems.add("workflow.cycle", made.steps[circle[0]].place, message, f"Take {circle[1]} out of what follows {circle[0]}.")

    def _inlined_in_a_circle(self) -> None:
        known = self.template.workflows
        inner = {name: {one.name for one in _reused(made) if one.name in known} for name, made in known.items()}
        if circle := _circle(inner):
            place = next(one.place for one in _reused(known[circle[0]]) if one.name == circle[1])
            message = f"workflow {circle[0]} contains itself: {' -> '.join(circle)}"
            self.problems.add("workflow.cycle", place, message, "Remove the activity, or have it name another workflow.")


def reuses(activity: Activity) -> bool:
    """Whether an activity stands for the steps of another workflow; a node's own declarative workflows come first for delegate."""
    return activity.kind == "inline" or (activity.kind == "delegate" and activity.name not in DECLARATIVE)


def _reused(made: Workflow) -> list[Activity]:
    return [one for step in made.steps.values() for one in step.activities if reuses(one)]


def _circle(edges: Mapping[str, Iterable[str]]) -> list[str]:
    """Names of a circle in the direction of the edges, the first again at the end; empty where there is none."""
    sorter = graphlib.TopologicalSorter({name: sorted(others) for name, others in edges.items()})
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        return list(reversed(error.args[1]))
    return []


def interface_of(known: Mapping[str, Interface], name: str) -> Interface | None:
    """An interface by its name, or by its type's."""
    return known.get(name) or next((one for one in known.values() if one.type and one.type.name == name), None)
