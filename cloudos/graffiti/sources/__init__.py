"""Where a dictionary comes from: each source gives a Batch. `load` takes the name of one and, where it needs one, a path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cloudos.graffiti.sources import document, metadefs, placement, tosca
from cloudos.graffiti.types import Batch

# Name -> (what it reads, a path's meaning or None when it needs none).
SOURCES: dict[str, tuple[Callable[..., Batch], str | None]] = {
    "metadefs": (metadefs.load, "a directory of metadata definitions, one of their files, or a wheel of Glance"),
    "os-traits": (placement.traits, None),
    "os-resource-classes": (placement.resource_classes, None),
    "tosca": (tosca.normative, None),
    "tosca-file": (tosca.load, "a TOSCA document with type definitions"),
    "document": (document.load, "a dictionary document of Graffiti, YAML or JSON"),
    "openstack": (document.openstack, None),
}


class Unloadable(ValueError):
    """A source that is not there or cannot be read; the text says what would be."""


def load(source: str, path: Path | None = None) -> Batch:
    """Read a source. Raises Unloadable."""
    if source not in SOURCES:
        raise Unloadable(f"{source} is not a source; there are {', '.join(SOURCES)}")
    reader, wants = SOURCES[source]
    if wants and path is None:
        raise Unloadable(f"source {source} needs {wants}")
    try:
        return reader(path) if wants else reader()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unloadable(f"{path or source}: {type(error).__name__}: {error}") from error
