"""Reads maps of a document by data/grammar.yml: keynames known, mandatory ones there, shapes right, short forms long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

from cloudos.tosca import scalars
from cloudos.tosca.problems import Problems, nearest
from cloudos.tosca.source import LIST, MAP, SCALAR, Node, boolean

COMMON = {"description": "string", "metadata": "metadata"}
DIALECTS = {True: "2.0", False: "1.x"}


@dataclass(frozen=True)
class Keyname:
    """One keyname of an entity: `shape` without its marks, `name` in the model."""

    shape: str
    name: str
    mandatory: bool
    nullable: bool
    deprecated: bool


@dataclass(frozen=True)
class Entity:
    """What the grammar says of one kind of map in one dialect."""

    name: str
    keys: dict[str, Keyname]
    short: str | None
    rest: str | None
    open: bool  # whether unknown keynames are kept, with a warning


class Fields(dict[str, Node]):
    """The keynames found in one map, by their names in the model, and the element they came from."""

    def __init__(self, node: Node, found: dict[str, Node]):
        super().__init__(found)
        self.node = node

    def absent(self, key: str) -> bool:
        """Whether a keyname is not there at all; one of the wrong shape was told already."""
        return key not in self and (self.node.kind == MAP or self.node.empty) and self.node.get(key) is None

    def text(self, key: str) -> str | None:
        """The text of a keyname, None when it is not there or not text."""
        node = self.get(key)
        return node.value if node is not None and isinstance(node.value, str) else None

    def flag(self, key: str, default: bool) -> bool:
        """A boolean."""
        found = boolean(self[key]) if key in self else None
        return default if found is None else found

    def texts(self, key: str) -> list[Node]:
        """The elements of a list of texts."""
        node = self.get(key)
        return [item for item in node.value if isinstance(item.value, str)] if node is not None and node.kind == LIST else []

    def entries(self, key: str) -> list[tuple[str, Node]]:
        """Names and elements of a map, or of a list of maps with one key each, in their order."""
        node = self.get(key)
        return list(named(node)) if node is not None else []

    def data(self, key: str) -> Any:
        """Plain data of a keyname, None when it is not there."""
        node = self.get(key)
        return node.data() if node is not None else None


def named(node: Node) -> Iterator[tuple[str, Node]]:
    """The entries of a map or of a list of maps, without what is not of that shape."""
    for part in node.value if node.kind == LIST else [node]:
        if part.kind == MAP:
            for key, value in part.items:
                if isinstance(key.text, str):
                    yield key.text, value


def read(entity: str, node: Node, problems: Problems) -> Fields:
    """The keynames of an entity, with every breach of the grammar told (of inner entities when those are read)."""
    modern = node.source.modern
    known = entities()[modern][entity]
    if node.kind == SCALAR and node.value is None:
        found = {}
    elif node.kind != MAP:
        found = {known.short: node} if known.short and _fits_short(node, known) else None
        if found is None:
            wanted = f"a map or {_word(_shape(known, known.short))}" if known.short else "a map"
            problems.add("key.shape", node.place, f"{_title(entity)} is {node.words()}, must be {wanted}", "Correct it.")
            found = {}
    else:
        found = _keys(known, node, problems)
    fields = Fields(node, found)
    for key, spec in known.keys.items():
        if spec.mandatory and spec.name not in found and fields.absent(key):
            problems.add("key.missing", node.place, f"{_title(entity)} lacks {key}", f"Add {key}.")
    return fields


def _fits_short(node: Node, known: Entity) -> bool:
    return isinstance(node.value, str) or _shape(known, known.short) == "any"


def _shape(known: Entity, name: str | None) -> str:
    return next(spec.shape for spec in known.keys.values() if spec.name == name)


def _keys(known: Entity, node: Node, problems: Problems) -> dict[str, Node]:
    found: dict[str, Node] = {}
    rest: list[tuple[Node, Node]] = []
    for key, value in node.items:
        spec = known.keys.get(key.text or "")
        if spec:
            if spec.deprecated:
                problems.add("key.deprecated", key, f"{key.text} of {_title(known.name)} is of an older version", "Remove it.")
            if shaped(value, spec, f"{key.text} of {_title(known.name)}", problems):
                found[spec.name] = value
        elif known.rest:
            rest.append((key, value))
        elif known.open:
            problems.add("key.extension", key, f"{key.text} is no keyname of {_title(known.name)}", nearest(key.text, known.keys))
            found[key.text or ""] = value
        else:
            problems.add("key.unknown", key, f"{key.text} is no keyname of {_title(known.name)}", nearest(key.text, known.keys))
    if rest and known.rest:
        inner = Node(node.source, node.line, node.column, MAP)
        inner.items = [*(found[known.rest].items if known.rest in found else []), *rest]
        inner.lead = node.lead
        found[known.rest] = inner
    return found


def shaped(node: Node, spec: Keyname, title: str, problems: Problems) -> bool:
    """Whether an element has the shape of its keyname; told if not. False also for an empty section (1.x)."""
    outer, _, inner = spec.shape.partition(" ")
    if node.empty and spec.shape not in ("any", "value"):
        if node.source.modern and not spec.nullable:
            problems.add("key.shape", node.place, f"{title} is empty", "Remove it or give it content.")
        return False
    if outer in ("list", "map", "named"):
        return _collection(node, outer, inner, title, problems)
    if _scalar_fits(node, spec.shape):
        return True
    problems.add("key.shape", node, f"{title} is {node.words()}, must be {_word(spec.shape)}", "Correct it.")
    return False


def _collection(node: Node, outer: str, inner: str, title: str, problems: Problems) -> bool:
    if outer == "named" and node.kind == MAP and not node.source.modern:
        return _names(node.items, title, problems)
    kind = MAP if outer == "map" else LIST
    if node.kind != kind:
        wanted = {"map": "a map", "list": "a list", "named": "a list of maps with one key each"}[outer]
        problems.add("key.shape", node.place, f"{title} is {node.words()}, must be {wanted}", "Correct it.")
        return False
    if outer == "map":
        return _names(node.items, title, problems)
    good = True
    for item in node.value:
        if outer == "named" and not node.source.modern and _dedented(item, inner, title, problems):
            continue
        if outer == "named" and (item.kind != MAP or len(item.items) != 1):
            problems.add("key.shape", item, f"an entry of {title} must be a map with one key", "Indent its content below the key.")
            good = False
        elif inner == "string" and not isinstance(item.value, str):
            problems.add("key.shape", item, f"an entry of {title} is {item.words()}, must be text", "Correct it.")
            good = False
    return good or outer == "named"


def _dedented(item: Node, entity: str, title: str, problems: Problems) -> bool:
    """Whether an entry's content stands beside its name instead of below it; then it is put there (1.x)."""
    if item.kind != MAP or len(item.items) < 2 or not item.items[0][1].empty:
        return False
    (name, _), *content = item.items
    if name.text in entities()[False][entity].keys or any(key.text not in entities()[False][entity].keys for key, _ in content):
        return False
    inner = Node(item.source, content[0][0].line, content[0][0].column, MAP)
    inner.items, inner.lead = content, name
    item.items = [(name, inner)]
    problems.add("key.indent", content[0][0], f"the content of {name.text} in {title} stands beside it", "Indent it.")
    return True


def _names(items: list[tuple[Node, Node]], title: str, problems: Problems) -> bool:
    for key, _ in items:
        bad = key.kind != SCALAR or key.value is None or (key.text == "" and not title.startswith("prefixes"))
        if bad or (key.source.modern and not isinstance(key.value, str)):
            what = key.words() if key.value != "" else "empty"
            problems.add("key.name", key, f"a name in {title} is {what}, must be text", "Put it in quotes or name it.")
    return True


def _scalar_fits(node: Node, shape: str) -> bool:
    if shape in ("string", "version") and not node.source.modern and node.kind == SCALAR:
        return shape == "string" or scalars.version(node.text) is not None
    checks = {
        "string": lambda: isinstance(node.value, str),
        "boolean": lambda: boolean(node) is not None,
        "integer": lambda: isinstance(node.value, int) and not isinstance(node.value, bool),
        "version": lambda: isinstance(node.value, str) and scalars.version(node.value) is not None,
        "metadata": lambda: node.kind == MAP,
        "imports": lambda: node.kind == LIST or (node.kind == MAP and not node.source.modern),
    }
    return checks[shape]() if shape in checks else True


def _word(shape: str) -> str:
    words = {
        "string": "text",
        "metadata": "a map",
        "imports": "a list",
        "version": "a version like 1.0 (in quotes) or 1.0.0",
        "any": "a value",
    }
    return words.get(shape, f"a {shape}" if shape in ("boolean",) else f"an {shape}" if shape == "integer" else "a map")


def _title(entity: str) -> str:
    return entity.replace("_", " ")


@cache
def entities() -> dict[bool, dict[str, Entity]]:
    """The grammar by dialect (True: 2.0) and entity."""
    text = (resources.files("cloudos.tosca") / "data" / "grammar.yml").read_text(encoding="utf-8")
    table = yaml.load(text, yaml.CSafeLoader)
    return {modern: {name: _entity(name, body, modern) for name, body in table.items()} for modern in DIALECTS}


def _entity(name: str, body: dict, modern: bool) -> Entity:
    shapes = {**COMMON, **body.get("both", {}), **body.get(DIALECTS[modern], {})}
    return Entity(
        name,
        {key: _keyname(key, str(shape)) for key, shape in shapes.items()},
        body.get("short"),
        None if modern else body.get("rest"),
        not modern and "open" in body,
    )


def _keyname(key: str, text: str) -> Keyname:
    shape, _, renamed = text.partition(" as ")
    bare = shape.rstrip("!^~")
    marks = shape[len(bare) :]
    return Keyname(bare, renamed or key, "!" in marks, "^" in marks, "~" in marks)
