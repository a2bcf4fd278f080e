"""Glance's metadata definitions: read into types, and written back as the same JSON.

A namespace's own properties become one capability type, named like the last part of the namespace, which the namespace's name
is an alias of; each of its objects becomes another one. What Glance's files say besides is kept as it is.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cloudos.graffiti.types import Batch, Namespace, Type

SOURCE = "metadefs"
_MINE = ("namespace", "display_name", "description", "resource_type_associations", "properties", "objects")


def load(path: Path) -> Batch:
    """The namespaces of a directory, a file or a wheel. Raises OSError, ValueError."""
    documents = list(_documents(path))
    if not documents:
        raise ValueError("no metadata definitions (metadefs/*.json) are in there")
    return batch(documents)


def batch(documents: Iterable[Mapping[str, Any]]) -> Batch:
    """The Batch of documents as Glance's API and files have them."""
    pairs = [_read(document) for document in documents]
    return Batch(tuple(namespace for namespace, _ in pairs), tuple(one for _, types in pairs for one in types))


def write(namespace: Namespace, types: Iterable[Type]) -> dict[str, Any]:
    """The document of a namespace, equal to the one that it was read from."""
    document: dict[str, Any] = {"namespace": namespace.name}
    document |= {
        key: value for key, value in (("display_name", namespace.title), ("description", namespace.description)) if value is not None
    }
    document |= {key: value for key, value in namespace.extra.items() if key != "lists"}
    lists = namespace.extra.get("lists", ["objects", "resource_type_associations"])
    if "resource_type_associations" in lists:
        document["resource_type_associations"] = [dict(one) for one in namespace.associations]
    mine = sorted((one for one in types if one.kind == "capability"), key=lambda one: one.definition.get("position", 0))
    objects = []
    for one in mine:
        if one.definition.get("part") == "namespace":
            document["properties"] = dict(one.schema.get("properties") or {})
        else:
            objects.append(_object(one))
    if objects or "objects" in lists:
        document["objects"] = objects
    return document


def _object(one: Type) -> dict[str, Any]:
    body: dict[str, Any] = {"name": one.name}
    if one.description is not None:
        body["description"] = one.description
    body |= one.definition.get("extra", {})
    for key in ("required", "properties"):
        if key in one.schema:
            body[key] = one.schema[key]
    return body


def _read(document: Mapping[str, Any]) -> tuple[Namespace, list[Type]]:
    name = document["namespace"]
    extra = {key: value for key, value in document.items() if key not in _MINE}
    extra["lists"] = [key for key in ("objects", "resource_type_associations") if key in document]
    associations = tuple(document.get("resource_type_associations") or ())
    namespace = Namespace(name, document.get("display_name"), document.get("description"), SOURCE, associations, extra)
    types = []
    if "properties" in document:
        schema = {"type": "object", "properties": document["properties"]}
        types.append(
            Type(
                "capability",
                name,
                name.rpartition("::")[2],
                schema=schema,
                title=document.get("display_name"),
                description=document.get("description"),
                definition={"part": "namespace", "position": 0},
                aliases=(name,),
            )
        )
    for position, body in enumerate(document.get("objects") or (), 1):
        rest = {key: value for key, value in body.items() if key not in ("name", "description", "properties", "required")}
        schema = {"type": "object", **{key: body[key] for key in ("properties", "required") if key in body}}
        types.append(Type("capability", name, body["name"], description=body.get("description"), schema=schema,
                          definition={"part": "object", "position": position, "extra": rest}))  # fmt: skip
    return namespace, types


def _documents(path: Path) -> Iterator[Mapping[str, Any]]:
    if path.is_dir():
        yield from (json.loads(file.read_bytes()) for file in sorted(path.rglob("*.json")))
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as wheel:
            names = sorted(name for name in wheel.namelist() if "/metadefs/" in name and name.endswith(".json"))
            yield from (json.loads(wheel.read(name)) for name in names)
    else:
        yield json.loads(path.read_bytes())
