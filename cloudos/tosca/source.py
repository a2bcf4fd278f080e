"""YAML as nodes that know file, line and column: duplicate keys refused, aliases counted, depth and size limited.

Works on the events of libyaml, so that no document, however deep or self-referring, costs more than its text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from cloudos.tosca.problems import Mark, Problems
from cloudos.tosca.scalars import DIGITS

MAP, LIST, SCALAR = "map", "list", "scalar"
TAGS = {f"tag:yaml.org,2002:{name}": name for name in ("str", "int", "float", "bool", "null", "map", "seq", "binary")}
INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
SPECIAL = {".inf": math.inf, "+.inf": math.inf, "-.inf": -math.inf, ".nan": math.nan}
NULL = {"", "~", "null", "Null", "NULL"}
BOOLEAN = {"true": True, "false": False}
# What YAML 1.2 allows and TOSCA 2.0 (9.1.1.4) does not.
WORDS = {"yes": True, "no": False, "on": True, "off": False}  # YAML 1.1, where 1.x wants a boolean
OLDER_BOOLEAN = {"True": True, "False": False, "TRUE": True, "FALSE": False}


@dataclass(frozen=True)
class Limits:
    """What one document may cost: bytes, nesting, and nodes when all aliases are written out."""

    size: int = 20_000_000
    depth: int = 100
    nodes: int = 3_000_000


@dataclass(eq=False)
class Source:
    """One file: its name as problems show it, and whether TOSCA 2.0's rules hold for it."""

    file: str
    modern: bool = True


class Node:
    """One element of a document. `kind` is MAP, LIST or SCALAR; a map keeps its pairs in `items` in their order."""

    __slots__ = ("anchor", "column", "items", "kind", "lead", "line", "size", "source", "text", "value")

    def __init__(self, source: Source, line: int, column: int, kind: str):
        self.source, self.line, self.column, self.kind = source, line, column, kind
        self.items: list[tuple[Node, Node]] = []  # of a map
        self.value: Any = None  # of a scalar, or the list of nodes
        self.text: str | None = None  # of a scalar, as written
        self.lead: Node | None = None  # the key that leads here, for problems that concern the whole
        self.anchor: str | None = None
        self.size = 1

    @property
    def file(self) -> str:
        """Name of the file."""
        return self.source.file

    @property
    def place(self) -> Node:
        """Where a problem with the whole element is told: its key if it has one."""
        return self.lead or self

    @property
    def empty(self) -> bool:
        """True for null."""
        return self.kind == SCALAR and self.value is None

    def get(self, key: str) -> Node | None:
        """The value of a key of a map, None when it is not there."""
        if self.kind == MAP:
            for name, value in self.items:
                if name.text == key:
                    return value
        return None

    def pairs(self) -> Iterator[tuple[str, Node]]:
        """Keys as text with their values, of a map."""
        return ((name.text if name.text is not None else str(name.data()), value) for name, value in self.items)

    def data(self) -> Any:
        """Plain Python data: dict, list, str, int, float, bool, None."""
        if self.kind == MAP:
            return {_key(name): value.data() for name, value in self.items}
        return [item.data() for item in self.value] if self.kind == LIST else self.value

    def words(self) -> str:
        """What the element is, in words of YAML."""
        if self.kind != SCALAR:
            return f"a {self.kind}"
        kinds = {bool: "a boolean", int: "an integer", float: "a float", str: "a string", type(None): "nothing"}
        return kinds[type(self.value)]

    def like(self, data: Any) -> Node:
        """A node of computed data at the place of this one."""
        if isinstance(data, dict):
            node = Node(self.source, self.line, self.column, MAP)
            node.items = [(self.like(key), self.like(value)) for key, value in data.items()]
        elif isinstance(data, list | tuple):
            node = Node(self.source, self.line, self.column, LIST)
            node.value = [self.like(item) for item in data]
        else:
            node = Node(self.source, self.line, self.column, SCALAR)
            node.value, node.text = data, str(data)
        node.lead = self.lead
        return node


def _key(node: Node) -> Hashable:
    data = node.data()
    return tuple(data) if isinstance(data, list) else str(data) if isinstance(data, dict) else data


def parse(text: bytes | str, source: Source, problems: Problems, limits: Limits = Limits()) -> Node | None:
    """The root of a document, None with problems told when there is none to work with."""
    mark = Mark(source.file)
    if len(text) > limits.size:
        problems.add("file.too_large", mark, f"{len(text)} bytes, the limit is {limits.size}", "Split the file.")
        return None
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        problems.add("file.unreadable", mark, f"not UTF-8 text: {error.reason} at byte {error.start}", "Save it as UTF-8.")
        return None
    try:
        return _Composer(decoded, source, problems, limits).document()
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        place = Mark(source.file, at.line + 1, at.column + 1) if at else mark
        problems.add("yaml.syntax", place, f"not YAML: {error.problem or error.context}", "Correct the syntax.")
    except (yaml.YAMLError, ValueError) as error:
        problems.add("yaml.syntax", mark, f"not YAML: {error}", "Correct the syntax.")
    except _Stopped:
        pass
    return None


class _Stopped(Exception):
    """The document is not worth reading on; the problem is told already."""


class _Composer:
    """Makes nodes of libyaml's events, with a stack of its own instead of recursion."""

    def __init__(self, text: str, source: Source, problems: Problems, limits: Limits):
        self.loader = yaml.CSafeLoader(text)
        self.source, self.problems, self.limits = source, problems, limits
        self.anchors: dict[str, Node] = {}
        self.open: list[tuple[Node, list[Node]]] = []  # containers begun and their children so far

    def document(self) -> Node | None:
        try:
            return self._document()
        finally:
            self.loader.dispose()

    def _document(self) -> Node | None:
        root: Node | None = None
        started = False
        while (event := self.loader.get_event()) is not None:
            if isinstance(event, yaml.DocumentStartEvent):
                if started:
                    self._stop("yaml.syntax", event, "a second document begins", "Keep one document per file.")
                started = True
            elif (node := self._event(event)) is not None:
                root = self._place(node, event) or root
            elif isinstance(event, yaml.StreamEndEvent):
                break
        return root

    def _event(self, event: Any) -> Node | None:
        """The node that an event completes."""
        if isinstance(event, yaml.ScalarEvent):
            return self._named(event, self._scalar(event))
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            if len(self.open) >= self.limits.depth:
                self._stop("yaml.limit", event, f"nested deeper than {self.limits.depth}", "Nest less deep.")
            kind = MAP if isinstance(event, yaml.MappingStartEvent) else LIST
            self.open.append((self._named(event, self._new(event, kind)), []))
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            node, children = self.open.pop()
            node.size = 1 + sum(child.size for child in children)
            if node.kind == LIST:
                node.value = children
            else:
                self._pairs(node, children)
            if node.size > self.limits.nodes:
                self._stop("yaml.limit", event, f"more than {self.limits.nodes} elements with aliases written out", "Use fewer.")
            return node
        return None

    def _new(self, event: Any, kind: str) -> Node:
        return Node(self.source, event.start_mark.line + 1, event.start_mark.column + 1, kind)

    def _named(self, event: Any, node: Node) -> Node:
        if event.anchor:
            self.anchors[event.anchor] = node
            node.anchor = event.anchor
        if event.tag and event.tag != "!" and event.tag not in TAGS:
            self.problems.add("yaml.tag", node, f"tag {event.tag} is not known here", "Remove the tag.")
        return node

    def _alias(self, event: Any) -> Node:
        node = self.anchors.get(event.anchor)
        if node is None:
            self._stop("yaml.syntax", event, f"alias *{event.anchor} has no anchor", f"Define &{event.anchor} above it.")
        if any(node is begun for begun, _ in self.open):
            self._stop("yaml.alias", event, f"alias *{event.anchor} lies inside its own anchor", "Write it out.")
        return node

    def _place(self, node: Node, event: Any) -> Node | None:
        """Put a completed node into what is open; the root, when nothing is."""
        if not self.open:
            return node
        self.open[-1][1].append(node)
        return None

    def _scalar(self, event: Any) -> Node:
        node = self._new(event, SCALAR)
        node.text = event.value
        tag = TAGS.get(event.tag or "")
        if tag == "str" or event.tag == "!" or (not event.tag and not event.implicit[0]):
            node.value = event.value
        else:
            node.value = resolve(event.value, self.source.modern)
        return node

    def _pairs(self, node: Node, children: list[Node]) -> None:
        seen: dict[Any, Node] = {}
        merged: list[tuple[Node, Node]] = []
        for key, value in zip(children[::2], children[1::2], strict=True):
            if key.text == "<<" and key.kind == SCALAR and value.kind != SCALAR:
                merged += self._merge(value)
                continue
            name = key.text if key.kind == SCALAR else repr(key.data())
            if name in seen:
                self.problems.add(
                    "yaml.duplicate_key", key, f"{name} stands twice in one map (first in line {seen[name].line})", "Keep one of them."
                )
                continue
            seen[name] = key
            if not value.anchor:
                value.lead = key
            node.items.append((key, value))
        node.items += [(key, value) for key, value in merged if key.text not in seen]

    def _merge(self, value: Node) -> list[tuple[Node, Node]]:
        """Pairs of `<<`; of several maps the first that has a key gives it."""
        found: dict[str | None, tuple[Node, Node]] = {}
        for source in value.value if value.kind == LIST else [value]:
            if source.kind != MAP:
                self.problems.add("key.shape", source, f"<< takes maps, not {source.words()}", "Merge a map.")
            for key, item in source.items:
                found.setdefault(key.text, (key, item))
        return list(found.values())

    def _stop(self, rule: str, event: Any, message: str, mend: str) -> None:
        self.problems.add(rule, Mark(self.source.file, event.start_mark.line + 1, event.start_mark.column + 1), message, mend)
        raise _Stopped


def boolean(node: Node) -> bool | None:
    """The boolean that an element is; in 1.x also the words of YAML 1.1."""
    if isinstance(node.value, bool):
        return node.value
    return WORDS.get(node.value.lower()) if not node.source.modern and isinstance(node.value, str) else None


def resolve(text: str, modern: bool) -> Any:
    """The value of a plain scalar by YAML 1.2's core schema; `modern`: booleans in lower case only."""
    if text in NULL:
        return None
    if text in BOOLEAN:
        return BOOLEAN[text]
    if not modern and text in OLDER_BOOLEAN:
        return OLDER_BOOLEAN[text]
    if text[0] in "+-.0123456789":
        if INTEGER.fullmatch(text):
            return int(text, 0) if text[:2] in ("0o", "0x") else _integer(text)
        if FLOAT.fullmatch(text):
            return float(text)
        if text.lower() in SPECIAL:
            return SPECIAL[text.lower()]
    return text


def _integer(text: str) -> int | str:
    """A number of very many digits stays text, which is no integer."""
    return int(text) if len(text) <= DIGITS else text
