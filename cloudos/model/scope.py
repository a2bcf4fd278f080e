"""What the parts of one node's plan have in common: the node, the services on it, and what is meant for its groups."""

from __future__ import annotations

from typing import Any

from cloudos.model.assemble import Cloud, groups
from cloudos.model.configuration import Configuration


class Scope:
    """One node (a `context.Named` with address, groups, facts) of a cloud; `bodies` are the services on it."""

    def __init__(self, cloud: Cloud, configuration: Configuration, node: Any):
        self.cloud, self.configuration, self.node = cloud, configuration, node
        self.groups = {*node.groups, "all"}
        self.bodies = {name: body for name, body in cloud.bodies.items() if self._has(name, body)}

    def value(self, value: Any, service: str) -> Any:
        """A value of a service's file, evaluated for the node; None where that is impossible, which is reported."""
        return self.configuration.value(value, service, self.node)

    def on(self, entry: dict | None, service: str, default: tuple[str, ...] = ("control",)) -> bool:
        """Whether an entry with the keys `on` and `when` is meant for the node."""
        entry = entry or {}
        if not self.groups.intersection(groups(entry, default)):
            return False
        return bool(self.value(entry["when"], service)) if "when" in entry else True

    def _has(self, service: str, body: dict) -> bool:
        parts = [*body.get("units", {}).values(), *(file for file in body.get("files", {}).values() if "on" in file)]
        wanted = {group for part in parts for group in groups(part)} or {"all"}
        if not self.groups & wanted:
            return False
        return bool(self.value(body["when"], service)) if "when" in body else True


def unit_groups(body: dict) -> tuple[str, ...]:
    """The groups of a service's units, which its files and operations are for unless they say otherwise."""
    found = dict.fromkeys(group for unit in body.get("units", {}).values() for group in groups(unit))
    return tuple(found) or ("all",)
