"""Inventory plugin: a Cloud OS `cloud.yml` as Ansible sees it. What the file means is decided in `cloudos.model`."""

from __future__ import annotations

from pathlib import Path

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible.template import trust_as_template

from cloudos import home
from cloudos.model import inventory as description
from cloudos.model.problems import Problems
from cloudos.model.schemas import GROUPS

DOCUMENTATION = r"""
name: cloud
short_description: Reads the description of a cloud
description:
  - Reads C(inventory/<cloud>/cloud.yml), which describes a whole cloud, and gives Ansible its nodes and groups.
  - All nodes are in group C(nodes), and in the groups that the file names (C(control), C(base), C(network), C(compute), C(storage)).
  - Each node has C(ansible_host), C(ansible_python_interpreter) and the variables of its key C(ansible).
  - All hosts have C(cloudos_cloud), C(cloudos_release), C(cloudos_lab), C(cloudos_networks), C(cloudos_services),
    C(cloudos_timeouts), C(cloudos_inventory) (path of the file) and C(cloudos_state) (directory with what is kept about the
    cloud, such as C(clouds.yaml)).
  - Nodes of a lab are reached as root with the key in C(CLOUDOS_HOME/keys/lab).
  - Any mistake in the file stops Ansible, with all mistakes in one report.
options:
  plugin:
    description: Marks the file as a source for this plugin.
    required: true
    choices: [cloudos.cloud.cloud]
"""

EXAMPLES = r"""
# inventory/aio/cloud.yml; the other keys are those of docs/reference/data.md
plugin: cloudos.cloud.cloud
cloud: aio
nodes:
  ctl1: {address: 172.29.0.11, groups: [control, network, compute]}
"""


class InventoryModule(BaseInventoryPlugin):
    """Fills Ansible's inventory from one file."""

    NAME = "cloudos.cloud.cloud"

    def verify_file(self, path):
        return super().verify_file(path) and Path(path).name in ("cloud.yml", "cloud.yaml")

    def parse(self, inventory, loader, path, cache=True):
        super().parse(inventory, loader, path, cache)
        try:
            cloud = description.load(path)
        except Problems as report:
            raise AnsibleParserError(str(report)) from None
        self._describe(cloud)
        for group in ("nodes", *GROUPS):
            inventory.add_group(group)
        common = _lab_access(cloud.cloud) if cloud.lab else {}
        for name, node in cloud.nodes.items():
            for group in ("nodes", *node["groups"]):
                inventory.add_host(name, group=group)
            for key, value in {**_access(node), **common, **_trusted(node["ansible"])}.items():
                inventory.set_variable(name, key, value)

    def _describe(self, cloud):
        facts = {
            "cloudos_cloud": cloud.cloud,
            "cloudos_release": cloud.release,
            "cloudos_lab": cloud.lab and {**cloud.lab, "nodes": _machines(cloud.nodes)},
            "cloudos_networks": cloud.networks,
            "cloudos_services": cloud.services,
            "cloudos_timeouts": cloud.timeouts,
            "cloudos_inventory": str(cloud.path.resolve()),
            "cloudos_state": str(home.cloud(cloud.cloud)),
        }
        for name, value in facts.items():
            self.inventory.set_variable("all", name, value)


def _access(node):
    return {"ansible_host": str(node["address"]), "ansible_python_interpreter": "/usr/bin/python3"}


def _machines(nodes):
    """Name -> address and kind of machine, as module lab_node takes them."""
    return {name: {"address": str(node["address"]), **node["lab"]} for name, node in nodes.items()}


def _lab_access(cloud):
    return {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(home.root() / "keys" / "lab"),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={home.cloud(cloud) / 'known_hosts'}",
    }


def _trusted(variables):
    """The connection variables that an operator wrote may be expressions, as in any inventory."""
    return {key: trust_as_template(str(value)) if isinstance(value, str) else value for key, value in variables.items()}
