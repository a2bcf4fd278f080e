"""Which plugins a cloud has: those its inventory names, or of several the first that every node can serve."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from cloudos.model.inventory import Inventory
from cloudos.model.plugin import Plugin, Plugins
from cloudos.model.problems import Report, nearest

Unfit = Callable[[Plugin], list[str]]  # what keeps a plugin from working, a line for each node and reason


@dataclass
class Choice:
    """The plugins of one kind: `chosen` by name, in the inventory's order, and those not taken with the reasons."""

    chosen: list[str] = field(default_factory=list)
    passed_over: dict[str, list[str]] = field(default_factory=dict)
    several: bool = False

    @property
    def shown(self) -> str | list[str]:
        """As expressions see it: the name, or a list where the inventory asks for several side by side."""
        return self.chosen if self.several else "".join(self.chosen)


def choose(inventory: Inventory, plugins: Plugins, unfit: Unfit | None, report: Report) -> dict[str, Choice]:
    """Kind -> choice. What is no plugin is told and left out. Without `unfit` the first of several counts as fitting."""
    return {kind: _one_kind(inventory, kind, said, plugins, unfit, report) for kind, said in inventory.plugins.items()}


def _one_kind(
    inventory: Inventory, kind: str, said: str | list | dict, plugins: Plugins, unfit: Unfit | None, report: Report
) -> Choice:
    if isinstance(said, str):
        return Choice(_known(inventory, plugins, [((kind,), said)], report))
    path = (kind, "first") if isinstance(said, dict) else (kind,)
    listed = said["first"] if isinstance(said, dict) else said
    names = _known(inventory, plugins, [((*path, index), name) for index, name in enumerate(listed)], report)
    if isinstance(said, list):
        return Choice(names, several=True)
    return _first(inventory, kind, names, plugins, unfit, report)


def _first(
    inventory: Inventory, kind: str, names: list[str], plugins: Plugins, unfit: Unfit | None, report: Report
) -> Choice:
    passed_over: dict[str, list[str]] = {}
    for index, name in enumerate(names):
        if not (reasons := unfit(plugins[kind, name]) if unfit else []):
            later = {other: [f"{name} comes before it"] for other in names[index + 1 :]}
            return Choice([name], {**passed_over, **later})
        passed_over[name] = reasons
    if names:  # else each name was told
        told = "; ".join(f"{name}: {', '.join(reasons)}" for name, reasons in passed_over.items())
        report.add(inventory.where("plugins", kind), f"no plugin of kind {kind} in this list fits the nodes: {told}")
    return Choice([], passed_over)


def _known(
    inventory: Inventory, plugins: Plugins, named: list[tuple[tuple[Hashable, ...], str]], report: Report
) -> list[str]:
    """The names that are plugins, each once."""
    names: list[str] = []
    for path, name in named:
        kind = str(path[0])
        kinds = {known for known, _ in plugins}
        if kind not in kinds:
            report.add(inventory.where("plugins", kind), f"{kind} is not a kind of plugin{nearest(kind, kinds)}")
            return []
        if (kind, name) not in plugins:
            hint = nearest(name, [other for known, other in plugins if known == kind])
            report.add(inventory.where("plugins", *path), f"{name} is not a plugin of kind {kind}{hint}")
        elif name in names:
            report.add(inventory.where("plugins", *path), f"{name} stands twice in plugins.{kind}")
        else:
            names.append(name)
    return names
