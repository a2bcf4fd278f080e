#!/usr/bin/python
"""Module object_disk: the file systems that Swift's storage servers keep objects on."""

from __future__ import annotations

DOCUMENTATION = r"""
module: object_disk
short_description: Keep the disks that Swift stores objects on
description:
  - Keeps an XFS file system for each disk, mounted by a systemd unit below O(root), and its root owned by Swift.
  - A disk is formatted only where it is empty, or where O(disks) names what it holds in C(erase). One that was formatted
    for the same name is taken as it is.
  - Where a disk has no C(device), a sparse file of C(size) GiB takes its place; the file is never removed.
options:
  disks:
    description:
      - Name of a disk (at most 12 characters, also the label of its file system) to a mapping.
      - C(device) is a block device, best by a stable name such as C(/dev/disk/by-id/...); C(size) GiB of a file instead,
        which may grow.
      - C(state) is C(present), C(drained) (the same, to this module), C(absent) (unmounted, and refused while it still holds
        partitions) or C(lost) (unmounted, whatever it holds).
      - C(erase) is the identifier, as a refusal tells it, of what the disk holds and may lose.
    type: dict
    required: true
  root: {description: Directory of the mount points., type: path, default: /srv/node}
  images: {description: Directory of the files., type: path, default: /var/lib/cloudos/disks}
  units: {description: Directory of systemd's units., type: path, default: /etc/systemd/system}
  owner: {description: User and group that own the file systems., type: str, default: swift}
extends_documentation_fragment: [cloudos.cloud.operation]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: Two disks
  cloudos.cloud.object_disk:
    disks:
      d1: {device: /dev/disk/by-id/wwn-0x5000c500a1b2c3d4}
      d2: {device: /dev/sdc, erase: 8b7f5e5c-2f3a-4d0a-9c55-1f0f0f3f7a61}
"""

RETURN = r"""
mounts: {description: Name of a disk to its mount point., type: dict, returned: always}
"""

import os
from pathlib import Path

from ansible_collections.cloudos.cloud.plugins.module_utils import disks
from ansible_collections.cloudos.cloud.plugins.module_utils.filesystem import look, write_file
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure, Operation
from ansible_collections.cloudos.cloud.plugins.module_utils.processes import journal, run

GIB = 1 << 30
LABEL = 12  # characters that XFS has for one
UNIT = """\
# Written by Cloud OS: a change made here is undone.
[Unit]
Description=Objects on {name}

[Mount]
What={what}
Where={where}
Type=xfs
Options=noatime,nodev,nosuid,noexec{loop}

[Install]
WantedBy=local-fs.target
"""


class ObjectDisk(Operation):
    lock = "object-disks"
    spec = {
        "disks": {"type": "dict", "required": True},
        "root": {"type": "path", "default": "/srv/node"},
        "images": {"type": "path", "default": "/var/lib/cloudos/disks"},
        "units": {"type": "path", "default": "/etc/systemd/system"},
        "owner": {"type": "str", "default": "swift"},
    }

    def found(self):
        """{name: {content, size of a file, mounted, owner, unit}}; without those of which there is nothing."""
        self.disks = {name: Disk(name, given or {}, self.params) for name, given in self.params["disks"].items()}
        return {name: state for name, disk in self.disks.items() if (state := disk.found())}

    def wanted(self):
        for disk in self.disks.values():
            if disk.state == "absent":
                disk.must_be_empty()
        return {name: disk.wanted() for name, disk in self.disks.items() if disk.state in ("present", "drained")}

    def converge(self, step):
        units = False
        for name in step.changes:
            disk, after = self.disks[name], step.after.get(name)
            if after:
                disk.prepare()
                if units := disk.write_unit() or units:
                    run(["systemctl", "daemon-reload"])
                disk.mount()
            else:
                disk.unmount()

    def rendered(self, state):
        return {name: "".join(f"{key}: {value}\n" for key, value in disk.items()) for name, disk in state.items()}

    def result(self, step):
        return {"mounts": {name: str(self.disks[name].where) for name in step.after}}


class Disk:
    """One disk as it is declared; `device` is None where a file takes its place."""

    def __init__(self, name, given, params):
        self.name, self.params = name, params
        self.device, self.size = given.get("device"), given.get("size")
        self.state, self.erase = given.get("state") or "present", given.get("erase")
        self.where = Path(params["root"], name)
        self.image = Path(params["images"], f"{name}.img")
        # As systemd-escape names the unit of a path.
        escaped = "-".join(part.replace("-", r"\x2d") for part in self.where.parts[1:])
        self.unit = Path(params["units"], f"{escaped}.mount")
        if (self.device is None) == (self.size is None):
            raise Failure(
                f"object disk {name} must have either a device or a size", next_step="correct it in the inventory"
            )
        if len(name) > LABEL:
            raise Failure(f"object disk {name}: the name is longer than {LABEL} characters, which a label of XFS has")

    @property
    def what(self):
        return Path(self.device or self.image)

    def found(self):
        """Its state; empty where nothing of it is there."""
        text = self.unit.read_text() if self.unit.exists() else None
        if self.state in ("absent", "lost"):
            return {"mounted": os.path.ismount(self.where), "unit": text} if text else {}
        content, _identifier = self.content()
        if content == "nothing" and text is None and not self.device:
            return {}
        size = {"size": f"{self.what.stat().st_size / GIB:g} GiB"} if self.size and self.what.exists() else {}
        mounted = os.path.ismount(self.where)
        entry = look(str(self.where)) if mounted else None
        return {
            "content": content,
            **size,
            "mounted": mounted,
            "owner": entry and f"{entry['owner']}:{entry['group']}",
            "unit": text,
        }

    def wanted(self):
        """The state of a disk in use. Raises Failure where that would lose something."""
        content, identifier = self.content()
        if content not in ("nothing", self.mine) and (self.erase != identifier or os.path.ismount(self.where)):
            disks.refuse(f"object disk {self.name}", self.what, (content, identifier), "swift")
        now = self.what.stat().st_size / GIB if self.size and self.what.exists() else 0
        if self.size and self.size < now:
            raise Failure(
                f"object disk {self.name} has {now:g} GiB and cannot shrink to {self.size}",
                service="swift",
                next_step="declare the size it has, or drain it and make another",
            )
        owner = self.params["owner"]
        size = {"size": f"{self.size:g} GiB"} if self.size else {}
        return {"content": self.mine, **size, "mounted": True, "owner": f"{owner}:{owner}", "unit": self.unit_text()}

    def must_be_empty(self):
        """Raise Failure where partitions of any ring are still on it."""
        kinds = ("accounts", "containers", "objects*")
        held = [path for kind in kinds for path in self.where.glob(f"{kind}/*") if path.name.isdigit()]
        if held:
            raise Failure(
                f"object disk {self.name} still holds {len(held)} partitions",
                service="swift",
                next_step="declare it with state: drained, and wait until the replicators have moved them",
            )

    @property
    def mine(self):
        """What its content is called once it has been formatted."""
        return f"xfs labelled {self.name}"

    def content(self):
        """(what the disk holds, identifier of that): ("nothing", "") where it may be formatted."""
        if not self.what.exists():
            if self.device:
                raise disks.missing(
                    f"object disk {self.name}", self.device, "swift", ", or declare it with state: lost"
                )
            return disks.NOTHING
        return disks.content(self.what)

    def unit_text(self):
        return UNIT.format(name=self.name, what=self.what, where=self.where, loop="" if self.device else ",loop")

    def prepare(self):
        """Its file system there, and as large as declared."""
        if self.device:
            if self.content()[0] != self.mine:
                self.format(self.what)
        elif not self.image.exists():
            self.image.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new = self.image.with_suffix(".new")  # what a killed run leaves is never taken for a finished one
            new.unlink(missing_ok=True)
            with open(new, "wb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.truncate(self.size * GIB)
            self.format(new)
            new.rename(self.image)
        elif self.image.stat().st_size < self.size * GIB:
            os.truncate(self.image, self.size * GIB)
            if os.path.ismount(self.where):
                loops = run(["losetup", "--noheadings", "--output", "NAME", "--associated", str(self.image)]).split()
                run(["losetup", "--set-capacity", *loops])

    def format(self, target):
        disks.claim(f"object disk {self.name}", target, "swift")
        run(["mkfs.xfs", "-q", "-f", "-L", self.name, str(target)], service="swift")

    def write_unit(self):
        """Whether the unit's file had to be written."""
        if self.unit.exists() and self.unit.read_text() == self.unit_text():
            return False
        write_file(str(self.unit), self.unit_text().encode(), mode="0644")
        return True

    def mount(self):
        self.where.mkdir(mode=0o755, parents=True, exist_ok=True)
        try:
            run(["systemctl", "enable", "--now", self.unit.name], service="swift")
        except Failure as failure:
            raise Failure(
                failure.facts["cause"],
                service="swift",
                unit=self.unit.name,
                log=[*failure.facts["log"], *journal(self.unit.name)],
                next_step=f"xfs_repair -n {self.what} tells whether its file system is sound",
            ) from failure
        if self.size:
            run(["xfs_growfs", str(self.where)], service="swift")
        run(["chown", f"{self.params['owner']}:{self.params['owner']}", str(self.where)])

    def unmount(self):
        """Unmounted and without a unit; the file or disk keeps what it holds."""
        run(["systemctl", "disable", "--now", self.unit.name], service="swift")
        self.unit.unlink(missing_ok=True)
        run(["systemctl", "daemon-reload"])


def main():
    ObjectDisk.main()


if __name__ == "__main__":
    main()
