"""Cloud Service Archives: zip and tar files read in place, never unpacked, with limits and without surprises; and made."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import posixpath
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cloudos.tosca.resolver import Refused, Tree

EPOCH = (1980, 1, 1, 0, 0, 0)
META = ("TOSCA-Metadata/TOSCA.meta", "TOSCA.meta")
READ_ERRORS = (OSError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError)
CHUNK = 1 << 20


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may hold: entries, bytes when unpacked, bytes per packed byte (of what is larger than 1 MB)."""

    entries: int = 10_000
    size: int = 500_000_000
    ratio: int = 200

    def check(self, unpacked: int, packed: int) -> None:
        """Raises Refused when that many bytes out of so many packed ones are too many."""
        if unpacked > self.size:
            raise Refused("archive.limit", f"unpacks to more than {self.size} bytes", "Pack less into one archive.")
        if unpacked > CHUNK and unpacked > self.ratio * max(packed, 1):
            raise Refused("archive.limit", f"unpacks to more than {self.ratio} times its size", "Pack real content.")


class ArchiveTree(Tree):
    """The files of an archive by their names in it."""

    complete = True

    def __init__(self, path: Path, limits: ArchiveLimits):
        super().__init__(str(path))
        self.limits = limits

    def label(self, name: str) -> str:
        """The archive and the entry in it."""
        return f"{self.shown}!{name}"

    def entry(self) -> str:
        """Name of the entry definitions. Raises Refused when it is not clear which file that is."""
        for name in META:
            if self.exists(name):
                return self._entry_of(meta_block(self.read(name, 100_000), name))
        roots = [name for name in self.names() if "/" not in name and name.endswith((".yaml", ".yml"))]
        if len(roots) != 1:
            found = ", ".join(roots) or "none"
            raise Refused(
                "archive.meta",
                f"no TOSCA.meta, and not exactly one YAML file at the root: {found}",
                "Add TOSCA.meta with Entry-Definitions.",
            )
        return roots[0]

    def _entry_of(self, block: dict[str, str]) -> str:
        name = block.get("Entry-Definitions")
        if not name:
            raise Refused("archive.meta", "TOSCA.meta has no Entry-Definitions", "Name the main TOSCA file there.")
        name = posixpath.normpath(name)
        if not self.exists(name):
            raise Refused("archive.meta", f"Entry-Definitions {name} is not in the archive", "Name a file of the archive.")
        return name


class ZipTree(ArchiveTree):
    """A zip file."""

    def __init__(self, path: Path, limits: ArchiveLimits):
        super().__init__(path, limits)
        self.zip = zipfile.ZipFile(path)
        self.entries = _checked(((info.filename, info) for info in self.zip.infolist() if _plain_zip(info)), limits)
        limits.check(sum(info.file_size for info in self.entries.values()), path.stat().st_size)

    def exists(self, name: str) -> bool:
        """Whether the archive has a file of that name."""
        return name in self.entries

    def names(self) -> Iterator[str]:
        """Names of all files."""
        return iter(self.entries)

    def read(self, name: str, limit: int) -> bytes:
        """Content of a file. Raises Refused beyond `limit` bytes (what really comes out, not what the entry claims)."""
        return _unbroken(name, lambda: _bounded(self.zip.open(self.entries[name]), limit))


class TarTree(ArchiveTree):
    """A tar file, compressed or not; a compressed one is unpacked into an unnamed temporary file first."""

    def __init__(self, path: Path, limits: ArchiveLimits):
        super().__init__(path, limits)
        self.tar = tarfile.open(fileobj=_decompressed(path, limits), mode="r:")  # noqa: SIM115 - lives as long as the tree
        self.entries = _checked(((info.name, info) for info in self.tar if _plain_tar(info)), limits)

    exists, names = ZipTree.exists, ZipTree.names

    def read(self, name: str, limit: int) -> bytes:
        """Content of a file. Raises Refused beyond `limit` bytes."""
        return _unbroken(name, lambda: _bounded(self.tar.extractfile(self.entries[name]), limit))


def open_archive(path: Path, limits: ArchiveLimits = ArchiveLimits()) -> ArchiveTree | None:
    """The archive at `path`, None when it is neither zip nor tar. Raises Refused."""
    try:
        if zipfile.is_zipfile(path):
            return ZipTree(path, limits)
        if _is_tar(path):
            return TarTree(path, limits)
    except READ_ERRORS as error:
        raise Refused("archive.broken", f"cannot be read: {error}", "Pack it again.") from error
    return None


def packed_directory(path: Path) -> bytes:
    """The zip archive of a directory's files, without hidden ones."""
    names = sorted(one.relative_to(path) for one in path.rglob("*") if one.is_file())
    return pack({name.as_posix(): (path / name).read_bytes() for name in names if not any(part.startswith(".") for part in name.parts)})


def meta_block(content: bytes, name: str) -> dict[str, str]:
    """Block 0 of a TOSCA.meta file: the pairs up to the first empty line. Raises Refused."""
    pairs = {}
    for number, line in enumerate(content.decode("utf-8", "replace").lstrip("\ufeff").splitlines(), 1):
        if not line.strip():
            break
        key, colon, value = line.partition(":")
        if not colon:
            raise Refused("archive.meta", f"{name} line {number} is not a pair 'name: value'", "Correct the line.")
        pairs[key.strip()] = value.strip()
    return pairs


def unpacked(content: bytes) -> dict[str, bytes]:
    """All files of an archive that is in memory, by their names. Raises Refused for what is no archive, or no safe one."""
    with tempfile.NamedTemporaryFile(prefix="csar-", suffix=".csar") as file:
        file.write(content)
        file.flush()
        if (tree := open_archive(Path(file.name))) is None:
            raise Refused("archive.broken", "is neither zip nor tar", "Pack it again.")
        return {name: tree.read(name, tree.limits.size) for name in tree.names()}


def meta(entry: str, files: Mapping[str, bytes], made_by: str) -> bytes:
    """TOSCA.meta for files whose main template is `entry`, with the digest of each."""
    lines = ["TOSCA-Meta-File-Version: 1.1", "CSAR-Version: 1.1", f"Created-By: {made_by}", f"Entry-Definitions: {entry}", ""]
    for name, content in sorted(files.items()):
        lines += ["", f"Name: {name}", f"SHA-256: {hashlib.sha256(content).hexdigest()}"]
    return ("\n".join(lines) + "\n").encode()


def pack(files: Mapping[str, bytes], kind: str = "zip") -> bytes:
    """An archive of files, zip or (compressed) tar. The same files give the same bytes."""
    target = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in sorted(files.items()):
                archive.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_DEFLATED)
        return target.getvalue()
    with gzip.GzipFile(fileobj=target, mode="wb", mtime=0) as stream, tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return target.getvalue()


def _checked(entries: Iterator[tuple[str, object]], limits: ArchiveLimits) -> dict:
    found: dict = {}
    for count, (name, info) in enumerate(entries, 1):
        if count > limits.entries:
            raise Refused("archive.limit", f"more than {limits.entries} entries", "Pack less into one archive.")
        parts = name.split("/")
        if not name or name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0] or "\0" in name:
            raise Refused("archive.unsafe", f"entry {name!r} leaves the archive", "Use relative names without '..'.")
        name = posixpath.normpath(name)
        if name in found:
            raise Refused("archive.unsafe", f"entry {name} is there twice", "Pack each file once.")
        found[name] = info
    return found


def _plain_zip(info: zipfile.ZipInfo) -> bool:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Refused("archive.unsafe", f"entry {info.filename} is a link or device", "Pack regular files only.")
    if info.flag_bits & 1:
        raise Refused("archive.unsafe", f"entry {info.filename} is encrypted", "Pack without a password.")
    return not info.is_dir()


def _plain_tar(info: tarfile.TarInfo) -> bool:
    if not (info.isreg() or info.isdir()):
        raise Refused("archive.unsafe", f"entry {info.name} is a link or device", "Pack regular files only.")
    return info.isreg()


def _is_tar(path: Path) -> bool:
    try:
        with tarfile.open(path) as found:
            return found.firstmember is not None or path.stat().st_size > 0
    except tarfile.ReadError:
        return False


def _decompressed(path: Path, limits: ArchiveLimits) -> IO[bytes]:
    """The plain tar as a file: the path itself, or what its compression gives, watched while it comes out."""
    with path.open("rb") as file:
        head = file.read(2)
    openers = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
    if not (opener := openers.get(head)):
        return path.open("rb")
    packed, target, total = path.stat().st_size, tempfile.TemporaryFile(), 0  # noqa: SIM115 - given to the caller
    with opener(path) as stream:
        while chunk := stream.read(CHUNK):
            total += len(chunk)
            limits.check(total, packed)
            target.write(chunk)
    target.seek(0)
    return target


def _bounded(opened: IO[bytes] | None, limit: int) -> bytes:
    target = io.BytesIO()
    with opened or io.BytesIO() as stream:
        while chunk := stream.read(min(CHUNK, limit + 1 - target.tell())):
            target.write(chunk)
            if target.tell() > limit:
                raise Refused("file.too_large", f"larger than {limit} bytes", "Make it smaller.")
    return target.getvalue()


def _unbroken(name: str, read: Callable[[], bytes]) -> bytes:
    try:
        return read()
    except READ_ERRORS as error:
        raise Refused("archive.broken", f"entry {name} cannot be read: {error}", "Pack it again.") from error
