"""The files that make a copy of the base a node of a cloud. Pure: the same site gives the same text."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_interface, ip_network

from ansible_collections.cloudos.cloud.plugins.module_utils.lab.base import POOL

NETWORK = "etc/systemd/network/10-lab.network"


@dataclass(frozen=True)
class Site:
    """Where the nodes of a cloud stand.

    nodes: name -> address; virtual: name -> cores, memory and disks of the virtual machines among them; gateway: the
    host's address on the bridge; cidr: their network; resolvers: addresses that answer DNS to nodes; search: domains.
    """

    cloud: str
    bridge: str
    gateway: str
    cidr: str
    nodes: dict
    virtual: dict = field(default_factory=dict)
    mtu: int = 1500
    resolvers: tuple = ()
    search: tuple = ()
    external: str | None = None
    external_node: str | None = None

    @property
    def prefix(self):
        return ip_network(self.cidr).prefixlen

    @property
    def gateway_interface(self):
        """The host's address with its prefix: 172.29.0.1/24."""
        return str(ip_interface(f"{self.gateway}/{self.prefix}"))


def node_files(site, name, public_key):
    """Path below the node's root -> content, of all files that lab.yml keeps as they are here."""
    return {
        "etc/hostname": f"{name}\n",
        "etc/hosts": hosts(site),
        "etc/resolv.conf": resolv(site),
        NETWORK: network(site, name),
        "etc/apt/apt.conf.d/95lab-cache": f'Dir::Cache::archives "{POOL}/nodes/{site.cloud}-{name}/";\n',
        "root/.ssh/authorized_keys": public_key,
    }


def network(site, name):
    """systemd-networkd's file for the one interface of a node."""
    return f"""[Match]
Name={"eth0" if name in site.virtual else "host0"}

[Link]
MTUBytes={site.mtu}

[Network]
Address={site.nodes[name]}/{site.prefix}
Gateway={site.gateway}
LinkLocalAddressing=no
LLDP=no
IPv6AcceptRA=no
"""


def hosts(site):
    """Every node by its management address; the own name too, because databases and message brokers look it up."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    return "".join(f"{line}\n" for line in [*lines, *(f"{address} {name}" for name, address in site.nodes.items())])


def resolv(site):
    lines = [f"nameserver {address}" for address in site.resolvers]
    return "".join(f"{line}\n" for line in ([f"search {' '.join(site.search)}"] if site.search else []) + lines)


def known_hosts(lines, keys):
    """The lines of a known_hosts file with one key for each address of keys (address -> public key, None: no line).

    Lines of other hosts stay.
    """
    kept = [line for line in lines if line.strip() and line.split()[0] not in keys]
    return [*kept, *(f"{address} {' '.join(key.split()[:2])}" for address, key in keys.items() if key)]
