"""Policies: which of them govern a node, and one as the owner of resources."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from cloudos.eve.compiler.instances import Compilation, Owner
from cloudos.eve.provider import Pool
from cloudos.tosca.model import NodeTemplate, Policy, Template


def governing(template: Template, node: NodeTemplate) -> list[Policy]:
    """Policies on a node, also through groups, and through a list `targets` in their properties."""
    found = []
    for policy in template.policies.values():
        listed = policy.properties.get("targets")
        targets = {*policy.targets, *((listed.value or ()) if listed else ())}
        members = {name for one in targets if one in template.groups for name in template.groups[one].members}
        if node.name in targets | members:
            found.append(policy)
    return found


class PolicyView(Owner):
    """A policy in one pool."""

    def __init__(self, compiler: Compilation, policy: Policy, pool: Pool):
        self.compiler, self.policy, self.pool = compiler, policy, pool
        self.name = policy.name
        self.entry = pool.mapping.of("policies", policy.type.lineage) or {}

    def resource_name(self, made: Mapping[str, Any], first: bool) -> str:
        """The policy's name, if the mapping says no other."""
        name = made.get("name", "{policy}").format(policy=self.name)
        return name if self.pool is next(iter(self.compiler.pools.values())) else f"{name}-{self.pool.name}"

    def context(self) -> dict[str, Any]:
        """The names that expressions may use."""
        properties = self.compiler.plain(self.policy.properties)
        note = functools.partial(self.compiler.note, f"policy {self.name}")
        return {"name": self.name, "properties": properties, "pool": self.pool.defaults, "note": note}
