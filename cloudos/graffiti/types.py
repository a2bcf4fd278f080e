"""The dictionary in memory: types by name, alias and derivation, with every property and where it comes from."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any

from cloudos.graffiti import conditions, schema

KINDS = ("capability", "resource", "requirement", "property")


class UnknownType(LookupError):
    """No type of that name; the text says what there is."""


@dataclass(frozen=True)
class Type:
    """One type. Its full name is `namespace/name`; what refers to it may say only the name where that is unambiguous.

    schema: a JSON Schema object of its own properties (of a property type: the schema of the property itself).
    definition: what the kind has besides: of a requirement `capability`, `node_filter`; of a resource `capabilities`; anything else
    that the source says. deprecated: {reason, use}. aliases: other names of it.
    """

    kind: str
    namespace: str
    name: str
    derived_from: str | None = None
    title: str | None = None
    description: str | None = None
    version: str | None = None
    schema: Mapping[str, Any] = field(default_factory=dict)
    definition: Mapping[str, Any] = field(default_factory=dict)
    deprecated: Mapping[str, str] | None = None
    aliases: tuple[str, ...] = ()

    @property
    def full(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"

    def body(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "aliases": list(self.aliases)}

    @cached_property
    def digest(self) -> str:
        """Equal for equal content, whoever loads it."""
        return hashlib.sha256(json.dumps(self.body(), sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True)
class Namespace:
    """What types are gathered in. `associations`: {name, prefix, properties_target} as Glance's; `extra`: what its source says besides."""

    name: str
    title: str | None = None
    description: str | None = None
    source: str = ""
    associations: tuple[Mapping[str, str], ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """Equal for equal content."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True)
class Batch:
    """What is loaded at once."""

    namespaces: tuple[Namespace, ...]
    types: tuple[Type, ...]


class Dictionary:
    """Types that know each other. `kind` narrows a look-up; a name that several namespaces have needs its full form."""

    def __init__(self, types: Iterable[Type], namespaces: Iterable[Namespace] = ()):
        self.types = {(one.kind, one.full): one for one in types}
        self.namespaces = {one.name: one for one in namespaces}
        self._names: dict[tuple[str, str], list[Type]] = {}
        for one in self.types.values():
            for name in {one.full, one.name, *one.aliases}:
                self._names.setdefault((one.kind, name), []).append(one)
        self._children: dict[tuple[str, str], list[Type]] = {}
        for one in self.types.values():
            if parent := self._parent(one):
                self._children.setdefault((one.kind, parent.full), []).append(one)

    def get(self, reference: str, kind: str = "capability") -> Type:
        """The type of a full name, name or alias. Raises UnknownType, also for an ambiguous name."""
        exact = self.types.get((kind, reference))
        found = [exact] if exact else self._names.get((kind, reference), [])
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(sorted(one.full for one in found))
            raise UnknownType(f"{reference} is the name of {len(found)} {kind} types; say which: {names}")
        raise UnknownType(f"{reference} is not a {kind} type of the dictionary{self._nearest(reference, kind)}")

    def find(self, reference: str, kind: str = "capability") -> Type | None:
        """The type, or None where `get` raises."""
        found = self._names.get((kind, reference), [])
        return self.types.get((kind, reference)) or (found[0] if len(found) == 1 else None)

    def ancestry(self, one: Type) -> list[Type]:
        """The type and those it derives from, nearest first. A cycle cannot be loaded."""
        chain = [one]
        while parent := self._parent(chain[-1]):
            chain.append(parent)
        return chain

    def derived(self, one: Type) -> list[str]:
        """The full names of the type and all that derive from it, sorted."""
        found, open_ = set(), [one]
        while open_:
            here = open_.pop()
            found.add(here.full)
            open_ += self._children.get((here.kind, here.full), [])
        return sorted(found)

    def properties(self, one: Type) -> dict[str, dict[str, Any]]:
        """name -> {schema, from, refines}: every property, the type that defines it, and those whose definition it narrows."""
        found: dict[str, dict[str, Any]] = {}
        for here in reversed(self.ancestry(one)):
            required = here.schema.get("required") or []
            for name, body in (here.schema.get("properties") or {}).items():
                old = found.get(name)
                found[name] = {
                    "schema": {**old["schema"], **body} if old else dict(body), "from": here.full,
                    "required": name in required or bool(old and old["required"]),
                    "refines": [old["from"], *old["refines"]] if old else [],
                }  # fmt: skip
        return found

    def kinds(self, one: Type) -> dict[str, str]:
        """name -> kind of comparison, for the properties that declare one."""
        key = ("kinds", one.kind, one.full)
        if key not in self._cache:
            bodies = self.properties(one).items()
            self._cache[key] = {name: kind for name, body in bodies if (kind := schema.kind(body["schema"]))}
        return self._cache[key]

    def kinds_of(self, name: str, kind: str) -> frozenset[str | None]:
        """What the types of a kind declare a property of this name to be; None where one declares nothing or no type knows it."""
        if kind not in self._cache:
            found: dict[str, set[str | None]] = {}
            for one in self.types.values():
                for known, body in (one.schema.get("properties") or {}).items() if one.kind == kind else ():
                    found.setdefault(known, set()).add(schema.kind(body) if isinstance(body, Mapping) else None)
            self._cache[kind] = {known: frozenset(kinds) for known, kinds in found.items()}
        return self._cache[kind].get(name, frozenset([None]))

    def schema(self, one: Type) -> dict[str, Any]:
        """The JSON Schema of an instance, inherited properties included."""
        if one.kind == "property":
            return {
                "$schema": schema.DIALECT,
                **{key: value for parent in reversed(self.ancestry(one)) for key, value in parent.schema.items()},
            }
        properties = self.properties(one)
        required = sorted(name for name, body in properties.items() if body["required"])
        bodies = {name: body["schema"] for name, body in properties.items()}
        return {"$schema": schema.DIALECT, "type": "object", "properties": bodies, "required": required}

    def keys(self, resource_type: str) -> list[dict[str, Any]]:
        """Which properties a resource of a type may carry, with which key: {key, target, namespace, type, property, schema}, by key."""
        found = []
        for namespace in self.namespaces.values():
            for association in namespace.associations:
                if association["name"] == resource_type:
                    found += self._keys(namespace, association)
        return sorted(found, key=lambda one: (one["key"], one["namespace"], one["target"] or ""))

    def keys_of(self, resource_type: str) -> dict[str, list[dict[str, Any]]]:
        """The same by key, of the keys that are the resource's own."""
        if ("keys", resource_type) not in self._cache:
            found: dict[str, list[dict[str, Any]]] = {}
            for one in self.keys(resource_type):
                if not one["target"]:
                    found.setdefault(one["key"], []).append(one)
            self._cache[("keys", resource_type)] = found
        return self._cache[("keys", resource_type)]

    @cached_property
    def fingerprint(self) -> str:
        """Changes when any type does."""
        lines = sorted(f"{one.kind} {one.full} {one.digest}" for one in self.types.values())
        lines += sorted(f"{one.name} {one.digest}" for one in self.namespaces.values())
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @cached_property
    def _cache(self) -> dict:
        return {}

    @cached_property
    def _by_namespace(self) -> dict[str, list[Type]]:
        found: dict[str, list[Type]] = {}
        for one in self.types.values():
            found.setdefault(one.namespace, []).append(one)
        return found

    def _keys(self, namespace: Namespace, association: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        prefix, target = association.get("prefix") or "", association.get("properties_target")
        for one in self._by_namespace.get(namespace.name, []):
            for name, body in (one.schema.get("properties") or {}).items() if one.kind == "capability" else ():
                yield {"key": f"{prefix}{name}", "target": target, "namespace": namespace.name, "type": one.full, "property": name,
                       "schema": body}  # fmt: skip

    def _parent(self, one: Type) -> Type | None:
        return parent(one, self)

    def _nearest(self, reference: str, kind: str) -> str:
        names = sorted({name for known, name in self._names if known == kind})
        found = difflib.get_close_matches(reference, names, 1, 0.6)
        return f" (did you mean {found[0]}?)" if found else f"; it has {len(names)} names, `cloudos graffiti types` lists them"


def parent(one: Type, known: Dictionary) -> Type | None:
    """The type that `one` derives from: of its own namespace first, else the only one of that name."""
    if not one.derived_from:
        return None
    return known.types.get((one.kind, f"{one.namespace}/{one.derived_from}")) or known.find(one.derived_from, one.kind)


def ordered(types: Iterable[Type], known: Dictionary) -> list[Type]:
    """Parents before children; among equals, by name. `known` holds them all. Raises Mistakes for cycles."""
    wanted = {(one.kind, one.full): one for one in types}
    graph: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for key in sorted(wanted):
        above = parent(wanted[key], known)
        graph[key] = [(above.kind, above.full)] if above and (above.kind, above.full) in wanted else []
    try:
        return [wanted[key] for key in TopologicalSorter(graph).static_order()]
    except CycleError as error:
        raise Mistakes([("", "types derive from each other: " + " <- ".join(name for _, name in error.args[1]))]) from error


class Mistakes(ValueError):
    """Everything wrong with what was to be loaded: `errors` is a list of (type's full name, text)."""

    def __init__(self, errors: list[tuple[str, str]]):
        self.errors = errors
        super().__init__("\n".join(f"{where}: {text}" if where else text for where, text in errors))


def judged(batch: Batch, known: Dictionary) -> tuple[list[Type], Dictionary]:
    """The batch's types in the order in which they can be stored, and the dictionary with them; types that derive from them must
    still hold. Raises Mistakes naming all."""
    new = {(one.kind, one.full) for one in batch.types}
    others = [one for key, one in known.types.items() if key not in new]
    together = Dictionary([*others, *batch.types], {**known.namespaces, **{one.name: one for one in batch.namespaces}}.values())
    order = _order_or_cycle(batch, known, together)
    heirs = [together.types[one.kind, full] for one in order for full in together.derived(one)]
    affected = dict.fromkeys((heir.kind, heir.full) for heir in [*order, *heirs])
    errors = [(full, text) for kind, full in affected for text in _wrong(together.types[kind, full], together)]
    if errors:
        raise Mistakes(errors)
    return order, together


def _order_or_cycle(batch: Batch, known: Dictionary, together: Dictionary) -> list[Type]:
    """A cycle may close through types that were there before, so that these are ordered too."""
    ordered([*known.types.values(), *batch.types], together)
    return ordered(batch.types, together)


def _wrong(one: Type, together: Dictionary) -> Iterator[str]:
    if one.namespace not in together.namespaces:
        yield f"namespace {one.namespace} does not exist; load it first or in the same batch"
    above = parent(one, together)
    if one.derived_from and not above:
        try:
            together.get(one.derived_from, one.kind)
        except UnknownType as error:
            yield f"derived_from: {error}"
    yield from (f"schema {pointer}: {text}" for pointer, text in schema.mistakes(one.schema))
    inherited = together.properties(above) if above else {}
    for name, body in (one.schema.get("properties") or {}).items():
        if name in inherited and isinstance(body, Mapping):
            yield from schema.refinements(name, body, inherited[name]["schema"])
    if one.kind == "requirement":
        yield from _wrong_requirement(one, together)


def _wrong_requirement(one: Type, together: Dictionary) -> Iterator[str]:
    wanted = [here.definition["capability"] for here in together.ancestry(one) if here.definition.get("capability")]
    if not wanted:
        yield "a requirement type names a capability type under definition.capability"
    elif not together.find(wanted[0]):
        yield f"definition.capability: {wanted[0]} is not a capability type"
    try:
        conditions.read(one.definition.get("node_filter"), "/definition/node_filter")
    except conditions.Unreadable as error:
        yield f"{error.pointer}: {error}"
