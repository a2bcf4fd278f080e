#!/usr/bin/python
"""Module network_bridge: a bridge of Open vSwitch on a node, with what hangs on it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: network_bridge
short_description: Keep a bridge of Open vSwitch
description:
  - Keeps the bridge, its datapath, a physical interface in it, its MTU, addresses and external ids, and the mapping
    of a
    provider network to it that OVN reads. Ports, addresses and ids that are not named here are left alone.
  - Looks with one C(ovs-vsctl) and one C(ip); all changes of Open vSwitch are one transaction.
options:
  name: {description: The bridge., type: str, required: true}
  datapath_type: {description: "C(system) forwards in the kernel, C(netdev) in the daemon.", type: str, choices:
    [system, netdev], default: system}
  interface: {description: Physical interface that belongs into the bridge., type: str}
  mtu: {description: MTU of the bridge's own interface., type: int}
  addresses:
    description: Addresses with prefix length of the bridge's own interface, which is then up.
    type: list
    elements: str
    default: []
  external_ids: {description: External ids of the bridge., type: dict, default: {}}
  network: {description: Provider network that OVN maps to the bridge (C(ovn-bridge-mappings))., type: str}
  database: {description: Where Open vSwitch's database listens., type: str, default: "unix:/run/openvswitch/db.sock"}
  state: {description: Whether the bridge is there., type: str, choices: [present, absent], default: present}
extends_documentation_fragment: [cloudos.cloud.operation]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: The bridge of the external network
  cloudos.cloud.network_bridge:
    name: br-ex
    datapath_type: netdev
    interface: eth1
    mtu: 1400
"""

RETURN = r"""
ports: {description: Ports of the bridge besides its own., type: list, elements: str, returned: always}
"""

import ipaddress
import json
import subprocess

from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure, Operation
from ansible_collections.cloudos.cloud.plugins.module_utils.processes import run

MAPPINGS = "ovn-bridge-mappings"
TABLES = {
    "Open_vSwitch": "external_ids",
    "Bridge": "name,ports,datapath_type,external_ids",
    "Port": "_uuid,name",
    "Interface": "name,mtu_request",
}


class NetworkBridge(Operation):
    spec = {
        "name": {"type": "str", "required": True},
        "datapath_type": {"type": "str", "choices": ["system", "netdev"], "default": "system"},
        "interface": {"type": "str"},
        "mtu": {"type": "int"},
        "addresses": {"type": "list", "elements": "str", "default": []},
        "external_ids": {"type": "dict", "default": {}},
        "network": {"type": "str"},
        "database": {"type": "str", "default": "unix:/run/openvswitch/db.sock"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }

    def found(self):
        """Empty where the bridge, or Open vSwitch, is not there."""
        self.ports = []
        self.mappings = {}
        tables = self.tables()
        if tables is None:
            return {}
        self.mappings = _mapping(tables["Open_vSwitch"][0]["external_ids"].get(MAPPINGS, ""))
        bridge = next((row for row in tables["Bridge"] if row["name"] == self.params["name"]), None)
        if bridge is None:
            return {}
        owners = {port: row["name"] for row in tables["Bridge"] for port in _list(row["ports"])}
        names = {row["name"]: owners.get(row["_uuid"]) for row in tables["Port"]}
        self.ports = sorted(name for name, owner in names.items() if owner == self.params["name"] and name != owner)
        interfaces = {row["name"]: row for row in tables["Interface"]}
        return {
            "bridge": self.params["name"],
            **self.kept(
                {
                    "datapath_type": bridge["datapath_type"] or "system",
                    "interface": self.params["interface"] if self.params["interface"] in self.ports else None,
                    "mtu": interfaces[self.params["name"]]["mtu_request"] or None,
                    "addresses": self.addresses(),
                    "external_ids": {key: bridge["external_ids"].get(key) for key in self.params["external_ids"]},
                    "network": next(
                        (network for network, name in self.mappings.items() if name == self.params["name"]), None
                    ),
                }
            ),
        }

    def wanted(self):
        if self.params["state"] == "absent":
            return {}
        ids = {key: str(value) for key, value in self.params["external_ids"].items()}
        addresses = sorted(_normal(address) for address in self.params["addresses"])
        return {
            "bridge": self.params["name"],
            **self.kept({**self.params, "external_ids": ids, "addresses": addresses}),
        }

    def kept(self, state):
        """Only what the arguments speak about."""
        named = ("interface", "mtu", "addresses", "external_ids", "network")
        return {key: state[key] for key in ("datapath_type", *(key for key in named if self.params[key]))}

    def tables(self):
        """{table: rows as mappings}; None where Open vSwitch is not installed or does not run yet."""
        commands = [f"--columns={columns} list {table}" for table, columns in TABLES.items()]
        try:
            shown = subprocess.run(
                [
                    "ovs-vsctl",
                    f"--db={self.params['database']}",
                    "--timeout=10",
                    "--format=json",
                    *" -- ".join(commands).split(),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError:
            return None
        if "database connection failed" in shown.stderr:
            return None
        if shown.returncode:
            raise Failure(f"ovs-vsctl: {shown.stderr.strip()}", service="openvswitch", unit="ovsdb-server.service")
        return {table: _rows(json.loads(line)) for table, line in zip(TABLES, shown.stdout.splitlines(), strict=True)}

    def addresses(self):
        """Those of the wanted addresses that the bridge's interface has."""
        if not self.params["addresses"]:
            return []
        shown = subprocess.run(
            ["ip", "-json", "address", "show", "dev", self.params["name"]], capture_output=True, text=True, check=False
        )
        here = {
            f"{entry['local']}/{entry['prefixlen']}"
            for link in json.loads(shown.stdout or "[]")
            for entry in link.get("addr_info", ())
        }
        return sorted({_normal(address) for address in self.params["addresses"]} & here)

    def converge(self, step):
        name = self.params["name"]
        commands = self.present(step) if step.after else self.absent()
        words = [word for command in commands for word in ("--", *command)]
        run(["ovs-vsctl", f"--db={self.params['database']}", "--timeout=30", *words[1:]], service="openvswitch")
        if "addresses" in step.changes and step.after:
            run(["ip", "link", "set", name, "up"], service="openvswitch")
            for address in sorted(set(step.after["addresses"]) - set(step.before.get("addresses", ()))):
                run(["ip", "address", "replace", address, "dev", name], service="openvswitch")

    def present(self, step):
        """The commands of one transaction."""
        name, after = self.params["name"], step.after
        yield ["--may-exist", "add-br", name, "--", "set", "Bridge", name, f"datapath_type={after['datapath_type']}"]
        if "interface" in after:
            yield ["--may-exist", "add-port", name, after["interface"]]
        if "mtu" in after:
            yield ["set", "Interface", name, f"mtu_request={after['mtu']}"]
        for key, value in after.get("external_ids", {}).items():
            yield ["set", "Bridge", name, f"external_ids:{key}={json.dumps(value)}"]
        if "network" in after:
            yield self.mapped({**self.others(), after["network"]: name})

    def absent(self):
        yield ["--if-exists", "del-br", self.params["name"]]
        if self.others() != self.mappings:
            yield self.mapped(self.others())

    def others(self):
        return {network: name for network, name in self.mappings.items() if name != self.params["name"]}

    @staticmethod
    def mapped(mappings):
        if not mappings:
            return ["remove", "Open_vSwitch", ".", "external_ids", MAPPINGS]
        text = ",".join(f"{network}:{name}" for network, name in mappings.items())
        return ["set", "Open_vSwitch", ".", f"external_ids:{MAPPINGS}={json.dumps(text)}"]

    def result(self, step):
        extra = {self.params["interface"]} if step.after.get("interface") else set()
        return {"ports": sorted({*self.ports, *extra}) if step.after else []}


def _rows(table):
    return [dict(zip(table["headings"], map(_value, row), strict=True)) for row in table["data"]]


def _value(cell):
    """OVSDB's notation as Python: a set as list, a map as dict, an identifier as str."""
    if not isinstance(cell, list):
        return cell
    kind, content = cell
    return {"map": dict, "set": lambda items: [_value(item) for item in items]}.get(kind, str)(content)


def _list(value):
    """OVSDB writes a set of one as its element."""
    return value if isinstance(value, list) else [value]


def _mapping(text):
    return dict(pair.split(":", 1) for pair in text.split(",") if ":" in pair)


def _normal(address):
    return str(ipaddress.ip_interface(address))


def main():
    NetworkBridge.main()


if __name__ == "__main__":
    main()
