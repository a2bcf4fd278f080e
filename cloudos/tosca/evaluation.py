"""Function calls: what can be computed from the template is, the rest becomes a Reference for run time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from cloudos.tosca import paths
from cloudos.tosca.documents import Library
from cloudos.tosca.functions import BOOLEAN, FUNCTIONS, GRAPH, BadArguments, Call, Function, Malformed, call_of
from cloudos.tosca.model import INVALID, Capability, NodeTemplate, Reference, Relationship, Template, Value, unknown
from cloudos.tosca.paths import NoSuch, Unresolved
from cloudos.tosca.problems import Mark, Problems, nearest
from cloudos.tosca.scalars import LARGEST
from cloudos.tosca.source import Node
from cloudos.tosca.typemodel import Property, Schema
from cloudos.tosca.types import Types


@dataclass(frozen=True)
class Context:
    """Where a value stands: what SELF is, further inputs (of a workflow), and the value that a condition is about."""

    owner: Any = None
    inputs: dict[str, Property] = field(default_factory=dict)
    value: tuple[Any, Schema | None] | None = None
    typed: bool = False  # whether versions, times and quantities are compared as such
    final: bool = False  # whether data was evaluated already, so that "$" in it means nothing
    called: bool = False  # whether it is an input of an operation, which workflows may call with inputs of their own
    lenient: bool = False  # whether what cannot be found is unknown instead of wrong (filters on candidates)


class Values(Protocol):
    """What functions ask of the template's values; values.Checker answers."""

    problems: Problems
    types: Types
    template: Template
    library: Library

    def of(self, value: Value) -> Any:
        """The data of a value in the template."""

    def value(self, node: Node, schema: Schema | None, context: Context) -> Any:
        """Data of an element."""

    def settle(self, name: str) -> None:
        """Evaluate the default of an input, if that was not done yet."""

    def typed(self, data: Any, schema: Schema | None) -> Any:
        """A value as what it compares as."""


class Evaluation:
    """The functions of one template."""

    def __init__(self, checker: Values):
        self.checker, self.problems, self.template = checker, checker.problems, checker.template
        self.graph: dict[str, Callable[[Call, Context], Any]] = {
            "get_input": self.get_input,
            "get_property": self.get_property,
            "get_attribute": self.get_attribute,
            "get_artifact": self.get_artifact,
            "get_operation_output": self.get_operation_output,
            "get_nodes_of_type": self.get_nodes_of_type,
            "value": self.value,
        }

    def apply(self, call: Call, context: Context) -> Any:
        """The result of a call, or a Reference. What is wrong is told, and gives the invalid Reference."""
        if not self.known(call):
            return INVALID
        try:
            if call.name in self.graph:
                return self.graph[call.name](call, context)
            arguments = self._arguments(call, context)
            if INVALID in arguments:
                return INVALID
            return self._compute(call, arguments)
        except Unresolved:
            return self._reference(call, [])
        except NoSuch as error:
            if context.lenient:
                return self._reference(call, [])
            rule = "function.input" if call.name == "get_input" else "function.path"
            self.problems.add(rule, call.node, f"{call.name}: {error}", error.mend)
        except BadArguments as error:
            if context.lenient:
                return self._reference(call, [])
            self.problems.add("function.arguments", call.node, f"{call.name}: {error}", "Correct the arguments.")
        return INVALID

    def known(self, call: Call) -> bool:
        """Whether a function exists and takes that many arguments; told if not."""
        count = len(call.arguments)
        if call.name in FUNCTIONS and (call.node.source.modern or call.name in ("concat", "join", "token")):
            least, most = FUNCTIONS[call.name].least, FUNCTIONS[call.name].most
        elif call.name in GRAPH:
            least, most = GRAPH[call.name]
        else:
            return self._custom(call)
        if least <= count <= most:
            return True
        wanted = str(least) if least == most else f"at least {least}" if count < least else f"at most {most}"
        self.problems.add("function.arguments", call.node, f"{call.name} has {count} arguments, takes {wanted}", "Correct the arguments.")
        return False

    def _custom(self, call: Call) -> bool:
        document = self.checker.library.by_source(call.node.source)
        found = document.find("function", call.name) if document else None
        if not found:
            names = [*FUNCTIONS, *GRAPH, *(document.names("function") if document else ())]
            self.problems.add(
                "function.unknown", call.node, f"function {call.name} is not known", f"{nearest(call.name, names)} $$ writes a $."
            )
            return False
        signatures = found[0].definitions["function"][found[1]].get("signatures")
        known = signatures.value if signatures is not None and signatures.kind == "list" else []
        if not known or any(_takes(one, len(call.arguments)) for one in known):
            return True
        message = f"no signature of {call.name} takes {len(call.arguments)} arguments"
        self.problems.add("function.arguments", call.node, message, f"See {signatures.file}:{signatures.line}.")
        return False

    def _arguments(self, call: Call, context: Context) -> list[Any]:
        return [self.checker.value(node, None, context) for node in call.arguments]

    def _path(self, call: Call, context: Context) -> list[Any]:
        """Arguments that are names and indexes. Raises BadArguments for anything else."""
        found = self._arguments(call, context)
        for part in found:
            if not isinstance(part, str | int | Reference) or isinstance(part, bool):
                raise BadArguments(f"{part!r} is neither a name nor an index")
        return found

    @staticmethod
    def _reference(call: Call, arguments: list[Any], schema: Schema | None = None) -> Reference:
        return Reference(call.name, tuple(arguments), Mark.of(call.node), schema)

    def _compute(self, call: Call, arguments: list[Any]) -> Any:
        function = FUNCTIONS.get(call.name)
        if function is None:
            return self._reference(call, arguments)
        if not any(unknown(argument) for argument in arguments):
            return _bounded(function, arguments)
        known = [argument for argument in arguments if isinstance(argument, bool)]
        if call.name == "and" and False in known:
            return False
        if call.name == "or" and True in known:
            return True
        return self._reference(call, arguments)

    # Functions of the graph

    def get_input(self, call: Call, context: Context) -> Any:
        """The value of an input: given, else its default, else a Reference with its type."""
        name, *path = self._path(call, context)
        if isinstance(name, Reference):
            return self._reference(call, [name, *path])
        definitions = {**self.template.definitions, **context.inputs}
        definition = definitions.get(name)
        if (definition is None or context.called) and not call.node.source.modern and (found := self._of_workflow(str(name))):
            return self._reference(call, [name, *path], paths.into(INVALID, (definition or found).schema, path)[1])
        if definition is None:
            raise NoSuch(f"{name} is no input", nearest(name, definitions))
        self.checker.settle(name)
        if name in context.inputs or name not in self.template.inputs:
            data: Any = self._reference(call, [name], definition.schema)
        else:
            data = self.template.inputs[name]
        data, schema = paths.into(data, definition.schema, path)
        return self.checker.typed(data, schema) if context.typed else data

    def _of_workflow(self, name: str) -> Property | None:
        """Operations of 1.x find the inputs of the workflow that calls them (1.3, 7.3.6)."""
        return next((one.inputs[name] for one in self.template.workflows.values() if name in one.inputs), None)

    def get_property(self, call: Call, context: Context) -> Any:
        """The value of a property."""
        path = self._path(call, context)
        try:
            entity, rest = paths.resolve(path, context.owner, self.template, call.node.source.modern)
            if not rest:
                raise NoSuch("the name of a property is missing", "Add it.")
            name, *inner = rest
            if isinstance(name, Reference):
                raise Unresolved
            found, definition = self._property(entity, name)
            data = self.checker.of(found) if found else self._reference(call, path, definition.schema)
            data, schema = paths.into(data, definition.schema if definition else None, inner)
        except Unresolved:
            return self._reference(call, path)
        return self.checker.typed(data, schema) if context.typed else data

    @staticmethod
    def _property(entity: Any, name: Any) -> tuple[Value | None, Property]:
        definitions = _definitions(entity, "properties")
        found = entity.properties.get(name)
        definition = definitions.get(name) or (found.definition if found else None)
        if definition is None:
            raise NoSuch(f"{_title(entity)} has no property {name}", nearest(name, definitions))
        return found, definition

    def get_attribute(self, call: Call, context: Context) -> Any:
        """An attribute is known at run time; that it is defined is checked."""
        path = self._path(call, context)
        try:
            entity, rest = paths.resolve(path, context.owner, self.template, call.node.source.modern)
        except Unresolved:
            return self._reference(call, path)
        if not rest:
            raise NoSuch("the name of an attribute is missing", "Add it.")
        known = {**_definitions(entity, "properties"), **_definitions(entity, "attributes")}
        name, *inner = rest
        if isinstance(name, Reference):
            return self._reference(call, path)
        if name not in known:
            raise NoSuch(f"{_title(entity)} has no attribute {name}", nearest(name, known))
        schema = known[name].schema
        for part in inner:
            _, schema = paths.into(Reference("any", ()), schema, [part])
        return self._reference(call, path, schema)

    def get_artifact(self, call: Call, context: Context) -> Any:
        """The place of an artifact is known at run time; that it is defined is checked."""
        path = self._path(call, context)
        try:
            entity, rest = paths.resolve(path, context.owner, self.template, call.node.source.modern)
        except Unresolved:
            return self._reference(call, path)
        if isinstance(entity, NodeTemplate) and rest and rest[0] not in entity.artifacts and not isinstance(rest[0], Reference):
            raise NoSuch(f"node {entity.name} has no artifact {rest[0]}", nearest(rest[0], entity.artifacts))
        return self._reference(call, path)

    def get_operation_output(self, call: Call, context: Context) -> Any:
        """Outputs are known at run time; that interface and operation are defined is checked."""
        path = self._path(call, context)
        try:
            entity, rest = paths.resolve(path[:1], context.owner, self.template, call.node.source.modern)
        except Unresolved:
            return self._reference(call, path)
        interface = entity.interfaces.get(path[1]) if isinstance(entity, NodeTemplate | Relationship) else None
        if interface is None:
            raise NoSuch(f"{_title(entity)} has no interface {path[1]}", nearest(path[1], getattr(entity, "interfaces", ())))
        if path[2] not in interface.operations:
            raise NoSuch(f"interface {path[1]} has no operation {path[2]}", nearest(path[2], interface.operations))
        return self._reference(call, [*path, *rest])

    def get_nodes_of_type(self, call: Call, context: Context) -> Any:
        """Names of the nodes of a type, in the template's order."""
        (name,) = self._path(call, context)
        document = self.checker.library.by_source(call.node.source)
        kind = self.checker.types.known("node", str(name), document) if document else None
        if kind is None:
            raise NoSuch(f"node type {name} is not defined", nearest(name, document.names("node") if document else ()))
        return [node.name for node in self.template.nodes.values() if node.type.is_a(kind)]

    def value(self, call: Call, context: Context) -> Any:
        """What a condition is about, or something inside it."""
        if context.value is None:
            return self._reference(call, [])
        data, schema = paths.into(*context.value, self._path(call, replace(context, value=None)))
        return self.checker.typed(data, schema)

    def static(self, node: Node) -> None:
        """Complain of calls in an expression that can never be evaluated."""
        try:
            call = call_of(node)
        except Malformed as error:
            self.problems.add("function.arguments", node, str(error), "A call is the only key of its map; $$ writes a $.")
            return
        if call and not self.known(call):
            return
        for inner in call.arguments if call else _children(node):
            self.static(inner)

    def condition(self, node: Node, title: str) -> None:
        """Complain of what can never be the Boolean expression that a condition is."""
        self.static(node)
        try:
            call = call_of(node)
        except Malformed:
            return  # told by static
        if call is None and not isinstance(node.value, bool):
            message = f"{title} is a condition, not {node.words()}"
            self.problems.add("constraint.invalid", node.place, message, "Write one function, such as $and.")
        elif call and call.name in FUNCTIONS and call.name not in BOOLEAN:
            message = f"{title} is a condition; {call.name} gives no boolean"
            self.problems.add("constraint.invalid", node.place, message, "Compare its result.")


def _bounded(function: Function, arguments: list[Any]) -> Any:
    """What a function gives. Raises BadArguments, also for numbers that nothing can go on with."""
    try:
        found = function.apply(*arguments)
    except (ArithmeticError, ValueError) as error:
        raise BadArguments(str(error)) from error
    if isinstance(found, int) and abs(found) >= LARGEST:
        raise BadArguments("the result has too many digits")
    return found


def _children(node: Node) -> list[Node]:
    return [value for _, value in node.items] if node.kind == "map" else node.value if node.kind == "list" else []


def _definitions(entity: Any, section: str) -> dict[str, Property]:
    owner = entity.definition if isinstance(entity, Capability) else entity.type
    return getattr(owner, section) if owner else {}


def _title(entity: Any) -> str:
    kinds = {NodeTemplate: "node", Relationship: "relationship", Capability: "capability"}
    return f"{kinds[type(entity)]} {entity.name}"


def _takes(signature: Node, count: int) -> bool:
    """Whether a signature takes that many arguments."""
    sizes = [
        len(one.value) if (one := signature.get(key)) is not None and one.kind == "list" else 0
        for key in ("arguments", "optional_arguments")
    ]
    variadic = signature.get("variadic")
    least = sizes[0] - 1 if variadic is not None and variadic.value else sizes[0]
    return least <= count and (count <= sum(sizes) or bool(variadic is not None and variadic.value))
