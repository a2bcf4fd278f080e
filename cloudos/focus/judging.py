"""What a content is, whether it is right, what it names and how it is built: the one place that calls cloudos.tosca."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

from cloudos import tosca
from cloudos.focus import words
from cloudos.tosca.archive import ArchiveLimits, open_archive
from cloudos.tosca.model import Template, plain
from cloudos.tosca.problems import Problems
from cloudos.tosca.resolver import Location, Refused, Resolver, Tree
from cloudos.tosca.source import MAP, Limits, Node, Source, parse

LOG = logging.getLogger(__name__)
LIMITS = Limits(size=16_000_000)
CONTENT_TYPES = {"tosca": "application/yaml", "hot": "application/yaml", "yaml": "application/yaml", "json": "application/json",
                 "xml": "application/xml", "csar": "application/zip", "other": "application/octet-stream"}  # fmt: skip
UNPACKED = ArchiveLimits(size=100_000_000)  # what is held in memory of one archive
MOST_TEXT = 4_000_000  # characters that full text search looks into
MOST_PROBLEMS = 500
TEXTS = (".yaml", ".yml", ".json", ".meta", ".xml", ".md", ".txt", ".sh", ".py", ".j2")


@dataclass
class Judgement:
    """What is known of a content. report: {judge, valid, exit_code, problems}; names: (role, TOSCA name); outline: for diffs."""

    report: dict[str, Any]
    names: set[tuple[str, str]] = field(default_factory=set)
    outline: dict[str, Any] | None = None

    @property
    def valid(self) -> bool:
        """Whether no error was found."""
        return self.report["valid"]


@dataclass
class Examined:
    """All that is known of a content. `words`: for full text search."""

    format: str
    judgement: Judgement
    words: str = ""

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        found = self.judgement
        return {"format": self.format, "words": self.words, "report": found.report, "names": sorted(found.names), "outline": found.outline}

    @classmethod
    def of(cls, data: dict[str, Any]) -> Examined:
        """From what plain() gave."""
        names = {(role, name) for role, name in data["names"]}
        return cls(data["format"], Judgement(data["report"], names, data["outline"]), data["words"])


def examine(content: bytes, name: str, resolver: Resolver) -> Examined:
    """Everything at once. Raises Refused for an archive that is not safe."""
    kind = format_of(content)
    found = judge(content, kind, name, resolver)
    found.names = {(role, one) for role, one in found.names | defined(content, kind) if len(one) <= 255}
    return Examined(kind, found, words.words_of(text_of(content, kind) or ""))


def not_examined(content: bytes, name: str, why: str) -> Examined:
    """What can be told of a content that could not be examined: its format by its first look, and the reason."""
    told = f"not validated: {why}"
    kind = "csar" if content[:2] == b"PK" else "tosca" if b"tosca_definitions_version" in content else "other"
    problem = _problem(name, 1, 1, "judge.limit", "unreadable", told, "Make it smaller, or ask the operator for other limits.")
    return Examined(kind, _report(told, [problem], 3))


class Alone(Tree):
    """The one file of a document, under the document's name."""

    def __init__(self, name: str, content: bytes):
        super().__init__("")
        self._name, self._content = name, content

    def exists(self, name: str) -> bool:
        """Whether it is the file."""
        return name == self._name

    def names(self) -> Any:
        """Its name."""
        return iter([self._name])

    def read(self, name: str, limit: int) -> bytes:
        """Its content."""
        if name != self._name or len(self._content) > limit:
            raise Refused("import.missing" if name != self._name else "file.too_large", f"{name} cannot be had", "Store it in Focus.")
        return self._content


def format_of(content: bytes) -> str:
    """tosca, csar, hot, yaml, json, xml or other, from the content itself. Raises Refused for an archive that is not safe."""
    if content[:2] in (b"PK", b"\x1f\x8b", b"BZ", b"\xfd7") or content[257:262] == b"ustar":
        with _File(content) as path:
            return "csar" if open_archive(path) else "other"
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "other"
    start = text.lstrip()[:1]
    if start == "<":
        return "xml"
    if start in ("{", "["):
        return "json"
    root = parse(content, Source("content", modern=False), Problems(), LIMITS)
    keys = {key for key, _ in root.pairs()} if root is not None and root.kind == MAP else set()
    if "tosca_definitions_version" in keys or "tosca_definitions_version" in text:
        return "tosca"
    return "hot" if "heat_template_version" in keys else "yaml"


def text_of(content: bytes, format: str) -> str | None:
    """What full text search looks into, at most MOST_TEXT characters; of an archive, its text files."""
    if format == "other":
        return None
    if format != "csar":
        return content.decode("utf-8-sig", "replace")[:MOST_TEXT]
    return "\n".join(f"{name}\n{text}" for name, text in files_of(content).items() if text is not None)[:MOST_TEXT]


def files_of(content: bytes) -> dict[str, str | None]:
    """Name -> text of the files of an archive, None for those that are no text. Raises Refused."""
    with _File(content) as path:
        tree = open_archive(path, UNPACKED)
        found: dict[str, str | None] = {}
        for name in tree.names():
            found[name] = _text(tree.read(name, LIMITS.size)) if name.endswith(TEXTS) else None
        return found


def unpacked(content: bytes) -> tuple[dict[str, bytes], str | None]:
    """(name -> content of an archive's files, its entry definitions or None where these are not clear). Raises Refused for too much."""
    with _File(content) as path:
        tree = open_archive(path, UNPACKED)
        files = {name: tree.read(name, UNPACKED.size) for name in tree.names()}
        try:
            return files, tree.entry()
        except Refused:
            return files, None


def judge(content: bytes, format: str, name: str, resolver: Resolver) -> Judgement:
    """Judge a content; `name` is what problems show as the file. A mistake of the judge is told as such, and never lost."""
    try:
        return _judged(content, format, name, resolver)
    except MemoryError:
        raise
    except Exception:
        LOG.exception("The judge failed on %s (sha256 %s)", name, hashlib.sha256(content).hexdigest())
        message = "the judge itself failed on this content; the service's log has its traceback"
        return _report("cloudos.tosca", [_problem(name, 1, 1, "judge.failed", "unreadable", message, "Report it with the content.")], 3)


def _judged(content: bytes, format: str, name: str, resolver: Resolver) -> Judgement:
    if format == "tosca":
        return _template(tosca.load(Location(Alone(name, content), name), resolver=resolver, limits=LIMITS), name)
    if format == "csar":
        with _File(content) as path:
            return _archive(path, name, resolver)
    if format == "xml":
        return _report("XML syntax only", _xml(content, name))
    if format == "json":
        return _json(content, name)
    if format in ("hot", "yaml"):
        return _yaml(content, format, name)
    return _report("nothing: the format is not known", [])


def _archive(path: Path, name: str, resolver: Resolver) -> Judgement:
    try:
        tree = open_archive(path)
        tree.shown = name
        report = tosca.load(Location(tree, tree.entry()), resolver=resolver, limits=LIMITS)
    except Refused as refused:
        return _report("cloudos.tosca", [_problem(name, 1, 1, refused.rule, "unreadable", refused.message, refused.mend)], 3)
    return _template(report, name)


def _template(report: tosca.Report, name: str) -> Judgement:
    problems = [_problem(one.file, one.line, one.column, one.rule, one.severity, one.message, one.mend) for one in report.problems]
    found = _report("cloudos.tosca", problems, report.exit_code)
    if report.template is not None:
        found.names = _names(report.template)
        found.outline = outline(report.template)
    return found


def _names(template: Template) -> set[tuple[str, str]]:
    """Types that the template uses; those that its own document defines."""
    used = {("uses", node.type.name) for node in template.nodes.values()}
    used |= {("uses", policy.type.name) for policy in template.policies.values() if policy.type}
    return used


def defined(content: bytes, format: str) -> set[tuple[str, str]]:
    """Types that a document defines, and the profile that it is, read from its text alone.

    Collections of types without a version, as the normative ones come, count as well.
    """
    if format not in ("tosca", "yaml"):
        return set()
    root = parse(content, Source("content", modern=False), Problems(), LIMITS)
    found: set[tuple[str, str]] = set()
    for key, node in root.pairs() if root is not None and root.kind == MAP else ():
        if key.endswith("_types") and node.kind == MAP:
            found |= {("defines", name) for name, _ in node.pairs()}
        elif key == "profile" and isinstance(node.value, str):
            found.add(("profile", node.value))
    return {(role, name) for role, name in found if len(name) <= 255}


def outline(template: Template) -> dict[str, Any]:
    """The template as comparable data: section -> name -> facts."""

    def values(found: dict[str, Any]) -> dict[str, Any]:
        return {key: plain(value.value) for key, value in found.items() if value.assigned}

    nodes = {node.name: {"type": node.type.name, "properties": values(node.properties), "count": plain(node.count),
                         "capabilities": {name: kept for name, one in node.capabilities.items() if (kept := values(one.properties))},
                         "directives": node.directives} for node in template.nodes.values()}  # fmt: skip
    links = {f"{node.name}.{one.name}{f'[{number}]' if number else ''}": {
        "target": one.target.name if one.target else one.node_name, "capability": one.target_capability,
        "type": one.relationship.type.name if one.relationship and one.relationship.type else None,
        "properties": values(one.relationship.properties) if one.relationship else {}}
        for node in template.nodes.values() for number, one in _numbered(node.requirements) if one.assigned}  # fmt: skip
    return {
        "nodes": nodes, "relationships": links,
        "inputs": {name: {"type": one.schema.type.name if one.schema and one.schema.type else None, "required": one.required}
                   for name, one in template.definitions.items()},
        "outputs": {name: plain(one.value) for name, one in template.outputs.items()},
        "groups": {one.name: {"type": one.type.name, "members": one.members, "properties": values(one.properties)}
                   for one in template.groups.values()},
        "policies": {one.name: {"type": one.type.name, "targets": one.targets, "properties": values(one.properties)}
                     for one in template.policies.values()},
        "workflows": {name: sorted(one.steps) for name, one in template.workflows.items()},
    }  # fmt: skip


def _numbered(requirements: list[Any]) -> list[tuple[int, Any]]:
    """Several assignments of one requirement are told apart by their number among them."""
    seen: dict[str, int] = {}
    found = []
    for one in requirements:
        found.append((seen.get(one.name, 0), one))
        seen[one.name] = seen.get(one.name, 0) + 1
    return found


def _yaml(content: bytes, format: str, name: str) -> Judgement:
    problems = Problems()
    root = parse(content, Source(name, modern=False), problems, LIMITS)
    told = [_problem(one.file, one.line, one.column, one.rule, one.severity, one.message, one.mend) for one in problems.sorted()]
    found = _report("YAML syntax only; HOT is judged by Heat" if format == "hot" else "YAML syntax only", told)
    if isinstance(root, Node) and found.valid:
        data = json.loads(json.dumps(root.data(), default=str))
        found.outline = data if isinstance(data, dict) else {"document": data}
    return found


def _json(content: bytes, name: str) -> Judgement:
    try:
        data = json.loads(content)
    except json.JSONDecodeError as error:
        problem = _problem(name, error.lineno, error.colno, "json.syntax", "error", error.msg, "Correct the syntax.")
        return _report("JSON syntax only", [problem])
    except (RecursionError, UnicodeDecodeError) as error:
        return _report("JSON syntax only", [_problem(name, 1, 1, "json.syntax", "error", str(error), "Correct the syntax.")])
    found = _report("JSON syntax only", [])
    found.outline = data if isinstance(data, dict) else {"document": data}
    return found


def _xml(content: bytes, name: str) -> list[dict[str, Any]]:
    """Problems of an XML document. Entities are refused: they are what makes XML dangerous, and documents need none."""
    parser = expat.ParserCreate()

    def entity(*_: Any) -> None:
        raise ValueError("it defines entities")

    parser.EntityDeclHandler = entity
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        return [_problem(name, error.lineno, error.offset + 1, "xml.syntax", "error", expat.ErrorString(error.code), "Correct the syntax.")]
    except ValueError as error:
        line, column = parser.CurrentLineNumber, parser.CurrentColumnNumber + 1
        return [_problem(name, line, column, "xml.entity", "error", str(error), "Write them out.")]
    return []


def _problem(file: str, line: int, column: int, rule: str, severity: str, message: str, mend: str) -> dict[str, Any]:
    return {"file": file, "line": line, "column": column, "rule": rule, "severity": severity, "message": message, "mend": mend}


def _report(judge: str, problems: list[dict[str, Any]], exit_code: int | None = None) -> Judgement:
    wrong = [one for one in problems if one["severity"] in ("error", "unreadable")]
    code = exit_code if exit_code is not None else int(bool(wrong))
    return Judgement({"judge": judge, "valid": not wrong, "exit_code": code, "count": len(problems), "errors": len(wrong),
                      "problems": problems[:MOST_PROBLEMS]})  # fmt: skip


def _text(content: bytes) -> str | None:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


class _File:
    """The content as a file, as archives are read from files."""

    def __init__(self, content: bytes):
        self._file = tempfile.NamedTemporaryFile(prefix="focus-", suffix=".csar")  # noqa: SIM115 - closed on exit
        self._file.write(content)
        self._file.flush()

    def __enter__(self) -> Path:
        return Path(self._file.name)

    def __exit__(self, *_: Any) -> None:
        self._file.close()
