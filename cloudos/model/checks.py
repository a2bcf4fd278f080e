"""Checks across files: groups and how many nodes they need, ports, references, overrides, requirements of plugins."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from cloudos.model import paths
from cloudos.model.assemble import Cloud, groups
from cloudos.model.configuration import Configuration
from cloudos.model.context import catalogs
from cloudos.model.inventory import Inventory
from cloudos.model.overrides import layers
from cloudos.model.plugin import Plugin
from cloudos.model.problems import Report, nearest
from cloudos.model.schemas import GROUPS


def check_groups(inventory: Inventory, report: Report) -> None:
    """Unknown groups, and how many nodes each group must have."""
    for name, node in inventory.nodes.items():
        for index, group in enumerate(node["groups"]):
            if group not in GROUPS:
                report.add(
                    inventory.where("nodes", name, "groups", index), f"{group} is not a group{nearest(group, GROUPS)}"
                )
    if (count := len(inventory.members("control"))) != 1:
        report.add(inventory.where("nodes"), f"{count} nodes are in group control; there must be exactly 1")
    for group in ("network", "compute"):
        if not inventory.members(group):
            report.add(inventory.where("nodes"), f"no node is in group {group}; there must be at least 1")


def check_lab(inventory: Inventory, report: Report) -> None:
    """What kind of machine a lab node is can be said of lab nodes only; what it is made of, of virtual ones."""
    for name, node in inventory.nodes.items():
        given = inventory.origin.data["nodes"][name].get("lab", {})
        if given and not inventory.lab:
            report.add(inventory.where("nodes", name, "lab"), f"{name} is no lab node, because the file lacks lab; add it")
        if node["lab"]["machine"] == "container":
            for key in given.keys() - {"machine"}:
                message = f"{name} is a container, which takes what the host has; leave {key} out, or add machine: virtual"
                report.add(inventory.where("nodes", name, "lab", key), message)


def check_places(cloud: Cloud, report: Report) -> None:
    """Units that no node would run, because no node is in any of their groups."""
    for service, body in cloud.bodies.items():
        for name, unit in body.get("units", {}).items():
            wanted = groups(unit)
            if not cloud.members(wanted) and not {"network", "compute", "control"} & set(wanted):  # told by themselves
                report.add(
                    cloud.inventory.where("nodes"),
                    f"{service} has {name} on group {', '.join(wanted)}, and no node is in it; "
                    f"add {wanted[0]} to the groups of one",
                )


def check_override_names(cloud: Cloud, report: Report) -> None:
    """Groups, nodes, services and files that overrides name."""
    inventory = cloud.inventory
    known = {"groups": GROUPS, "nodes": inventory.nodes}
    for place, services in layers(inventory):
        where = ("overrides", *place)
        if len(place) == 2 and place[1] not in known[place[0]]:
            report.add(
                inventory.where(*where), f"{place[1]} is not a {place[0][:-1]}{nearest(place[1], known[place[0]])}"
            )
        for service, files in services.items():
            if service not in cloud.bodies:
                all_known = cloud.services.known
                message = (
                    f"{service} is not in this cloud; add it to services"
                    if service in all_known
                    else f"{service} is not a service{nearest(service, cloud.bodies)}"
                )
                report.add(inventory.where(*where, service), message)
                continue
            for file, sections in files.items():
                _override_file(cloud, service, file, sections or {}, (*where, service, file), report)


def check_override_values(cloud: Cloud, nodes: dict[str, Any], configuration: Configuration) -> None:
    """Expressions in overrides, also those of nodes and files that are not compiled because of other mistakes."""
    for place, services in layers(cloud.inventory):
        if node := some_node(cloud, nodes, place):
            for service in services.keys() & cloud.bodies.keys():
                configuration.value(services[service], service, node)


def some_node(cloud: Cloud, nodes: dict[str, Any], place: tuple) -> Any:
    """A node that a layer of overrides applies to; None where there is none."""
    if place[0] == "nodes":
        return nodes.get(place[1])
    members = cloud.inventory.members("all" if place[0] == "all" else place[1])
    return nodes[members[0]] if members else None


def _override_file(cloud: Cloud, service: str, file: str, sections: dict, path: tuple, report: Report) -> None:
    where, known = cloud.inventory.where(*path), cloud.bodies[service].get("files", {})
    taking = [name for name, entry in known.items() if entry.get("format") != "text"]
    if file not in known:
        report.add(where, f"{file} is not a file of {service}{nearest(file, taking)}")
    elif file not in taking:
        report.add(where, f"{file} of {service} is plain text without options, and cannot be overridden")
    elif known[file].get("format") == "python":  # sections are headings there: in a strange one a setting came twice
        own = known[file].get("options", {})
        for section in sections.keys() - own.keys():
            message = f"{section} is not a section of {file}{nearest(section, own)}"
            report.add(cloud.inventory.where(*path, section), message)


def check_ports(cloud: Cloud, report: Report) -> None:
    """Two units with the same port, units that the front end cannot reach, and catalog entries without a unit."""
    seen: dict[int, str] = {}
    for service, body in cloud.bodies.items():
        origin = cloud.origin(service)
        for name, unit in body.get("units", {}).items():
            _unit_kind(service, name, unit, origin, report)
            if "port" not in unit:
                continue
            if (port := unit["port"]) in seen:
                report.add(
                    origin.where("units", name, "port"), f"{name} has port {port}, which is that of {seen[port]}"
                )
            seen.setdefault(port, name)
            if "wsgi" in unit and unit.get("tls", True) and "control" not in groups(unit):
                report.add(
                    origin.where("units", name),
                    f"{name} has a port but is not on the control node, where the front end is",
                )
        for unit in (entry["unit"] for entry in catalogs(body)):
            if unit not in body.get("units", {}):
                hint = nearest(unit, body.get("units", {}))
                report.add(origin.where("catalog"), f"the catalog names {unit}, which is not a unit of {service}{hint}")


def _unit_kind(service: str, name: str, unit: dict, origin: Any, report: Report) -> None:
    if len([key for key in ("wsgi", "exec", "distribution") if unit.get(key)]) != 1:
        report.add(
            origin.where("units", name), f"unit {name} of {service} must have exactly one of wsgi, exec, distribution"
        )


def check_inputs(cloud: Cloud, report: Report) -> None:
    """Files that units name must be files of their service, or may come with its configuration data."""
    for service, body in cloud.bodies.items():
        if body.get("config_data"):
            continue
        known = body.get("files", {})
        for name, unit in body.get("units", {}).items():
            for file in unit.get("files", []):
                if file not in known and not file.startswith("/"):
                    report.add(
                        cloud.origin(service).where("units", name, "files"),
                        f"{file} is not a file of {service}{nearest(file, known)}",
                    )


def check_requirements(
    cloud: Cloud, nodes: dict[str, Any], known: set[str], configuration: Configuration, report: Report
) -> None:
    """What plugins require of nodes; of those that nobody has looked at only what the inventory says."""
    for plugin in cloud.chosen:
        for name, message in unmet(cloud, plugin, nodes, configuration, nodes.keys() - known):
            where = cloud.inventory.where("plugins", plugin.kind)
            report.add(where, f"plugin {plugin.kind}/{plugin.name} does not fit node {name}: {message}")


def unmet(
    cloud: Cloud, plugin: Plugin, nodes: dict[str, Any], configuration: Configuration, unknown: Collection[str] = ()
) -> Iterator[tuple[str, str]]:
    """(node, message) of each requirement of a plugin that one of the nodes does not meet; none on facts of unknown ones."""
    if plugin.extends not in cloud.bodies:  # told where the plugins are chosen
        return
    units = plugin.body.get("units", {}).values()
    default = tuple(dict.fromkeys(group for unit in units for group in groups(unit))) or ("all",)
    for requirement in plugin.requirements():
        names = {
            name for group in groups({"on": requirement["on"]}, default) for name in cloud.inventory.members(group)
        }
        if ".facts." in requirement["that"]:
            names -= {*unknown}
        for name in sorted(names & nodes.keys()):
            fits = configuration.value(requirement["that"], plugin.extends, nodes[name])
            if fits is not None and not fits:  # None: the expression is wrong, which is told
                yield name, requirement["message"]


def check_foundations(cloud: Cloud, report: Report) -> None:
    """A service with databases needs one that keeps them; a unit with a port needs the front end."""
    for service, body in cloud.bodies.items():
        origin = cloud.origin(service)
        if body.get("databases") and paths.DATABASE not in cloud.bodies:
            report.add(origin.where("databases"), f"{service} has databases; name {paths.DATABASE} in its needs")
        if paths.FRONTEND not in cloud.bodies and any("wsgi" in unit for unit in body.get("units", {}).values()):
            report.add(origin.where("units"), f"{service} has WSGI units; name {paths.FRONTEND} in its needs")
