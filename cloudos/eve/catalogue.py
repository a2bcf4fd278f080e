"""The reference of the profile's types, for people: what `cloudos eve types` prints and docs/reference/node-types.md holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import yaml

PROFILE = "openstack.yaml"
INTRODUCTION = """\
# Node types

What templates that import `cloudos:openstack.yaml` may use, besides the normative types (for 2.0: `profile: cloudos.openstack`). Made by
`cloudos eve types`; [Eve](eve.md) tells what becomes of each."""


def profile() -> dict[str, Any]:
    """The profile as its file has it."""
    return yaml.safe_load(resources.files("cloudos.tosca").joinpath("profiles", PROFILE).read_text(encoding="utf-8"))


def page(data: Mapping[str, Any], name: str | None = None) -> str:
    """Markdown of all types, or of the one with this name. Raises KeyError."""
    sections = [("Nodes", data["node_types"]), ("Relationships", data["relationship_types"]), ("Data", data.get("data_types", {}))]
    if name is not None:
        found = next((types[name] for _, types in sections if name in types), None)
        if found is None:
            raise KeyError(name)
        return "\n".join(_lines(name, found)).strip() + "\n"
    lines = [INTRODUCTION, ""]
    for title, types in sections:
        lines += [f"## {title}", ""] if types else []
        for one in types:
            lines += _lines(one, types[one])
    return "\n".join(lines).strip() + "\n"


def _lines(name: str, one: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {name}"
    yield ""
    told = [one["description"]] if "description" in one else []
    yield " ".join([*told, *([f"Derives from `{one['derived_from']}`."] if "derived_from" in one else [])])
    yield ""
    if properties := one.get("properties"):
        yield "| property | type | when it is not given | |"
        yield "|---|---|---|---|"
        for key, value in properties.items():
            yield f"| `{key}` | {_kind(value)} | {_default(value)} | {_about(value)} |"
        yield ""
    if attributes := one.get("attributes"):
        yield f"Attributes: {', '.join(f'`{key}`' for key in attributes)}."
        yield ""
    for key, value in (one.get("capabilities") or {}).items():
        sources = ", ".join(f"`{source}`" for source in value.get("valid_source_types", ()))
        yield f"- capability `{key}` of `{value['type']}`{f', for {sources}' if sources else ''}"
    for entry in one.get("requirements") or ():
        (key, value), = entry.items()
        least, most = value.get("occurrences", [1, 1])
        number = f"{least}" if least == most else f"{least} or more" if most == "UNBOUNDED" else f"{least} to {most}"
        wanted = f"`{value['node']}`" if "node" in value else f"what has `{value['capability']}`"
        yield f"- requirement `{key}`: {number} of {wanted}, by `{value['relationship']}`"
    if one.get("capabilities") or one.get("requirements"):
        yield ""


def _kind(value: Mapping[str, Any]) -> str:
    entry = value.get("entry_schema")
    inner = entry.get("type") if isinstance(entry, Mapping) else entry
    return f"{value['type']} of {inner}" if inner else value["type"]


def _default(value: Mapping[str, Any]) -> str:
    if "default" in value:
        return f"`{value['default']}`" if not isinstance(value["default"], bool) else f"`{str(value['default']).lower()}`"
    return "nothing" if value.get("required", True) is False else "must be given"


def _about(value: Mapping[str, Any]) -> str:
    parts = [value["description"]] if "description" in value else []
    for constraint in value.get("constraints", ()):
        (operator, argument), = constraint.items()
        shown = ", ".join(map(str, argument)) if isinstance(argument, list) else str(argument)
        parts.append(f"{operator.replace('_', ' ')}: {shown}")
    return "; ".join(parts)
