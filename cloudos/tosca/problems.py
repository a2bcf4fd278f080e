"""What may be wrong with a TOSCA file: the rules with their ids, and the list of what was found, each at its place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol

ERROR, UNDEPLOYABLE, UNREADABLE, WARNING = "error", "undeployable", "unreadable", "warning"

# id -> (severity, what the rule asks for). docs/reference/tosca.md shows exactly this table.
RULES: dict[str, tuple[str, str]] = {
    "file.unreadable": (UNREADABLE, "The file can be opened and is UTF-8 text."),
    "file.too_large": (UNREADABLE, "A file is not larger than the limit."),
    "archive.broken": (UNREADABLE, "An archive is a complete zip or tar file."),
    "archive.limit": (UNREADABLE, "An archive keeps to the limits on entries, size and compression ratio."),
    "archive.unsafe": (UNREADABLE, "Entries of an archive lie inside it: no absolute or parent path, link or device."),
    "archive.meta": (ERROR, "TOSCA.meta names the entry definitions; without it one YAML file lies at the root."),
    "yaml.syntax": (ERROR, "A file is one YAML document."),
    "yaml.duplicate_key": (ERROR, "No key stands twice in one map."),
    "yaml.limit": (ERROR, "A document keeps to the limits on depth and size, aliases written out."),
    "yaml.alias": (ERROR, "An alias does not lie inside what it stands for."),
    "yaml.tag": (ERROR, "Only YAML's own tags for text, numbers, booleans, null, lists, maps and binary are used."),
    "version.missing": (ERROR, "A document states tosca_definitions_version."),
    "version.unknown": (ERROR, "tosca_definitions_version is one that is supported."),
    "version.inherited": (WARNING, "An imported file states its version itself (1.x)."),
    "version.first": (ERROR, "tosca_definitions_version is the first key (2.0)."),
    "version.order": (WARNING, "tosca_definitions_version is the first key (1.x)."),
    "key.unknown": (ERROR, "Only keynames of the grammar are used."),
    "key.missing": (ERROR, "Mandatory keynames are there."),
    "key.name": (ERROR, "Names are non-empty strings."),
    "key.conflict": (ERROR, "Keynames that exclude each other do not stand together."),
    "key.deprecated": (WARNING, "Keynames of older versions are not used any more."),
    "key.extension": (WARNING, "Triggers and policies keep to the keynames of the standard (1.x: others are kept as data)."),
    "key.indent": (WARNING, "The content of a named entry is indented below its name (1.x)."),
    "key.shape": (ERROR, "A keyname holds what the grammar wants: text, number, list or map."),
    "name.duplicate": (ERROR, "A name is defined once in its section."),
    "dsl.anchor": (ERROR, "Every DSL definition is an anchored block (2.0)."),
    "import.missing": (ERROR, "What is imported exists."),
    "import.outside": (ERROR, "Imports stay inside the root directory or the archive."),
    "import.network": (ERROR, "Nothing is fetched: an address needs a resolver or mirror that knows it."),
    "import.profile": (ERROR, "An imported profile is known."),
    "import.limit": (ERROR, "Imports keep to the limits on the number of files and on depth."),
    "import.ambiguous": (ERROR, "Two imports do not bring different definitions of one name."),
    "import.shadowed": (WARNING, "A file does not define again what it imports."),
    "import.indirect": (WARNING, "A file imports what it uses itself (1.x: what others imported is found too)."),
    "repository.unknown": (ERROR, "A repository that is named is defined."),
    "profile.template": (ERROR, "A file that defines a profile has no service template."),
    "type.unknown": (ERROR, "A type that is named is defined."),
    "type.depth": (ERROR, "No type has more than 100 ancestors."),
    "type.alias": (WARNING, "Primitive types have their TOSCA names."),
    "type.misplaced": (WARNING, "A type stands in the section of its kind (1.x)."),
    "type.cycle": (ERROR, "No type derives from itself."),
    "type.refinement": (ERROR, "A derived type only narrows what it inherits."),
    "type.abstract": (ERROR, "The abstract scalar type is not used itself."),
    "type.scalar": (ERROR, "A scalar type has units, one multiplier of one, and fitting prefixes."),
    "schema.invalid": (ERROR, "Key and entry schemas stand where the type is a collection, keys are strings."),
    "definition.invalid": (ERROR, "A definition keeps to the rules of its kind."),
    "definition.loose": (WARNING, "A definition can be fulfilled by the types that it names."),
    "value.type": (ERROR, "A value has the type of its definition."),
    "value.text": (WARNING, "Text that looks like a number is in quotes (1.x)."),
    "value.constraint": (ERROR, "A value satisfies validation clauses and constraints."),
    "value.required": (ERROR, "Required properties have values."),
    "value.fixed": (ERROR, "A value fixed by a definition is not assigned again."),
    "constraint.invalid": (ERROR, "Constraints and conditions are well formed and fit the type."),
    "property.unknown": (ERROR, "Only defined properties are assigned."),
    "attribute.unknown": (ERROR, "Only defined attributes are assigned."),
    "capability.unknown": (ERROR, "Only defined capabilities are assigned, mapped or named."),
    "requirement.unknown": (ERROR, "Only defined requirements are assigned or mapped."),
    "requirement.target": (ERROR, "A requirement names a node template or node type that exists."),
    "requirement.mismatch": (ERROR, "The named target can fulfil the requirement."),
    "requirement.loose": (WARNING, "The target has the node type that the definition asks for (1.x: the capability decides)."),
    "requirement.numbered": (WARNING, "Further assignments of a requirement have its name (1.x: a number at its end is dropped)."),
    "requirement.implied": (WARNING, "More assignments than one are allowed by stated occurrences (1.x)."),
    "requirement.count": (ERROR, "As many assignments as the definition's range allows."),
    "requirement.relationship": (ERROR, "The relationship type or template exists and fits."),
    "requirement.allocation": (ERROR, "Allocations name numeric properties of the target capability."),
    "requirement.ambiguous": (WARNING, "One candidate fits best; others are told."),
    "requirement.limit": (UNDEPLOYABLE, "Targets are found with less than 500,000 comparisons of requirements and nodes."),
    "requirement.internal": (UNDEPLOYABLE, "A requirement restricted to the template has a candidate there."),
    "requirement.capacity": (UNDEPLOYABLE, "The sum of allocations keeps within the capability."),
    "requirement.occurrences": (UNDEPLOYABLE, "Not more relationships reach a capability than it allows."),
    "requirement.unreached": (WARNING, "As many relationships reach a capability as its occurrences ask for (1.x)."),
    "requirement.cycle": (UNDEPLOYABLE, "Nodes do not host or depend on each other in a circle."),
    "interface.unknown": (ERROR, "Only defined interfaces and operations are assigned."),
    "interface.undeclared": (WARNING, "Inputs are given to interfaces that the type declares."),
    "artifact.invalid": (ERROR, "Artifacts have a type, and a file that is in the archive."),
    "function.unknown": (ERROR, "Functions are built in or defined."),
    "function.arguments": (ERROR, "Functions get the arguments that they take."),
    "function.cycle": (ERROR, "No value depends on itself."),
    "function.depth": (ERROR, "Values do not depend on each other over very many steps."),
    "function.path": (ERROR, "What get_property, get_attribute and their like name exists."),
    "function.input": (ERROR, "get_input names an input."),
    "input.unknown": (UNDEPLOYABLE, "Given inputs are defined by the template."),
    "input.missing": (UNDEPLOYABLE, "Required inputs have values when inputs are given."),
    "input.invalid": (UNDEPLOYABLE, "Given inputs satisfy their definitions."),
    "copy.invalid": (ERROR, "copy names a template of the same section that does not copy itself."),
    "directive.unknown": (ERROR, "Directives are those of the standard."),
    "group.invalid": (ERROR, "Members of groups exist and have a permitted type."),
    "policy.invalid": (ERROR, "Targets of policies exist and have a permitted type; triggers are complete."),
    "network.addresses": (UNDEPLOYABLE, "Ranges, gateways, pools and addresses of networks are such, and fit to each other."),
    "workflow.invalid": (ERROR, "Steps of workflows name what exists."),
    "workflow.state": (WARNING, "set_state names a state of the standard (1.x; 2.0 has none of its own)."),
    "workflow.cycle": (UNDEPLOYABLE, "Steps do not follow each other, and workflows do not contain each other, in a circle."),
    "workflow.normative": (UNDEPLOYABLE, "No workflow is called deploy or undeploy: Eve's own go by the nodes and by what is there."),
    "workflow.unknown": (UNDEPLOYABLE, "A workflow that is to be run is defined by the template."),
    "substitution.unmapped": (WARNING, "What fulfils a requirement of a node is used by the template that is put in its place."),
    "substitution.unknown": (UNDEPLOYABLE, "A file is named for a node that is to be substituted."),
    "substitution.invalid": (ERROR, "Substitution mappings name what exists on both sides, with fitting types."),
}

COMPARED = 300  # names that an unknown one is compared with; thousands of both must not cost minutes
EXIT_CODES = {ERROR: 1, UNDEPLOYABLE: 2, UNREADABLE: 3}


class Place(Protocol):
    """Anything with a position: nodes of a document, definitions, assignments. Lines and columns count from one."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Mark:
    """A place of its own."""

    file: str
    line: int = 1
    column: int = 1

    @staticmethod
    def of(place: Place) -> Mark:
        """The position of anything that has one."""
        return place if isinstance(place, Mark) else Mark(place.file, place.line, place.column)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, order=True)
class Problem:
    """One finding: where it is, which rule it breaks, what is wrong, and what to do next."""

    file: str
    line: int
    column: int
    rule: str
    message: str
    mend: str
    severity: str = ERROR  # "error", "undeployable", "unreadable" or "warning"

    def __str__(self) -> str:
        kind = "" if self.severity == ERROR else f"{self.severity}: "
        return f"{self.file}:{self.line}:{self.column}: {kind}{self.message} [{self.rule}] {self.mend}".rstrip()


@dataclass
class Problems:
    """Collects findings of one validation; the same finding is kept once."""

    found: dict[Problem, None] = field(default_factory=dict)

    def add(self, rule: str, place: Place, message: str, mend: str = "") -> None:
        """Note one finding. Raises KeyError for a rule that is not registered."""
        self.found[Problem(place.file, place.line, place.column, rule, message, mend, RULES[rule][0])] = None

    def soften(self, problem: Problem) -> None:
        """Let a finding be a warning."""
        del self.found[problem]
        self.found[replace(problem, severity=WARNING)] = None

    def sorted(self) -> list[Problem]:
        """All findings by file, line, column and rule."""
        return sorted(self.found)


def exit_code(problems: Iterable[Problem]) -> int:
    """0 accepted, 1 not valid, 2 valid but not deployable, 3 unreadable: the gravest, unreadable first."""
    codes = {EXIT_CODES.get(problem.severity, 0) for problem in problems}
    return next((code for code in (3, 1, 2) if code in codes), 0)


def nearest(word: object, known: Iterable[object]) -> str:
    """The mend for an unknown name: the most alike known one, else the known ones (at most twelve)."""
    names = sorted({str(name) for name in islice(known, COMPARED)})
    text = str(word)
    alike = [name for name in names if name[:1].lower() == text[:1].lower() or name[-3:] == text[-3:]]
    if found := difflib.get_close_matches(text, alike, 1, 0.7):
        return f"Did you mean {found[0]}?"
    if not names:
        return "None is defined."
    return f"Known: {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}."
