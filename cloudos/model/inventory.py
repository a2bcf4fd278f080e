"""One cloud as its owner describes it: `inventory/<cloud>/cloud.yml`."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path

from cloudos.model import source
from cloudos.model.problems import Report
from cloudos.model.validation import validate

FILE = "cloud.yml"
LAB_NODE = {"machine": "container", "cores": 2, "memory": 4, "disks": {}}  # memory and disks in GiB
RETENTION = {"deleted_rows": 30, "logs": 14}  # days
TIMEOUTS = {"services": 180, "instance": 300}  # seconds


@dataclass(frozen=True)
class Inventory:
    """The content of the file with its defaults filled in; `where(*path)` gives "file:line" of anything in it.

    `nodes`: name -> {address, groups, ansible, object, volume, lab}; `networks`: name -> {cidr, gateway, pool, bridge, interface, mtu};
    `retention`: {deleted_rows, logs} in days; `timeouts`: {services, instance} in seconds.
    `settings`: service -> name -> value;
    `plugins`: kind -> name, [names side by side] or {first: [names, the best first]};
    `overrides`: {all: {service: {file: {section: {option: value}}}}, groups: {group: ...}, nodes: {node: ...}}.
    """

    origin: source.Source
    path: Path
    cloud: str
    release: str
    region: str
    nodes: dict[str, dict]
    networks: dict[str, dict]
    endpoint: str
    services: list[str]
    plugins: dict[str, str | list[str] | dict[str, list[str]]]
    overrides: dict[str, dict]
    settings: dict[str, dict]
    retention: dict[str, int] = field(default_factory=dict)
    timeouts: dict[str, int] = field(default_factory=dict)
    lab: dict | None = None
    plugin_path: list[Path] = field(default_factory=list)
    service_path: list[Path] = field(default_factory=list)

    def where(self, *path: Hashable) -> str:
        return self.origin.where(*path)

    def members(self, group: str) -> list[str]:
        """Names of the nodes in a group, in the order of the file; `all` has every node."""
        return [name for name, node in self.nodes.items() if group == "all" or group in node["groups"]]


def load(path: Path | str, report: Report | None = None) -> Inventory:
    """Read `inventory/<cloud>` or its cloud.yml. Without a report of the caller's, mistakes raise Problems."""
    path = Path(path)
    path = path / FILE if path.is_dir() else path
    mine = report or Report()
    origin = source.load(path, mine)
    data = validate(origin, "INVENTORY", mine) if origin.data else {}
    inventory = _filled(origin, path, data)
    if report is None:
        mine.done()
    return inventory


def _filled(origin: source.Source, path: Path, data: dict) -> Inventory:
    nodes = {
        name: {
            "address": node["address"],
            "groups": node["groups"],
            "ansible": node.get("ansible") or {},
            "object": _object(name, node),
            "volume": {"devices": node.get("volume", {}).get("devices", {})},
            "lab": {**LAB_NODE, **node.get("lab", {})},
        }
        for name, node in data.get("nodes", {}).items()
    }
    first = next((node["address"] for node in nodes.values() if "control" in node["groups"]), "")
    defaults = {"gateway": None, "pool": None, "bridge": None, "interface": None, "mtu": 1500}
    networks = {name: {**defaults, **network} for name, network in data.get("networks", {}).items()}
    if "external" in networks:
        networks["external"]["bridge"] = networks["external"]["bridge"] or "br-ex"
    overrides = data.get("overrides", {})
    return Inventory(
        origin=origin,
        path=path,
        cloud=data.get("cloud", ""),
        release=data.get("release", ""),
        region=data.get("region", "RegionOne"),
        nodes=nodes,
        networks=networks,
        endpoint=data.get("endpoint", {}).get("address") or first,
        services=data.get("services", []),
        plugins=data.get("plugins", {}),
        retention={**RETENTION, **data.get("retention", {})},
        timeouts={**TIMEOUTS, **data.get("timeouts", {})},
        settings=data.get("settings", {}),
        overrides={layer: overrides.get(layer, {}) for layer in ("all", "groups", "nodes")},
        lab=data.get("lab"),
        plugin_path=[path.parent / directory for directory in data.get("plugin_path", [])],
        service_path=[path.parent / directory for directory in data.get("service_path", [])],
    )


def _object(name: str, node: dict) -> dict:
    """What the node gives to Swift, with where it is: {node, address, region, zone, devices}."""
    given = node.get("object", {})
    defaults = {"device": None, "size": None, "weight": 100, "state": "present", "erase": None}
    devices = {name: {**defaults, **device} for name, device in given.get("devices", {}).items()}
    place = {"region": given.get("region", 1), "zone": given.get("zone", 1)}
    return {"node": name, "address": node["address"], **place, "devices": devices}
