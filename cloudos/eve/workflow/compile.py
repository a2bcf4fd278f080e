"""From a workflow of a template to its flow: steps and inlined workflows, what leads to what, and the conditions on the way."""

from __future__ import annotations

from typing import Any

from cloudos.eve.compiler import operations
from cloudos.eve.compiler.compile import Compiler
from cloudos.eve.compiler.instances import Instance
from cloudos.eve.compiler.values import Values, workflow_key
from cloudos.eve.engine.state import State
from cloudos.eve.graph import OPERATION, Graph, Resource, levels
from cloudos.eve.problems import Problem, Refused, Undeployable
from cloudos.eve.workflow.activities import Activities
from cloudos.eve.workflow.conditions import Unusable, text_of
from cloudos.eve.workflow.flow import FAILED, OK, WHOLE, Edges, Flow, Unit, state_key
from cloudos.tosca import model
from cloudos.tosca.model import Value, plain, unknown
from cloudos.tosca.workflows import reuses

LARGEST = 20_000  # activities on instances, those of inlined workflows among them
DEEPEST = 50  # workflows inside of each other


def compile_workflow(compiler: Compiler, name: str, state: State) -> Flow:
    """The flow of a workflow whose inputs have values. `compiler`: of the topology as it is. Raises Undeployable, Refused."""
    graph = compiler.graph()
    workflow = compiler.template.workflows.get(name)
    if workflow is None or workflow.values is None:
        known = ", ".join(compiler.template.workflows) or "none"
        raise Refused(f"the template has no workflow {name}. Its workflows: {known}.")
    made = _Maker(compiler, state, graph, workflow)
    flow = made.flow()
    if compiler.problems:
        raise Undeployable(dict.fromkeys(compiler.problems))
    return flow


class _FlowValues(Values):
    """Values as a workflow sees them: with its inputs, and with the states of nodes."""

    def _attribute(self, one: Instance, rest: list) -> Any:
        return {"$output": [state_key(one.name), "state"]} if rest == ["state"] else super()._attribute(one, rest)


class _Maker:
    def __init__(self, compiler: Compiler, state: State, graph: Graph, workflow: model.Workflow):
        self.compiler, self.state, self.workflow, self.template = compiler, state, workflow, compiler.template
        self.activities, self.size = Activities(compiler, graph), 0
        self.depth = 0
        self.made = Flow(workflow.name, {key: plain(value) for key, value in (workflow.values or {}).items() if not unknown(value)}, graph)
        self.made.states = {one.name: state.state_of(one.name, node.name, one.index)
                            for node in self.template.nodes.values() for one in compiler.instances(node)}  # fmt: skip

    def flow(self) -> Flow:
        """All of it; problems are the compiler's."""
        bare, workflow = _FlowValues(self.compiler), self.workflow
        values = {key: bare.data(value, Value(None, workflow.place), None, None) for key, value in (workflow.values or {}).items()}
        scope = _FlowValues(self.compiler, values)
        for guard in workflow.preconditions:
            for instance in self._instances(guard.target) or [None]:
                if (text := self._text(guard.condition, guard.place, scope, instance)) is not None:
                    self.made.conditions.append((str(guard.place), text))
        if workflow.implementation:
            self._implemented(workflow, scope)
        self._steps(workflow, "", scope, [], [])
        for name, kind in [edge for unit in self.made.units.values() for edge in unit.after]:
            self.made.units[name].caught |= kind == FAILED
        for name, path in workflow.outputs.items():
            if isinstance(path, list):
                reference = model.Reference("get_attribute", tuple(path))
                self.made.outputs[name] = scope.data(reference, Value(None, workflow.place), None, None)
        return self.made

    def _implemented(self, workflow: model.Workflow, scope: Values) -> None:
        """A workflow whose implementation is run on the machine that runs Eve, with its inputs."""
        implementation = workflow.implementation
        found = operations.how(implementation.primary.file, implementation) if implementation and implementation.primary else None
        if not found:
            self.compiler.problem(workflow, f"workflow {workflow.name} has no file", "Name one below implementation.")
            return
        data = {"operation": workflow.name, "hosts": {}, "how": found, "inputs": dict(scope.inputs), "keeps": workflow_key(workflow.name),
                "outputs": sorted(workflow.outputs), "timeout": implementation.timeout}  # fmt: skip
        self._add(Unit(workflow.name, workflow.name, "implementation", {workflow.name: Resource(workflow.name, OPERATION, "", "", data)}))

    def _add(self, unit: Unit) -> str:
        """Take a unit in. Raises Undeployable when there are too many: workflows that contain each other twice double at each level."""
        self.size += 1 + len(unit.calls)
        self._demand_room(self.size <= LARGEST, f"becomes more than {LARGEST:,} activities")
        self.made.units[unit.name] = unit
        return unit.name

    def _demand_room(self, room: bool, words: str) -> None:
        if not room:
            message = f"workflow {self.workflow.name} {words}"
            raise Undeployable([Problem(str(self.workflow.place), message, "Inline less, or run it in parts.")])

    # Steps

    def _steps(self, workflow: model.Workflow, path: str, scope: Values, before: Edges, guards: list[model.Guard]) -> list[str]:
        """Make the units of all steps; returns their names."""
        lasts: dict[str, str] = {}
        failing: dict[str, list[str]] = {}
        everything: list[str] = []
        for name in _ordered(workflow):
            after = [(lasts[one], OK) for one, step in workflow.steps.items() if name in step.on_success]
            after += [(unit, FAILED) for one, step in workflow.steps.items() if name in step.on_failure for unit in failing[one]]
            made = self._step(workflow.steps[name], path + name, scope, after or before, guards)
            mine = set(made)
            inner = {one for unit in made for one, kind in self.made.units[unit].after if kind == FAILED and one in mine}
            lasts[name], failing[name] = made[-1], [unit for unit in made if unit not in inner]
            everything += made
        return everything

    def _step(self, step: model.Step, path: str, scope: Values, after: Edges, guards: list[model.Guard]) -> list[str]:
        instances = self._instances(step.target)
        keys = {one.name: f"{path} {one.name}" for one in instances}
        texts = {one.name: self._passes(step, one, scope, guards) for one in instances}
        made: list[str] = []
        for number, activity in enumerate(step.activities, 1):
            name = f"{path}.{number}"
            edges = [(made[-1], OK)] if made else after
            if reuses(activity):
                made += self._reused(activity, name, step, scope, edges)
            else:
                for part, (words, calls) in enumerate(self.activities.units(activity, step, path, instances, scope)):
                    unit = Unit(name if part == 0 else f"{name}.{part + 1}", path, words, calls, [(made[-1], OK)] if made else after)
                    unit.guards = {call: keys[_instance_of(one)] for call, one in calls.items() if texts[_instance_of(one)] is not None}
                    made.append(self._add(unit))
        if not made:
            made = [self._add(Unit(path, path, "", {}, list(after)))]
        for one in instances:
            if (text := texts[one.name]) is not None:
                self.made.filters[keys[one.name]] = (text, made[0])
        return made

    def _reused(self, activity: model.Activity, name: str, step: model.Step, scope: Values, after: Edges) -> list[str]:
        """The units of another workflow, and one that all of them lead to."""
        other = self.template.workflows[activity.name]
        owner = self.template.nodes.get(step.target or "")
        values = {key: scope.data(value, Value(None, activity.place, owner=owner), None, None) for key, value in activity.inputs.items()}
        bare = _FlowValues(self.compiler)
        defaults = {key: bare.data(value, Value(None, activity.place), None, None) for key, value in other.defaults.items()}
        if other.implementation:
            self.compiler.problem(activity, f"workflow {other.name} has an implementation and no steps", "Run it by itself.")
        self._demand_room(self.depth < DEEPEST, f"inlines workflows more than {DEEPEST} deep")
        self.depth += 1
        made = self._steps(other, f"{name}/", _FlowValues(self.compiler, {**defaults, **values}), after, other.preconditions)
        self.depth -= 1
        inner = {one for unit in made for one, kind in self.made.units[unit].after if kind == FAILED}
        edges = [(unit, OK if unit in inner else WHOLE) for unit in made]
        return [*made, self._add(Unit(name, name.rpartition(".")[0], "", {}, edges or list(after)))]

    def _instances(self, target: str | None) -> list[Instance]:
        if target in self.template.groups:
            members = [one for one in self.template.groups[target].members if one in self.template.nodes]
            return [instance for one in members for instance in self.compiler.instances(self.template.nodes[one])]
        return self.compiler.instances(self.template.nodes[target]) if target in self.template.nodes else []

    # Conditions

    def _passes(self, step: model.Step, one: Instance, scope: Values, guards: list[model.Guard]) -> str | None:
        """The filter of a step for an instance, with the preconditions of the inlined workflow; None: always."""
        texts = [] if step.filter is None else [self._text(step.filter, step.place, scope, one)]
        for guard in guards:
            others = self._instances(guard.target)
            about = [one] if any(other is one for other in others) else others or [None]
            texts += [self._text(guard.condition, guard.place, scope, other) for other in about]
        found = [text for text in texts if text is not None]
        return f"({' and '.join(found)})" if found else None

    def _text(self, condition: Any, place: Any, scope: Values, one: Instance | None) -> str | None:
        owner = one.template if one else None
        try:
            return text_of(condition, lambda data: scope.data(data, Value(data, place, owner=owner), one, None))
        except Unusable as why:
            self.compiler.problems.append(Problem(str(place), str(why), "Write it with and, or, not, equal and their like."))
            return None


def _instance_of(one: Resource) -> str:
    return one.node if one.instance == 0 else f"{one.node}-{one.instance + 1}"


def _ordered(workflow: model.Workflow) -> list[str]:
    """Names of steps, each after those that lead to it."""
    before: dict[str, set[str]] = {name: set() for name in workflow.steps}
    for name, step in workflow.steps.items():
        for following in (*step.on_success, *step.on_failure):
            before[following].add(name)
    return [name for level in levels(before) for name in level]
