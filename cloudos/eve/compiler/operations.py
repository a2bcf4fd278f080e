"""Operations of nodes and relationships in the standard order of their lifecycle, as resources of kind `operation`.

Arguments of an operation: `hosts` (server's resource -> how to log in: address and user; none: the machine that runs Eve),
`operation`, `how` (see `how` and `roles_of`), `inputs`, `outputs` (names), `timeout`, and `undo`: what is run instead when it goes.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cloudos.eve.compiler.instances import Compilation, Instance, Link
from cloudos.eve.graph import OPERATION, Resource

if TYPE_CHECKING:
    from cloudos.tosca.typemodel import Interface, Operation

BEFORE_CONFIGURE = (("pre_configure_source", "source"), ("pre_configure_target", "target"))
AFTER_CONFIGURE = (("post_configure_source", "source"), ("post_configure_target", "target"))
AFTER_START = (("add_target", "source"), ("add_source", "target"), ("target_changed", "source"))
UNDO = {"create": "delete", "start": "stop", "add_target": "remove_target", "add_source": "remove_source"}
ANSIBLE = (".yml", ".yaml")
ORCHESTRATOR = "ORCHESTRATOR"
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")  # of Ansible and of shells


def add(compiler: Compilation) -> None:
    """Add the operations of all nodes to the compiler's resources."""
    ends: dict[str, list[str]] = {}  # instance -> names of its last operations
    for node in sorted(compiler.template.nodes.values(), key=_Depth(compiler)):
        for instance in compiler.instances(node):
            ends[instance.name] = _Lifecycle(compiler, instance, ends).add()


class _Depth:
    """Sorts nodes so that what a node requires comes before it; a circle is cut where it is met."""

    def __init__(self, compiler: Compilation):
        self.known: dict[str, int] = {}
        self.targets: dict[str, list[Any]] = {}
        for link in compiler.relationships:
            self.targets.setdefault(link.source.name, []).append(link.target)

    def __call__(self, node: Any) -> int:
        open_nodes = [node]
        while open_nodes:
            one = open_nodes[-1]
            below = self.targets.get(one.name, [])
            ahead = [target for target in below if target.name not in self.known and target not in open_nodes]
            if ahead:
                open_nodes.append(ahead[0])
                continue
            self.known[one.name] = 1 + max((self.known.get(target.name, 0) for target in below), default=0)
            open_nodes.pop()
        return self.known[node.name]


class _Lifecycle:
    """The operations of one instance, one after another."""

    def __init__(self, compiler: Compilation, instance: Instance, ends: Mapping[str, list[str]]):
        self.compiler, self.instance = compiler, instance
        self.links = [link for link in compiler.outgoing(instance) if link.entry.get("order") != "before"]
        self.before = {name for link in self.links for name in ends.get(link.target.name, ())}
        self.last: list[str] = []

    def add(self) -> list[str]:
        """Names of the last operations, or of those that come before when there is none."""
        standard = standard_of(self.instance.template.interfaces)
        own = self.instance.entry.get("operations") or {}
        self._own("create", standard, own)
        self._relations(BEFORE_CONFIGURE)
        self._own("configure", standard, own)
        self._relations(AFTER_CONFIGURE)
        self._own("start", standard, own)
        self._relations(AFTER_START)
        return self.last or sorted(self.before)

    def _own(self, name: str, standard: Mapping[str, Operation], own: Mapping[str, Any]) -> None:
        run = self._call(standard.get(name), own.get(name), self.instance)
        undo_name = UNDO.get(name) if name != "create" or self._has("delete", standard, own) else None
        undo = self._call(standard.get(undo_name), own.get(undo_name), self.instance) if undo_name else None
        if run or undo:
            self._add(f"{self.instance.name}:{name}", name, self.instance, run, undo, undo_name)

    @staticmethod
    def _has(name: str, standard: Mapping[str, Operation], own: Mapping[str, Any]) -> bool:
        return name in own or implemented(standard.get(name))

    def _relations(self, steps: Iterable[tuple[str, str]]) -> None:
        for name, side in steps:
            for link in self.links:
                found = standard_of(link.relationship.interfaces)
                place = link.source if side == "source" else link.target
                undo_name = UNDO.get(name, "")
                run, undo = self._call(found.get(name), None, place, link), self._call(found.get(undo_name), None, place, link)
                if run or undo:
                    self._add(f"{link.source.name}:{link.requirement}:{link.target.name}:{name}", name, place, run, undo, undo_name)

    def _call(self, operation: Operation | None, own: Mapping[str, Any] | None, place: Instance, link: Link | None = None) -> dict | None:
        return call(operation, own, self.instance, self.compiler.values(operation.values, self.instance, link) if operation else {})

    def _add(self, name: str, operation: str, place: Instance, run: dict | None, undo: dict | None, undo_name: str | None) -> None:
        hosts, needs = ({}, set()) if (run or undo or {}).get("here") else hosts_of(self.compiler, place)
        call = {key: value for key, value in (run or {}).items() if value and key != "here"}
        data: dict[str, Any] = {"operation": operation, "hosts": hosts, **call}
        if undo:
            data["undo"] = {"operation": undo_name, **{key: value for key, value in undo.items() if value and key != "here"}}
        before = {*needs, *(self.last or self.before)}
        self.compiler.resources[name] = Resource(
            name, OPERATION, self.instance.template.name, "", data, tuple(sorted(before - {name})), False, self.instance.index
        )
        self.last = [name]


def call(operation: Operation | None, own: Mapping[str, Any] | None, instance: Instance, inputs: Mapping[str, Any]) -> dict | None:
    """What is run for an operation of the template, else for the mapping's own one (`own`); None when there is neither."""
    if implemented(operation):
        given = {key: value for key, value in inputs.items() if value is not None}
        if wrong := [name for name in (*given, *operation.outputs) if not VARIABLE.fullmatch(name)]:
            message = f"{', '.join(wrong)} of operation {operation.name} of {instance.name} cannot be the name of a variable"
            instance.compiler.problem(operation, message, "Name inputs and outputs with letters, digits and underscores.")
        return {
            "how": {**how(operation.implementation.primary.file, operation.implementation), **roles_of(instance)},
            "inputs": given, "outputs": sorted(operation.outputs), "timeout": operation.implementation.timeout,
            "here": operation.implementation.host == ORCHESTRATOR,
        }  # fmt: skip
    if own:
        return {"how": {"kind": "role", "name": own["role"]}, "inputs": instance.evaluated(own.get("inputs") or {}),
                "outputs": list(own.get("outputs", ())), "timeout": None, "here": False}  # fmt: skip
    return None


def hosts_of(compiler: Compilation, place: Instance) -> tuple[dict[str, dict], set[str]]:
    """(server's resource -> how to log in, names of all that belongs to the servers) of what an instance is hosted on."""
    found: dict[str, dict] = {}
    belonging: set[str] = set()
    for here in _bottom(compiler, place):
        server = here.own("id")
        found[server["$attribute"][0] if server else here.name] = here.evaluated(here.entry["login"])
        belonging |= compiler.belonging(here)
    return found, belonging


def _bottom(compiler: Compilation, here: Instance) -> list[Instance]:
    """What an instance ends up running on; software may run on several servers."""
    hosts = [link.target for link in compiler.outgoing(here) if link.is_a("tosca.relationships.HostedOn")]
    if not hosts:
        return [here] if here.entry.get("login") else []
    return list(dict.fromkeys(one for host in hosts for one in _bottom(compiler, host)))


def standard_of(interfaces: Mapping[str, Interface]) -> dict[str, Operation]:
    """Operations by name, with the inputs of their interfaces; the normative interfaces, whatever they are called, before others."""
    found: dict[str, Operation] = {}
    for interface in sorted(interfaces.values(), key=lambda one: not _normative(one)):
        for name, operation in interface.operations.items():
            if name not in found or (implemented(operation) and not implemented(found[name])):
                found[name] = replace(operation, values={**interface.values, **operation.values})
    return found


def implemented(operation: Operation | None) -> bool:
    """Whether somebody says how an operation is done. The normative types themselves never do."""
    primary = operation.implementation.primary if operation and operation.implementation else None
    return primary is not None and bool(primary.file) and not getattr(primary.document, "builtin", False)


def _normative(interface: Interface) -> bool:
    return interface.type is not None and any("lifecycle.Standard" in one.name or "Configure" in one.name for one in interface.type.lineage)


def how(file: str, implementation: Any) -> dict[str, Any]:
    """How a file is run: {"kind": "playbook"} for Ansible's files, else {"kind": "script"}, with `file` in the template's tree.

    Whether an Ansible file is a playbook, a list of tasks or a role is seen when the project is written.
    """
    path = path_of(implementation.primary)
    found: dict[str, Any] = {"kind": "ansible" if file.endswith(ANSIBLE) else "script", "file": path}
    if files := [path_of(one) for one in implementation.dependencies]:
        found["dependencies"] = files
    return found


def roles_of(instance: Instance) -> dict[str, list[str]]:
    """{"roles": directories in the template's tree} of the Ansible roles among a node's artifacts; empty where there are none."""
    roles = [one for one in instance.template.artifacts.values() if one.is_role]
    found = sorted({path_of(one if "/" in one.file else replace(one, file=f"/roles/{one.file}")) for one in roles})
    return {"roles": found} if found else {}


def path_of(artifact: Any) -> str:
    """Name of an artifact's file in the template's tree: relative to the document that names it. Addresses stay addresses."""
    if "://" in artifact.file:
        return artifact.file
    location = getattr(artifact.document, "location", None)
    folder = posixpath.dirname(location.name) if location else ""
    if artifact.file.startswith("/"):
        return posixpath.normpath(posixpath.join(location.tree.base if location else "", artifact.file.lstrip("/")))
    return posixpath.normpath(posixpath.join(folder, artifact.file))
