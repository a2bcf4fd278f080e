"""How many instances each node of a template has and may have: its own number, or that of the node with which it goes along."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

from cloudos.eve.compiler.expressions import evaluate
from cloudos.eve.compiler.instances import Compilation, Instance
from cloudos.eve.compiler.policies import governing
from cloudos.tosca.model import NodeTemplate


class Counts:
    """The numbers of one compilation. `asked`: node -> how many are wanted now."""

    def __init__(self, compiler: Compilation, asked: Mapping[str, int]):
        self.compiler, self.asked = compiler, asked

    @functools.cache  # noqa: B019 - they live as long as one compilation
    def leader_of(self, node: NodeTemplate) -> NodeTemplate:
        """The node whose number of instances this node shares."""
        seen = [node]
        while (following := self._followed(seen[-1])) and following not in seen:
            seen.append(following)
        return seen[-1]

    def _followed(self, node: NodeTemplate) -> NodeTemplate | None:
        if host := self.compiler.host_of(node):
            return host
        follows = self.compiler.entry_of(node).get("follows") or {}
        if "target" in follows:
            return next((one.target for one in self.compiler.links_from(node) if one.requirement == follows["target"]), None)
        if "source" in follows:
            kind = follows["source"]
            sources = [one.source for one in self.compiler.links_to(node)
                       if one.type and any(level.name == kind for level in one.type.lineage)]  # fmt: skip
            return sources[0] if len(sources) == 1 else None
        return None

    @functools.cache  # noqa: B019
    def of(self, node: NodeTemplate) -> dict[str, Any]:
        """{"count", "min", "max"} of a node's instances."""
        leader = self.leader_of(node)
        limits = self._limits(leader)
        default = limits.get("count", limits.get("min", leader.count))
        default = default if isinstance(default, int) else 1
        least, most = limits.get("min", 0 if limits else default), limits.get("max", None if "min" in limits else default)
        wanted = self.asked.get(leader.name, default)
        if most is not None and least > most:
            message = f"{leader.name} may have at least {least} instances and at most {most}"
            self.compiler.problem(leader, message, "Correct the limits in the template.")
        elif not (least <= wanted and (most is None or wanted <= most)):
            bounds = f"{least} or more" if most is None else f"{least} to {most}"
            message = f"{wanted} instances of {leader.name} are asked for; it may have {bounds}"
            self.compiler.problem(leader, message, "Ask for a number between, or change the limits in the template.")
        return {"count": wanted, "min": limits.get("min", default), "max": most}

    def _limits(self, node: NodeTemplate) -> dict[str, int]:
        """What mapping and policies say of the number of instances."""
        policies, mapping = governing(self.compiler.template, node), self.compiler.pool_of(node).mapping
        for policy in policies:
            if "scale" in (entry := mapping.of("policies", policy.type.lineage) or {}):
                return self._numbers(entry["scale"], {
                    "properties": self.compiler.plain(policy.properties),
                    "on": lambda kind: self._policy_properties(kind, policies),
                    "all": lambda kind: self._policy_properties(kind, self.compiler.template.policies.values()),
                })  # fmt: skip
        scale = self.compiler.entry_of(node).get("scale") or {}
        if not scale or node.count != 1:
            return {}
        one = Instance(self.compiler, node, 0)
        return self._numbers(scale, {"properties": one.properties, "capabilities": one.capabilities})

    @staticmethod
    def _numbers(scale: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, int]:
        """The limits as numbers; UNBOUNDED is none."""
        return {key: int(value) for key, value in evaluate(scale, context).items() if str(value).isdigit()}

    def _policy_properties(self, kind: str, policies: Iterable[Any]) -> list[dict]:
        """Properties of those of the policies that are of a type."""
        return [self.compiler.plain(one.properties) for one in policies if any(level.name == kind for level in one.type.lineage)]

    def is_scalable(self, node: NodeTemplate) -> bool:
        """Whether a number of instances is its own and may be another than one."""
        count = self.of(node)
        return self.leader_of(node) is node and (count["max"] != count["min"] or count["count"] != 1)

    def note_unheeded(self) -> None:
        """Tell the numbers that were asked for nodes which have no number of their own."""
        for node in filter(None, map(self.compiler.template.nodes.get, self.asked)):
            leader, number, there = self.leader_of(node), self.asked[node.name], self.of(node)["count"]
            if leader is not node and number != there:
                self.compiler.note(f"node {node.name}", f"{number} instances are asked for, and it goes along with {leader.name}, of which "
                                   f"there are {there}; ask for that many of {leader.name}")  # fmt: skip
