"""From JSON Schema's errors to problems with a line and the nearest right name; what is wrong is taken out of the data.

Taking it out lets the checks that follow rely on the shapes, so that all mistakes are told at once.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema

from cloudos.model import schemas
from cloudos.model.problems import Report, nearest
from cloudos.model.source import Source, kind_of

KINDS = {
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
    "null": "null",
}


def validate(source: Source, schema: str, report: Report) -> dict:
    """Check `source.data` against the schema of that name in `schemas`; returns the data without what is wrong."""
    while errors := list(_validator(schema).iter_errors(source.data)):
        wrong = {path for error in errors for path in _told(source, error, tuple(error.absolute_path), report)}
        if not wrong:  # only keys that the file as a whole lacks
            break
        for path in sorted(wrong, key=_depth, reverse=True):
            _remove(source.data, path)
        report = Report()  # what is invalid now is so because of what was taken out
    return source.data


@cache
def _validator(schema: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(getattr(schemas, schema))


def _told(source: Source, error: Any, path: tuple, report: Report) -> list[tuple]:
    """Report one error; returns the paths to take out."""
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        extra = [key for key in error.instance if key not in known]
        for key in extra:
            report.add(source.where(*path, key), f"{_name(*path, key)} is not a key here{nearest(key, known)}")
        return [(*path, key) for key in extra]
    if error.validator == "required":
        for key in (key for key in error.validator_value if key not in error.instance):
            message = f"{_name(*path) or 'the file'} lacks {key}; add it"
            if (source.where(*path), message) not in {(problem.where, problem.message) for problem in report.problems}:
                report.add(source.where(*path), message)
        return [path] if path else []
    if "propertyNames" in error.absolute_schema_path:
        report.add(
            source.where(*path, error.instance),
            f"{_name(*path, error.instance)}: a name here is {error.schema['description']}",
        )
        return [(*path, error.instance)]
    report.add(source.where(*path), f"{_name(*path)} {_complaint(error)}")
    return [path] if path else []


def _complaint(error: Any) -> str:
    value, rule = error.instance, error.validator_value
    if error.validator == "type":
        wanted = [rule] if isinstance(rule, str) else rule
        return f"is {kind_of(value)}, must be {' or '.join(KINDS[kind] for kind in wanted)}"
    if error.validator == "enum":
        return f"is {value}, which is unknown{nearest(value, rule)}"
    if error.validator == "const":
        return f"is {value}, must be {rule}"
    if error.validator == "pattern":
        return f"is {value}, must be {error.schema.get('description', 'like ' + rule)}"
    if error.validator in ("minimum", "maximum"):
        return f"is {value}; the {error.validator} is {rule}"
    if error.validator in ("minItems", "maxItems"):
        return f"has {len(value)} items; the {error.validator[:3]}imum is {rule}"
    return error.message


def _name(*path: Any) -> str:
    return ".".join(str(part) for part in path)


def _depth(path: tuple) -> tuple[int, int]:
    """Sorts the deepest first, and the items of a list from its end, so that taking one out moves no other."""
    return len(path), path[-1] if isinstance(path[-1], int) else 0


def _remove(data: Any, path: tuple) -> None:
    for part in path[:-1]:
        try:
            data = data[part]
        except (KeyError, IndexError):
            return  # something around it was taken out already
    if isinstance(data, dict):
        data.pop(path[-1], None)
    elif path[-1] < len(data):
        del data[path[-1]]
