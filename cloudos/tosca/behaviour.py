"""Definitions of what is done: interfaces and operations, the artifacts that implement them, triggers of policies."""

from __future__ import annotations

import posixpath
from typing import Any

from cloudos.tosca import grammar
from cloudos.tosca.documents import Document, Names
from cloudos.tosca.problems import Mark, nearest
from cloudos.tosca.source import LIST, MAP, Node
from cloudos.tosca.typemodel import Artifact, Implementation, Interface, Operation, Trigger

NAMED_INTERFACES = {
    "Standard": "tosca.interfaces.node.lifecycle.Standard",
    "Configure": "tosca.interfaces.relationship.Configure",
}
Entries = list[tuple[str, Node]]


class Behaviour:
    """Makes interfaces, operations, artifacts and triggers; `properties` is definitions.Definitions' own."""

    def __init__(self, types: Names):
        self.types, self.problems = types, types.problems
        self.artifacts: list[Artifact] = []

    def properties(self, entries: Entries, inherited: dict, document: Document, entity: str) -> dict:
        """Definitions of parameters by name."""
        raise NotImplementedError

    # Interfaces

    def interfaces(self, entries: Entries, inherited: dict[str, Interface], document: Document) -> dict[str, Interface]:
        """Interfaces by name: inherited, refined and new ones, each on top of its interface type."""
        found = dict(inherited)
        for name, node in entries:
            found[name] = self._interface(name, node, inherited.get(name), document)
        return found

    def _interface(self, name: str, node: Node, above: Interface | None, document: Document) -> Interface:
        fields = grammar.read("interface", node, self.problems)
        kind = above.type if above else None
        wanted = fields.text("type") or (None if above or document.modern else NAMED_INTERFACES.get(name, name))
        if wanted:
            kind = self.types.fill(self.types.get("interface", wanted, document, fields.get("type") or node.place))
            if kind and above and above.type and not kind.is_a(above.type):
                self.problems.add(
                    "type.refinement", fields["type"], f"{kind.name} does not derive from {above.type.name}", "Only narrow it."
                )
        elif not above:
            self.problems.add("key.missing", node.place, f"interface {name} lacks type", "Add type.")
        made = Interface(name, Mark.of(node.place), kind)
        base = {**(kind.inputs if kind else {}), **(above.inputs if above else {})}
        made.inputs = self.properties(fields.entries("inputs"), base, document, "parameter")
        for section in ("operations", "notifications"):
            known = {**(getattr(kind, section) if kind else {}), **(getattr(above, section) if above else {})}
            for key, part in fields.entries(section):
                if kind and key not in known:
                    message = f"interface {name} ({kind.name}) has no {section[:-1]} {key}"
                    self.problems.add("interface.unknown", part.place, message, nearest(key, known))
                known[key] = self.operation(key, part, known.get(key), document)
            setattr(made, section, known)
        return made

    def operation(self, name: str, node: Node, above: Operation | None, document: Document, bare: bool = False) -> Operation:
        """An operation or notification; `bare`: of an interface type, which must not say how (2.0)."""
        fields = grammar.read("operation", node, self.problems)
        made = Operation(name, Mark.of(node.place))
        made.inputs = self.properties(fields.entries("inputs"), above.inputs if above else {}, document, "parameter")
        made.values = dict(above.values) if above else {}
        made.outputs = {**(above.outputs if above else {}), **dict(fields.entries("outputs"))}
        made.implementation = above.implementation if above else None
        if (node := fields.get("implementation")) is not None and not node.empty:
            if bare:
                self.problems.add(
                    "definition.invalid", node.place, "an interface type implements an operation", "Implement it in a node type."
                )
            made.implementation = self.implementation(node, document)
        return made

    def implementation(self, node: Node, document: Document) -> Implementation:
        """Artifacts of an implementation."""
        if node.kind == MAP and node.get("file") is not None:
            return Implementation(Mark.of(node), self.artifact("primary", node, document, loose=True))
        fields = grammar.read("implementation", node, self.problems)
        made = Implementation(Mark.of(node), host=fields.text("operation_host"), timeout=fields.data("timeout"))
        if (primary := fields.get("primary")) is not None:
            made.primary = self.artifact("primary", primary, document, loose=True)
        dependencies = fields.get("dependencies")
        parts = dependencies.value if dependencies is not None and dependencies.kind == LIST else ()
        made.dependencies = [self.artifact(str(index), part, document, loose=True) for index, part in enumerate(parts)]
        return made

    # Artifacts and triggers

    def artifact(self, name: str, node: Node, document: Document, loose: bool = False) -> Artifact:
        """An artifact; `loose`: in an implementation, where a name of a file or of an artifact of the node may stand."""
        fields = grammar.read("artifact", node, self.problems)
        made = Artifact(name, Mark.of(node.place), document=document)
        self.artifacts.append(made)
        made.file = fields.text("file") or ""
        made.checksum, made.checksum_algorithm = fields.text("checksum"), fields.text("checksum_algorithm")
        made.properties = dict(fields.entries("properties"))
        if "type" in fields:
            made.type = self.types.fill(self.types.get("artifact", fields.text("type") or "", document, fields["type"]))
        else:
            made.type = self._by_extension(made.file, document)
            if not loose and document.modern and (node.kind == MAP or made.type is None):
                self.problems.add("key.missing", node.place, f"artifact {name} lacks type", "Add type.")
        if not made.file and ("file" in fields or fields.absent("file")):
            self.problems.add("key.missing", node.place, f"artifact {name} lacks file", "Add file.")
        if made.checksum and fields.absent("checksum_algorithm") and document.modern:
            self.problems.add("key.missing", fields["checksum"].place, "checksum without checksum_algorithm", "Add checksum_algorithm.")
        if repository := fields.get("repository"):
            made.repository = str(repository.value)
            if document.repository(made.repository) is None:
                self.problems.add("repository.unknown", repository, f"repository {made.repository} is not defined", "Define it.")
        return made

    def _by_extension(self, file: str, document: Document) -> Any:
        extension = posixpath.splitext(file)[1].lstrip(".")
        for _, one in document.closure() if extension else ():
            for name in one.definitions["artifact"]:
                made = self.types.fill(self.types.shell("artifact", name, one))
                if extension in (made.extensions if made else ()):
                    return made
        return None

    def triggers(self, entries: Entries) -> dict[str, Trigger]:
        """Triggers by name."""
        found = {}
        for name, node in entries:
            fields = grammar.read("trigger", node, self.problems)
            event = fields.data("event") or fields.data("event_type")
            made = Trigger(name, Mark.of(node.place), event, fields.data("condition"), node=node)
            action = fields.data("action")
            made.action = action if isinstance(action, list) else [action] if action is not None else []
            shown = {"event", "event_type", "condition", "action", "description", "metadata"}
            made.other = {key: part.data() for key, part in fields.items() if key not in shown}
            missing = [key for key in ("event", "action") if node.source.modern and key not in fields]
            if missing:
                self.problems.add("key.missing", node.place, f"trigger {name} lacks {' and '.join(missing)}", f"Add {missing[0]}.")
            found[name] = made
        return found
