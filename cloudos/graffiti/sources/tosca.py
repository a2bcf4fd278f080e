"""Type definitions of TOSCA: the normative ones, or those of a document; data types are written out in the properties that have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cloudos.graffiti.schema import from_tosca
from cloudos.graffiti.types import Batch, Namespace, Type
from cloudos.tosca import normative as standard
from cloudos.tosca.documents import Document, Library
from cloudos.tosca.problems import Problems
from cloudos.tosca.resolver import DirectoryTree, FileResolver, Location
from cloudos.tosca.source import Limits

KINDS = {"capability": "capability", "node": "resource"}
VERSION = "tosca_simple_yaml_1_3"
_MINE = ("derived_from", "description", "version", "properties", "metadata")


def normative() -> Batch:
    """The types of TOSCA's Simple Profile, in namespace `tosca`."""
    documents = standard.documents(VERSION)
    return batch("tosca", "Normative types of the TOSCA Simple Profile.", documents, documents)


def load(path: Path) -> Batch:
    """The types that a document defines; its namespace is its profile, namespace or name, else the file's. Raises ValueError."""
    problems = Problems()
    library = Library(FileResolver(), problems, standard.documents, Limits())
    document = library.read(Location(DirectoryTree(path.absolute().parent), path.name))
    if document is None or any(one.severity == "error" for one in problems.sorted()):
        raise ValueError("; ".join(map(str, problems.sorted()[:5])) or "this is no TOSCA document")
    if not any(document.definitions[kind] for kind in KINDS):
        raise ValueError("it defines neither capability types nor node types")
    known = [*standard.documents(document.version), document]
    return batch(_name(document, path), document.fields.text("description"), [document], known)


def batch(namespace: str, description: str | None, documents: list[Document], known: list[Document]) -> Batch:
    """The Batch of documents' types; `known`: where their data types may be."""
    data_types = {name: node.data() or {} for one in known for name, node in one.definitions["data"].items()}
    types = [_type(kind, namespace, name, node.data() or {}, data_types)
             for one in documents for section, kind in KINDS.items() for name, node in one.definitions[section].items()]  # fmt: skip
    return Batch((Namespace(namespace, description=description.strip() if description else None, source="tosca"),), tuple(types))


def _name(document: Document, path: Path) -> str:
    metadata = document.fields.data("metadata") or {}
    named = (document.fields.text("profile"), document.fields.text("namespace"), metadata.get("template_name"))
    return next((str(one) for one in named if one), path.stem)


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
