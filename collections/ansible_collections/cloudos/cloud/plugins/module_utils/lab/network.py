"""The bridge that lab nodes stand on: its address, NAT to the outside, names, and the way to floating IPs.

Everything is read back from the kernel, so what is found is what is there. NAT lives in an nftables table of its own,
made first and removed last: it marks the bridge of that name as ours, and a digest in its comment tells whether it is
current.
"""

from __future__ import annotations

import hashlib
from ipaddress import ip_address
from pathlib import Path

from ansible_collections.cloudos.cloud.plugins.module_utils.lab.shell import ask, read, run
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure

FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
# Set by us, so to be set back with the last lab. Below /run, because both end with a reboot.
FORWARD_MARK = Path("/run/cloudos-lab-ip-forward")
RESOLVED = "/run/systemd/resolve/resolv.conf"  # the servers behind systemd-resolved's loopback address


def found(site):
    """What is there of the site's network, in the shape of wanted()."""
    here = {}
    rules = _installed(site.bridge)
    if rules is not None:
        here["nat"] = rules
    link = (ask("ip", "-json", "address", "show", "dev", site.bridge) or [None])[0]
    if link and rules is not None:
        addresses = [
            f"{entry['local']}/{entry['prefixlen']}" for entry in link["addr_info"] if entry["family"] == "inet"
        ]
        here["bridge"] = {
            "name": site.bridge,
            "address": ", ".join(addresses),
            "mtu": link["mtu"],
            "up": "UP" in link["flags"],
        }
    if read(FORWARD).strip() == "1":
        here["ip_forward"] = True
    routes = ask("ip", "-json", "route", "show", site.external) if site.external else []
    if routes and routes[0].get("dev") == site.bridge:
        here["route"] = {"to": site.external, "via": routes[0].get("gateway")}
    return here


def wanted(site):
    """What must be there."""
    route = {"to": site.external, "via": site.nodes.get(site.external_node)}
    return {
        "bridge": {"name": site.bridge, "address": site.gateway_interface, "mtu": site.mtu, "up": True},
        "nat": _digest(ruleset(site)),
        "ip_forward": True,
        **({"route": route} if site.external and route["via"] else {}),
    }


def ruleset(site, loopback=None):
    """The text of the nftables table. loopback: a resolver of the host that listens there only, if nodes need it."""
    loopback = loopback or loopback_resolver(site)
    inside = ", ".join(filter(None, (site.cidr, site.external)))
    redirect = (
        f"""
    chain prerouting {{
        type nat hook prerouting priority dstnat
        iifname "{site.bridge}" ip daddr {site.gateway} meta l4proto {{ tcp, udp }} th dport 53 dnat to {loopback}
    }}
    chain input {{
        type nat hook input priority 100
        iifname "{site.bridge}" ip daddr {loopback} snat to 127.0.0.1
    }}"""
        if loopback
        else ""
    )
    return f"""    chain postrouting {{
        type nat hook postrouting priority srcnat
        ip saddr {{ {inside} }} oifname != "{site.bridge}" masquerade
    }}{redirect}
"""


def converge(site, changes):
    """Make what differs, except the route. Raises Failure for an interface of that name that is not ours."""
    if "nat" in changes:
        if _installed(site.bridge) is None and Path(f"/sys/class/net/{site.bridge}").exists():
            raise Failure(
                f"{site.bridge} is there already and is no bridge of a lab",
                next_step="choose another name for lab.bridge in the inventory",
            )
        text = ruleset(site)
        table = f"table ip {_table(site.bridge)}"
        run("nft", "-f", "-", stdin=f'{table}\ndelete {table}\n{table} {{\n    comment "{_digest(text)}"\n{text}}}\n')
    if "bridge" in changes:
        if not Path(f"/sys/class/net/{site.bridge}").exists():
            run("ip", "link", "add", site.bridge, "type", "bridge")
        run("ip", "address", "flush", "dev", site.bridge)
        run("ip", "address", "add", site.gateway_interface, "dev", site.bridge)
        run("ip", "link", "set", site.bridge, "mtu", site.mtu, "up")
    if loopback_resolver(site) and {"nat", "bridge"} & set(changes):
        Path(f"/proc/sys/net/ipv4/conf/{site.bridge}/route_localnet").write_text("1")
    if "ip_forward" in changes:
        FORWARD_MARK.write_text(read(FORWARD))
        FORWARD.write_text("1")


def converge_route(site):
    """The way to the external network; apart, because the node behind it is started after the bridge is there."""
    run("ip", "route", "replace", site.external, "via", site.nodes[site.external_node], "dev", site.bridge)


def remove(site, here):
    """Take away what found() saw; ip_forward goes back with the last lab of the machine."""
    if "route" in here:
        run("ip", "route", "del", site.external, "dev", site.bridge)
    if "bridge" in here:
        run("ip", "link", "del", site.bridge)
    if "nat" in here:
        run("nft", "delete", "table", "ip", _table(site.bridge))
    if FORWARD_MARK.exists() and not labs():
        FORWARD.write_text(FORWARD_MARK.read_text())
        FORWARD_MARK.unlink()


def uplink_mtu():
    """The smallest MTU of the ways out of this machine; 1500 where there is none."""
    routes = ask("ip", "-json", "route", "show", "default") or []
    sizes = [int(read(f"/sys/class/net/{route['dev']}/mtu")) for route in routes if route.get("dev")]
    return min(sizes, default=1500)


def resolvers(text=None):
    """(IPv4 addresses, search domains) of the resolvers that nodes can ask; nothing where all listen on loopback."""
    for content in (text,) if text is not None else (read("/etc/resolv.conf") or "", read(RESOLVED) or ""):
        words = [line.split() for line in content.splitlines() if line.strip()]
        named = [line[1] for line in words if line[0] == "nameserver" and len(line) > 1 and ":" not in line[1]]
        servers = [address for address in named if not ip_address(address).is_loopback]
        search = [domain for line in words if line[0] in ("search", "domain") for domain in line[1:] if domain != "."]
        if servers:
            return tuple(servers), tuple(search)
    return (), ()


def loopback_resolver(site):
    """Address of the host's own resolver where it is the only one, else None. Nodes then ask the gateway."""
    if site.resolvers != (site.gateway,):
        return None
    lines = [line.split() for line in (read("/etc/resolv.conf") or "").splitlines()]
    return next((line[1] for line in lines if len(line) > 1 and line[0] == "nameserver" and ":" not in line[1]), None)


def _table(bridge):
    return f"cloudos_{bridge}".replace(".", "_")


def labs():
    """Names of the nftables tables of all labs on this machine."""
    tables = (ask("nft", "-j", "list", "tables") or {}).get("nftables", [])
    return [item["table"]["name"] for item in tables if item.get("table", {}).get("name", "").startswith("cloudos_")]


def _digest(text):
    return f"cloudos lab, {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _installed(bridge):
    """The comment of our table, "" where it has none, None where it is not there."""
    if _table(bridge) not in labs():
        return None
    for line in run("nft", "list", "table", "ip", _table(bridge)).splitlines():
        if line.strip().startswith("comment "):
            return line.strip()[9:-1]
    return ""
