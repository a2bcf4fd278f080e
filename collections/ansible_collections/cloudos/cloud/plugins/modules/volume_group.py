#!/usr/bin/python
"""Module volume_group: the LVM volume group that Cinder's volumes are made in, and its thin pool."""

from __future__ import annotations

DOCUMENTATION = r"""
module: volume_group
short_description: Keep the volume group of Cinder's LVM back end
description:
  - Makes an LVM volume group of the disks that a node gives, with a thin pool that fills it; both grow by further disks.
  - A disk is taken only where it is empty, or where O(devices) names what it holds in C(erase). One that belongs to the
    group already is taken as it is. A disk that is no longer named stays in the group.
  - A group that was made by other means needs no O(devices), and gets its pool.
options:
  devices:
    description:
      - Name of a disk to a mapping. C(device) is a block device, best by a stable name such as C(/dev/disk/by-id/...).
      - C(erase) is the identifier, as a refusal tells it, of what the disk holds and may lose.
    type: dict
    required: true
  name: {description: Name of the volume group., type: str, default: cinder-volumes}
  pool: {description: Name of the thin pool., type: str, default: cinder-volumes-pool}
extends_documentation_fragment: [cloudos.cloud.operation]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: A volume group of two disks
  cloudos.cloud.volume_group:
    devices:
      d1: {device: /dev/disk/by-id/wwn-0x5000c500a1b2c3d4}
      d2: {device: /dev/sdc, erase: 8b7f5e5c-2f3a-4d0a-9c55-1f0f0f3f7a61}
"""

RETURN = r"""
size: {description: Bytes that the volume group has; 0 where it is not there yet., type: int, returned: always}
"""

import json
import os
import shutil

from ansible_collections.cloudos.cloud.plugins.module_utils import disks
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure, Operation
from ansible_collections.cloudos.cloud.plugins.module_utils.processes import run

# Of the free space, how much a pool takes: the rest is for its metadata to grow. With twice that free it can grow.
SHARE = "95%FREE"
SPARE = 0.1


class VolumeGroup(Operation):
    """States are mappings: name of a disk to its path and content; `pool` to whether the thin pool fills the group."""

    lock = "volume-group"
    spec = {
        "devices": {"type": "dict", "required": True},
        "name": {"type": "str", "default": "cinder-volumes"},
        "pool": {"type": "str", "default": "cinder-volumes-pool"},
    }

    def found(self):
        self.group = self.look()
        state = {name: {"device": path, "content": self.content(path)[0]} for name, path in self.paths().items()}
        return state | ({"pool": self.pool()} if self.pool() else {})

    def wanted(self):
        if not self.params["devices"] and not self.group:
            raise Failure(
                f"there is no volume group {self.params['name']}, and no disk to make it of",
                service="cinder",
                next_step="name disks in the node's volume.devices in the inventory",
            )
        for name, path in self.paths().items():
            held = self.content(path)
            if held not in (disks.NOTHING, (self.mine, "")) and self.params["devices"][name].get("erase") != held[1]:
                disks.refuse(f"volume disk {name}", path, held, "cinder")
        state = {name: {"device": path, "content": self.mine} for name, path in self.paths().items()}
        return state | {"pool": f"{self.params['pool']} fills {self.params['name']}"}

    def converge(self, step):
        group = self.params["name"]
        for name in (name for name in step.changes if name != "pool"):
            path = step.after[name]["device"]
            disks.claim(f"volume disk {name}", path, "cinder")
            run(["wipefs", "--all", "--quiet", path], service="cinder")
            self.lvm("pvcreate", "--yes", path)
            self.lvm("vgextend" if self.look() else "vgcreate", group, path)
        self.group = self.look()
        if self.pool() is None:
            self.lvm("lvcreate", "--type", "thin-pool", "--extents", SHARE, "--name", self.params["pool"], group)
        elif self.pool() != step.after["pool"]:
            self.lvm("lvextend", "--extents", f"+{SHARE}", f"{group}/{self.params['pool']}")
        self.group = self.look()

    def result(self, step):
        return {"size": self.group.get("size", 0)}

    @property
    def mine(self):
        return f"a part of volume group {self.params['name']}"

    def paths(self):
        return {name: disk["device"] for name, disk in self.params["devices"].items()}

    def content(self, path):
        """(what the disk holds, identifier of that); with "" as identifier where it is empty or belongs to the group."""
        if not os.path.exists(path):
            raise disks.missing("volume group", path, "cinder")
        if os.path.realpath(path) in self.group.get("disks", ()):
            return self.mine, ""
        return disks.content(path)

    def pool(self):
        """What is to be said of the pool; None where it is not there."""
        if self.params["pool"] not in self.group.get("volumes", ()):
            return None
        filled = self.group["free"] < SPARE * self.group["size"]
        return f"{self.params['pool']} {'fills' if filled else 'leaves room in'} {self.params['name']}"

    def look(self):
        """{size, free, disks: real paths, volumes: names} of the group; empty where it is not there."""
        if not shutil.which("vgs", path=f"{os.environ['PATH']}:/usr/sbin:/sbin"):
            return {}  # in check mode, on a node that is still blank
        name = self.params["name"]
        groups = self.report("vgs", "vg_name,vg_size,vg_free", "vg")
        found = next((group for group in groups if group["vg_name"] == name), None)
        if not found:
            return {}
        parts = [part for part in self.report("pvs", "pv_name,vg_name", "pv") if part["vg_name"] == name]
        volumes = [volume for volume in self.report("lvs", "lv_name,vg_name", "lv") if volume["vg_name"] == name]
        return {
            "size": int(found["vg_size"]),
            "free": int(found["vg_free"]),
            "disks": {os.path.realpath(part["pv_name"]) for part in parts},
            "volumes": {volume["lv_name"] for volume in volumes},
        }

    def report(self, command, columns, kind):
        units = ("--units", "b", "--nosuffix", "--reportformat", "json")
        return json.loads(self.lvm(command, *units, "--options", columns))["report"][0][kind]

    def lvm(self, *command):
        return run(list(command), service="cinder")


def main():
    VolumeGroup.main()


if __name__ == "__main__":
    main()
