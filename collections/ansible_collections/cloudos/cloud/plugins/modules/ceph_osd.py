#!/usr/bin/python
"""Module ceph_osd: the storage that a node gives to a Ceph cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_osd
short_description: Keep a node's OSD of a Ceph cluster
description:
  - Makes an OSD under a UUID that is the caller's, starts its unit and waits until the cluster counts it in. Whatever a
    killed run left is completed. Where its data is, a file or a disk, says F(ceph.conf). A disk that holds anything else
    is left alone.
  - C(out) moves the data elsewhere and C(absent) ends the OSD once the cluster can do without it; both wait for that.
options:
  uuid: {description: The OSD's UUID., type: str, required: true}
  state:
    description: C(present), it holds data; C(out), it runs and holds none; C(absent), it is not there.
    type: str
    choices: [present, out, absent]
    default: present
  directory: {description: Where OSDs have their directories., type: path, default: /var/lib/ceph/osd}
  drain_timeout: {description: Seconds for the data to move elsewhere., type: int, default: 3600}
extends_documentation_fragment: [cloudos.cloud.operation, cloudos.cloud.ceph]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: The node's OSD
  cloudos.cloud.ceph_osd: {uuid: 6b1b7a0e-9a1c-5d0e-8a57-3f4a4ba6ad51}
"""

RETURN = r"""
osd: {description: Number of the OSD., type: int, returned: when it is there}
"""

import errno
import shutil
import time
from pathlib import Path

from ansible_collections.cloudos.cloud.plugins.module_utils.ceph import CLUSTER, CephOperation, Refused
from ansible_collections.cloudos.cloud.plugins.module_utils.filesystem import write_directory, write_file
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure
from ansible_collections.cloudos.cloud.plugins.module_utils.processes import journal, run
from ansible_collections.cloudos.cloud.plugins.module_utils.systemd import show

CAPS = ["mon", "allow profile osd", "mgr", "allow profile osd", "osd", "allow *"]


class CephOsd(CephOperation):
    lock = "ceph-osd"
    spec = {
        **CLUSTER,
        "uuid": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "out", "absent"], "default": "present"},
        "directory": {"type": "path", "default": "/var/lib/ceph/osd"},
        "drain_timeout": {"type": "int", "default": 3600},
    }

    def found(self):
        """{"data", "unit", "cluster"}; empty where neither cluster nor node know the OSD."""
        self.entry = self.known()
        self.number = self.entry["osd"] if self.entry else None
        if self.entry is None:
            return {}
        shown = show([self.unit])[self.unit]
        running = shown.active in ("active", "starting") and shown.file_state.startswith("enabled")
        up, inside = ("up" if self.entry["up"] else "down"), ("in" if self.entry["in"] else "out")
        return {
            "data": "made" if (self.home / "ready").exists() else None,
            "unit": "runs" if running else shown.active,
            "cluster": f"{up}, {inside}",
        }

    def wanted(self):
        if self.params["state"] == "absent":
            return {}
        inside = "in" if self.params["state"] == "present" else "out"
        return {"data": "made", "unit": "runs", "cluster": f"up, {inside}"}

    @property
    def home(self):
        return Path(self.params["directory"]) / f"ceph-{self.number}"

    @property
    def unit(self):
        return f"ceph-osd@{self.number}.service"

    def known(self):
        """What the cluster's map has of the OSD, or None."""
        osds = self.cluster.order("osd dump")["osds"] if self.cluster else []
        return next((osd for osd in osds if osd["uuid"] == self.params["uuid"]), None)

    def converge(self, step):
        if not step.after:
            self.remove()
            return
        if not step.before:
            self.number = self.cluster.order("osd new", uuid=self.params["uuid"])["osdid"]
        if not step.before.get("data"):
            self.make()
        starting = step.before.get("unit") != "runs" or not step.before.get("data")
        if starting:
            run(["systemctl", "reset-failed", self.unit], service="ceph", accept=(0, 1))
            run(["systemctl", "enable", "--now", self.unit], service="ceph")
        if starting or "cluster" in step.changes:  # the cluster notices late that a daemon is gone
            self.order_in(step.after["cluster"].endswith("in"))
            self.wait(lambda entry: entry and entry["up"], self.params["timeout"], "has not come up")
        if self.params["state"] == "out" and "cluster" in step.changes:
            self.drain()

    def make(self):
        """Its key and an empty store; what an earlier try left of the store is cleared away."""
        key = self.cluster.order("auth get-or-create", entity=f"osd.{self.number}", caps=CAPS)[0]["key"]
        shutil.rmtree(self.home, ignore_errors=True)
        write_directory(str(self.home), "ceph", "ceph", "0700")
        keyring = f"[osd.{self.number}]\n    key = {key}\n"
        write_file(str(self.home / "keyring"), keyring.encode(), "ceph", "ceph", "0600")
        if disk := self.disk():
            self.must_be_free(disk)
            # The daemon is not root when it opens it.
            shutil.chown(disk, "ceph", "ceph")
        identity = ["--id", str(self.number), "--osd-uuid", self.params["uuid"], "--conf", self.params["conf"]]
        run(["ceph-osd", "--mkfs", *identity, "--setuser", "ceph", "--setgroup", "ceph"], service="ceph")

    def disk(self):
        """The disk that ceph.conf names for the OSD; empty for a file in its directory."""
        name = ["--conf", self.params["conf"], "--name", f"osd.{self.number}"]
        return run(["ceph-conf", *name, "--lookup", "bluestore_block_path"], service="ceph", accept=(0, 1)).strip()

    def must_be_free(self, disk):
        """Raise Failure where the disk holds anything but what an earlier try of this OSD left."""
        held = run(["blkid", "-p", "-o", "export", disk], accept=(0, 2), service="ceph")
        if not held.strip():
            return
        label = run(["ceph-bluestore-tool", "show-label", "--dev", disk], accept=(0, 1), service="ceph")
        if self.params["uuid"] not in label:
            what = " ".join(line for line in held.split() if line.startswith(("TYPE", "PTTYPE", "LABEL", "UUID")))
            raise Failure(
                f"{disk} holds something ({what or held.strip()}), and is left alone",
                service="ceph",
                next_step=f"name another disk, or, if all of it may be lost, wipefs --all {disk}",
            )

    def order_in(self, inside):
        self.cluster.order("osd in" if inside else "osd out", ids=[str(self.number)])

    def drain(self):
        """Until the cluster can do without the OSD."""
        deadline = time.monotonic() + self.params["drain_timeout"]
        while not self.safe():
            if time.monotonic() > deadline:
                raise Failure(
                    f"osd.{self.number} still holds data that is nowhere else after {self.params['drain_timeout']} s",
                    service="ceph",
                    next_step="ceph osd safe-to-destroy tells what; is there room on other OSDs? Then run again",
                )
            time.sleep(1)

    def safe(self):
        """Whether all that the OSD holds is elsewhere too; the manager says no by refusing."""
        try:
            told = self.cluster.order("osd safe-to-destroy", manager=True, ids=[str(self.number)])
        except Refused as refused:
            if refused.code in (errno.EBUSY, errno.EAGAIN):
                return False
            raise
        return self.number in told["safe_to_destroy"]

    def remove(self):
        self.order_in(False)
        self.drain()
        run(["systemctl", "disable", "--now", self.unit], service="ceph")
        self.wait(lambda entry: not entry or not entry["up"], self.params["timeout"], "has not gone down")
        self.cluster.order("osd purge-actual", id=self.number, yes_i_really_mean_it=True)
        shutil.rmtree(self.home, ignore_errors=True)
        self.number = None

    def wait(self, good, seconds, complaint):
        deadline = time.monotonic() + seconds
        while not good(self.known()):
            if time.monotonic() > deadline:
                raise Failure(
                    f"osd.{self.number} {complaint} within {seconds} s",
                    service="ceph",
                    unit=self.unit,
                    log=[self.mask(line) for line in journal(self.unit)],
                    next_step=f"mend what its journal tells (journalctl -u {self.unit}), then run again",
                )
            time.sleep(0.2)

    def result(self, step):
        return {"osd": self.number} if step.after and self.number is not None else {}


def main():
    CephOsd.main()


if __name__ == "__main__":
    main()
