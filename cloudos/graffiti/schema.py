"""Schemas of properties: JSON Schema 2020-12, with two keywords more for what only TOSCA says.

`tosca:type` names a TOSCA type that JSON has not (scalar-unit.size, version, timestamp ...); `tosca:constraints` is a list of
TOSCA constraint clauses, written as in `conditions.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator, SchemaError, ValidationError, validators

from cloudos.graffiti import conditions
from cloudos.graffiti.values import SCALARS, NotComparable, fitting, spread, value

TYPE, CONSTRAINTS = "tosca:type", "tosca:constraints"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
# TOSCA type -> JSON Schema of it.
TOSCA = {
    "string": {"type": "string"}, "integer": {"type": "integer"}, "float": {"type": "number"}, "boolean": {"type": "boolean"},
    "list": {"type": "array"}, "map": {"type": "object"}, "range": {"type": "array", "minItems": 2, "maxItems": 2},
    "version": {"type": ["string", "number"], TYPE: "version"}, "timestamp": {"type": "string", TYPE: "timestamp"},
    **{f"scalar-unit.{kind}": {"type": "string", TYPE: f"scalar-unit.{kind}"} for kind in SCALARS},
}  # fmt: skip
_KINDS = {"integer": "number", "number": "number", "boolean": "boolean", "string": "string"}
# Keyword of a schema -> what a narrower value is, for refinement in derived types.
_NARROWER = {"minimum": lambda new, old: new >= old, "maximum": lambda new, old: new <= old, "minLength": lambda new, old: new >= old,
             "maxLength": lambda new, old: new <= old, "enum": lambda new, old: all(one in old for one in new)}  # fmt: skip


def kind(schema: Mapping) -> str | None:
    """How values of a property are compared: a kind of `values.py`, None when they tell it themselves."""
    named = schema.get(TYPE)
    if named:
        return named.removeprefix("scalar-unit.") if named.startswith("scalar-unit.") else {"version": "version"}.get(named, "string")
    if schema.get("type") == "array":
        return kind(schema.get("items") or {})
    return _KINDS.get(schema["type"]) if isinstance(schema.get("type"), str) else None


def from_tosca(definition: Mapping, data_types: Mapping[str, Mapping]) -> dict[str, Any]:
    """The schema of a TOSCA property definition; a data type of `data_types` becomes an object with its properties."""
    named = str(definition.get("type", "string")).removeprefix("tosca:")
    schema = dict(TOSCA.get(named) or _data_type(named, data_types))
    if entry := definition.get("entry_schema"):
        body = from_tosca(entry if isinstance(entry, Mapping) else {"type": entry}, data_types)
        schema["items" if schema.get("type") == "array" else "additionalProperties"] = body
    for key in ("description", "default"):
        if key in definition:
            schema[key] = definition[key]
    if definition.get("constraints"):
        schema[CONSTRAINTS] = definition["constraints"]
    if definition.get("status") == "deprecated":
        schema["deprecated"] = True
    return schema


def _data_type(named: str, data_types: Mapping[str, Mapping]) -> dict[str, Any]:
    body = data_types.get(named)
    if body is None:
        return {TYPE: named}  # a type of another document: its values are not judged here
    rest = {name: other for name, other in data_types.items() if name != named}  # a type that holds itself ends here
    properties = body.get("properties") or {}
    if not properties and body.get("derived_from") in TOSCA:
        return from_tosca({**body, "type": body["derived_from"]}, {})
    required = [name for name, one in properties.items() if one.get("required", True) and "default" not in one]
    return {"type": "object", "properties": {name: from_tosca(one, rest) for name, one in properties.items()}, "required": required}


def mistakes(schema: Any) -> Iterator[tuple[str, str]]:
    """(pointer, text) of everything wrong in the schema of a type's properties."""
    if schema == {}:
        return
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        yield "/" + "/".join(map(str, error.absolute_path)), error.message
        return
    for name, body in (schema.get("properties") or {}).items():
        for index, clause in enumerate(body.get(CONSTRAINTS) or []) if isinstance(body, Mapping) else ():
            try:
                conditions.read({"properties": {name: clause}})
            except conditions.Unreadable as error:
                yield f"/properties/{name}/{CONSTRAINTS}/{index}", str(error)


def refinements(name: str, new: Mapping, old: Mapping) -> Iterator[str]:
    """What is wrong with a derived type's property `new` in place of its parent's `old`: it may only narrow."""
    for key in ("type", TYPE):
        if key in old and key in new and new[key] != old[key]:
            yield f"property {name} is {new[key]}, its parent's is {old[key]}; a derived type may narrow a property, not change its type"
    for key, narrower in _NARROWER.items():
        if key in old and key in new and not narrower(new[key], old[key]):
            yield f"property {name}: {key} {new[key]} is wider than its parent's {old[key]}"


def check(schema: Mapping, instance: Any) -> list[tuple[str, str]]:
    """(pointer, text) of every mistake in an instance, in order."""
    found = sorted(_validator()(schema).iter_errors(instance), key=lambda error: [str(part) for part in error.absolute_path])
    return [("/" + "/".join(map(str, error.absolute_path)), error.message) for error in found]


def _tosca_type(_validator: Any, named: str, instance: Any, _schema: Mapping) -> Iterator[ValidationError]:
    declared = kind({TYPE: named})
    try:
        if declared and declared != "string":
            value(instance, declared)
    except NotComparable as error:
        yield ValidationError(str(error))


def _constraints(_validator: Any, clauses: list, instance: Any, schema: Mapping) -> Iterator[ValidationError]:
    declared = kind(schema)
    # A range is judged by its ends, as its constraints are about them.
    ends = instance if isinstance(instance, list) and schema.get("maxItems") == 2 else None
    for one in ends or [instance]:
        yield from _judged(clauses, one, declared)


def _judged(clauses: list, instance: Any, declared: str | None) -> Iterator[ValidationError]:
    found = list(spread({"value": instance}, {"value": declared} if declared else {}))
    for clause in clauses:
        for test in conditions.read({"properties": {"value": clause}}).tests():
            try:
                conditions.comparable(test, declared)
            except NotComparable as error:
                yield ValidationError(str(error))
                continue
            if not conditions.judge(test, found, [declared]):
                yield ValidationError(f"{fitting(instance, declared).text or instance} is not {test}")


@lru_cache(1)
def _validator() -> Any:
    return validators.extend(Draft202012Validator, {TYPE: _tosca_type, CONSTRAINTS: _constraints})
