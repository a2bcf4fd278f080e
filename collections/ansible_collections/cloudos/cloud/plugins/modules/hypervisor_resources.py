#!/usr/bin/python
"""Module hypervisor_resources: a topology's networks, volumes and domains on a plain host with libvirt."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hypervisor_resources
short_description: Keep the resources of a topology on a host with libvirt
description:
  - Makes and removes networks, volumes and domains (virtual machines) in one call, in the order of their references.
  - Names begin with the topology's, which tells to whom they belong; what has other names is left alone.
options:
  uri: {description: Which libvirt., type: str, default: 'qemu:///system'}
  storage_pool: {description: Pool of libvirt in which volumes are., type: str, default: default}
  topology: {description: Identifier of the topology., type: str, required: true}
  resources:
    description:
      - What is to be there; each has a C(name), unique in the topology, a C(kind) and C(arguments). References, C(needs), C(node) and
        C(existing) are as in M(cloudos.cloud.topology_resources).
      - A network has C(cidr) and C(forward) (nat, route or none); a volume C(size) in GiB and perhaps C(image), the name of a volume
        in the same pool that it starts as; a domain C(vcpus), C(memory) in MiB, C(volumes) and C(networks), lists of identifiers.
    type: list
    elements: dict
    required: true
  known: {description: Attributes of resources of earlier calls by name., type: dict, default: {}}
  state: {description: Whether they are there., type: str, choices: [present, absent], default: present}
extends_documentation_fragment: [cloudos.cloud.operation]
requirements: ["libvirt's binding for Python (Debian: python3-libvirt)"]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: A machine on a network of its own
  cloudos.cloud.hypervisor_resources:
    topology: shop
    resources:
      - {name: net, kind: network, arguments: {cidr: 10.0.7.0/24, forward: nat}}
      - {name: disk, kind: volume, arguments: {size: 10, image: debian-12.qcow2}}
      - name: web
        kind: domain
        arguments:
          vcpus: 1
          memory: 512
          volumes: [{$attribute: [disk, id]}]
          networks: [{$attribute: [net, id]}]
"""

RETURN = r"""
resources:
  description: Resource by name, with its id (a volume's is its path) and C(action), what was done with it.
  type: dict
  returned: success
"""

import ipaddress
import math
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure, Operation
from ansible_collections.cloudos.cloud.plugins.module_utils.topology import schedule

GIB = 1024**3


class HypervisorResources(Operation):
    spec = {
        "uri": {"type": "str", "default": "qemu:///system"},
        "storage_pool": {"type": "str", "default": "default"},
        "topology": {"type": "str", "required": True},
        "resources": {"type": "list", "elements": "dict", "required": True},
        "known": {"type": "dict", "default": {}},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }

    def found(self):
        """Name -> what is there of the arguments."""
        self.host = Host(self.params["uri"], self.params["storage_pool"])
        self.resources = {one["name"]: one for one in self.params["resources"]}
        if unknown := {str(one.get("kind")) for one in self.resources.values()} - KINDS.keys():
            raise Failure(f"unknown kinds {', '.join(sorted(unknown))}", next_step=f"the kinds are {', '.join(KINDS)}")
        self.graph = schedule.needs(list(self.resources.values()))
        self.known, self.actions, state = dict(self.params["known"]), {}, {}
        for name in schedule.order(self.graph):
            kind, resource = self.kind(name), self.resources[name]
            one = kind.find(self.title(name))
            if one is None and resource.get("existing") and self.params["state"] == "present":
                advice = f"make it, or name another: virsh {kind.listing}"
                raise Failure(f"{resource['kind']} {self.title(name)} is not there", next_step=advice)
            if one is not None:
                self.known[name] = kind.attributes(one)
                if not resource.get("existing"):
                    state[name] = kind.shown(one)
        self.there = {*state, *(name for name in self.known if self.resources.get(name, {}).get("existing"))}
        return state

    def wanted(self):
        if self.params["state"] == "absent":
            return {}
        return {name: self.kind(name).wanted(self.arguments(name)) for name, one in self.resources.items() if not one.get("existing")}

    def converge(self, step):
        if not step.after:
            for name in schedule.order(schedule.reverse({name: self.graph[name] & {*step.before} for name in step.before})):
                self.kind(name).delete(self.title(name))
                self.actions[name] = "deleted"
            return
        for name in schedule.order(self.graph):
            kind = self.kind(name)
            if name in step.before and step.before[name] != kind.wanted(self.arguments(name)):
                raise Failure(f"{self.resources[name]['kind']} {name} cannot be changed in place",
                              next_step="remove it first (state: absent), as Eve's plan does where it says replace")  # fmt: skip
            if name not in self.there:
                kind.create(self.title(name), self.arguments(name))
                self.known[name] = kind.attributes(kind.find(self.title(name)))
                self.actions[name] = "created"

    def result(self, step):
        present = self.params["state"] == "present"
        told = {}
        for name, one in self.resources.items():
            if name in self.known and (present or name in step.before):
                action = self.actions.get(name) or ("existing" if one.get("existing") else "kept" if present else "found")
                told[name] = {**self.known[name], "kind": one["kind"], "action": action, "seconds": 0}
        return {"resources": told}

    def kind(self, name):
        return KINDS[self.resources[name]["kind"]](self.host)

    def title(self, name):
        """The name at libvirt."""
        one = self.resources[name]
        return one["arguments"]["name"] if one.get("existing") else f"{self.params['topology']}-{name}"

    def arguments(self, name):
        return schedule.resolved(self.reveal(self.resources[name].get("arguments") or {}), self.known)


class Host:
    """A connection of libvirt-python."""

    def __init__(self, uri, pool):
        try:
            import libvirt
        except ImportError as error:
            raise Failure("libvirt's binding for Python is not installed", next_step="apt-get install python3-libvirt") from error
        libvirt.registerErrorHandler(lambda *_: None, None)  # it would write to the module's standard error
        self.libvirt = libvirt
        try:
            self.connection = libvirt.open(uri)
        except libvirt.libvirtError as error:
            raise Failure(f"{uri}: {error}", next_step="see whether libvirtd runs there: virsh -c URI version") from error
        self.pool_name = pool

    def missing_ok(self, look, *arguments):
        """What `look` finds; None where there is no such thing."""
        try:
            return look(*arguments)
        except self.libvirt.libvirtError as error:
            gone = (self.libvirt.VIR_ERR_NO_DOMAIN, self.libvirt.VIR_ERR_NO_NETWORK, self.libvirt.VIR_ERR_NO_STORAGE_VOL)
            if error.get_error_code() in gone:
                return None
            raise Failure(str(error), service="libvirt") from error

    def do(self, work, *arguments):
        """The result of a call. Raises Failure with libvirt's own words."""
        try:
            return work(*arguments)
        except self.libvirt.libvirtError as error:
            raise Failure(str(error), service="libvirt", next_step="mend it on the host and resume") from error

    @property
    def pool(self):
        return self.do(self.connection.storagePoolLookupByName, self.pool_name)


class Network:
    listing = "net-list --all"

    def __init__(self, host):
        self.host = host

    def find(self, title):
        return self.host.missing_ok(self.host.connection.networkLookupByName, title)

    def wanted(self, arguments):
        return {"cidr": arguments["cidr"], "forward": arguments.get("forward", "nat")}

    def shown(self, one):
        tree = ElementTree.fromstring(one.XMLDesc())  # noqa: S314 - libvirt's own
        address, forward = tree.find("ip"), tree.find("forward")
        width = address.get("prefix") or address.get("netmask")
        return {"cidr": str(ipaddress.ip_interface(f"{address.get('address')}/{width}").network),
                "forward": forward.get("mode") if forward is not None else "none"}  # fmt: skip

    def create(self, title, arguments):
        wanted = self.wanted(arguments)
        net = ipaddress.ip_network(wanted["cidr"])
        forward = "" if wanted["forward"] == "none" else f"<forward mode={quoteattr(wanted['forward'])}/>"
        made = self.host.do(self.host.connection.networkDefineXML, f"""<network><name>{escape(title)}</name>{forward}
            <ip address="{net[1]}" prefix="{net.prefixlen}"><dhcp><range start="{net[2]}" end="{net[-2]}"/></dhcp></ip></network>""")
        self.host.do(made.create)
        self.host.do(made.setAutostart, 1)

    def delete(self, title):
        one = self.find(title)
        if one.isActive():
            self.host.do(one.destroy)
        self.host.do(one.undefine)

    def attributes(self, one):
        return {"id": one.name(), "name": one.name(), "uuid": one.UUIDString()}


class Volume:
    listing = "vol-list POOL"

    def __init__(self, host):
        self.host = host

    def find(self, title):
        return self.host.missing_ok(self.host.pool.storageVolLookupByName, title)

    def wanted(self, arguments):
        return {"size": math.ceil(arguments["size"])}

    def shown(self, one):
        return {"size": math.ceil(one.info()[1] / GIB)}

    def create(self, title, arguments):
        backing = ""
        if image := arguments.get("image"):
            path = self.host.do(self.host.pool.storageVolLookupByName, image).path()
            backing = f"<backingStore><path>{escape(path)}</path><format type='qcow2'/></backingStore>"
        self.host.do(self.host.pool.createXML, f"""<volume><name>{escape(title)}</name>
            <capacity unit="GiB">{self.wanted(arguments)['size']}</capacity><allocation>0</allocation>
            <target><format type="qcow2"/></target>{backing}</volume>""", 0)  # fmt: skip

    def delete(self, title):
        self.host.do(self.find(title).delete, 0)

    def attributes(self, one):
        return {"id": one.path(), "name": one.name(), "path": one.path()}


class Domain:
    listing = "list --all"

    def __init__(self, host):
        self.host = host

    def find(self, title):
        return self.host.missing_ok(self.host.connection.lookupByName, title)

    def wanted(self, arguments):
        return {"vcpus": arguments["vcpus"], "memory": arguments["memory"], "volumes": arguments.get("volumes", []),
                "networks": arguments.get("networks", [])}  # fmt: skip

    def shown(self, one):
        tree = ElementTree.fromstring(one.XMLDesc())  # noqa: S314
        return {"vcpus": int(tree.findtext("vcpu")), "memory": int(tree.findtext("memory")) // 1024,
                "volumes": [source.get("file") for source in tree.findall("devices/disk/source")],
                "networks": [source.get("network") for source in tree.findall("devices/interface/source")]}  # fmt: skip

    def create(self, title, arguments):
        wanted = self.wanted(arguments)
        kind, machine = self.kind()
        disks = "".join(f"""<disk type="file" device="disk"><driver name="qemu" type="qcow2"/><source file={quoteattr(path)}/>
            <target dev="vd{chr(97 + number)}" bus="virtio"/></disk>""" for number, path in enumerate(wanted["volumes"]))
        cards = "".join(f'<interface type="network"><source network={quoteattr(name)}/><model type="virtio"/></interface>'
                        for name in wanted["networks"])  # fmt: skip
        made = self.host.do(self.host.connection.defineXML, f"""<domain type="{kind}"><name>{escape(title)}</name>
            <memory unit="MiB">{wanted['memory']}</memory><vcpu>{wanted['vcpus']}</vcpu><os><type{machine}>hvm</type></os>
            <devices>{disks}{cards}<console type="pty"/></devices></domain>""")  # fmt: skip
        self.host.do(made.create)
        self.host.do(made.setAutostart, 1)

    def kind(self):
        """(type of domain, attributes of the machine): the fastest that the host has."""
        tree = ElementTree.fromstring(self.host.do(self.host.connection.getCapabilities))  # noqa: S314
        for wanted in ("kvm", "qemu", "test"):
            for guest in tree.findall("guest"):
                if guest.findtext("os_type") == "hvm" and any(one.get("type") == wanted for one in guest.findall("arch/domain")):
                    return wanted, f" arch={quoteattr(guest.find('arch').get('name'))}"
        raise Failure("the host runs no virtual machines", next_step="install qemu-system and look at: virsh capabilities")

    def delete(self, title):
        one = self.find(title)
        if one.isActive():
            self.host.do(one.destroy)
        self.host.do(one.undefine)

    def attributes(self, one):
        """The address is that of the first lease, once there is one."""
        address = None
        if one.isActive():
            try:
                leases = one.interfaceAddresses(self.host.libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE, 0)
                address = next((item["addr"] for card in leases.values() for item in card["addrs"] or ()), None)
            except self.host.libvirt.libvirtError:  # a driver without leases, as that for tests
                address = None
        return {"id": one.UUIDString(), "name": one.name(), "private_address": address}


KINDS = {"network": Network, "volume": Volume, "domain": Domain}


def main():
    HypervisorResources.main()


if __name__ == "__main__":
    main()
