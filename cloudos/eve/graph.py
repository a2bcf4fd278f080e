"""What a topology consists of: resources of clouds and operations on servers, and how they refer to each other.

In arguments, {"$attribute": [name, key ...]} is an attribute of another resource, {"$output": [operation, name]} an output
of an operation, {"$concat": [...]}, {"$join": [[...], delimiter]} and {"$token": [...]} text made of such; all known at run time.
"""

from __future__ import annotations

import graphlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

OPERATION = "operation"
REFERENCES = ("$attribute", "$output")
TEXTS = ("$concat", "$join", "$token")


@dataclass
class Resource:
    """One thing to be made, used (`existing`) or, of kind `operation`, done. `node`: the node template it stands for.

    `needs`: names of what comes before without being referred to. `pool` is empty for operations.
    """

    name: str
    kind: str
    node: str
    pool: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    existing: bool = False
    instance: int = 0

    def before(self) -> set[str]:
        """Names of all that must be there first."""
        return {name for name, _ in references(self.arguments)} | {*self.needs}

    def links(self) -> set[tuple[str, str]]:
        """(argument, name it leads to)."""
        return {(key, name) for key, value in self.arguments.items() for name, _ in references(value)}

    def digest(self) -> str:
        """Changes with the arguments and with nothing else."""
        return hashlib.sha256(json.dumps([self.kind, self.arguments], sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict:
        """All of it, without what is empty."""
        data = {"name": self.name, "kind": self.kind, "node": self.node, "pool": self.pool, "arguments": self.arguments,
                "needs": sorted(self.needs), "existing": self.existing, "instance": self.instance}  # fmt: skip
        return {key: value for key, value in data.items() if value or key in ("name", "kind", "node", "arguments")}

    @classmethod
    def from_json(cls, data: Mapping) -> Resource:
        """The inverse of to_json(); further keys are left out."""
        known = {key: data[key] for key in cls.__dataclass_fields__ if key in data}
        return cls(**{**known, "needs": tuple(known.get("needs", ()))})


@dataclass
class Graph:
    """A compiled topology: resources by name, values of outputs, and how many instances each scalable node has and may have.

    `counts`: node -> {"count", "min", "max"}; max None: no limit. `bound`: resource that exists -> for which requirement of which node
    it was chosen, in words; `notes`: what was chosen and is used by nothing, and what the template says that nothing is done about.
    """

    resources: dict[str, Resource] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, dict] = field(default_factory=dict)
    bound: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def edges(self) -> dict[str, set[str]]:
        """Name -> names of this graph that come before it."""
        return {name: one.before() & self.resources.keys() - {name} for name, one in self.resources.items()}

    def levels(self) -> list[list[str]]:
        """Names in levels: each needs only those of levels before. Raises CycleError of graphlib."""
        return levels(self.edges())


def levels(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """Names in levels, sorted within each."""
    sorter = graphlib.TopologicalSorter(edges)
    sorter.prepare()
    found = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        sorter.done(*ready)
        found.append(ready)
    return found


def reverse(edges: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The same edges turned round."""
    turned: dict[str, set[str]] = {name: set() for name in edges}
    for name, before in edges.items():
        for one in before:
            turned[one].add(name)
    return turned


def references(value: Any) -> Iterator[tuple[str, list]]:
    """(name, path) of every reference in a value, at any depth."""
    if isinstance(value, dict):
        for key in REFERENCES:
            if key in value:
                yield value[key][0], value[key][1:]
                return
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from references(item)


def static(value: Any) -> bool:
    """Whether a value has nothing that is known at run time only."""
    if isinstance(value, dict):
        return not (value.keys() & {*REFERENCES, *TEXTS}) and all(map(static, value.values()))
    return all(map(static, value)) if isinstance(value, list) else True


def computed(value: Any, known: Mapping[str, Mapping]) -> Any:
    """The value with references looked up in `known` (name -> attributes; of operations, outputs). Missing ones are None."""
    if isinstance(value, list):
        return [computed(item, known) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (key, arguments), = value.items()
        if key in REFERENCES:
            return _looked_up(known.get(arguments[0]), arguments[1:])
        if key in TEXTS:
            return _text(key, computed(arguments, known))
    return {key: computed(item, known) for key, item in value.items()}


def _looked_up(value: Any, path: list) -> Any:
    for key in path:
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return value


def _text(key: str, arguments: list) -> str | None:
    if any(one is None for one in (arguments[0] if key == "$join" else arguments)):
        return None
    if key == "$concat":
        return "".join(map(str, arguments))
    if key == "$join":
        return (arguments[1] if len(arguments) > 1 else "").join(map(str, arguments[0]))
    return str(arguments[0]).split(arguments[1])[int(arguments[2])]
