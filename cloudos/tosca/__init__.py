"""TOSCA 1.0 to 2.0: from a file, directory or archive to a resolved template, with every mistake told at its place.

`load` never raises for what is wrong with what it reads, opens no network connection, and starts no process.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloudos.tosca import addresses, checks, normative, patterns
from cloudos.tosca.archive import open_archive
from cloudos.tosca.assembly import Assembly
from cloudos.tosca.collector import paused
from cloudos.tosca.documents import Document, Library
from cloudos.tosca.expansion import SUBSTITUTED
from cloudos.tosca.grammar import Fields, read
from cloudos.tosca.matching import Matching
from cloudos.tosca.model import Template
from cloudos.tosca.organisation import Organisation
from cloudos.tosca.problems import Mark, Problem, Problems, exit_code
from cloudos.tosca.resolver import DirectoryTree, FileResolver, Location, Refused, Resolver, WithOurs
from cloudos.tosca.source import Limits
from cloudos.tosca.substituting import Substituting
from cloudos.tosca.substitution import Mappings
from cloudos.tosca.typemodel import Type
from cloudos.tosca.types import Types
from cloudos.tosca.values import Checker
from cloudos.tosca.workflows import Workflows

__all__ = ["Limits", "Location", "Problem", "Refused", "Report", "Resolver", "Template", "Type", "load"]


@dataclass
class Report:
    """What came of a load: problems in order, and the template, None when there is none to work with.

    `types`: every type that the files define, resolved; `files`: what was read, the main file first.
    """

    problems: list[Problem]
    template: Template | None = None
    types: list[Type] = field(default_factory=list)
    files: list[Location] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 accepted, 1 not valid, 2 valid but not deployable, 3 unreadable."""
        return exit_code(self.problems)


def load(
    source: str | Path | Location,
    resolver: Resolver | None = None,
    inputs: Mapping[str, Any] | None = None,
    root: str | Path | None = None,
    limits: Limits = Limits(),  # noqa: B008 - immutable
    runs: Mapping[str, Mapping[str, Any]] | None = None,
    substitutions: Mapping[str, str] | None = None,
) -> Report:
    """Read and judge a template, and put others of the same directory or archive in the place of nodes that are to be substituted.

    `source`: a TOSCA file, a CSAR (zip or tar), or a place in a resolver's tree. `resolver`: finds imports; by default
    files below `root` (the file's own directory) or in the archive. `inputs`: values of inputs by name; None: not known
    yet, so that missing ones are no problem. `runs`: workflows that are to be run, by name, with the values of their inputs.
    `substitutions`: node -> name of the file that is put in its place, where several fit.
    """
    finder, problems = WithOurs(resolver or FileResolver()), Problems()

    def other(location: Location, inputs: Mapping[str, Any] | None, runs: Mapping[str, Mapping[str, Any]]) -> Report:
        library, report = Library(finder, Problems(), normative.documents, limits), Report([])
        with contextlib.suppress(Refused):
            _load(location, library, inputs, runs, report)
        report.problems = library.problems.sorted()
        return report

    report = Report([])
    try:
        location = source if isinstance(source, Location) else _located(Path(source), Path(root) if root else None)
        with paused(), patterns.together():
            library = Library(finder, problems, normative.documents, limits)
            _load(location, library, inputs, runs or {}, report)
            if report.template and exit_code(problems.found) in (0, 2):
                problems.found.update(dict.fromkeys(
                    Substituting(report, report.template, library, other, substitutions or {}, runs or {}).run()))  # fmt: skip
    except Refused as refused:
        problems.add(refused.rule, Mark(str(source)), f"{source}: {refused.message}", refused.mend)
    report.problems = problems.sorted()
    return report


def _located(path: Path, root: Path | None) -> Location:
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "is not there"
        raise Refused("file.unreadable", what, "Name a TOSCA file or a CSAR.")
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise Refused("file.unreadable", f"cannot be read: {error.strerror}", "Check its permissions.") from error
    if path.suffix not in (".yaml", ".yml", ".tosca") and (archive := open_archive(path)):
        return Location(archive, archive.entry())
    path = Path(os.path.abspath(path))
    top = Path(os.path.abspath(root or path.parent))
    if not path.is_relative_to(top):
        raise Refused("import.outside", f"is not below {top}", "Name a root that holds the file.")
    base = path.parent.relative_to(top).as_posix()
    shown = "" if root is None and path.parent == Path.cwd() else None
    return Location(DirectoryTree(top, "" if base == "." else base, shown), path.relative_to(top).as_posix())


def _load(location: Location, library: Library, inputs: Mapping | None, runs: Mapping[str, Mapping], report: Report) -> None:
    """All steps; what there is of the result goes into the report, however far it comes."""
    document = library.read(location)
    library.finish()
    report.files = sorted((one.location for one in library.documents.values()), key=lambda one: one != location)
    if document is None:
        return
    types = Types(library.problems)
    report.types = types.made
    checks.types_of(library, types)
    checks.functions_of(library, types)
    template = Template(Mark(document.source.file), document.version, document=document)
    checker = Checker(types, template, library)
    checks.definitions(types, checker)
    section = document.fields.get("service_template")
    if section is not None:
        report.template = template
        _service(template, types, checker, document, read("service_template", section, library.problems), inputs, runs)
    checks.definitions(types, checker)
    checks.artifacts(types, checker, library)
    if section is not None:
        checks.unused(types, library, document)


def _service(template: Template, types: Types, checker: Checker, document: Document, fields: Fields, inputs: Mapping | None,
             runs: Mapping[str, Mapping]) -> None:  # fmt: skip
    """The steps in their order: what is defined, what is assigned, what matches, and then all values."""
    template.place = Mark.of(fields.node.place)
    template.description = fields.text("description") or document.fields.text("description") or ""
    template.metadata = {**(document.fields.data("metadata") or {}), **(fields.data("metadata") or {})}
    assembly = Assembly(types, checker, document, fields)
    assembly.inputs(inputs)
    assembly.nodes()
    assembly.outputs()
    matching = Matching(assembly)
    matching.run()
    organisation = Organisation(assembly)
    organisation.groups()
    organisation.policies()
    workflows = Workflows(assembly)
    workflows.run()
    # Those of what is put in the place of a node come with it.
    places = tuple(f"{node.name}." for node in template.nodes.values() if SUBSTITUTED.intersection(node.directives))
    workflows.given({name: one for name, one in runs.items() if name in template.workflows or not name.startswith(places)})
    Mappings(assembly).run()
    for value in assembly.values:
        checker.of(value)
    addresses.check(template, types.problems)
