"""Type definitions of a TOSCA document: capability, node and relationship types, with data types written out in their properties."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from cloudos.graffiti.schema import from_tosca
from cloudos.graffiti.types import Batch, Namespace, Type

SECTIONS = {"capability_types": "capability", "node_types": "resource"}
_MINE = ("derived_from", "description", "version", "properties", "metadata")


def load(path: Path) -> Batch:
    """The Batch of a document. Raises OSError, ValueError."""
    document = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)  # noqa: S506  the safe loader, in C
    if not isinstance(document, Mapping):
        raise ValueError("a TOSCA document is a mapping")
    return batch(document)


def batch(document: Mapping[str, Any]) -> Batch:
    """The Batch of a document that is parsed; its namespace is what it says, its profile or its template's name, else `tosca`."""
    name = _name(document)
    data_types = document.get("data_types") or {}
    types = [_type(kind, name, key, body or {}, data_types)
             for section, kind in SECTIONS.items() for key, body in (document.get(section) or {}).items()]  # fmt: skip
    if not types:
        raise ValueError(f"no {' or '.join(SECTIONS)} are in there")
    description = document.get("description")
    return Batch((Namespace(name, description=description.strip() if description else None, source="tosca"),), tuple(types))


def _name(document: Mapping[str, Any]) -> str:
    metadata = document.get("metadata") or {}
    return str(document.get("profile") or document.get("namespace") or metadata.get("template_name") or "tosca")


def _type(kind: str, namespace: str, name: str, body: Mapping[str, Any], data_types: Mapping[str, Any]) -> Type:
    properties = body.get("properties") or {}
    required = [key for key, one in properties.items() if one.get("required", True) and "default" not in one]
    bodies = {key: from_tosca(one, data_types) for key, one in properties.items()}
    above = body.get("derived_from")
    return Type(
        kind, namespace, name, None if above == name else above, description=body.get("description"),
        version=str(body["version"]) if "version" in body else None,
        schema={"type": "object", "properties": bodies, **({"required": required} if required else {})},
        definition={key: value for key, value in body.items() if key not in _MINE}, aliases=tuple(_aliases(name)),
    )  # fmt: skip


def _aliases(name: str) -> Iterator[str]:
    """tosca.capabilities.Compute is written tosca:Compute too (TOSCA 1.3, 5.2); the bare name would hide other namespaces' ones."""
    if name.startswith("tosca."):
        yield f"tosca:{name.split('.', 2)[-1]}"
