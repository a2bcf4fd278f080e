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

import time
from urllib.parse import quote

from ansible_collections.cloudos.cloud.plugins.module_utils.block_storage import LOGIN, BlockStorage
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure

BUSY = ("starting", "migrating", "completing")


class VolumeBackend(BlockStorage):
    spec = {
        **LOGIN,
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["active", "disabled", "drained"], "default": "active"},
        "reason": {"type": "str", "default": "maintenance"},
        "target": {"type": "str"},
        "timeout": {"type": "int", "default": 3600},
    }

    def found(self):
        services = self.ask("GET", "/os-services?binary=cinder-volume")["services"]
        self.service = next((one for one in services if one["host"] == self.params["name"]), None)
        if self.service is None:
            known = ", ".join(sorted(one["host"] for one in services)) or "none"
            raise Failure(f"{self.params['name']} is no back end; Cinder knows {known}", service="cinder")
        self.left = len(self.volumes())
        reason = self.service["disabled_reason"] if self.service["status"] == "disabled" else None
        return {"status": self.service["status"], "reason": reason, **({"volumes": self.left} if self.draining else {})}

    def wanted(self):
        if self.params["state"] == "active":
            return {"status": "enabled", "reason": None}
        return {"status": "disabled", "reason": self.params["reason"], **({"volumes": 0} if self.draining else {})}

    @property
    def draining(self):
        return self.params["state"] == "drained"

    def volumes(self):
        """Volumes of all projects on the back end."""
        path = f"/volumes/detail?all_tenants=1&host={quote(self.params['name'])}"
        return [
            volume
            for volume in self.ask("GET", path)["volumes"]
            if volume["os-vol-host-attr:host"].split("#")[0] == self.params["name"]
        ]

    def converge(self, step):
        service = {"binary": "cinder-volume", "host": self.params["name"]}
        if self.params["state"] == "active":
            self.ask("PUT", "/os-services/enable", service)
        elif "status" in step.changes or "reason" in step.changes:
            self.ask("PUT", "/os-services/disable-log-reason", {**service, "disabled_reason": self.params["reason"]})
        if "volumes" in step.changes:
            self.empty()

    def empty(self):
        deadline = time.monotonic() + self.params["timeout"]
        begun = set()
        while volumes := self.volumes():
            if stuck := [one for one in volumes if one["id"] in begun and one["migration_status"] == "error"]:
                raise Failure(
                    f"volume {stuck[0]['name'] or stuck[0]['id']} could not be moved to {self.params['target']}",
                    service="cinder",
                    next_step=f"openstack volume show {stuck[0]['id']}; journal of cinder-volume",
                )
            if time.monotonic() > deadline:
                names = ", ".join(one["name"] or one["id"] for one in volumes)
                raise Failure(
                    f"after {self.params['timeout']} s, still on {self.params['name']}: {names}",
                    service="cinder",
                    next_step="look at these volumes; running again goes on with them",
                )
            waiting = [one for one in volumes if one["id"] not in begun]
            if self.params["target"] and waiting and not any(one["migration_status"] in BUSY for one in volumes):
                begun.add(waiting[0]["id"])
                move = {"host": self.params["target"], "force_host_copy": False, "lock_volume": False}
                self.ask("POST", f"/volumes/{waiting[0]['id']}/action", {"os-migrate_volume": move})
            time.sleep(1)
        self.left = 0

    def result(self, step):
        return {"volumes": self.left}


def main():
    VolumeBackend.main()


if __name__ == "__main__":
    main()
