"""What the activities of a workflow's step do on an instance: a state, a call of an operation, or what Eve itself does with a node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cloudos.eve.compiler import operations
from cloudos.eve.compiler.compile import Compiler
from cloudos.eve.compiler.instances import Instance, Link
from cloudos.eve.compiler.values import Values
from cloudos.eve.engine.calls import digest
from cloudos.eve.graph import OPERATION, Graph, Resource
from cloudos.tosca import model
from cloudos.tosca.model import Value
from cloudos.tosca.workflows import interface_of

SIDES = {name: side for steps in (operations.BEFORE_CONFIGURE, operations.AFTER_CONFIGURE, operations.AFTER_START) for name, side in steps}
SIDES.update({operations.UNDO[name]: side for name, side in operations.AFTER_START if name in operations.UNDO})
UP, DOWN = ("create", "configure", "start"), ("stop", "delete")
PHASES = {**{name: (name,) for name in (*UP, *DOWN)}, "deploy": UP, "undeploy": DOWN}
STATE_AFTER = {"create": "created", "configure": "configured", "start": "started", "deploy": "started", "stop": "configured",
               "delete": "initial", "undeploy": "initial"}  # fmt: skip
MAKES = ("create", "delete", "deploy", "undeploy")  # what would make and delete resources of clouds
LONGEST = 200  # characters of a call's name
Units = Iterator[tuple[str, dict[str, Resource]]]


class Activities:
    """Makes what is called. `graph`: of the topology as it is."""

    def __init__(self, compiler: Compiler, graph: Graph):
        self.compiler, self.graph = compiler, graph
        self._problem = compiler.problem
        self._names: set[str] = set()

    def units(self, activity: model.Activity, step: model.Step, path: str, instances: list[Instance], scope: Values) -> Units:
        """(words, calls) of each unit that an activity is; what cannot be is told as the compiler's problem."""
        if activity.kind == "set_state":
            yield f"set_state {activity.name}", self._states(path, activity.name, instances, {})
        elif activity.kind == "delegate":
            yield from self._delegated(activity, step, path, instances)
        else:
            found: dict[str, Resource] = {}
            for instance in instances:
                found.update(self._called(activity, step, path, instance, scope))
            yield f"call_operation {activity.name}", found

    def _states(self, path: str, state: str, instances: list[Instance], forgets: Mapping[str, list[str]]) -> dict[str, Resource]:
        found = {}
        for one in instances:
            data = {"operation": "set_state", "hosts": {}, "how": {"kind": "state"}, "state": {one.name: state},
                    "forgets": forgets.get(one.name, [])}  # fmt: skip
            name = self._name(f"{path}: {state} {one.name}")
            found[name] = Resource(name, OPERATION, one.template.name, "", data, (), False, one.index)
        return found

    def _name(self, wanted: str) -> str:
        """A name that no other call has, short enough for a job's task."""
        wanted = wanted if len(wanted) <= LONGEST else f"{wanted[:LONGEST - 13]}~{digest(wanted)}"
        numbered = (wanted if number == 1 else f"{wanted} ({number})" for number in range(1, len(self._names) + 2))
        name = next(one for one in numbered if one not in self._names)
        self._names.add(name)
        return name

    def _called(self, activity: model.Activity, step: model.Step, path: str, instance: Instance, scope: Values) -> dict[str, Resource]:
        interface_name, _, name = activity.name.rpartition(".")
        if not step.target_relationship:
            interface = interface_of(instance.template.interfaces, interface_name)
            one = self._call(activity, step, path, instance, interface, name, scope, None)
            return {one.name: one} if one else {}
        links = [link for link in self.compiler.outgoing(instance) if link.requirement == step.target_relationship]
        if not links:
            message = f"requirement {step.target_relationship} of {instance.name} leads to no node of the template"
            self._problem(activity, message, "Give it a target, or call another operation.")
        made = [self._call(activity, step, path, instance, interface_of(link.relationship.interfaces, interface_name), name, scope, link)
                for link in links]  # fmt: skip
        return {one.name: one for one in made if one}

    def _call(self, activity: model.Activity, step: model.Step, path: str, instance: Instance, interface: Any, name: str,
              scope: Values, link: Link | None) -> Resource | None:  # fmt: skip
        operation = interface.operations.get(name) if interface else None
        if operation is None:
            self._problem(activity, f"{instance.name} has no operation {activity.name}", "Name one that it has.")
            return None
        inputs = {**scope.of({**interface.values, **operation.values}, instance, link),
                  **{key: scope.data(value, Value(value, activity.place, owner=link.relationship if link else instance.template), instance,
                                     link) for key, value in activity.inputs.items()}}  # fmt: skip
        own = None if link else (instance.entry.get("operations") or {}).get(name)
        found = operations.call(operation, own, instance, inputs)
        if found is None:
            message = f"operation {activity.name} of {instance.name} has no implementation"
            self._problem(activity, message, "Give it one, or do not call it.")
            return None
        place, keeps = self._place(instance, link, name, step.host or (operation.implementation and operation.implementation.host))
        here = step.host == operations.ORCHESTRATOR or (found["here"] and not step.host)
        return self._resource(path, name, instance, link, {**found, "here": here}, place, {"keeps": keeps})

    @staticmethod
    def _place(instance: Instance, link: Link | None, name: str, host: str | None) -> tuple[Instance, str]:
        """(where an operation runs, the name under which its outputs are kept)."""
        if link is None:
            return instance, f"{instance.name}:{name}"
        side = host.lower() if host in ("SOURCE", "TARGET") else SIDES.get(name, "source")
        return (link.target if side == "target" else link.source), f"{link.source.name}:{link.requirement}:{link.target.name}:{name}"

    def _resource(self, path: str, operation: str, instance: Instance, link: Link | None, found: dict, place: Instance,
                  more: Mapping[str, Any]) -> Resource:  # fmt: skip
        hosts = {} if found["here"] else operations.hosts_of(self.compiler, place)[0]
        where = f"{link.source.name} -> {link.target.name}" if link else instance.name
        data = {"operation": operation, "hosts": hosts, **{key: value for key, value in found.items() if value and key != "here"}, **more}
        name = self._name(f"{path}: {operation} {where}")
        return Resource(name, OPERATION, instance.template.name, "", data, (), False, instance.index)

    # What the declarative workflows of a node do

    def _delegated(self, activity: model.Activity, step: model.Step, path: str, instances: list[Instance]) -> Units:
        columns = {one.name: list(self._declared(activity.name, one)) for one in instances}
        self._demand(activity, step, instances, columns)
        for row in range(max(map(len, columns.values()), default=0)):
            calls: dict[str, Resource] = {}
            for one in instances:
                for operation, link, found in columns[one.name][row : row + 1]:
                    if found:
                        place, _ = self._place(one, link, operation, None)
                        made = self._resource(path, operation, one, link, found, place, {"entry": _entry(one, link, operation)})
                        calls[made.name] = made
            if calls:
                yield f"delegate {activity.name}", calls
        forgets = {one.name: [entry for operation, link, _ in columns[one.name] for entry in self._undone(one, link, operation)]
                   for one in instances}  # fmt: skip
        yield f"delegate {activity.name}", self._states(path, STATE_AFTER[activity.name], instances, forgets)

    def _demand(self, activity: model.Activity, step: model.Step, instances: list[Instance], columns: Mapping[str, list]) -> None:
        """Tell what keeps an activity from being delegated."""
        if step.target_relationship:
            message = f"delegate {activity.name} is about a node, not about a relationship"
            self._problem(activity, message, "Remove target_relationship.")
        if activity.inputs:
            message = f"delegate {activity.name} takes no inputs: what Eve does with a node goes by the node's own"
            self._problem(activity, message, "Remove inputs, or call_operation with them.")
        for one in instances:
            if activity.name in MAKES and any(existing is None for _, _, existing in one.resources):
                message = f"delegate {activity.name} would make or delete what {one.name} is in its cloud, which workflows leave as it is"
                self._problem(activity, message, "Use deploy, scale, heal or undeploy of Eve; or delegate configure, start or stop.")
        if instances and not any(found for column in columns.values() for _, _, found in column):
            message = f"delegate {activity.name}: nothing is implemented for it on {step.target}"
            self._problem(activity, message, "Implement the operation, or do not delegate it.")

    def _declared(self, name: str, one: Instance) -> Iterator[tuple[str, Link | None, dict | None]]:
        """(operation, relationship or None, what is run) of a declarative workflow of an instance, in the standard's order."""
        links = [link for link in self.compiler.outgoing(one) if link.entry.get("order") != "before"]
        standard, own = operations.standard_of(one.template.interfaces), one.entry.get("operations") or {}
        for phase in PHASES[name]:
            before = operations.BEFORE_CONFIGURE if phase == "configure" else ()
            after = {"configure": operations.AFTER_CONFIGURE, "start": operations.AFTER_START}.get(phase, ())
            if phase == "stop":
                before = [(operations.UNDO[step], side) for step, side in reversed(operations.AFTER_START) if step in operations.UNDO]
            for step, _ in before:
                yield from ((step, link, self._found(link.relationship.interfaces, step, one, link)) for link in links)
            values = standard[phase].values if phase in standard else {}
            inputs = self.compiler.values(values, one)
            yield phase, None, operations.call(standard.get(phase), own.get(phase), one, inputs)
            for step, _ in after:
                yield from ((step, link, self._found(link.relationship.interfaces, step, one, link)) for link in links)

    def _found(self, interfaces: Any, name: str, one: Instance, link: Link) -> dict | None:
        operation = operations.standard_of(interfaces).get(name)
        return operations.call(operation, None, one, self.compiler.values(operation.values, one, link) if operation else {})

    def _undone(self, one: Instance, link: Link | None, operation: str) -> list[str]:
        """The declarative operations that one that takes back has undone."""
        up = [name for name, undo in operations.UNDO.items() if undo == operation] + (["configure"] if operation == "delete" else [])
        return [entry for name in up if (entry := _entry(one, link, name)) in self.graph.resources]


def _entry(one: Instance, link: Link | None, operation: str) -> str:
    return f"{one.name}:{link.requirement}:{link.target.name}:{operation}" if link else f"{one.name}:{operation}"
