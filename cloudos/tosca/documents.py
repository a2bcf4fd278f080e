"""The files of one template: read once each, linked by their imports, and asked for what a name means in them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from cloudos.tosca import grammar
from cloudos.tosca.grammar import Fields
from cloudos.tosca.problems import Mark, Place, Problems, nearest
from cloudos.tosca.resolver import Location, Refused, Resolver
from cloudos.tosca.source import LIST, MAP, Limits, Node, Source, parse
from cloudos.tosca.typemodel import KINDS, Artifact

VERSION_KEY = "tosca_definitions_version"
OLDER = re.compile(rb"^tosca_definitions_version:[ \t]*['\"]?tosca_simple", re.MULTILINE)
SIMPLE = re.compile(r"tosca_simple_yaml_1_[0-3](_0)?|https?://docs\.oasis-open\.org/tosca/ns/simple/yaml/1\.[0-3](\.0)?")
VERSIONS = ("tosca_2_0", *(f"tosca_simple_yaml_1_{minor}" for minor in range(4)))
PROFILES_AS_VERSIONS = ("tosca_simple_profile_for_nfv_1_0_0", "tosca_simple_profile_for_mec_1_0_0")
MOST_FILES, DEEPEST = 10_000, 100


@dataclass(eq=False)
class Import:
    """One import of a document: into its root namespace, or into a named one."""

    document: Document
    namespace: str | None
    place: Mark


@dataclass(eq=False)
class Document:
    """One file. `definitions` has the element of each type by kind and name; `aliases` short names of normative types."""

    location: Location
    source: Source
    fields: Fields
    version: str
    imports: list[Import] = field(default_factory=list)
    definitions: dict[str, dict[str, Node]] = field(default_factory=dict)
    aliases: dict[str, dict[str, str]] = field(default_factory=dict)
    types: dict[tuple[str, str], object] = field(default_factory=dict)  # filled by types.Types
    builtin: bool = False
    importers: list[Document] = field(default_factory=list)
    _closure: list[tuple[int, Document]] | None = None

    @property
    def modern(self) -> bool:
        """Whether TOSCA 2.0's rules hold."""
        return self.source.modern

    def closure(self) -> list[tuple[int, Document]]:
        """(depth, document) of all that share the root namespace, this one first; import cycles do no harm."""
        if self._closure is None:
            found, seen, row = [], {id(self)}, [self]
            depth = 0
            while row:
                found += [(depth, document) for document in row]
                following = [one.document for document in row for one in document.imports if one.namespace is None]
                row = []
                for document in following:
                    if id(document) not in seen:
                        seen.add(id(document))
                        row.append(document)
                depth += 1
            self._closure = sorted(found, key=lambda pair: (pair[1].builtin, pair[0]))
        return self._closure

    def find(self, kind: str, name: str) -> tuple[Document, str] | None:
        """(document, name there) of what a name means in this document."""
        for _, document in self.closure():
            if local := document.own(kind, name):
                return document, local
        prefix, colon, rest = name.partition(":")
        if colon and rest.count(":") < DEEPEST:
            for _, document in self.closure():
                for one in document.imports:
                    if one.namespace == prefix and (found := one.document.find(kind, rest)):
                        return found
            if prefix == "tosca" and not self.modern:
                return self.find(kind, rest)
        return None

    def own(self, kind: str, name: str) -> str | None:
        """The full name of what the document itself defines by that name."""
        if name in self.definitions.get(kind, {}):
            return name
        return self.aliases.get(kind, {}).get(name)

    def names(self, kind: str) -> Iterator[str]:
        """Names that have a meaning here, for suggestions."""
        for _, document in self.closure():
            yield from document.definitions.get(kind, {})
            yield from document.aliases.get(kind, {})
            for one in document.imports:
                if one.namespace:
                    yield from (f"{one.namespace}:{name}" for name in one.document.definitions.get(kind, {}))

    def repository(self, name: str) -> Node | None:
        """The definition of a repository."""
        return next((node for _, one in self.closure() for key, node in one.fields.entries("repositories") if key == name), None)


class Names(Protocol):
    """What definitions ask of the types that they name; types.Types answers. Kinds are those of typemodel.KINDS."""

    problems: Problems

    def get(self, kind: str, name: str, document: Document, place: Place) -> Any:
        """The type of a name, None with the problem told."""

    def known(self, kind: str, name: str, document: Document, place: Place | None = None) -> Any:
        """The type of a name, or None."""

    def shell(self, kind: str, name: str, document: Document) -> Any:
        """The type that a document defines, without its content."""

    def fill(self, made: Any) -> Any:
        """That type with its content."""

    def names(self, kind: str, fields: Fields, key: str, document: Document, inherited: list | None) -> list | None:
        """The types in a list of names, which only narrow what is inherited."""


class Library:
    """Reads documents and what they import, each once. `implicit(version)`: documents that a version imports by itself."""

    def __init__(self, resolver: Resolver, problems: Problems, normative, limits: Limits):
        self.resolver, self.problems, self.normative, self.limits = resolver, problems, normative, limits
        self.documents: dict[tuple[int, str], Document] = {}
        self._depth = 0

    def read(self, location: Location, importer: Mark | None = None, above: str | None = None) -> Document | None:
        """The document at a place, None with problems told when it cannot be had. `above`: the version of the importer."""
        key = (id(location.tree), location.name)
        if key in self.documents:
            return self.documents[key]
        if len(self.documents) >= MOST_FILES or self._depth >= DEEPEST:
            raise Refused("import.limit", f"more than {MOST_FILES} files, or {DEEPEST} deep", "Import less.")
        source = Source(location.shown)
        try:
            content = location.tree.read(location.name, self.limits.size)
        except Refused as refused:
            self.problems.add(refused.rule, importer or Mark(source.file), refused.message, refused.mend)
            return None
        except OSError as error:
            place = importer or Mark(source.file)
            self.problems.add("file.unreadable", place, f"{source.file} cannot be read: {error.strerror}", "Check the file.")
            return None
        self._depth += 1
        try:
            return self._document(location, source, content, above)
        finally:
            self._depth -= 1

    def by_source(self, source: Source) -> Document | None:
        """The document that an element was read from."""
        return next((one for one in self.documents.values() if one.source is source), None)

    def artifact(self, made: Artifact) -> None:
        """In an archive, the file of an artifact without repository is there."""
        tree = made.document.location.tree
        if made.repository or not made.file or not tree.complete or "://" in made.file or "$" in made.file:
            return
        folder = posixpath.dirname(made.document.location.name)
        starts = ("roles",) if made.is_role and "/" not in made.file else (folder, "")
        names = {posixpath.normpath(posixpath.join(start, made.file.lstrip("/"))) for start in starts}
        if not any(tree.exists(name) or (made.is_role and tree.is_directory(name)) for name in names):
            self.problems.add("artifact.invalid", made.place, f"{made.file} is not in the archive", "Add the file or correct its path.")

    def finish(self) -> None:
        """When all is read: what names mean is settled, and told where it is not clear."""
        for document in self.documents.values():
            document._closure = None
        for document in self.documents.values():
            self._collisions(document)

    def _document(self, location: Location, source: Source, content: bytes, above: str | None) -> Document | None:
        stated = VERSION_KEY.encode() in content
        source.modern = not OLDER.search(content) and (stated or above in (None, "tosca_2_0"))
        known = len(self.problems.found)
        root = parse(content, source, self.problems, self.limits)
        if root is None or root.kind != MAP:
            if len(self.problems.found) == known:
                what = "is empty" if root is None or root.empty else f"holds {root.words()}"
                self.problems.add("key.shape", root or Mark(source.file), f"the document {what}, must be a map", "Write a TOSCA file.")
            return None
        version = self._version(root, source, above)
        if version is None:
            return None
        document = Document(location, source, grammar.read("file", root, self.problems), version)
        self.documents[(id(location.tree), location.name)] = document
        self._sections(document)
        self._imports(document)
        return document

    def _version(self, root: Node, source: Source, above: str | None) -> str | None:
        node = root.get(VERSION_KEY)
        if node is None and above not in (None, "tosca_2_0"):
            source.modern = False
            message = f"{VERSION_KEY} is missing, taken from the importing file"
            self.problems.add("version.inherited", root, message, f"Begin with {VERSION_KEY}: {above}.")
            return above
        if node is None:
            self.problems.add("version.missing", root, f"{VERSION_KEY} is missing", f"Begin with {VERSION_KEY}: tosca_2_0.")
            return None
        text = node.text if node.text is not None else node.words()
        if text not in VERSIONS and text not in PROFILES_AS_VERSIONS and not SIMPLE.fullmatch(text):
            self.problems.add("version.unknown", node, f"{VERSION_KEY} {text} is not supported", nearest(text, VERSIONS))
            return None
        if root.items[0][0].text != VERSION_KEY:
            rule = "version.first" if source.modern else "version.order"
            self.problems.add(rule, node.place, f"{VERSION_KEY} is not the first key", "Move it to the top.")
        source.modern = text == "tosca_2_0"
        return text

    def _sections(self, document: Document) -> None:
        for kind in KINDS:
            document.definitions[kind] = dict(document.fields.entries(f"{kind}_types"))
        if not document.modern:
            self._misplaced(document)
        document.definitions["function"] = dict(document.fields.entries("functions"))
        dsl = document.fields.get("dsl_definitions")
        if dsl is not None and document.modern:
            if dsl.kind != MAP:
                self.problems.add("key.shape", dsl.place, f"dsl_definitions is {dsl.words()}, must be a map", "Name each block.")
            for name, node in dsl.pairs() if dsl.kind == MAP else ():
                if not node.anchor:
                    self.problems.add("dsl.anchor", node.place, f"{name} has no anchor", f"Write {name}: &{name} and content.")
        if document.fields.get("profile") and (template := document.fields.get("service_template")):
            self.problems.add("profile.template", template.place, "a file with a profile has a service template", "Split the file.")
        for _, node in document.fields.entries("repositories"):
            grammar.read("repository", node, self.problems)

    def _misplaced(self, document: Document) -> None:
        """1.x files put types of other kinds into node_types; their parents' names tell what they are."""
        for kind in ("capability", "relationship", "data", "interface"):
            word = {"capability": "capabilities", "data": "datatypes"}.get(kind, f"{kind}s")
            for name, node in list(document.definitions["node"].items()):
                parent = getattr(node.get("derived_from"), "value", None)
                if isinstance(parent, str) and parent.startswith(f"tosca.{word}."):
                    self.problems.add(
                        "type.misplaced", node.place, f"{name} is a {kind} type among node types", f"Move it to {kind}_types."
                    )
                    document.definitions[kind].setdefault(name, document.definitions["node"].pop(name))

    def _imports(self, document: Document) -> None:
        for implicit in self.normative(document.version):
            document.imports.append(Import(implicit, None, Mark.of(document.fields.node)))
        node = document.fields.get("imports")
        if node is None:
            return
        for entry in node.value if node.kind == LIST else [node]:
            for fields in self._entries(entry):
                self._import(document, fields)

    def _entries(self, entry: Node) -> Iterator[Fields]:
        """One import; in 1.x also a map of names to imports."""
        known = {"url", "file", "profile", "repository", "namespace_prefix", "namespace_uri", "namespace"}
        if not entry.source.modern and entry.kind == MAP and not known & {key for key, _ in entry.pairs()}:
            for _, inner in entry.pairs():
                yield grammar.read("import", inner, self.problems)
        else:
            yield grammar.read("import", entry, self.problems)

    def _import(self, document: Document, fields: Fields) -> None:
        if not fields and fields.node.kind != MAP and not fields.node.empty:
            return  # of the wrong shape, which was told
        url, profile, place = fields.text("url"), fields.text("profile"), fields.node.place
        if bool(url) == bool(profile):
            rule = "key.conflict" if url else "key.missing"
            keys = "url and profile stand together" if url else "neither url nor profile is given"
            self.problems.add(rule, place, f"import: {keys}", "Give exactly one of them.")
            return
        at = Mark.of(fields.get("url") or fields.get("profile") or place)
        try:
            location = self._located(document, fields, url, profile)
            imported = location if isinstance(location, Document) else self.read(location, at, document.version)
        except Refused as refused:
            self.problems.add(refused.rule, at, refused.message, refused.mend)
            return
        if imported is not None:
            document.imports.append(Import(imported, fields.text("namespace"), at))
            if not imported.builtin:  # those are shared, and import nothing of their importers
                imported.importers.append(document)

    def _located(self, document: Document, fields: Fields, url: str | None, profile: str | None) -> Location | Document:
        if profile:
            try:
                return self.resolver.profile(profile, document.location)
            except Refused:
                if known := self.normative(profile):
                    return known[0]
                raise
        repository = None
        if name := fields.text("repository"):
            node = document.repository(name)
            document._closure = None  # imports are still being added
            if node is None:
                names = [key for _, one in document.closure() for key, _ in one.fields.entries("repositories")]
                raise Refused("repository.unknown", f"repository {name} is not defined", nearest(name, names))
            repository = grammar.read("repository", node, self.problems).text("url") or ""
        return self.resolver.importing(str(url), document.location, repository)

    def _collisions(self, document: Document) -> None:
        for kind in (*KINDS, "function"):
            found: dict[str, tuple[int, Document]] = {}
            for depth, other in document.closure():
                for name in other.definitions.get(kind, {}) if not other.builtin else ():
                    self._collision(document, kind, name, found.setdefault(name, (depth, other)), (depth, other))
        own = dict(document.fields.entries("repositories"))
        for _, other in document.closure()[1:]:
            for name, node in other.fields.entries("repositories"):
                if name in own:
                    message = f"repository {name} is also defined in {node.file}:{node.line}"
                    self.problems.add("name.duplicate", own[name].place, message, "Rename one; repositories have no namespace.")

    def _collision(self, document: Document, kind: str, name: str, first: tuple, second: tuple) -> None:
        if first[1] is second[1]:
            return
        other = second[1].definitions[kind][name]
        if first[1] is document:
            message = f"{kind} type {name} is also imported, from {other.file}:{other.line}"
            self.problems.add("import.shadowed", document.definitions[kind][name].place, message, "Rename it or import into a namespace.")
        elif first[0] == second[0]:
            here = first[1].definitions[kind][name]
            message = f"{kind} type {name} is imported twice: {here.file}:{here.line} and {other.file}:{other.line}"
            self.problems.add("import.ambiguous", document.fields.node.get("imports") or document.fields.node, message, "Use namespaces.")
