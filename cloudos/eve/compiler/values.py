"""Values of a template as data: what is known at run time only becomes a reference to the resource or operation that gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cloudos.eve.compiler.expressions import empty
from cloudos.tosca import paths
from cloudos.tosca.model import INVALID, Capability, NodeTemplate, Reference, Relationship, Value

if TYPE_CHECKING:
    from cloudos.eve.compiler.instances import Compilation, Instance, Link

TEXTS = ("concat", "join", "token")
ADDRESSES = {"ip_address": "private_address"}  # an endpoint's address is that of its host


class Values:
    """Translates the values of one template. `inputs`: data of inputs that the template does not have, but the workflow that runs."""

    def __init__(self, compiler: Compilation, inputs: Mapping[str, Any] | None = None):
        self.compiler, self.template, self.inputs = compiler, compiler.template, inputs or {}
        self.modern = self.template.version == "tosca_2_0"

    def of(self, values: Mapping[str, Value], instance: Instance, link: Link | None = None) -> dict[str, Any]:
        """Data by name, as one instance (in a link: of one pair) sees it."""
        return {name: self.data(value.value, value, instance, link) for name, value in values.items()}

    def plain(self, values: Mapping[str, Value]) -> dict[str, Any]:
        """Data by name, where nothing can refer to an instance."""
        return {name: None if isinstance(value.value, Reference) else value.value for name, value in values.items()}

    def output(self, value: Value) -> Any:
        """The data of an output of the template."""
        return self.data(value.value, value, None, None)

    def data(self, data: Any, value: Value, instance: Instance | None, link: Link | None) -> Any:
        """Data with its References translated."""
        if isinstance(data, Reference):
            return self._reference(data, value, instance, link)
        if isinstance(data, dict):
            return {str(key): self.data(item, value, instance, link) for key, item in data.items()}
        if isinstance(data, list | tuple):
            return [self.data(item, value, instance, link) for item in data]
        return data

    def _reference(self, reference: Reference, value: Value, instance: Instance | None, link: Link | None) -> Any:
        arguments = list(reference.arguments)
        if reference is INVALID:
            return None
        if reference.name in TEXTS:
            return {f"${reference.name}": [self.data(one, value, instance, link) for one in arguments]}
        if reference.name == "get_input":
            return inside(self._input(str(arguments[0]), value), arguments[1:])
        method = getattr(self, f"_{reference.name}", None)
        try:
            if method:
                return method(arguments, value, instance, link)
        except (paths.NoSuch, paths.Unresolved) as error:
            why = str(error) or "it leads to what is known at run time only"
            self.compiler.problem(value, f"{reference.name} {arguments}: {why}", "Name a node of the template.")
            return None
        self.compiler.problem(value, f"function {reference.name} cannot be left to run time", "Use get_attribute or get_operation_output.")
        return None

    def _input(self, name: str, value: Value) -> Any:
        """Of the workflow that runs, else of the template; None for one without value, where none were given."""
        return self.inputs[name] if name in self.inputs else self.data(self.template.inputs.get(name), value, None, None)

    def _get_attribute(self, arguments: list, value: Value, instance: Instance | None, link: Link | None) -> Any:
        entity, rest = paths.resolve(arguments, self._owner(value, link), self.template, self.modern)
        if isinstance(entity, Capability):
            node = self._node_of(arguments[0], entity, value)
            rest = [ADDRESSES.get(rest[0], rest[0]), *rest[1:]]
        else:
            node = entity.source if isinstance(entity, Relationship) else entity
        return self._from_instances(node, instance, link, lambda one: self._attribute(one, rest))

    def _get_operation_output(self, arguments: list, value: Value, instance: Instance | None, link: Link | None) -> Any:
        entity, rest = paths.resolve(arguments, self._owner(value, link), self.template, self.modern)
        _, operation, output, *inner = rest
        if not isinstance(entity, NodeTemplate):
            raise paths.Unresolved
        return self._from_instances(entity, instance, link, lambda one: {"$output": [f"{one.name}:{operation}", output, *inner]})

    def _get_property(self, arguments: list, value: Value, instance: Instance | None, link: Link | None) -> Any:
        """Of a property whose value is known at run time."""
        entity, rest = paths.resolve(arguments, self._owner(value, link), self.template, self.modern)
        if not isinstance(entity, NodeTemplate):
            raise paths.Unresolved
        name, *inner = rest
        return self._from_instances(entity, instance, link, lambda one: inside(one.properties.get(name), inner))

    def _get_artifact(self, arguments: list, value: Value, instance: Instance | None, link: Link | None) -> Any:
        entity, rest = paths.resolve(arguments, self._owner(value, link), self.template, self.modern)
        if not isinstance(entity, NodeTemplate) or rest[0] not in entity.artifacts:
            raise paths.Unresolved
        return self.compiler.file(entity.artifacts[rest[0]])

    @staticmethod
    def _owner(value: Value, link: Link | None) -> Any:
        return value.owner if value.owner is not None else link and link.relationship

    def _node_of(self, name: str, capability: Capability, value: Value) -> NodeTemplate:
        """The node that has a capability."""
        if name in self.template.nodes:
            return self.template.nodes[name]
        return next((one for one in self.template.nodes.values() if capability in one.capabilities.values()), value.owner)

    def _from_instances(self, node: NodeTemplate, instance: Instance | None, link: Link | None, ask: Any) -> Any:
        """What one instance says, or a list of what all say."""
        ends = [one for one in ((link.source, link.target) if link else ()) if one.template is node]
        found = ends or (self.compiler.peers(instance, node) if instance else self.compiler.instances(node))
        answers = [ask(one) for one in found]
        return answers[0] if (len(answers) == 1 and self.compiler.count(node)["max"] == 1) or ends or (
            instance and len(found) == 1) else answers  # fmt: skip

    def _attribute(self, one: Instance, rest: list) -> Any:
        """What the template assigns to an attribute, what an operation puts there, or what the resource has."""
        name, *inner = rest
        assigned = one.template.attributes.get(name)
        if assigned is not None and assigned.node is not None and not empty(assigned.value) and assigned.value is not INVALID:
            return inside(self.data(assigned.value, assigned, one, None), inner)
        for workflow in self.template.workflows.values():
            for output, target in workflow.outputs.items() if workflow.implementation else ():
                if target == [one.template.name, name]:
                    return {"$output": [workflow_key(workflow.name), output, *inner]}
        for interface in one.template.interfaces.values():
            for operation in interface.operations.values():
                for output, target in operation.outputs.items():
                    if target is not None and target.data() == ["SELF", name]:
                        return {"$output": [f"{one.name}:{operation.name}", output, *inner]}
        found = one.get(name)
        if found is None and name in one.template.type.properties:
            return inside(one.properties.get(name), inner)
        return inside(found, inner)


def workflow_key(name: str) -> str:
    """The name under which the outputs of a workflow's implementation are kept."""
    return f"workflow:{name}"


def inside(value: Any, path: list) -> Any:
    """What a path leads to, in data or in a reference that will give data; None where there is nothing."""
    for key in path if value is not None else ():
        if isinstance(value, dict) and ("$attribute" in value or "$output" in value):
            (word, arguments), = value.items()
            value = {word: [*arguments, key]}
        else:
            value = value[key] if isinstance(value, dict | list) else None
    return value
