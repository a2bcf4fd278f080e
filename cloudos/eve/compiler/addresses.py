"""Addresses of a whole topology: ranges on one network or router are apart, fixed addresses lie in the range of theirs and are given once.

What one node says is judged with the template (cloudos.tosca.addresses); here, where it is known what is made and what exists. Kinds and
arguments are those of OpenStack.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cloudos.eve.graph import Resource
from cloudos.tosca.addresses import address, network, usable

if TYPE_CHECKING:
    from cloudos.eve.compiler.instances import Compilation


def check(compiler: Compilation) -> None:
    """Tell what the networks of a cloud would refuse."""
    kinds: dict[str, list[Resource]] = {}
    for one in compiler.resources.values():
        if not one.existing:
            kinds.setdefault(one.kind, []).append(one)
    ranges = {one.name: one for one in kinds.get("subnet", ()) if network(one.arguments.get("cidr"))}
    on_network = [(_name(one.arguments.get("network_id")), one) for one in ranges.values()]
    on_router = [(_name(one.arguments.get("router_id")), ranges.get(_name(one.arguments.get("subnet_id"))))
                 for one in kinds.get("router_interface", ())]  # fmt: skip
    for where, word in ((on_network, "network"), (on_router, "router")):
        _apart(compiler, [(place, one) for place, one in where if place and one], word)
    _fixed(compiler, kinds.get("port", []), ranges)


def _apart(compiler: Compilation, where: list[tuple[str, Resource]], word: str) -> None:
    seen: dict[str, list[Resource]] = {}
    for place, one in where:
        mine = network(one.arguments["cidr"])
        for other in seen.setdefault(place, []):
            their = network(other.arguments["cidr"])
            if other is not one and mine.version == their.version and mine.overlaps(their):
                _tell(compiler, one, "cidr", f"range {mine} of {one.node} overlaps {their} of {other.node}, and both are on {word} {place}",
                      f"Let them be apart, or give each its own {word}.")  # fmt: skip
        seen[place].append(one)


def _fixed(compiler: Compilation, ports: list[Resource], ranges: dict[str, Resource]) -> None:
    taken: dict[tuple[str, Any], str] = {}
    for port, where, subnet, text in _asked(ports):
        found = address(text)
        made = [one for one in ranges.values() if one.name == subnet or (not subnet and _name(one.arguments.get("network_id")) == where)]
        # A network that exists may have ranges that the template does not know.
        known = subnet in ranges or (where in compiler.resources and not compiler.resources[where].existing)
        if found is None:
            continue
        if made and known and not any(usable(network(one.arguments["cidr"]), found) for one in made):
            shown = ", ".join(str(one.arguments["cidr"]) for one in made)
            _tell(compiler, port, "ip_address", f"address {text} of {port.name} is none that {shown} of {where} can give",
                  "Write one of that range.")  # fmt: skip
        elif (where, found) in taken:
            _tell(compiler, port, "ip_address", f"address {text} of {port.name} is that of {taken[where, found]}, too",
                  "Write another, or none; instances of one node cannot share it.")  # fmt: skip
        taken.setdefault((where, found), port.name)


def _asked(ports: list[Resource]) -> Iterator[tuple[Resource, str, str, Any]]:
    """(port, its network, the subnet where one is named, the address) of every fixed address."""
    for one in ports:
        for fixed in one.arguments.get("fixed_ips") or ():
            if "ip_address" in fixed and _name(one.arguments.get("network_id")):
                yield one, _name(one.arguments.get("network_id")), _name(fixed.get("subnet_id")), fixed["ip_address"]


def _name(reference: Any) -> str:
    """The resource that a reference leads to; empty where it is none."""
    return reference["$attribute"][0] if isinstance(reference, dict) and "$attribute" in reference else ""


def _tell(compiler: Compilation, one: Resource, name: str, message: str, mend: str) -> None:
    node = compiler.template.nodes[one.node]
    value = node.properties.get(name)
    compiler.problem(value if value is not None and value.assigned else node, message, mend)
