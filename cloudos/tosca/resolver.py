"""Where imports come from: files below one root, archives, profiles by name. Never the network, never outside the root.

A resolver of another kind (Focus's, for example) gives `importing` and `profile` the same meaning over its own trees.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")
PROFILE = re.compile(rb"^profile:[ \t]*(['\"]?)([^'\"#\r\n]+?)\1[ \t]*(?:#.*)?\r?$", re.MULTILINE)
YAML = (".yaml", ".yml", ".tosca")
SCANNED, SCAN_SIZE, OTHER_SIZE = 2000, 2_000_000, 100_000  # files looked at for a profile's name, bytes of the largest, and of others


class Refused(Exception):
    """Something cannot be had: `rule` of problems.RULES, `message`, and `mend`, the next step."""

    def __init__(self, rule: str, message: str, mend: str):
        super().__init__(message)
        self.rule, self.message, self.mend = rule, message, mend

    def facts(self) -> dict[str, str]:
        """What it is made of, for another process."""
        return {"rule": self.rule, "message": self.message, "mend": self.mend}


class Tree:
    """Files with names like "dir/file.yaml"; "/x" in an import means `base` + "x"."""

    base = ""
    complete = False  # whether every file that the documents name must be in it

    def __init__(self, shown: str):
        self.shown = shown

    def label(self, name: str) -> str:
        """The name that problems show."""
        return f"{self.shown}/{name}" if self.shown else name

    def exists(self, name: str) -> bool:
        """Whether there is a file of that name."""
        raise NotImplementedError

    def names(self) -> Iterator[str]:
        """Names of all files."""
        raise NotImplementedError

    def is_directory(self, name: str) -> bool:
        """Whether there are files below that name."""
        return any(one.startswith(f"{name}/") for one in self.names())

    def read(self, name: str, limit: int) -> bytes:
        """Content of a file. Raises Refused or OSError."""
        raise NotImplementedError


class DirectoryTree(Tree):
    """Files below a directory; links that lead out of it are as good as not there."""

    def __init__(self, root: Path, base: str = "", shown: str | None = None):
        super().__init__(str(root) if shown is None else shown)
        self.root, self.base = root.resolve(), base

    def _path(self, name: str) -> Path:
        return Path(os.path.realpath(self.root / name))  # unlike Path.resolve, content with circles of links

    def exists(self, name: str) -> bool:
        """Whether there is such a file, inside the root."""
        if "\0" in name:
            return False
        path = self._path(name)
        return path.is_relative_to(self.root) and os.path.isfile(path)

    def names(self) -> Iterator[str]:
        """Names of the files below `base`, in order."""
        for directory, inner, files in os.walk(self.root / self.base):
            inner[:] = sorted(name for name in inner if not name.startswith("."))
            for name in sorted(files):
                yield (Path(directory) / name).relative_to(self.root).as_posix()

    def read(self, name: str, limit: int) -> bytes:
        """Content of a file. Raises Refused when it is not there, outside, or larger than `limit` bytes."""
        if not self.exists(name):
            raise Refused("import.missing", f"{name} is not there", "Check the path; it is relative to the importing file.")
        path = self._path(name)
        if path.stat().st_size > limit:
            raise Refused("file.too_large", f"larger than {limit} bytes", "Make it smaller.")
        return path.read_bytes()


@dataclass(frozen=True)
class Location:
    """One file of one tree."""

    tree: Tree
    name: str

    @property
    def shown(self) -> str:
        """The name that problems show."""
        return self.tree.label(self.name)


class Resolver(Protocol):
    """Finds what a document imports. Both raise Refused."""

    def importing(self, url: str, importer: Location, repository: str | None) -> Location:
        """The file that `url` means in `importer`; `repository` is the address of the named repository."""

    def profile(self, name: str, importer: Location) -> Location:
        """The file that defines a profile."""


class FileResolver:
    """Imports within the importing file's own tree. `mirrors`: what imports begin with, as they are written -> where its files are.

    Addresses are found below these only; a path is one that a template names from where another tool runs.
    """

    def __init__(self, mirrors: Mapping[str, Tree] | None = None, profiles: Mapping[str, Location] | None = None):
        self.mirrors = dict(mirrors or {})
        self.profiles = dict(profiles or {})
        self._scanned: dict[int, dict[str, Location]] = {}

    def importing(self, url: str, importer: Location, repository: str | None) -> Location:
        """The file that an import names."""
        if repository is not None and (match := SCHEME.match(url)):
            raise Refused("key.conflict", f"{url} has scheme {match[1]} and a repository", "Remove one of them.")
        if repository is None:
            return self._at(url, importer, posixpath.dirname(importer.name))
        if (scheme := SCHEME.match(repository)) and scheme[1] != "file":
            return self._mirrored(f"{repository.rstrip('/')}/{url.lstrip('/')}", importer.tree)
        folder = self._inside(_path(repository), importer.tree, importer.tree.base)
        return self._at(url.lstrip("/"), importer, folder)

    def _at(self, url: str, importer: Location, folder: str) -> Location:
        if ((scheme := SCHEME.match(url)) and scheme[1].lower() != "file") or self._mirror(url):
            return self._mirrored(url, importer.tree)
        name = self._inside(_path(url), importer.tree, folder)
        if not importer.tree.exists(name):
            raise Refused("import.missing", f"{url} is not there ({importer.tree.label(name)})", "Correct the path or add the file.")
        return Location(importer.tree, name)

    @staticmethod
    def _inside(path: str, tree: Tree, folder: str) -> str:
        start = tree.base if path.startswith("/") else folder
        name = posixpath.normpath(posixpath.join(start, path.lstrip("/")))
        if name == ".." or name.startswith("../"):
            raise Refused("import.outside", f"{path} leaves {tree.shown or 'the root'}", "Name a higher root directory, or move the file.")
        return "" if name == "." else name

    def _mirror(self, url: str) -> str | None:
        """The longest beginning of an import for which there is a mirror."""
        return max((one for one in self.mirrors if url.startswith(one.rstrip("/") + "/")), key=len, default=None)

    def _mirrored(self, url: str, importing: Tree) -> Location:
        """The file of an address: below a mirror, else as the importing archive brings it along."""
        if (prefix := self._mirror(url)) is not None:
            tree = self.mirrors[prefix]
            name = self._inside(unquote(url[len(prefix) :]).lstrip("/"), tree, tree.base)
            if not tree.exists(name):
                raise Refused("import.missing", f"{url} is not in the mirror ({tree.label(name)})", "Add it to the mirror.")
            return Location(tree, name)
        if importing.complete and importing.exists(name := plain_path(url)):
            return Location(importing, name)
        raise Refused("import.network", f"{url} is an address, and nothing is fetched", "Import a file of the archive, or name a mirror.")

    def profile(self, name: str, importer: Location) -> Location:
        """A profile that was given, or one that a file of the importing tree defines."""
        found = self.profiles.get(name) or self._defined(importer.tree).get(name)
        if not found:
            known = sorted({*self.profiles, *self._defined(importer.tree)})
            mend = f"Known: {', '.join(known[:12])}." if known else "Add a file with this profile to the archive or directory."
            raise Refused("import.profile", f"profile {name} is not known", mend)
        return found

    def _defined(self, tree: Tree) -> dict[str, Location]:
        """Profiles by the files that define them; of two files the first counts, those that are called YAML before others."""
        if id(tree) not in self._scanned:
            found: dict[str, Location] = {}
            for name in sorted(tree.names(), key=lambda name: not name.endswith(YAML))[:SCANNED]:
                try:
                    match = PROFILE.search(tree.read(name, SCAN_SIZE if name.endswith(YAML) else OTHER_SIZE))
                except (Refused, OSError):
                    continue  # what cannot be read defines nothing; whoever imports it is told
                if match:
                    found.setdefault(match[2].decode(errors="replace"), Location(tree, name))
            self._scanned[id(tree)] = found
        return self._scanned[id(tree)]


def unquote(text: str) -> str:
    """A part of an address without its %-escapes."""
    return ESCAPED.sub(lambda match: bytes.fromhex(match[1].decode()), text.encode()).decode(errors="replace")


def plain_path(url: str) -> str:
    """Where the file of an address or name lies in an archive that brings it along: nothing in it leads out, nor is an address."""
    plain = url.removeprefix("focus:").replace("\\", "/").replace("://", "/").replace(":", "_")
    parts = [part for part in plain.split("/") if part not in ("", ".", "..")]
    return "/".join(parts) or "document"


def _path(url: str) -> str:
    """The path of a relative address or of `file:`; one that names a host or the machine's root is outside."""
    match = SCHEME.match(url)
    if not match:
        return url
    path = url[match.end() :]
    if path.startswith("/"):
        raise Refused("import.outside", f"{url} is outside the root", "Use a path relative to the importing file.")
    return unquote(path)


# What our types are called in imports of 1.x (cloudos:openstack.yaml), and the file of each profile of 2.0.
OURS = "cloudos:"
OUR_PROFILES = {"cloudos.openstack": "openstack-2.0.yaml"}


class WithOurs:
    """Our own types, which everybody who reads templates has, and for all else another resolver."""

    def __init__(self, other: Resolver):
        self.other = other
        self.ours = DirectoryTree(Path(__file__).parent / "profiles", shown="(cloudos)")

    def importing(self, url: str, importer: Location, repository: str | None) -> Location:
        """The file that an import names."""
        if repository is not None or not url.startswith(OURS):
            return self.other.importing(url, importer, repository)
        name = url.removeprefix(OURS)
        if not self.ours.exists(name):
            known = ", ".join(OURS + one for one in self.ours.names())
            raise Refused("import.missing", f"{url} does not come with Cloud OS", f"There are {known}.")
        return Location(self.ours, name)

    def profile(self, name: str, importer: Location) -> Location:
        """A profile by its name."""
        return Location(self.ours, OUR_PROFILES[name]) if name in OUR_PROFILES else self.other.profile(name, importer)
