"""A version with all that it imports as one archive that any TOSCA tool reads; a stored archive in another packing."""

from __future__ import annotations

from collections.abc import Callable

from cloudos.focus.models import Revision
from cloudos.focus.problems import NotComparable
from cloudos.tosca.archive import META, meta, pack, unpacked
from cloudos.tosca.resolver import plain_path

MEDIA = {"zip": "application/zip", "tar": "application/gzip"}


def packed(found: Revision, data: Callable[[Revision], bytes], kind: str) -> bytes:
    """The archive: a stored one with its own files, else the template, its imports and TOSCA.meta. The same content gives the same bytes.

    Raises NotComparable for what is neither TOSCA nor an archive.
    """
    if found.format == "csar":
        return pack(unpacked(data(found)), kind)
    if found.format != "tosca":
        raise NotComparable(what=found.document.name, reason=f"{found.format} does not go into a CSAR")
    entry = _file_name(found)
    # What is imported by the name that the template writes lies where that name leads.
    files = {entry: data(found)}
    waiting = [found]
    seen = {found.id}
    while waiting:
        for link in waiting.pop().links:
            if link.kind == "import" and link.target.id not in seen:
                seen.add(link.target.id)
                waiting.append(link.target)
                files[plain_path(link.url)] = data(link.target)
    return pack({**files, META[0]: meta(entry, files, "Focus")}, kind)


def _file_name(found: Revision) -> str:
    name = plain_path(found.document.name)
    return name if name.endswith((".yaml", ".yml", ".tosca")) else f"{name}.yaml"
