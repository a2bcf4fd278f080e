"""Graffiti's own dictionary documents: namespaces and types as the interface gives them, in YAML or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from cloudos.graffiti.types import KINDS, Batch, Namespace, Type


def load(path: Path) -> Batch:
    """The Batch of a document `{namespaces: [...], types: [...]}`. Raises OSError, ValueError."""
    return batch(yaml.safe_load(path.read_bytes()))


def openstack() -> Batch:
    """What a cloud offers, in TOSCA's words: the types of everything that the driver openstack finds."""
    return batch(yaml.safe_load(resources.files("cloudos.graffiti").joinpath("data", "openstack.yml").read_bytes()))


def batch(document: Any) -> Batch:
    """The Batch of a parsed document."""
    if not isinstance(document, Mapping) or set(document) - {"namespaces", "types"}:
        raise ValueError("write a mapping with the keys namespaces and types")
    namespaces = tuple(Namespace(**_known(Namespace, one, "namespace")) for one in document.get("namespaces") or ())
    types = tuple(Type(**_known(Type, one, "type")) for one in document.get("types") or ())
    if wrong := [one for one in types if one.kind not in KINDS]:
        raise ValueError(f"{wrong[0].full}: {wrong[0].kind} is not a kind; there are {', '.join(KINDS)}")
    return Batch(namespaces, types)


def _known(model: type, body: Any, what: str) -> dict[str, Any]:
    names = {one.name for one in fields(model)}
    if not isinstance(body, Mapping) or set(body) - names:
        raise ValueError(f"a {what} has the keys {', '.join(sorted(names))}")
    return {key: tuple(value) if key in ("aliases", "associations") else value for key, value in body.items()}
