"""A version with all that it imports as one archive that any TOSCA tool reads; a stored archive in another packing."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from cloudos.focus.models import Revision
from cloudos.focus.problems import NotComparable
from cloudos.tosca.archive import open_archive, zipped

MEDIA = {"zip": "application/zip", "tar": "application/gzip"}
LARGEST = 200_000_000


def packed(found: Revision, data: Callable[[Revision], bytes], kind: str) -> bytes:
    """The archive: a stored one with its own files, else the template, its imports and TOSCA.meta. The same content gives the same bytes.

    Raises NotComparable for what is neither TOSCA nor an archive.
    """
    if found.format == "csar":
        return _pack(_unpacked(data(found)), kind)
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
                files[_import_name(link.url)] = data(link.target)
    lines = ["TOSCA-Meta-File-Version: 1.1", "CSAR-Version: 1.1", "Created-By: Focus", f"Entry-Definitions: {entry}", ""]
    for name, content in sorted(files.items()):
        lines += ["", f"Name: {name}", f"SHA-256: {hashlib.sha256(content).hexdigest()}"]
    files["TOSCA-Metadata/TOSCA.meta"] = ("\n".join(lines) + "\n").encode()
    return _pack(files, kind)


def _unpacked(content: bytes) -> dict[str, bytes]:
    with tempfile.NamedTemporaryFile(prefix="focus-", suffix=".csar") as file:
        file.write(content)
        file.flush()
        tree = open_archive(Path(file.name))
        return {name: tree.read(name, LARGEST) for name in tree.names()}


def _file_name(found: Revision) -> str:
    name = _import_name(found.document.name)
    return name if name.endswith((".yaml", ".yml", ".tosca")) else f"{name}.yaml"


def _import_name(url: str) -> str:
    """A relative path: what could lead out of the archive, or is an address, becomes plain."""
    plain = url.removeprefix("focus:").replace("\\", "/").replace("://", "/").replace(":", "_")
    parts = [part for part in plain.split("/") if part not in ("", ".", "..")]
    return "/".join(parts) or "document"


def _pack(files: dict[str, bytes], kind: str) -> bytes:
    if kind == "zip":
        return zipped(files)
    target = io.BytesIO()
    with gzip.GzipFile(fileobj=target, mode="wb", mtime=0) as stream, tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return target.getvalue()
