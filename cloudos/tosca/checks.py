"""Checks that need every type to be made: conditions, defaults, symbolic capabilities, properties of artifacts."""

from __future__ import annotations

from cloudos.tosca import filters, grammar
from cloudos.tosca.documents import Document, Library
from cloudos.tosca.evaluation import Context
from cloudos.tosca.functions import CONSTRAINTS, constraint_problem
from cloudos.tosca.model import INVALID, Reference
from cloudos.tosca.problems import nearest
from cloudos.tosca.source import LIST, Node
from cloudos.tosca.typemodel import KINDS, Condition, DataType, NodeType, Property, Schema
from cloudos.tosca.types import Types
from cloudos.tosca.values import Checker

SIZED = {"string", "list", "map", "complex", "any"}
ORDERED = {"integer", "float", "string", "timestamp", "version", "scalar", "any"}


def types_of(library: Library, types: Types) -> None:
    """Make every type of every document, used or not, so that mistakes in them are told."""
    for document in library.documents.values():
        for kind in KINDS:
            for name in document.definitions[kind]:
                types.shell(kind, name, document)
    types.complete()


def functions_of(library: Library, types: Types) -> None:
    """Custom functions: signatures with known types."""
    for document in library.documents.values():
        for _, node in document.fields.entries("functions"):
            fields = grammar.read("function", node, types.problems)
            signatures = fields.get("signatures")
            for part in signatures.value if signatures is not None and signatures.kind == LIST else ():
                inner = grammar.read("signature", part, types.problems)
                parts = [inner["result"]] if "result" in inner else []
                for key in ("arguments", "optional_arguments"):
                    parts += inner[key].value if key in inner and inner[key].kind == LIST else []
                for schema in parts:
                    types.definitions._inner(schema, document, None)
                if (implementation := inner.get("implementation")) is not None:
                    types.definitions.implementation(implementation, document)
    types.complete()


def definitions(types: Types, checker: Checker) -> None:
    """Everything that definitions promise about values."""
    seen: set[int] = set()
    for made, document in types.definitions.checked:
        _property(made, document, checker, seen)
    types.definitions.checked.clear()
    for made in types.made:
        if isinstance(made, DataType):
            for condition in made.conditions:
                _condition(condition, Schema(made), checker, seen)
        elif isinstance(made, NodeType):
            _requirements(made, types, checker, seen)
    for requirement, node in types.definitions.symbolic:
        if requirement.node and node.value not in requirement.node.capabilities:
            if not node.source.modern:
                message = f"capability type {node.value} is not defined; any {requirement.node.name} is taken"
                types.problems.add("definition.loose", node, message, nearest(node.value, requirement.node.capabilities))
                requirement.capability_name = None
                continue
            message = f"{node.value} is neither a capability type nor a capability of {requirement.node.name}"
            types.problems.add("type.unknown", node, message, nearest(node.value, requirement.node.capabilities))
    types.definitions.symbolic.clear()


def _property(made: Property, document: Document, checker: Checker, seen: set[int]) -> None:
    if made.schema:
        _schema(made.schema, checker, seen)
    for node in (made.default, made.fixed):
        if node is not None and made.schema and id(node) not in seen:
            seen.add(id(node))
            checker.value(node, made.schema, Context(lenient=True))


def _schema(schema: Schema, checker: Checker, seen: set[int]) -> None:
    for condition in schema.conditions:
        _condition(condition, schema, checker, seen)
    for inner in (schema.key, schema.entry):
        if inner:
            _schema(inner, checker, seen)


def _condition(condition: Condition, schema: Schema, checker: Checker, seen: set[int]) -> None:
    if id(condition) in seen:
        return
    seen.add(id(condition))
    if condition.operator is None:
        checker.calls.condition(condition.node, "a validation clause")
        return
    problems, node = checker.problems, condition.node
    if condition.operator not in CONSTRAINTS:
        mend = nearest(condition.operator, CONSTRAINTS)
        problems.add("constraint.invalid", node.place, f"{condition.operator or node.words()} is no constraint", mend)
    elif reason := constraint_problem(condition.operator, node.data()) or _unfit(condition, schema, checker):
        problems.add("constraint.invalid", node, reason, "Correct the constraint.")


def _unfit(condition: Condition, schema: Schema, checker: Checker) -> str | None:
    """Why a constraint of 1.x cannot apply to values of a type."""
    operator, base = condition.operator or "", schema.type.base
    if operator in ("length", "min_length", "max_length"):
        return None if base in SIZED else f"{operator} does not apply to {schema.type.name}"
    if operator in ("pattern", "schema"):
        return None if base in ("string", "version", "complex", "any", "map") else f"{operator} does not apply to {schema.type.name}"
    if operator not in ("equal", "valid_values") and base not in (ORDERED | {"range"} if operator == "in_range" else ORDERED):
        return f"{operator} does not apply to {schema.type.name}"
    node = condition.node
    for part in node.value if operator in ("in_range", "valid_values") and node.kind == LIST else [node]:
        if not _accepts(part, schema, checker, operator):
            return f"{part.data()!r} is no value of {schema.type.name}"
    return None


def _accepts(node: Node, schema: Schema, checker: Checker, operator: str) -> bool:
    if node.value == "UNBOUNDED" or schema.type.base in ("complex", "range", "any"):
        return True
    bare = DataType(schema.type.name, "data", schema.type.place, base=schema.type.base, units=schema.type.units)
    bare.lineage, bare.document, bare.number = (bare,), schema.type.document, None
    kept, checker.problems.found = checker.problems.found, {}
    try:
        found = checker.value(node, Schema(bare), Context(lenient=True))
        return not checker.problems.found or (isinstance(found, Reference) and found is not INVALID)
    finally:
        checker.problems.found = kept


def _requirements(made: NodeType, types: Types, checker: Checker, seen: set[int]) -> None:
    for requirement in made.requirements.values():
        for node in requirement.filters:
            if id(node) not in seen:
                seen.add(id(node))
                filters.check(node, checker, types.problems)
        kind = requirement.node
        if id(requirement) in seen or not kind or not requirement.capability:
            continue
        seen.add(id(requirement))
        fits = any(one.type and one.type.is_a(requirement.capability) for one in kind.capabilities.values())
        if not fits and not getattr(kind.document, "builtin", False):
            message = f"requirement {requirement.name}: {kind.name} has no capability of type {requirement.capability.name}"
            types.problems.add("definition.loose", requirement.place, message, "Only a type derived from it can fulfil this.")


def unused(types: Types, library: Library, main: Document) -> None:
    """Mistakes in types that a 1.x template imports and does not use are no reason to refuse it."""
    used = types.used()
    for document in library.documents.values():
        if document is main or document.modern:
            continue
        starts: list[tuple[int, bool]] = []
        for kind in KINDS:
            for name, node in document.definitions[kind].items():
                made = document.types.get((kind, name))
                starts.append((node.place.line, made is not None and id(made) in used))
        starts.sort()
        for problem in [one for one in types.problems.found if one.file == document.source.file and one.severity == "error"]:
            above = [use for line, use in starts if line <= problem.line]
            if above and not above[-1]:
                types.problems.soften(problem)


def artifacts(types: Types, checker: Checker, library: Library) -> None:
    """Files of artifacts are in the archive; their properties have the types that the artifact type says."""
    for made in types.definitions.artifacts:
        properties = made.type.properties if made.type else {}
        for name, node in made.properties.items():
            if made.type and name not in properties:
                message = f"artifact type {made.type.name} has no property {name}"
                checker.problems.add("property.unknown", node.place, message, nearest(name, properties))
            elif isinstance(node, Node):
                made.properties[name] = checker.value(node, properties[name].schema if name in properties else None, Context(lenient=True))
        for name, definition in properties.items():
            if name in made.properties:
                continue
            if (source := definition.fixed or definition.default) is not None:
                made.properties[name] = checker.value(source, definition.schema, Context(lenient=True))
            elif definition.required:
                message = f"artifact {made.name}: required property {name} has no value"
                checker.problems.add("value.required", made.place, message, f"Assign {name}; see {definition.place}.")
        library.artifact(made)
    types.definitions.artifacts.clear()
