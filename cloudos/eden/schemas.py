"""Requests judged by the JSON Schemas of the route table, with messages for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from cloudos.eden.problems import BadRequest

MOST_ERRORS = 20
# Their messages name keys and lengths; all others repeat what was sent.
TELLS_NO_VALUE = ("required", "additionalProperties", "minLength", "maxLength")


class Schemas:
    """The named schemas of a service; validators are made once."""

    def __init__(self, named: Mapping[str, dict]):
        self._named = dict(named)
        self._validators: dict[int, tuple[dict, Draft202012Validator]] = {}

    def judge(self, what: str, value: Any, schema: dict) -> None:
        """Raise BadRequest with all places where the value is not as the schema wants it."""
        errors = sorted(self._validator(schema).iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))
        if errors:
            shown = [_unsaid(error) if _is_secret(error, schema) else told(error) for error in errors[:MOST_ERRORS]]
            raise BadRequest(what=what, errors=shown)

    def query(self, given: Iterable[tuple[str, str]], schemas: Mapping[str, dict], needs: Iterable[str] = ()) -> dict[str, Any]:
        """The parameters of a query in the types that their schemas name. Unknown, repeated, wrong and missing ones raise BadRequest."""
        values: dict[str, Any] = {}
        errors = []
        for name, text in given:
            if name not in schemas:
                errors.append({"pointer": name, "message": f"is no parameter; there are {', '.join(schemas) or 'none'}"})
            elif schemas[name].get("type") == "array":
                values.setdefault(name, []).append(text)
            elif name in values:
                errors.append({"pointer": name, "message": "is there twice; send it once"})
            else:
                values[name] = converted(text, schemas[name])
        errors += [{"pointer": name, "message": "is missing"} for name in needs if name not in values]
        for name, value in values.items():
            errors += [told(error, name) for error in self._validator(schemas[name]).iter_errors(value)]
        if errors:
            raise BadRequest(what="The query", errors=errors)
        return values

    def _validator(self, schema: dict) -> Draft202012Validator:
        known = self._validators.get(id(schema))
        if known is None:
            whole = {**schema, "components": {"schemas": self._named}}
            known = self._validators[id(schema)] = (schema, Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER))
        return known[1]


def converted(text: str, schema: dict) -> Any:
    """A parameter's text as the schema's type; the text itself where it is none."""
    kind = schema.get("type")
    if kind == "integer" and text.removeprefix("-").isdecimal() and text.isascii() and len(text) < 16:
        return int(text)
    if kind == "boolean":
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.lower(), text)
    return text


def told(error: ValidationError, name: str = "") -> dict[str, str]:
    """A schema's error in words: where, what is wrong, what is wanted."""
    pointer = name or "/" + "/".join(str(part) for part in error.absolute_path)
    return {"pointer": pointer, "message": _message(error)}


def _is_secret(error: ValidationError, schema: dict) -> bool:
    """Whether the place, or one above it, is written and never read."""
    here: Any = schema
    for part in error.absolute_path if error.validator not in TELLS_NO_VALUE else ():
        here = (here.get("properties") or {}).get(part) or {}
        if here.get("writeOnly"):
            return True
    return False


def _unsaid(error: ValidationError) -> dict[str, str]:
    """A secret's error, without what was sent: {pointer, message}."""
    return {**told(error), "message": f"is not of the wanted {error.validator}: {_short(error.validator_value)}"}


def _message(error: ValidationError) -> str:
    wanted, found = error.validator_value, _short(error.instance)
    words = {
        "type": lambda: f"is {_short(error.instance)}, must be {' or '.join(wanted) if isinstance(wanted, list) else wanted}",
        "enum": lambda: f"is {found}, must be one of {', '.join(map(str, wanted))}",
        "const": lambda: f"is {found}, must be {wanted}",
        "required": lambda: f"lacks {', '.join(name for name in wanted if name not in error.instance)}",
        "additionalProperties": lambda: f"{error.message[:300]}; known are {', '.join(error.schema.get('properties', {}))}",
        "pattern": lambda: f"is {found}, must match {wanted}",
        "maxLength": lambda: f"is {len(error.instance)} characters long, at most {wanted} are taken",
        "minLength": lambda: f"is {len(error.instance)} characters long, at least {wanted} are wanted",
        "minimum": lambda: f"is {found}, must be at least {wanted}",
        "maximum": lambda: f"is {found}, must be at most {wanted}",
    }
    return words.get(error.validator, lambda: error.message[:300])()


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else text[:77] + "..."
