"""Checks of a cloud's addresses: in their networks, free of duplicates and overlaps, and enough of them."""

from __future__ import annotations

import ipaddress
from typing import Any

from cloudos.model.inventory import Inventory
from cloudos.model.problems import Report

LEAST_FREE = 2  # a router's and an instance's


def check_addresses(inventory: Inventory, report: Report) -> None:
    """Tell every wrong address of an inventory."""
    networks = _networks(inventory, report)
    management = networks.get("management")
    _nodes(inventory, management, report)
    if (external := inventory.networks.get("external")) and "external" in networks:
        _external(inventory, external, networks["external"], report)


def _networks(inventory: Inventory, report: Report) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, network in inventory.networks.items():
        where = inventory.where("networks", name, "cidr")
        try:
            found[name] = ipaddress.ip_network(network["cidr"])
        except ValueError as error:
            report.add(where, f"network {name}: {error}; write it like 172.29.0.0/24")
            continue
        for other in list(found)[:-1]:
            if found[name].version == found[other].version and found[name].overlaps(found[other]):
                report.add(where, f"network {name} {found[name]} overlaps network {other} {found[other]}")
    return found


def _nodes(inventory: Inventory, management: Any, report: Report) -> None:
    taken: dict[Any, str] = {}
    places = [(("nodes", name, "address"), f"node {name}", node["address"]) for name, node in inventory.nodes.items()]
    if inventory.lab:
        places.append((("lab", "gateway"), "the lab's gateway", inventory.lab["gateway"]))
    for path, thing, text in places:
        address = _inside(inventory, path, thing, text, management, "management", report)
        if address in taken:
            report.add(inventory.where(*path), f"{thing} has address {address}, which is that of {taken[address]}")
        elif address:
            taken[address] = thing
    _endpoint(inventory, management, taken, report)


def _endpoint(inventory: Inventory, management: Any, taken: dict[Any, str], report: Report) -> None:
    if "endpoint" not in inventory.origin.data:
        return
    path = ("endpoint", "address")
    address = _inside(inventory, path, "the endpoint", inventory.endpoint, management, "management", report)
    control = {f"node {name}" for name in inventory.members("control")}
    if address and taken.get(address) not in control:
        owner = f"that of {taken[address]}" if address in taken else "no node's"
        report.add(
            inventory.where(*path), f"the endpoint's address {address} is {owner}; it must be the control node's"
        )


def _external(inventory: Inventory, external: dict, cidr: Any, report: Report) -> None:
    base = ("networks", "external")
    gateway = _inside(inventory, (*base, "gateway"), "the gateway", external["gateway"], cidr, "external", report)
    ends = [
        _inside(inventory, (*base, "pool"), "the pool", text, cidr, "external", report) for text in external["pool"]
    ]
    if None in ends:
        return
    first, last = ends
    where = inventory.where(*base, "pool")
    if first > last:
        report.add(where, f"the pool ends with {last}, before its start {first}; swap them")
    elif int(last) - int(first) + 1 < LEAST_FREE:
        report.add(
            where,
            f"the pool has {int(last) - int(first) + 1} address; a router and a floating IP need at least {LEAST_FREE}",
        )
    if gateway and first <= gateway <= last:
        report.add(where, f"the pool {first}-{last} contains the gateway {gateway}; leave it out")


def _inside(inventory: Inventory, path: tuple, thing: str, text: str, network: Any, name: str, report: Report) -> Any:
    """The address when it is one that a host of the network may have, else None."""
    where = inventory.where(*path)
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        report.add(where, f"{thing} has address {text}, which is not an IP address")
        return None
    if network is None:
        return address
    if address not in network:
        report.add(where, f"{thing} has address {address}, which is not in network {name} {network}")
        return None
    if (
        network.version == 4
        and network.prefixlen < 31
        and address in (network.network_address, network.broadcast_address)
    ):
        report.add(where, f"{thing} has address {address}, which no host of {network} can have")
        return None
    return address


def bracketed(address: str) -> str:
    """An address as URLs have it: IPv6 in brackets."""
    try:
        return f"[{address}]" if ipaddress.ip_address(address).version == 6 else address
    except ValueError:
        return address
