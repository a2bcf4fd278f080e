"""Which services a cloud has, each merged from its file and the plugins that extend it, dependencies first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cloudos.model.choice import Choice, choose
from cloudos.model.inventory import Inventory
from cloudos.model.merge import extend
from cloudos.model.plugin import Plugin, Plugins
from cloudos.model.problems import Report, nearest
from cloudos.model.release import Release
from cloudos.model.service import Service, Services


@dataclass
class Cloud:
    """What is compiled: `bodies` maps each service, dependencies first, to its merged keys; `secrets` name to spec;
    `choices` tells for each kind of plugin which were chosen, and why the others were not."""

    inventory: Inventory
    release: Release
    services: Services
    chosen: list[Plugin]
    bodies: dict[str, dict]
    secrets: dict[str, dict] = field(default_factory=dict)
    choices: dict[str, Choice] = field(default_factory=dict)

    def database_owners(self) -> dict[str, str]:
        """Database -> the service that has it."""
        return {name: service for service, body in self.bodies.items() for name in body.get("databases", [])}

    def host_of(self, service: str) -> str | None:
        """Address of the first node with a unit of a service."""
        for unit in self.bodies.get(service, {}).get("units", {}).values():
            for group in groups(unit):
                if members := self.inventory.members(group):
                    return self.inventory.nodes[members[0]]["address"]
        return None

    def members(self, on: tuple[str, ...]) -> list[str]:
        """Names of the nodes in any of the groups, group by group."""
        return list(dict.fromkeys(name for group in on for name in self.inventory.members(group)))

    def origin(self, service: str) -> Service:
        return self.services.known[service]


def assemble(
    inventory: Inventory,
    services: Services,
    plugins: Plugins,
    release: Release,
    report: Report,
    unfit: Callable[[Cloud, Plugin], list[str]] | None = None,
) -> Cloud:
    """Choose, merge and order. What cannot be found is told and left out.

    `unfit` gives the reasons why a plugin cannot work in a cloud; it is asked where the inventory names several to
    take the first of, with the cloud as it is without plugins.
    """
    bare = _with_needs(inventory, services, [], Report())
    draft = Cloud(inventory, release, services, [], {name: services.known[name].of(release.series) for name in bare})
    choices = choose(inventory, plugins, (lambda plugin: unfit(draft, plugin)) if unfit else None, report)
    chosen = [plugins[kind, name] for kind, choice in choices.items() for name in choice.chosen]
    names = _with_needs(inventory, services, chosen, report)
    bodies = {name: services.known[name].of(release.series) for name in names}
    for plugin in chosen:
        for service, part in plugin.parts(release.series).items():
            if service in bodies:
                bodies[service] = extend(bodies[service], part)
        if plugin.extends not in bodies:
            where = inventory.where("plugins", plugin.kind)
            report.add(
                where,
                f"plugin {plugin.kind}/{plugin.name} extends {plugin.extends}, which is not in this cloud; "
                "add it to services",
            )
    _kinds(inventory, services, bodies, plugins, report)
    return Cloud(inventory, release, services, chosen, _ordered(bodies), choices=choices)


def groups(entry: dict, default: tuple[str, ...] = ("control",)) -> tuple[str, ...]:
    """The groups of a key `on`."""
    on = entry.get("on") or default
    return (on,) if isinstance(on, str) else tuple(on)


def _with_needs(inventory: Inventory, services: Services, chosen: list[Plugin], report: Report) -> list[str]:
    """The services of the inventory, and the foundations that any of them, or of the plugins that extend it, needs."""
    names: list[str] = []
    for index, name in enumerate(inventory.services):
        where = inventory.where("services", index)
        if name not in services.known:
            report.add(where, f"{name} is not a service{nearest(name, services.known)}")
        elif name in names:
            report.add(where, f"{name} stands twice in services")
        else:
            names.append(name)
    for name in names:  # grows while it is walked
        extending = [plugin for plugin in chosen if plugin.extends == name]
        needs = [
            (need, origin) for origin in (services.known[name], *extending) for need in origin.body.get("needs", [])
        ]
        for need, origin in needs:
            if need in names:
                continue
            if need not in services.known:
                report.add(
                    origin.where("needs"),
                    f"{name} needs {need}, which is not a service{nearest(need, services.known)}",
                )
            elif services.known[need].base:
                names.append(need)
            else:
                where = (
                    inventory.where("services", inventory.services.index(name))
                    if name in inventory.services
                    else inventory.where("services")
                )
                report.add(where, f"{name} needs {need}, which is not in this cloud; add it to services")
    return names


def _kinds(inventory: Inventory, services: Services, bodies: dict[str, dict], plugins: Plugins, report: Report) -> None:
    for name, body in bodies.items():
        for kind in body.get("plugins", []):
            if kind not in inventory.plugins:
                known = (other for found, other in plugins if found == kind)
                report.add(
                    inventory.where("plugins"),
                    f"{name} needs a plugin of kind {kind}; add `{kind}: <name>` to plugins{nearest('', known)}",
                )


def _ordered(bodies: dict[str, dict]) -> dict[str, dict]:
    """Dependencies first; services that need one another stay in the order in which they were named."""
    done: dict[str, dict] = {}
    begun = set()

    def visit(name: str) -> None:
        if name in begun:
            return
        begun.add(name)
        for need in bodies[name].get("needs", []):
            if need in bodies:
                visit(need)
        done[name] = bodies[name]

    for name in bodies:
        visit(name)
    return done
