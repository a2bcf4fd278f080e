"""A version with all that it imports as one archive that any TOSCA tool reads; a stored archive in another packing."""

from __future__ import annotations

import posixpath
from collections.abc import Callable

from cloudos.focus import judging
from cloudos.focus.models import Revision
from cloudos.focus.problems import NotPackable
from cloudos.tosca.archive import META, meta, pack
from cloudos.tosca.resolver import Refused, plain_path

MEDIA = {"zip": "application/zip", "tar": "application/gzip"}


def packed(found: Revision, data: Callable[[Revision], bytes], kind: str) -> bytes:
    """The archive: the template and TOSCA.meta, or a stored archive's own files, and what they import of Focus. The same content gives
    the same bytes.

    Raises NotPackable for what is neither TOSCA nor an archive, and where two imports of one name mean two versions.
    """
    where = f"/v1/documents/{found.document_id}/versions/{found.version}/content"
    if found.format not in ("csar", "tosca"):
        raise NotPackable(what=found.document.name, reason=f"{found.format} does not go into a CSAR", content=where)
    own = data(found)
    try:
        files, entry = judging.unpacked(own) if found.format == "csar" else ({_file_name(found): own}, _file_name(found))
    except Refused as refused:
        raise NotPackable(what=found.document.name, reason=refused.message, content=where) from refused
    brought = _imported(found, data, posixpath.dirname(entry or ""))
    for name, content in brought:
        if files.setdefault(name, content) != content:
            raise NotPackable(what=found.document.name, reason=f"{name} is the name of several different files in it", content=where)
    if entry and not files.keys() & set(META) and (brought or found.format == "tosca"):
        files[META[0]] = meta(entry, files, "Focus")
    return pack(files, kind)


def _imported(found: Revision, data: Callable[[Revision], bytes], base: str) -> list[tuple[str, bytes]]:
    """(name, content) of all that it imports, directly or not: each lies where the name that a template writes leads, from `base`."""
    files: list[tuple[str, bytes]] = []
    waiting, seen = [found], {found.id}
    while waiting:
        for link in waiting.pop().links:
            if link.kind == "import":
                files.append((posixpath.join(base, plain_path(link.url)), data(link.target)))
                if link.target.id not in seen:
                    seen.add(link.target.id)
                    waiting.append(link.target)
    return files


def _file_name(found: Revision) -> str:
    name = plain_path(found.document.name)
    return name if name.endswith((".yaml", ".yml", ".tosca")) else f"{name}.yaml"
