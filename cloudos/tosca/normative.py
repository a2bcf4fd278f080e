"""The types that versions and profiles bring: those of the TOSCA Simple Profile and its companions, read once.

The definitions are data of the package tosca-parser, read as YAML and never run, with ours (data/simple.yml, data/companions.yml) put
over them where they lack or differ from the standard.
"""

from __future__ import annotations

import importlib.util
import threading
from functools import cache
from importlib import resources
from pathlib import Path

from cloudos.tosca import grammar
from cloudos.tosca.documents import Document, Import
from cloudos.tosca.problems import Mark, Problems
from cloudos.tosca.resolver import Location, Tree
from cloudos.tosca.source import MAP, Node, Source, parse
from cloudos.tosca.typemodel import KINDS
from cloudos.tosca.types import Types

SIMPLE = "elements/TOSCA_definition.yaml"
COMPANIONS = {
    "tosca_simple_profile_for_nfv_1_0_0": "extensions/nfv/TOSCA_nfv_definition_1_0_0.yaml",
    "tosca_simple_profile_for_mec_1_0_0": "extensions/mec/TOSCA_mec_definition_1_0_0.yaml",
}
OVERLAYS = {True: "simple.yml", False: "companions.yml"}
# The Simple Profile by the name under which 2.0 imports it (6.7.2).
PROFILES = {f"org.oasis-open.tosca.simple:{version}" for version in ("1.0", "1.1", "1.2", "1.3", "2.0")}
_lock = threading.Lock()


def documents(version: str) -> list[Document]:
    """What a version imports by itself, or what a profile of that name holds; empty when there is nothing."""
    if version in PROFILES or version.startswith(("tosca_simple_yaml", "http")):
        names: tuple[str, ...] = (SIMPLE,)
    elif version in COMPANIONS:
        names = (SIMPLE, COMPANIONS[version])
    else:
        return []
    with _lock:
        return [_document(name) for name in names]


@cache
def _document(name: str) -> Document:
    """One file of normative types with every type made. Raises RuntimeError when it is not sound, which is our mistake."""
    problems = Problems()
    ours = (resources.files("cloudos.tosca") / "data" / OVERLAYS[name == SIMPLE]).read_text(encoding="utf-8")
    root = _root(_package() / name, problems)
    _overlay(root, parse(ours, Source("(normative)", modern=False), problems), name == SIMPLE)
    document = Document(Location(Tree("(normative)"), name), root.source, grammar.Fields(root, dict(root.pairs())), "", builtin=True)
    for kind in KINDS:
        document.definitions[kind] = dict(document.fields.entries(f"{kind}_types"))
        document.aliases[kind] = _short(kind, document.definitions[kind])
    document.definitions["function"] = {}
    if name != SIMPLE:
        document.imports.append(Import(_document(SIMPLE), None, Mark("(normative)")))
    types = Types(problems)
    for kind in KINDS:
        for key in document.definitions[kind]:
            types.shell(kind, key, document)
    types.complete()
    if wrong := [str(problem) for problem in problems.sorted() if problem.severity != "warning"]:
        raise RuntimeError("normative types are not sound: " + "; ".join(wrong))
    for made in types.made:
        made.finished = True
    document.closure()
    return document


def _package() -> Path:
    found = importlib.util.find_spec("toscaparser")
    if not found or not found.origin:
        raise RuntimeError("package tosca-parser is not installed; `make env` installs it")
    return Path(found.origin).parent


def _root(path: Path, problems: Problems) -> Node:
    root = parse(path.read_bytes(), Source(f"(normative) {path.name}", modern=False), problems)
    if root is None or root.kind != MAP:
        raise RuntimeError(f"{path.name} of tosca-parser cannot be read")
    return root


def _overlay(root: Node, ours: Node | None, whole: bool) -> None:
    """Our definitions in place of those of the same name; `whole`: new ones, too."""
    for section, node in ours.pairs() if ours is not None else ():
        target = root.get(section)
        if target is None:
            continue
        own = {key.text for key, _ in node.items}
        known = {key.text for key, _ in target.items}
        kept = [(key, value) for key, value in target.items if key.text not in own]
        target.items = [*kept, *((key, value) for key, value in node.items if whole or key.text in known)]


def _short(kind: str, names: dict[str, Node]) -> dict[str, str]:
    """Short names: without the prefix of the kind, and the last word alone, where that is no other's."""
    prefixes = {"node": "tosca.nodes.", "data": "tosca.datatypes.", "capability": "tosca.capabilities.",
                "relationship": "tosca.relationships.", "interface": "tosca.interfaces.", "group": "tosca.groups.",
                "policy": "tosca.policies.", "artifact": "tosca.artifacts."}  # fmt: skip
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(name.rsplit(".", 1)[-1], name)
    found.update({name.removeprefix(prefixes[kind]): name for name in names if name.startswith(prefixes[kind])})
    return {short: name for short, name in found.items() if short not in names}
