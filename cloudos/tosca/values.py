"""Values: functions evaluated as far as they can be before anything runs, and data checked against its schema."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cloudos.tosca import scalars
from cloudos.tosca.documents import Library
from cloudos.tosca.evaluation import Context, Evaluation
from cloudos.tosca.functions import CONSTRAINTS, BadArguments, Malformed, call_of, constraint_problem, literal
from cloudos.tosca.model import INVALID, Reference, Template, Value, unknown
from cloudos.tosca.problems import nearest
from cloudos.tosca.scalars import Quantity
from cloudos.tosca.source import LIST, MAP, SCALAR, Node, boolean
from cloudos.tosca.typemodel import Condition, Property, Schema
from cloudos.tosca.types import STRING, Types

TEXTUAL = {"string", "version", "timestamp", "scalar", "bytes"}


class Checker:
    """Evaluates and checks values of one template."""

    def __init__(self, types: Types, template: Template, library: Library):
        self.problems, self.types, self.template, self.library = types.problems, types, template, library
        self.calls = Evaluation(self)
        self._state: dict[int, bool] = {}
        self.pending: dict[str, Property] = {}  # inputs whose defaults are not evaluated yet
        self._settling: set[str] = set()
        self._constraints: dict[tuple[int, str | None], bool] = {}
        self._defaults: set[int] = set()  # those that are being evaluated

    def of(self, value: Value) -> Any:
        """The data of a value in the template, evaluated and checked at the first asking."""
        state = self._state.get(id(value))
        if state is None and value.node is not None:
            self._state[id(value)] = False
            schema = value.definition.schema if value.definition else None
            try:
                value.value = self.value(value.node, schema, Context(value.owner, called=value.called))
            except RecursionError:
                self.problems.add("function.depth", value.place, "the value depends on too many others", "Shorten the chain.")
                value.value = INVALID
            self._state[id(value)] = True
        elif state is False:
            message = f"the value of {value.definition.name if value.definition else 'this'} depends on itself"
            self.problems.add("function.cycle", value.place, message, "Give one of the values in the circle.")
            value.value = INVALID
        return value.value

    def settle(self, name: str) -> None:
        """Evaluate the default of an input, which may ask for other inputs; one that asks for itself has none."""
        definition = self.pending.get(name)
        if definition is None:
            return
        node = definition.fixed or definition.default
        if name in self._settling:
            self.problems.add("function.cycle", node, f"the default of input {name} depends on itself", "Give a value.")
            self.template.inputs[name] = INVALID
            return
        self._settling.add(name)
        data = self.value(node, definition.schema, Context())
        self.template.inputs.setdefault(name, data)
        self.pending.pop(name, None)

    def value(self, node: Node, schema: Schema | None, context: Context) -> Any:
        """Data of an element, evaluated and, when there is a schema, checked."""
        if not context.final:
            try:
                call = call_of(node)
            except Malformed as error:
                self.problems.add("function.arguments", node, str(error), "A call is the only key of its map; $$ writes a $.")
                return INVALID
            if call:
                data = self.calls.apply(call, context)
                if isinstance(data, Reference):
                    self._static(data, schema, node)
                    return data
                node, context = node.like(data), replace(context, final=True)
        elif isinstance(node.value, Reference):  # inside of data that was evaluated
            self._static(node.value, schema, node)
            return node.value
        if schema is None:
            return self._free(node, context)
        data = CHECKS[schema.type.base](self, node, schema, context)
        if data is not INVALID:
            self._conditions(node, data, schema, context)
        return data

    def _free(self, node: Node, context: Context) -> Any:
        if node.kind == LIST:
            return [self.value(item, None, context) for item in node.value]
        if node.kind == MAP:
            return {self._key(key): self.value(item, None, context) for key, item in node.items}
        return node.value if context.final else literal(node)

    @staticmethod
    def _key(key: Node) -> Any:
        return key.value if key.kind == SCALAR else str(key.data())

    def _static(self, data: Reference, schema: Schema | None, node: Node) -> None:
        """What a function will give must be able to fit, as far as its type is known."""
        if schema is None or data.schema is None:
            return
        mine, wanted = data.schema.type, schema.type
        fits = mine.is_a(wanted) or wanted.is_a(mine) or (mine.base == wanted.base != "complex")
        fits = fits or {mine.base, wanted.base} <= TEXTUAL or (mine.base, wanted.base) == ("integer", "float")
        if not fits and "any" not in (mine.base, wanted.base):
            message = f"{data.name} gives {mine.name}, {wanted.name} is wanted"
            self.problems.add("value.type", node, message, "Use a value of the right type.")

    def _wrong(self, node: Node, schema: Schema, why: str = "") -> Reference:
        message = why or f"{node.words()} ({node.text})" if node.kind == SCALAR else node.words()
        self.problems.add("value.type", node, f"{message}; {schema.type.name} is wanted", f"Write a value of type {schema.type.base}.")
        return INVALID

    def scalar(self, node: Node, schema: Schema, context: Context) -> Any:
        """A number with a unit."""
        kind = schema.type
        units = self.units(schema, node.source.modern)
        text = node.value
        if isinstance(text, str) and not node.source.modern and kind.document is None:
            match = scalars.NUMBER.fullmatch(text)
            text = f"{match[1]} {match[2].lower()}" if match and match[2] else text
        found = scalars.split(text, units)
        if found is None:
            known = ", ".join(list(kind.units)[:12])
            return self._wrong(node, schema, f"{node.text!r} is no number with a unit ({known})")
        if kind.number and kind.document is not None:
            number = self.value(node.like(found[0]), Schema(kind.number), replace(context, final=True))
            if number is INVALID:
                return INVALID
        return node.value

    @staticmethod
    def units(schema: Schema, modern: bool) -> dict[str, float]:
        """Units that may be written; 1.x does not tell upper from lower case in its own units."""
        units = schema.type.units
        return units if modern or schema.type.document is not None else {name.lower(): value for name, value in units.items()}

    def collection(self, node: Node, schema: Schema, context: Context) -> Any:
        """A list or map, its keys and entries."""
        own = schema.type.schema
        entry = schema.entry or (own.entry if own else None)
        if schema.type.base == "list":
            if node.kind != LIST:
                return self._wrong(node, schema)
            return [self.value(item, entry, context) for item in node.value]
        if node.kind != MAP:
            return self._wrong(node, schema)
        key = schema.key or (own.key if own else None) or (STRING if node.source.modern else None)
        found = {}
        for name, item in node.items:
            if key is not None and (context.final or name.kind == SCALAR):
                self.value(name, key, replace(context, final=True))
            found[self._key(name)] = self.value(item, entry, context)
        return found

    def complex(self, node: Node, schema: Schema, context: Context) -> Any:
        """A map of properties."""
        kind = schema.type
        if node.kind != MAP:
            return self._wrong(node, schema)
        if not kind.properties:
            return self._free(node, context)
        found = {}
        for key, item in node.items:
            definition = kind.properties.get(key.text or "")
            if definition is None:
                mend = nearest(key.text, kind.properties)
                self.problems.add("property.unknown", key, f"type {kind.name} has no property {key.text}", mend)
            elif definition.fixed is not None and definition.fixed.data() != item.data():
                self.problems.add("value.fixed", item, f"{key.text} has the fixed value {definition.fixed.data()!r}", "Remove it.")
            else:
                found[definition.name] = self.value(item, definition.schema, context)
        for name, definition in kind.properties.items():
            if name not in found:
                self._absent(found, name, definition, node, context)
        return found

    def _absent(self, found: dict, name: str, definition: Property, node: Node, context: Context) -> None:
        source = definition.fixed or definition.default
        if source is not None and id(source) in self._defaults:
            self.problems.add("function.cycle", source, f"the default of {name} contains itself", "Leave the property out of it.")
        elif source is not None:
            self._defaults.add(id(source))
            found[name] = self.value(source, definition.schema, Context(context.owner))
            self._defaults.remove(id(source))
        elif definition.required and node.get(name) is None:
            self.problems.add("value.required", node.place, f"property {name} of {definition.place} has no value", f"Add {name}.")

    # Conditions

    def _conditions(self, node: Node, data: Any, schema: Schema, context: Context) -> None:
        if schema.type.base == "scalar" and isinstance(data, Reference):
            return
        conditions = schema.type.conditions
        if schema.conditions:
            conditions = [*conditions, *(one for one in schema.conditions if one not in conditions)]
        about = Context(context.owner, context.inputs, (data, schema), True, False, context.lenient) if conditions else context
        for condition in conditions:
            if self.holds(condition, about) is False:
                shown = condition.operator or "validation"
                message = f"{_short(data)} does not satisfy {shown} {_short(condition.node.data())}"
                self.problems.add("value.constraint", node, message, f"See {condition.node.file}:{condition.node.line}.")

    def holds(self, condition: Condition, context: Context) -> bool | None:
        """Whether a condition is true; None when that is not known yet, or the condition itself is wrong."""
        try:
            found = self.value(condition.node, None, context) if condition.operator is None else self._operator(condition, context)
        except BadArguments as error:
            self.problems.add("constraint.invalid", condition.node, str(error), "Correct the condition or the value.")
            return None
        return found if isinstance(found, bool) else None

    def _operator(self, condition: Condition, context: Context) -> Any:
        if not self._sound(condition):
            return None  # told where it is defined
        argument = self.value(condition.node, None, context)
        data, schema = context.value or (None, None)
        if unknown(data) or unknown(argument):
            return None
        return CONSTRAINTS[condition.operator](self.typed(data, schema), argument)

    def _sound(self, condition: Condition) -> bool:
        """Whether a constraint of 1.x means something; looked at once, however many values it is asked about."""
        key = (id(condition.node), condition.operator)  # elements live as long as their document
        found = self._constraints.get(key)
        if found is None:
            found = condition.operator in CONSTRAINTS and not constraint_problem(condition.operator, condition.node.data())
            self._constraints[key] = found
        return found

    def typed(self, data: Any, schema: Schema | None) -> Any:
        """A value as what it compares as: a version, a time, a quantity."""
        if schema is None or isinstance(data, Reference):
            return data
        base = schema.type.base
        if base == "scalar" and isinstance(data, str):
            units = {**self.units(schema, False), **schema.type.units}
            return Quantity(0, tuple(units.items())).coerce(data) or data
        if base == "version":
            return scalars.version(data) or data
        return scalars.timestamp(data, modern=False) or data if base == "timestamp" else data


def _short(data: Any) -> str:
    text = repr(data)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _plain(test: Callable[[Node], bool]) -> Callable[[Checker, Node, Schema, Context], Any]:
    def check(checker: Checker, node: Node, schema: Schema, context: Context) -> Any:
        if node.kind != SCALAR or not test(node):
            return checker._wrong(node, schema)
        return node.value if context.final else literal(node)

    return check


def _base64(node: Node) -> bool:
    if not isinstance(node.value, str):
        return False
    try:
        base64.b64decode("".join(node.value.split()), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _text(checker: Checker, node: Node, schema: Schema, context: Context) -> Any:
    """Text; 1.x also takes a number as it is written."""
    if isinstance(node.value, str):
        return node.value if context.final else literal(node)
    if node.source.modern or isinstance(node.value, bool) or not isinstance(node.value, int | float):
        return checker._wrong(node, schema)
    checker.problems.add("value.text", node, f"{node.text} is a number, taken as text", f'Write "{node.text}".')
    return node.text


def _boolean(checker: Checker, node: Node, schema: Schema) -> Any:
    found = boolean(node)
    return checker._wrong(node, schema) if found is None else found


def _version(checker: Checker, node: Node, schema: Schema) -> Any:
    """Text; 1.x also takes what YAML reads as a number, as it is written."""
    text = node.value if node.source.modern else node.text
    found = isinstance(text, str) and (scalars.version(text) or (not node.source.modern and text.isdigit()))
    return text if found else checker._wrong(node, schema)


def _range(checker: Checker, node: Node, schema: Schema, context: Context) -> Any:
    data = node.data()
    return data if scalars.bounds(data) else checker._wrong(node, schema)


def _is_integer(node: Node) -> bool:
    return isinstance(node.value, int) and not isinstance(node.value, bool)


CHECKS: dict[str, Callable[[Checker, Node, Schema, Context], Any]] = {
    "string": lambda checker, node, schema, context: _text(checker, node, schema, context),
    "integer": _plain(_is_integer),
    "float": _plain(lambda node: _is_integer(node) or isinstance(node.value, float)),
    "boolean": lambda checker, node, schema, context: _boolean(checker, node, schema),
    "timestamp": _plain(lambda node: scalars.timestamp(node.value, node.source.modern) is not None),
    "version": lambda checker, node, schema, context: _version(checker, node, schema),
    "bytes": _plain(_base64),
    "nil": _plain(lambda node: node.value is None),
    "null": _plain(lambda node: node.value is None),
    "any": lambda checker, node, schema, context: checker._free(node, context),
    "range": _range,
    "list": Checker.collection,
    "map": Checker.collection,
    "scalar": Checker.scalar,
    "complex": Checker.complex,
}
