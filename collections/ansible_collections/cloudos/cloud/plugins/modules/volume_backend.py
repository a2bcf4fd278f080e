#!/usr/bin/python
"""Module volume_backend: whether Cinder places volumes on a back end, and whether the back end is empty."""

from __future__ import annotations

DOCUMENTATION = r"""
module: volume_backend
short_description: Enable, disable or drain a back end of Cinder
description:
  - C(active), Cinder places volumes on the back end. C(disabled), it places no new ones. C(drained), besides, no volume
    is on it.
  - Draining moves volumes to O(target), one after another, or waits until their owners have deleted them. A volume
    that is attached is moved by Nova where its hypervisor and the two back ends can do that.
options:
  name: {description: "The back end as Cinder names it, C(host@backend).", type: str, required: true}
  state: {description: The wanted state., type: str, choices: [active, disabled, drained], default: active}
  reason: {description: "Why the back end is not active, for those who look.", type: str, default: maintenance}
  target:
    description: "Pool that draining moves volumes to, C(host@backend#pool); without it draining waits."
    type: str
  timeout: {description: Seconds for the back end to become empty., type: int, default: 3600}
extends_documentation_fragment: [cloudos.cloud.operation, cloudos.cloud.login]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: Empty a back end
  cloudos.cloud.volume_backend:
    name: ctl1@lvm
    state: drained
    target: ceph@ceph#ceph
    cloud: {auth_url: "https://192.0.2.10:5000/v3", password: "${secret:identity/admin}", cafile: /etc/cloudos/pki/ca.pem}
"""

RETURN = r"""
volumes: {description: How many volumes are on the back end., type: int, returned: always}
"""

from urllib.parse import quote

from ansible_collections.cloudos.cloud.plugins.module_utils.block_storage import LOGIN, BlockStorage
from ansible_collections.cloudos.cloud.plugins.module_utils.drain import DRAIN, Drain
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure

BUSY = ("starting", "migrating", "completing")


class VolumeBackend(Drain, BlockStorage):
    service = "cinder"
    holds = "volumes"
    spec = {**LOGIN, **DRAIN, "target": {"type": "str"}, "timeout": {"type": "int", "default": 3600}}

    def __init__(self, module):
        super().__init__(module)
        self.begun = set()

    def status(self):
        services = self.ask("GET", "/os-services?binary=cinder-volume")["services"]
        mine = next((one for one in services if one["host"] == self.params["name"]), None)
        if mine is None:
            known = ", ".join(sorted(one["host"] for one in services)) or "none"
            raise Failure(f"{self.params['name']} is no back end; Cinder knows {known}", service="cinder")
        return mine["status"], mine["disabled_reason"]

    def held(self):
        """Volumes of all projects on the back end."""
        path = f"/volumes/detail?all_tenants=1&host={quote(self.params['name'])}"
        return [
            volume
            for volume in self.ask("GET", path)["volumes"]
            if volume["os-vol-host-attr:host"].split("#")[0] == self.params["name"]
        ]

    def shown(self, one):
        return one["name"] or one["id"]

    def enable(self):
        self.ask("PUT", "/os-services/enable", self.me)

    def disable(self, reason):
        self.ask("PUT", "/os-services/disable-log-reason", {**self.me, "disabled_reason": reason})

    @property
    def me(self):
        return {"binary": "cinder-volume", "host": self.params["name"]}

    def move(self, held):
        """Where nothing is on its way, the next volume."""
        if stuck := [one for one in held if one["id"] in self.begun and one["migration_status"] == "error"]:
            raise Failure(
                f"volume {self.shown(stuck[0])} could not be moved to {self.params['target']}",
                service="cinder",
                next_step=f"openstack volume show {stuck[0]['id']}; journal of cinder-volume",
            )
        waiting = [one for one in held if one["id"] not in self.begun]
        if self.params["target"] and waiting and not any(one["migration_status"] in BUSY for one in held):
            self.begun.add(waiting[0]["id"])
            move = {"host": self.params["target"], "force_host_copy": False, "lock_volume": False}
            self.ask("POST", f"/volumes/{waiting[0]['id']}/action", {"os-migrate_volume": move})


def main():
    VolumeBackend.main()


if __name__ == "__main__":
    main()
