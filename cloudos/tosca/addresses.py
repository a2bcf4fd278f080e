"""Ranges of addresses that no network takes, told in the template before a cloud is asked. What is known at run time only is left to it.

What Neutron refuses of a subnet (`_validate_subnet` and `validate_allocation_pools` of its db) is refused here, and besides a gateway
outside of the range, through which nothing in it could reach a router.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cloudos.tosca.model import NodeTemplate, Template, Value, unknown
from cloudos.tosca.problems import Mark, Problems

RULE = "network.addresses"
RANGE = re.compile(r"[0-9A-Fa-f:.]+/[0-9]{1,3}")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
EXAMPLE = {4: "10.0.0.0/24", 6: "fd00:7::/64"}


@dataclass
class Said:
    """Something that a node says of a range, and where."""

    what: str
    data: Any
    place: Mark


@dataclass
class Range:
    """What a node says of one range. `pools`: (first, last) each, of which one may be missing; `version` has data 4 or 6."""

    cidr: Said
    version: Said
    gateway: Said | None = None
    pools: list[tuple[Said | None, Said | None]] = field(default_factory=list)
    dns: list[Said] = field(default_factory=list)
    dhcp: bool = True


# node type -> property: of these the ranges have their parts; `existing` names one that is there, of which nothing is made.
PLAIN: dict[str, dict[str, str]] = {
    "tosca.nodes.network.Network": {"existing": "network_id", "gateway": "gateway_ip", "dhcp": "dhcp_enabled"},
    "tosca.nodes.nfv.VL": {"existing": "network_id", "gateway": "gateway_ip", "dhcp": "dhcp_enabled"},
    "cloudos.nodes.NetworkSegment": {"existing": "subnet", "gateway": "gateway", "dhcp": "dhcp"},
    "cloudos.nodes.Subnet": {"existing": "subnet", "gateway": "gateway", "dhcp": "dhcp"},
}
LINK = "tosca.nodes.nfv.VnfVirtualLink"
PORTS = {"tosca.nodes.network.Port", "tosca.nodes.nfv.CP", "cloudos.nodes.Port"}


def check(template: Template, problems: Problems) -> None:
    """Tell every range and address of the template's nodes that is none, or does not fit to what else is said of it."""
    for node in template.nodes.values():
        names = {one.name for one in node.type.lineage}
        for one in _ranges(node, names):
            _Check(node, problems).range(one)
        if names & PORTS and (said := _said(node, "ip_address", str)):
            _Check(node, problems).address(said)


def network(text: Any) -> Network | None:
    """A range as clouds take it, such as 10.0.0.0/24; None for anything else."""
    try:
        return ipaddress.ip_network(text, strict=False) if isinstance(text, str) and RANGE.fullmatch(text) else None
    except ValueError:
        return None


def address(text: Any) -> Address | None:
    """An address; None for anything else, also for one with a zone."""
    try:
        return ipaddress.ip_address(text) if isinstance(text, str) and "%" not in text else None
    except ValueError:
        return None


def usable(inside: Network, one: Address) -> bool:
    """Whether an address is one of a range that something can have: in version 4 neither the first nor the last of it."""
    return one in inside and (one.version == 6 or inside.prefixlen > 30 or one not in (inside[0], inside[-1]))


# What nodes say; of another type than is asked for it was told already


def _said(node: NodeTemplate, name: str, kind: type) -> Said | None:
    value = node.properties.get(name)
    return Said(name, value.value, value.place) if value is not None and isinstance(value.value, kind) else None


def _ranges(node: NodeTemplate, names: set[str]) -> Iterator[Range]:
    for kind, keys in PLAIN.items():
        if kind in names and not _is_given(node.properties.get(keys["existing"])) and (cidr := _said(node, "cidr", str)):
            dns, dhcp = _said(node, "dns", list), _said(node, keys["dhcp"], bool)
            yield Range(cidr, _said(node, "ip_version", int) or Said("ip_version", 4, cidr.place), _said(node, keys["gateway"], str),
                        _pool(node), [Said("dns", one, dns.place) for one in dns.data if not unknown(one)] if dns else [],
                        dhcp is None or dhcp.data)  # fmt: skip
    if LINK in names:
        yield from _of_link(node)


def _is_given(value: Value | None) -> bool:
    return value is not None and value.value not in (None, "")


def _pool(node: NodeTemplate) -> list[tuple[Said | None, Said | None]]:
    """The one pool of a node; none where an end of it is known at run time only."""
    if any(name in node.properties and unknown(node.properties[name].value) for name in ("start_ip", "end_ip")):
        return []
    pool = _said(node, "start_ip", str), _said(node, "end_ip", str)
    return [pool] if any(pool) else []


def _of_link(node: NodeTemplate) -> Iterator[Range]:
    """The range of a virtual link, as SOL001 writes it: that of the first of its protocols."""
    profile, layers = _said(node, "vl_profile", dict), _said(node, "connectivity_type", dict)
    data = _at(profile and profile.data, "virtual_link_protocol_data", 0, "l3_protocol_data")
    if profile is None or not isinstance(_at(data, "cidr"), str):
        return

    def said(data: Any, what: str) -> Said | None:
        found = _at(data, what)
        return Said(what, found, profile.place) if isinstance(found, str) else None

    version = 6 if "ipv6" in _items(layers and layers.data, "layer_protocols") else 4
    pools = _items(data, "ip_allocation_pools")
    yield Range(Said("cidr", data["cidr"], profile.place), Said("layer_protocols", version, profile.place), said(data, "gateway_ip"),
                [(said(one, "start_ip_address"), said(one, "end_ip_address")) for one in pools if not unknown(one)], [],
                _at(data, "dhcp_enabled") is not False)  # fmt: skip


def _at(data: Any, *path: Any) -> Any:
    """What a path leads to; None where there is nothing, or something else than was expected."""
    for key in path:
        if isinstance(key, int):
            data = data[key] if isinstance(data, list) and key < len(data) else None
        else:
            data = data.get(key) if isinstance(data, dict) else None
    return data


def _items(data: Any, key: str) -> list[Any]:
    found = _at(data, key)
    return found if isinstance(found, list) else []


class _Check:
    """Tells what is wrong with what one node says."""

    def __init__(self, node: NodeTemplate, problems: Problems):
        self.node, self.problems = node, problems

    def tell(self, said: Said, why: str, mend: str) -> None:
        self.problems.add(RULE, said.place, f"{said.what} {said.data} of {self.node.name} {why}", mend)

    def address(self, said: Said, inside: Network | None = None) -> Address | None:
        """The address, of the version of a range; None when it was told that it is none."""
        found = address(said.data)
        if found is None:
            self.tell(said, "is no address", "Write one like 10.0.0.5, or fd00:7::5.")
        elif inside and found.version != inside.version:
            self.tell(said, f"is of IP version {found.version}, and the range {inside} is not", f"Write one of version {inside.version}.")
            return None
        return found

    def range(self, one: Range) -> None:
        inside = network(one.cidr.data)
        if inside is None:
            self.tell(one.cidr, "is no range of addresses", f"Write one like {EXAMPLE.get(one.version.data, EXAMPLE[4])}.")
            return
        if inside.version != one.version.data:
            self.tell(one.cidr, f"is of IP version {inside.version}, and {one.version.what} says {one.version.data}",
                      f"Say version {inside.version}, or a range like {EXAMPLE.get(one.version.data, EXAMPLE[4])}.")  # fmt: skip
            return
        if why := _unfit(inside, one.dhcp):
            self.tell(one.cidr, why, f"Write one like {EXAMPLE[inside.version]}.")
            return
        for said in one.dns:
            self.address(said, inside)
        gateway = self._gateway(one, inside)
        pools: list[tuple[Address, Address]] = []
        for first, last in one.pools:
            self._pool(first, last, inside, gateway, pools)

    def _gateway(self, one: Range, inside: Network) -> Address | None:
        """The gateway; where nobody says it, the first address of version 4, which Neutron takes."""
        if one.gateway is None:
            return inside[1] if inside.version == 4 and inside.prefixlen < 31 else None
        found = self.address(one.gateway, inside)
        if found and not usable(inside, found) and not (found.version == 6 and found.is_link_local):
            why = "is the first or last address of" if found in inside else "is outside of"
            self.tell(one.gateway, f"{why} the range {inside}", _within(inside))
        return found

    def _pool(self, first: Said | None, last: Said | None, inside: Network, gateway: Address | None,
              pools: list[tuple[Address, Address]]) -> None:  # fmt: skip
        if first is None or last is None:
            self.tell(first or last, "is one end of a pool without the other", "Say both, or none.")
            return
        begin, end = self.address(first, inside), self.address(last, inside)
        if begin is None or end is None:
            return
        outside = [said for said, found in ((first, begin), (last, end)) if not usable(inside, found)]
        for said in outside:
            self.tell(said, f"is not among the addresses of the range {inside} that can be given", _within(inside))
        if outside:
            return
        if begin > end:
            self.tell(last, f"comes before the begin of its pool, {begin}", "Change the two about.")
        elif gateway and begin <= gateway <= end:
            self.tell(first, f"begins a pool, to {end}, that the gateway {gateway} lies in", "Leave the gateway out of it, or say another.")
        elif clash := next((one for one in pools if begin <= one[1] and one[0] <= end), None):
            self.tell(first, f"begins a pool, to {end}, that overlaps the one from {clash[0]} to {clash[1]}", "Let them be apart.")
        pools.append((begin, end))


def _unfit(inside: Network, dhcp: bool) -> str:
    """Why no subnet can have a range; empty where one can."""
    if inside.prefixlen == 0 or (inside.version == 6 and int(inside.network_address) == 0):
        return "is the range of everything"
    if dhcp and inside.max_prefixlen - inside.prefixlen < 2:
        return "is too small for DHCP"
    if dhcp and (inside.is_multicast or inside.is_loopback or int(inside.network_address) == 0):
        return "is of addresses that no machine can be given by DHCP"
    return ""


def _within(inside: Network) -> str:
    ends = (inside[1], inside[-2]) if inside.version == 4 and inside.prefixlen < 31 else (inside[0], inside[-1])
    return f"Write one from {ends[0]} to {ends[1]}."
