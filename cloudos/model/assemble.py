"""Which services a cloud has, each merged from its file and the plugins that extend it, dependencies first."""

from __future__ import annotations

from dataclasses import dataclass, field

from cloudos.model.inventory import Inventory
from cloudos.model.merge import extend
from cloudos.model.plugin import Plugin, Plugins
from cloudos.model.problems import Report, nearest
from cloudos.model.release import Release
from cloudos.model.service import Service, Services


@dataclass
class Cloud:
    """What is compiled: `bodies` maps each service, dependencies first, to its merged keys; `secrets` name to spec."""

    inventory: Inventory
    release: Release
    services: Services
    chosen: list[Plugin]
    bodies: dict[str, dict]
    secrets: dict[str, dict] = field(default_factory=dict)

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


def assemble(inventory: Inventory, services: Services, plugins: Plugins, release: Release, report: Report) -> Cloud:
    """Choose, merge and order. What cannot be found is told and left out."""
    chosen = _plugins(inventory, plugins, report)
    names = _with_needs(inventory, services, report)
    bodies = {name: services.known[name].of(release.series) for name in names}
    for plugin in chosen:
        if plugin.extends in bodies:
            bodies[plugin.extends] = extend(bodies[plugin.extends], plugin.of(release.series))
        else:
            where = inventory.where("plugins", plugin.kind)
            report.add(
                where,
                f"plugin {plugin.kind}/{plugin.name} extends {plugin.extends}, which is not in this cloud; "
                "add it to services",
            )
    _kinds(inventory, services, bodies, plugins, report)
    return Cloud(inventory, release, services, chosen, _ordered(bodies))


def groups(entry: dict, default: tuple[str, ...] = ("control",)) -> tuple[str, ...]:
    """The groups of a key `on`."""
    on = entry.get("on") or default
    return (on,) if isinstance(on, str) else tuple(on)


def _plugins(inventory: Inventory, plugins: Plugins, report: Report) -> list[Plugin]:
    chosen = []
    for kind, name in inventory.plugins.items():
        if (kind, name) in plugins:
            chosen.append(plugins[kind, name])
            continue
        kinds = {known for known, _ in plugins}
        if kind in kinds:
            names = [other for known, other in plugins if known == kind]
            message = f"{name} is not a plugin of kind {kind}{nearest(name, names)}"
        else:
            message = f"{kind} is not a kind of plugin{nearest(kind, kinds)}"
        report.add(inventory.where("plugins", kind), message)
    return chosen


def _with_needs(inventory: Inventory, services: Services, report: Report) -> list[str]:
    """The services of the inventory, and the foundations that any of them needs."""
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
        for need in services.known[name].body.get("needs", []):
            if need in names:
                continue
            if need not in services.known:
                report.add(
                    services.known[name].where("needs"),
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
