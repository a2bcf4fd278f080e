"""What a template leaves open: requirements that nothing in it fulfils, and what its nodes need of a cloud, after `data/needs.yml`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from cloudos import tosca
from cloudos.graffiti import conditions as expressions
from cloudos.graffiti.matching import needs
from cloudos.tosca.model import NodeTemplate, Requirement, Template, Value, plain, unknown
from cloudos.tosca.resolver import FileResolver, Location, Refused, Tree

Opening = tuple[NodeTemplate, Requirement, str]
UNKNOWN = "substitution.unknown"
SELECTED = {"select", "selectable", "substitute", "substitutable"}


class Broken(ValueError):
    """A template that cannot be read or is not valid; `problems` are cloudos.tosca's."""

    def __init__(self, problems: list[tosca.Problem]):
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


class Texts(Tree):
    """Files that came with a request."""

    def __init__(self, files: Mapping[str, str]):
        super().__init__("")
        self._files = files

    def exists(self, name: str) -> bool:
        """Whether it came."""
        return name in self._files

    def names(self) -> Iterator[str]:
        """All of them."""
        yield from sorted(self._files)

    def read(self, name: str, limit: int) -> bytes:
        """One file. Raises Refused."""
        if name not in self._files:
            raise Refused("import.missing", f"{name} did not come with the template", "Send every file that it imports.")
        data = self._files[name].encode()
        if len(data) > limit:
            raise Refused("limit.size", f"{name} is longer than {limit} bytes", "Split it.")
        return data


def read(files: Mapping[str, str], entry: str, inputs: Mapping[str, Any] | None,
         substitutions: Mapping[str, str] | None = None) -> Template:  # fmt: skip
    """The template of a request, with the files that are named for nodes in their places. Raises Broken; what cannot be deployed yet is no
    mistake, for that is what is bound here."""
    report = tosca.load(Location(Texts(files), entry), FileResolver(), inputs, substitutions=substitutions)
    wrong = [one for one in report.problems if one.severity in ("error", "unreadable") or one.rule == UNKNOWN]
    if wrong or report.template is None:
        raise Broken(wrong or report.problems)
    left = [(report.template.nodes[name], file) for name, file in (substitutions or {}).items() if name in report.template.nodes]
    if left:
        raise Broken([_unfit(node, file) for node, file in left])
    return report.template


def _unfit(node: NodeTemplate, file: str) -> tosca.Problem:
    why = node.rejected.get(file) or node.rejected.get("*") or "it does not fit"
    message, mend = f"{file} cannot be put in the place of {node.name}: {why}", "Name another file, or send it with the others."
    return tosca.Problem(node.place.file, node.place.line, node.place.column, UNKNOWN, message, mend)


def openings(template: Template) -> dict[str, list[dict[str, Any]]]:
    """{requirements, rules} of a request to match: as many as the template leaves open, and that linked nodes share a pool."""
    opened = [(node, one, name) for node, one, name in template.openings() if _must(one)]
    found = [one for node in template.nodes.values() for one in (*_needs(node), *_selected(node))]
    found += [_open(node, one, name) for node, one, name in opened]
    requirements = [*_joined(found), *_further(opened)]
    nodes = {one["node"] for one in requirements}
    linked = {tuple(sorted((link.source.name, link.target.name))) for link in template.relationships() if link.source and link.target}
    rules = [
        {"kind": "same", "of": "pool", "members": list(pair)} for pair in sorted(linked) if pair[0] != pair[1] and nodes.issuperset(pair)
    ]
    return {"requirements": requirements, "rules": rules}


def _must(one: Requirement) -> bool:
    return (one.assigned or not one.optional) and (one.capability_type or one.node_type) is not None and one.count != 0


def _open(node: NodeTemplate, one: Requirement, name: str) -> dict[str, Any]:
    """What an open requirement asks for, in the words of pools where `open` of needs.yml has them."""
    filters = [filter_.data() for filter_ in one.filters]
    line, said = _line(node, one), {name for filter_ in filters for name in _asked(filter_)}
    if conditions := [{key: value} for key, value in line.get("conditions", {}).items() if key not in said]:
        filters.append(_on(line["capability"], conditions))
    asked = {"capability": line["capability"]} if line else _types(one)
    return {"id": f"{node.name}.{name}", "node": node.name, "count": _count(node, one), **asked, **_filtered(filters)}


def _asked(filter_: Any) -> set[str]:
    """The properties that a node_filter speaks of. Where it is none, nobody's conditions matter: the request is refused with its place."""
    try:
        return {test.name for test in expressions.read(filter_).tests()}
    except expressions.Unreadable:
        return set()


def _further(opened: list[Opening]) -> Iterator[dict[str, Any]]:
    """What relationships of open requirements make necessary besides, such as floating IPs."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for node, one, _ in opened:
        for property_, choices in _line(node, one).get("also", {}).items():
            if one.relationship and _known(one.relationship.properties.get(property_)) is True:
                counts.update({(node.name, what, capability): _count(node, one) for what, capability in choices.items()})
    for (node_name, what, capability), count in counts.items():
        yield {"id": f"{node_name}.{what}", "node": node_name, "count": count, "capability": capability}


def _count(node: NodeTemplate, one: Requirement) -> int:
    """How often it is used: by each instance of what a pool's quota or capacity counts."""
    return max(_whole(one.count), _instances(node)) if _line(node, one) else _whole(one.count)


def _line(node: NodeTemplate, one: Requirement) -> Mapping[str, Any]:
    """The line of `open` for a requirement; empty where there is none."""
    names = [f"{kind.name}.{one.name}" for kind in node.type.lineage]
    names += [kind.name for asked in (one.node_type, one.capability_type) if asked for kind in asked.lineage]
    lines = needs()["open"]
    return next((lines[name] for name in names if name in lines), {})


def _types(one: Requirement) -> dict[str, str]:
    return {"capability": one.capability_type.name} if one.capability_type else {"type": one.node_type.name} if one.node_type else {}


def _on(capability: str, conditions: list[dict[str, Any]]) -> dict[str, Any]:
    return {"capabilities": {capability: {"properties": conditions}}}


def _filtered(filters: list[Any]) -> dict[str, Any]:
    """The node_filter that all of them are."""
    return {"node_filter": filters[0] if len(filters) == 1 else {"$and": filters}} if filters else {}


def _joined(requirements: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a node needs by its type, and asks for by an open requirement of that name, is one."""
    found: dict[str, dict[str, Any]] = {}
    for one in requirements:
        before = found.get(one["id"], {})
        filters = [each["node_filter"] for each in (before, one) if "node_filter" in each]
        found[one["id"]] = {**before, **one, **_filtered(filters)}
    return list(found.values())


def _selected(node: NodeTemplate) -> Iterator[dict[str, Any]]:
    """A node that is not made but found: directive select."""
    if SELECTED.intersection(node.directives):
        filter_ = {"node_filter": node.node_filter.data()} if node.node_filter is not None else {}
        yield {"id": f"{node.name}.node", "node": node.name, "count": 1, "type": node.type.name, **filter_}


def _needs(node: NodeTemplate) -> Iterator[dict[str, Any]]:
    """What a node that is to be made needs of its pool."""
    if SELECTED.intersection(node.directives):
        return
    lines = next((needs()["nodes"][one.name] for one in node.type.lineage if one.name in needs()["nodes"]), {})
    for name, line in lines.items():
        if "when" in line and _said(node.properties, line["when"]) is None:
            continue
        source = node.capabilities[line["from"]].properties if line.get("from") in node.capabilities else node.properties
        conditions = []
        for key, operator in line.get("conditions", {}).items():
            (operator, path), = operator.items() if isinstance(operator, Mapping) else ((operator, key),)
            if (value := _said(source, path)) is not None:
                conditions.append({key: {operator: value}})
        filter_ = _on(line["capability"], conditions) if conditions else {}
        if "named" in line and (called := _said(node.properties, line["named"])) is not None:
            filter_["properties"] = [{"name": {"equal": called}}]
        body = {"id": f"{node.name}.{name}", "node": node.name, "count": _instances(node), "capability": line["capability"]}
        yield {**body, "node_filter": filter_} if filter_ else body


def _said(source: Mapping[str, Value], path: str) -> Any:
    """What a dotted path leads to in properties; None where nothing is there or it is known at run time only."""
    name, *rest = path.split(".")
    value = _known(source.get(name))
    for key in rest:
        if isinstance(value, list):
            value = value[int(key)] if int(key) < len(value) else None
        else:
            value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _known(value: Value | None) -> Any:
    """A value that is known before run time; what is not cannot be asked for."""
    if value is None or value.value is None or unknown(value.value):
        return None
    return plain(value.value)


def _instances(node: NodeTemplate) -> int:
    """How many of a node there will be at first: by its type's own property, its count in 2.0, its capability scalable in 1.x."""
    own = [_said(node.properties, needs()["instances"][kind.name]) for kind in node.type.lineage if kind.name in needs()["instances"]]
    scalable = node.capabilities.get("scalable")
    names = ("default_instances", "min_instances")
    found = own + [_known(scalable.properties.get(name)) for name in names] if scalable else own
    first = next((one for one in found if isinstance(one, int)), 1)
    return max(_whole(node.count), first, 1)


def _whole(count: Any) -> int:
    return count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else 1
