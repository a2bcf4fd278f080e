"""Module lab_node: lab nodes and their bridge, as the inventory says. What they are made of: module_utils/lab."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_node
short_description: Make and remove lab nodes
description:
  - Makes Debian machines on this host to try a cloud on, reached by SSH like any other machine. They are systemd-nspawn
    machines with their own systemd, network and SSH server, which need no virtualization; or virtual machines with a
    kernel of their own, run by libvirt, with KVM where that works and emulated elsewhere.
  - A node that is there keeps running; one that is dead, after a reboot of the host for example, is started again
    with its data.
  - Runs on the admin host as root.
options:
  cloud:
    description: Name of the cloud that the nodes belong to.
    type: str
    required: true
  nodes:
    description:
      - Name of each node to its address, or to a mapping of C(address), C(machine) (C(container), the default, or
        C(virtual)) and, of virtual machines, C(cores), C(memory) in GiB and C(disks), name to GiB. The machine sees a disk
        as C(/dev/disk/by-id/virtio-<name>); it can grow.
      - With O(state=absent), none means all nodes of the cloud.
    type: dict
    default: {}
  bridge:
    description: Name of the bridge, at most 15 characters.
    type: str
    required: true
  gateway:
    description: Address of this host on the bridge; the nodes' default route.
    type: str
    required: true
  cidr:
    description: Network of the nodes' addresses.
    type: str
    required: true
  external_cidr:
    description: Network of the floating IPs; this host gets a route to it.
    type: str
  external_node:
    description: Name of the node that the route to O(external_cidr) goes through.
    type: str
  home:
    description: Directory with the state of Cloud OS; default is C(CLOUDOS_HOME), or C(~/.cloudos).
    type: path
  state:
    description: Whether the nodes are running, or not there.
    type: str
    choices: [present, absent]
    default: present
extends_documentation_fragment: [cloudos.cloud.operation]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: A node to try things on
  cloudos.cloud.lab_node:
    cloud: aio
    nodes: {ctl1: 172.29.0.11}
    bridge: cloudos0
    gateway: 172.29.0.1
    cidr: 172.29.0.0/24
    external_cidr: 10.99.0.0/24
    external_node: ctl1

- name: One with a kernel of its own, and a disk
  cloudos.cloud.lab_node:
    cloud: aio
    nodes: {st1: {address: 172.29.0.12, machine: virtual, cores: 2, memory: 4, disks: {d1: 8}}}
    bridge: cloudos0
    gateway: 172.29.0.1
    cidr: 172.29.0.0/24

- name: Nothing is left of it
  cloudos.cloud.lab_node:
    cloud: aio
    bridge: cloudos0
    gateway: 172.29.0.1
    cidr: 172.29.0.0/24
    state: absent
"""

RETURN = r"""
private_key:
  description: Path of the SSH key that opens the nodes for root.
  type: str
  returned: always
known_hosts:
  description: Path of the file with the nodes' own SSH keys.
  type: str
  returned: always
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ansible_collections.cloudos.cloud.plugins.module_utils.lab import loops, network
from ansible_collections.cloudos.cloud.plugins.module_utils.lab.base import Base, BootableBase, overlay_works
from ansible_collections.cloudos.cloud.plugins.module_utils.lab.files import Site, known_hosts, node_files
from ansible_collections.cloudos.cloud.plugins.module_utils.lab.hypervisor import Hypervisor
from ansible_collections.cloudos.cloud.plugins.module_utils.lab.node import Node, recorded
from ansible_collections.cloudos.cloud.plugins.module_utils.lab.shell import read, run, write
from ansible_collections.cloudos.cloud.plugins.module_utils.lab.virtual import VirtualNode
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure, Operation

HARDWARE = ("cores", "memory", "disks")


class LabNode(Operation):
    """States are mappings: the parts of the network, and per node whether it runs, its files and its known key."""

    spec = {
        "cloud": {"type": "str", "required": True},
        "nodes": {"type": "dict", "default": {}},
        "bridge": {"type": "str", "required": True},
        "gateway": {"type": "str", "required": True},
        "cidr": {"type": "str", "required": True},
        "external_cidr": {"type": "str"},
        "external_node": {"type": "str"},
        "home": {"type": "path"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }
    lock = "lab"

    def __init__(self, module):
        super().__init__(module)
        self.home = Path(self.params["home"] or os.environ.get("CLOUDOS_HOME") or "~/.cloudos").expanduser()
        self.key = self.home / "keys" / "lab"
        self.known_hosts = self.home / "clouds" / self.params["cloud"] / "known_hosts"
        servers, search = network.resolvers()
        given = {
            name: node if isinstance(node, dict) else {"address": node} for name, node in self.params["nodes"].items()
        }
        self.site = Site(
            **{name: self.params[name] for name in ("cloud", "bridge", "gateway", "cidr", "external_node")},
            nodes={name: node["address"] for name, node in given.items()},
            virtual={
                name: {"cores": 2, "memory": 4, "disks": {}} | {key: node[key] for key in HARDWARE if key in node}
                for name, node in given.items()
                if node.get("machine") == VirtualNode.kind
            },
            external=self.params["external_cidr"],
            mtu=network.uplink_mtu(),
            resolvers=servers or (self.params["gateway"],),
            search=search,
        )
        self.absent = self.params["state"] == "absent"
        self.public_key = read(self.key.with_suffix(".pub")) or "(a key made on first use)\n"

    def nodes(self):
        """The nodes that the call is about."""
        names = list(self.params["nodes"])
        if self.absent and not names:
            names = [name for _, name, _ in recorded(self.home, self.site.cloud)]
        records = {name: record for _, name, record in recorded(self.home, self.site.cloud)}
        return [self._node(name, records.get(name, {})) for name in names]

    def _node(self, name, record):
        wanted = VirtualNode if name in self.site.virtual else Node
        there = VirtualNode if record.get("machine") == VirtualNode.kind else Node
        if self.absent:
            wanted = there
        elif record and there is not wanted:
            raise Failure(
                f"lab node {name} is a {there.kind} machine, and is to be a {wanted.kind} one",
                next_step="remove the lab with playbooks/destroy.yml and make it anew",
            )
        return wanted(self.home, self.site, name)

    def found(self):
        state = {}
        if self.absent:
            if not self.neighbours():
                state = {key: value for key, value in network.found(self.site).items() if key != "ip_forward"}
            return state | {
                f"node {node.name}": node.made() or "half made"
                for node in self.nodes()
                if node.directory.exists() or node.processes()
            }
        state = network.found(self.site)
        for node in self.nodes():
            if node.made():
                state[f"node {node.name}"] = {
                    "address": node.made()["address"],
                    "running": bool(node.keepers()) and node.answers(),
                    **node.made().get("hardware", {}),
                }
                state[f"files of {node.name}"] = node.files(self.public_key)
                state[f"known key of {node.name}"] = self._lines({node.address: node.host_key()}) == self._lines()
        return state

    def wanted(self):
        if self.absent:
            return {}
        state = network.wanted(self.site)
        for node in self.nodes():
            hardware = self.site.virtual.get(node.name, {})
            state[f"node {node.name}"] = {"address": node.address, "running": True, **hardware}
            state[f"files of {node.name}"] = node_files(self.site, node.name, self.public_key)
            state[f"known key of {node.name}"] = True
        return state

    def neighbours(self):
        """Nodes that stay on the bridge: of another cloud, or of this one and not meant by this call."""
        mine = {(self.site.cloud, node.name) for node in self.nodes()}
        return [
            name
            for cloud, name, record in recorded(self.home)
            if (cloud, name) not in mine and (cloud == self.site.cloud or record.get("bridge") == self.site.bridge)
        ]

    def converge(self, step):
        if self.absent:
            self._remove(step)
        else:
            os.umask(0o022)  # what is made here are root directories of machines, whose services are not all root
            self._prepare()
            network.converge(self.site, step.changes)
            self._each(lambda node: self._make(node, step.before.get(f"files of {node.name}", {})))
            left = {state["address"]: None for key, state in step.before.items() if key.startswith("node ")}
            self._know(left | {node.address: node.host_key() for node in self.nodes()})
            if "route" in step.changes:
                network.converge_route(self.site)

    def _prepare(self):
        """What nodes are made with: the key, and for new ones the base and loop devices."""
        if not self.key.exists():
            self.key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "cloudos-lab", "-f", self.key)
        self.public_key = self.key.with_suffix(".pub").read_text()
        loops.provide()
        if new := [node for node in self.nodes() if not node.made()]:
            base = Base(self.home)
            self.bases = {Node.kind: base, VirtualNode.kind: BootableBase(base)}
            for kind in sorted({node.kind for node in new}):
                self.bases[kind].build()
            used = {record.get("lower") for _, _, record in recorded(self.home)}
            base.prune(used | {str(kept.path) for kept in self.bases.values()})
            (self.home / "lab").mkdir(exist_ok=True)
            self.overlay = overlay_works(self.home / "lab")

    def _make(self, node, files):
        """Bring one node up. files: path -> content of ours in it; where its address changes it starts again."""
        wanted = node_files(self.site, node.name, self.public_key)
        if not node.made():
            node.create(self.bases[node.kind], self.overlay)
            files = node.files(self.public_key)
        node.update({name: content for name, content in wanted.items() if files.get(name) != content})
        node.start()
        node.await_ssh()

    def _each(self, action):
        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(action, self.nodes()))

    def _lines(self, keys=None):
        """The lines of known_hosts, in order; with keys, as they would be with these."""
        return sorted(known_hosts((read(self.known_hosts) or "").splitlines(), keys or {}))

    def _know(self, keys):
        """Write the nodes' keys to known_hosts, so that host key checking stays on."""
        if self._lines(keys) != self._lines():
            write(self.known_hosts, "".join(f"{line}\n" for line in self._lines(keys)), 0o600)

    def _remove(self, step):
        addresses = [node.made()["address"] for node in self.nodes() if node.made()]
        network_too = not self.neighbours()
        self._each(lambda node: node.destroy())
        self._know(dict.fromkeys(addresses))
        if network_too:
            network.remove(self.site, step.before)
        left = recorded(self.home)
        mine = self.home / "lab" / self.site.cloud
        if mine.is_dir() and not recorded(self.home, self.site.cloud):
            mine.rmdir()
        if not any(record.get("machine") == VirtualNode.kind for _, _, record in left):
            Hypervisor(self.home).end()
        if not left:
            loops.take_back()

    def result(self, step):
        return {"private_key": str(self.key), "known_hosts": str(self.known_hosts)}


def main():
    LabNode.main()


if __name__ == "__main__":
    main()
