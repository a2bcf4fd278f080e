"""A Debian server as an image, as people bring them: systemd, SSH, Python, cloud-init; and the programs that a test wants on it.

It is made from the packages of lab nodes, and has no boot loader: kernel and initial file system are images beside it, which
Nova is told of by the image's properties.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.cloudos.cloud.plugins.module_utils.lab.base import Base, BootableBase
from ansible_collections.cloudos.cloud.plugins.module_utils.lab.shell import run

SIZE = "2G"
CMDLINE = "root=/dev/vda rw console=ttyS0 net.ifnames=0 mitigations=off tsc=unstable no_timer_check random.trust_cpu=on"


@dataclass
class Image:
    """Paths of the three files of an image."""

    disk: Path
    kernel: Path
    initial: Path


class Guest(BootableBase):
    """A base that is nobody's node: cloud-init gives it name, address and keys."""

    KERNEL = (*BootableBase.KERNEL, "cloud-init", "haproxy", "nginx-light")
    INITIAL = {
        **BootableBase.INITIAL,
        "etc/cloud/cloud.cfg.d/90-source.cfg": "datasource_list: [OpenStack, ConfigDrive]\n",
        # The programs are there and nothing of them runs: what does is the topologies' matter.
        "usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n",
    }

    def _fill(self, root, log):
        super()._fill(root, log)
        (root / "usr/sbin/policy-rc.d").unlink()
        (root / "etc/systemd/network/10-lab.network").unlink()
        for unit in ("haproxy", "nginx"):
            run("systemctl", f"--root={root}", "disable", unit)
        (root / "etc/nginx/sites-enabled/default").unlink()

    def image(self):
        """The image's files, made once; those of other packages are removed."""
        files = self.home / "cache" / "debian"
        made = Image(*(files / f"{self.digest}.{kind}" for kind in ("qcow2", "vmlinuz", "initrd")))
        if not made.disk.exists():
            self.build()
            shutil.rmtree(self.path / "var/lib/apt/lists")
            shutil.rmtree(files, ignore_errors=True)
            files.mkdir()
            run("mke2fs", "-q", "-t", "ext4", "-d", self.path, files / "disk", SIZE)
            for name, path in (("vmlinuz", made.kernel), ("initrd.img", made.initial)):
                shutil.copyfile(self.path / os.readlink(self.path / name), path)
            run("qemu-img", "convert", "-O", "qcow2", files / "disk", files / "converted")
            (files / "disk").unlink()
            os.replace(files / "converted", made.disk)
            shutil.rmtree(self.path)
        return made


def debian(home):
    """The Image, from the packages of now."""
    return Guest(Base(home)).image()
