"""Which template is put in the place of a node with directive `substitute`: the one file of the design that fits, or the one named.

A file fits when its substitution mappings are for the node's type or one derived from it, its filter lets the node pass, the node's
properties are valid inputs of it, and all that the rest of the design has to do with the node is mapped. Why others do not is kept
with the node. What is put in is taken like the rest: it may have such nodes itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cloudos.tosca import filters
from cloudos.tosca.documents import Library
from cloudos.tosca.expansion import SUBSTITUTED, Expansion, Unfit
from cloudos.tosca.matching import cycles
from cloudos.tosca.model import NodeTemplate, Reference, Substitution, Template, Value, unknown
from cloudos.tosca.problems import WARNING, Problem, Problems, nearest
from cloudos.tosca.resolver import SCAN_SIZE, SCANNED, Location, Refused
from cloudos.tosca.rework import derives
from cloudos.tosca.types import Types
from cloudos.tosca.values import Checker

if TYPE_CHECKING:
    from cloudos.tosca import Report

ENDINGS = (".yaml", ".yml", ".tosca")
SECTION = b"substitution_mappings"
DEEPEST = 10  # templates inside of each other
MOST = 100  # files that are tried, and nodes that are substituted; more would take minutes
Load = Callable[[Location, Mapping[str, Any] | None, Mapping[str, Mapping[str, Any]]], "Report"]


class Settled(Checker):
    """Of values that were all evaluated already, each in its own template."""

    def __init__(self, template: Template, library: Library):
        super().__init__(Types(Problems()), template, library)

    def of(self, value: Value) -> Any:
        """The data of a value."""
        return value.value


class Substituting:
    """Puts templates into one. `load`: reads another, with inputs and with the workflows of it that are to be run, and puts nothing
    into it; `wanted`: node -> file that is to be put in its place; `runs`: workflows that are to be run, as of `load`."""

    def __init__(self, report: Report, template: Template, library: Library, load: Load, wanted: Mapping[str, str],
                 runs: Mapping[str, Mapping[str, Any]]):  # fmt: skip
        self.report, self.template, self.load, self.wanted, self.runs = report, template, load, wanted, runs
        self.main = report.files[0]
        self.checker = Settled(template, library)
        self._seen: dict[str, Report] = {}
        self._inside: dict[str, tuple[str, ...]] = {}  # node -> files that it came with, the main one first
        self._tried: set[str] = set()

    def run(self) -> list[Problem]:
        """Do it, as long as there are such nodes. Returns the further problems."""
        told = Problems()
        while node := next((one for one in self.template.nodes.values() if self._waits(one)), None):
            self._tried.add(node.name)
            if node.count != 1:
                node.rejected["*"] = "only a single node can be substituted, and it has a count"
            elif len(self.template.substituted) >= MOST:
                node.rejected["*"] = f"more than {MOST} nodes would be substituted"
            elif made := self._chosen(node):
                self._put(made, told)
        for name in self.wanted.keys() - self._tried:
            mend = "Name a node with directive substitute, or none."
            told.add("substitution.unknown", self.template.place, f"{self.wanted[name]} is to be put in the place of {name}, which is no "
                     "node that is to be substituted", mend)  # fmt: skip
        places = tuple(f"{name}." for name in self._tried)
        for name in [one for one in self.runs if one not in self.template.workflows and one.startswith(places)]:
            message = f"the template has no workflow {name}"
            told.add("workflow.unknown", self.template.place, message, nearest(name, self.template.workflows))
        if self.template.substituted:
            cycles(self.template, told)
        return list(told.found)

    def _waits(self, node: NodeTemplate) -> bool:
        return node.directives[:1] != [] and node.directives[0] in SUBSTITUTED and node.name not in self._tried

    def _chosen(self, node: NodeTemplate) -> Expansion | None:
        """The template for a node when exactly one fits, ready to be put in."""
        files = self._files
        if (named := self.wanted.get(node.name)) is not None:
            if named not in files:
                node.rejected[named] = "there is no such file with substitution_mappings in the design"
            files = [named] if named in files else []
        fitting = []
        for file in files:
            try:
                fitting.append(self._trial(node, file))
            except Unfit as why:
                node.rejected[file] = str(why)
        node.candidates = [one.file for one in fitting]
        return fitting[0] if len(fitting) == 1 else None

    @functools.cached_property
    def _files(self) -> list[str]:
        """Names of the files of the design that have such a section."""
        names = [name for name in self.main.tree.names() if name.endswith(ENDINGS)][:SCANNED]
        return [name for name in names if self._has_section(name)][:MOST]

    def _has_section(self, name: str) -> bool:
        try:
            return SECTION in self.main.tree.read(name, SCAN_SIZE)
        except (Refused, OSError):
            return False  # what cannot be read is put nowhere; whoever imports it is told

    def _trial(self, node: NodeTemplate, file: str) -> Expansion:
        """A file, ready to be put in the place of a node. Raises Unfit."""
        location = Location(self.main.tree, file)
        if file not in self._seen:
            self._seen[file] = self.load(location, None, {})
        template, offer = _sound(self._seen[file])
        if template.document.modern != self.template.document.modern:
            raise Unfit(f"it is written in {template.version}, the node in {self.template.version}")
        if not derives(offer.node_type, node.type):
            raise Unfit(f"it stands for {offer.node_type.name} ({offer.place}), which is no {node.type.name} of {node.type.place}")
        chain = self._inside.get(node.name, (self.main.name,))
        if file in chain:
            raise Unfit(f"it would be put into itself: {' -> '.join((*chain[chain.index(file) :], file))}")
        if len(chain) > DEEPEST:
            raise Unfit(f"more than {DEEPEST} templates would be inside of each other")
        if offer.filter is not None and (why := filters.unsatisfied(offer.filter, node, self.checker)):
            raise Unfit(f"its substitution_filter does not let the node pass: {why}")
        given = _inputs(node, template, offer)
        late = {name: value for name, value in given.items() if unknown(value)}
        asked = {name: Reference("get_input", (name,), template.definitions[name].place, template.definitions[name].schema)
                 if name in late else value for name, value in given.items()}  # fmt: skip
        runs = {name.removeprefix(f"{node.name}."): one for name, one in self.runs.items() if name.startswith(f"{node.name}.")}
        report = self.load(location, asked, {name: one for name, one in runs.items() if name in template.workflows})
        inner, _ = _sound(report)
        return Expansion(self.template, node, report, inner, late, self.checker, file)

    def _put(self, made: Expansion, told: Problems) -> None:
        chain = self._inside.get(made.node.name, (self.main.name,))
        made.put(told)
        for name in made.inner.nodes:
            self._inside[name] = (*chain, made.file)
        told.found.update(dict.fromkeys(made.report.problems))
        self.report.files += [one for one in made.report.files if one not in self.report.files]


def _sound(report: Report) -> tuple[Template, Substitution]:
    """The template and what it offers, of a file without mistakes. Raises Unfit."""
    if wrong := [one for one in report.problems if one.severity != WARNING]:
        raise Unfit(f"{wrong[0].message} ({wrong[0].file}:{wrong[0].line}:{wrong[0].column})")
    if report.template is None or report.template.substitution is None:
        raise Unfit("it has no substitution_mappings with a node type")
    return report.template, report.template.substitution


def _inputs(node: NodeTemplate, template: Template, offer: Substitution) -> dict[str, Any]:
    """Input -> data of the property that is mapped to it; in 1.x also of the one that has its name. Raises Unfit."""
    found: dict[str, Any] = {}
    for key, leads in offer.properties:
        target = mapped(leads)
        if not isinstance(target, str) or target not in template.definitions:
            raise Unfit(f"its mapping of property {key} ({offer.place}) leads to no input")
        if values := list(_properties(node, key)):
            found[target] = values if isinstance(key, list | tuple) and "ALL" in key else values[0]
    if not template.document.modern:
        same = {name: node.properties[name].value for name in template.definitions if name in node.properties}
        found = {**same, **found}
    return found


def mapped(leads: Any) -> Any:
    """What a property or attribute is mapped to: 2.0 names it, 1.x may also write [name] and {mapping: [name]}."""
    leads = leads.get("mapping") if isinstance(leads, dict) else leads
    return leads[0] if isinstance(leads, list) and len(leads) == 1 else leads


def _properties(node: NodeTemplate, key: Any) -> Iterator[Any]:
    """Data of a property: by its name, [CAPABILITY, name, property], or [RELATIONSHIP, requirement, (index or ALL,) property]."""
    path = list(key) if isinstance(key, list | tuple) else [key]
    if not path or not all(isinstance(part, str | int) for part in path):
        raise Unfit(f"{key} names no property")
    owners: list[Any] = [node]
    if path[0] == "CAPABILITY" and len(path) == 3:
        owners = [node.capabilities[path[1]]] if path[1] in node.capabilities else []
    elif path[0] == "RELATIONSHIP" and len(path) in (3, 4):
        links = [one.relationship for one in node.requirements if one.name == path[1] and one.relationship]
        index = path[2] if len(path) == 4 else 0
        owners = links if index == "ALL" else links[index : index + 1] if isinstance(index, int) else []
    elif len(path) != 1:
        raise Unfit(f"{key} names no property")
    yield from (one.properties[path[-1]].value for one in owners if path[-1] in one.properties)
