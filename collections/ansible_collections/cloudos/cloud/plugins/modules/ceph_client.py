#!/usr/bin/python
"""Module ceph_client: who may do what in a Ceph cluster, and with which key."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_client
short_description: Keep a client of a Ceph cluster, its key and what it may do
description:
  - The cluster takes the key that is given, so that every node can have it without asking the cluster for it.
  - Keys are compared and never shown; they go to the monitor as data, not as an argument.
options:
  name: {description: "The client, such as C(client.cinder).", type: str, required: true}
  key: {description: Its key., type: str}
  caps: {description: "What it may do, by kind of daemon: C(mon), C(osd), C(mgr), C(mds).", type: dict, default: {}}
  state: {description: Whether the client is there., type: str, choices: [present, absent], default: present}
extends_documentation_fragment: [cloudos.cloud.operation, cloudos.cloud.ceph]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: Cinder
  cloudos.cloud.ceph_client:
    name: client.cinder
    key: "${secret:service/cinder/ceph}"
    caps: {mon: profile rbd, osd: profile rbd pool=volumes, mgr: profile rbd pool=volumes}
"""

RETURN = r"""
{}
"""

import base64
import binascii

from ansible_collections.cloudos.cloud.plugins.module_utils.ceph import ABSENT, CLUSTER, CephOperation, Refused
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure


class CephClient(CephOperation):
    spec = {
        **CLUSTER,
        "name": {"type": "str", "required": True},
        "key": {"type": "str", "no_log": False},
        "caps": {"type": "dict", "default": {}},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }
    options = {"required_if": [("state", "present", ["key"])]}

    def found(self):
        """Empty where the cluster does not know the client."""
        entry = self.look()
        if entry is None:
            return {}
        wanted = self.reveal(self.params["key"] or "")
        return {"key": self.params["key"] if entry["key"] == wanted else "(another)", "caps": entry["caps"]}

    def wanted(self):
        if self.params["state"] == "absent":
            return {}
        return {"key": self.params["key"], "caps": self.params["caps"]}

    def look(self):
        if not self.cluster:
            return None
        try:
            return self.cluster.order("auth get", entity=self.params["name"])[0]
        except Refused as refused:
            if refused.code == ABSENT:
                return None
            raise

    def converge(self, step):
        if not step.after:
            self.cluster.order("auth del", entity=self.params["name"])
            return
        key = self.reveal(step.after["key"])
        try:
            base64.b64decode(key, validate=True)
        except binascii.Error as error:
            raise Failure(
                f"the key of {self.params['name']} is no key of Ceph", next_step="ceph-authtool --gen-print-key makes one"
            ) from error
        caps = "".join(f'    caps {kind} = "{what}"\n' for kind, what in step.after["caps"].items())
        self.cluster.order("auth import", f"[{self.params['name']}]\n    key = {key}\n{caps}".encode())

    def rendered(self, state):
        lines = "".join(f"{kind}: {what}\n" for kind, what in sorted(state.get("caps", {}).items()))
        return {"key": state.get("key"), "caps": lines}


def main():
    CephClient.main()


if __name__ == "__main__":
    main()
