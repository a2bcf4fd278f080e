"""One lab node as a virtual machine: a kernel and disks of its own, run by libvirt.

Its directory, lab/<cloud>/<node>, holds system.img (its root file system), <name>.img of each further disk, the kernel that
boots it, files (a copy of those that we keep in it) and node.json, written last. The path of the kernel on QEMU's command
line is the mark of its process. It is described to libvirt when it starts, so nothing of it lies elsewhere.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
import time
from xml.sax.saxutils import escape, quoteattr

from ansible_collections.cloudos.cloud.plugins.module_utils import kvm_probe
from ansible_collections.cloudos.cloud.plugins.module_utils.lab.base import POOL
from ansible_collections.cloudos.cloud.plugins.module_utils.lab.files import NETWORK, node_files
from ansible_collections.cloudos.cloud.plugins.module_utils.lab.hypervisor import Hypervisor
from ansible_collections.cloudos.cloud.plugins.module_utils.lab.node import Node, alive, kill, marked
from ansible_collections.cloudos.cloud.plugins.module_utils.lab.shell import read, run, write
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure

GIB = 1 << 30
SYSTEM = 20  # GiB that the root file system may grow to; only what is written takes space
CMDLINE = "root=/dev/vda rw console=ttyS0 net.ifnames=0"
# Nobody attacks a lab node from within, and QEMU's counters agree on all cores; the kernel would choose what is many times slower.
EMULATED = " mitigations=off tsc=reliable"


class VirtualNode(Node):
    """A node of a site that is a virtual machine."""

    kind = "virtual"
    boot_seconds = 300

    def __init__(self, home, site, name):
        super().__init__(home, site, name)
        self.hypervisor = Hypervisor(home)
        self.system = self.directory / "system.img"
        self.kernel = self.directory / "vmlinuz"
        self.initial = self.directory / "initrd.img"
        self.kept = self.directory / "files"

    # -- disks

    def create(self, base, overlay):
        """Make the root file system from the base: of a copy that shares the base's files, and without mounting it."""
        self.destroy()
        self.directory.mkdir(parents=True)
        run("cp", "-a", "--link", base.path, self.root)
        self.identify()
        write(self.kept / "host_key.pub", read(self.root / "etc/ssh/ssh_host_ed25519_key.pub"))
        self.write_files(self._wanted())
        self._give_packages()
        run("mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=1", "-d", self.root, self.system, f"{SYSTEM}G")
        for name in (self.kernel.name, self.initial.name):
            shutil.copyfile(self.root / name, self.directory / name)
        shutil.rmtree(self.root)
        self.note(base=base.digest, lower=None, hardware=self.site.virtual[self.name])

    def _wanted(self):
        key = (self.directory.parents[2] / "keys" / "lab.pub").read_text()
        return node_files(self.site, self.name, key)

    def write_files(self, files):
        super().write_files(files)
        self._keep(files)

    def _keep(self, files):
        for name, content in files.items():
            write(self.kept / name, content)

    def _give_packages(self):
        """The packages that the host has, in the place where the machine downloads to."""
        place = self.root / POOL.lstrip("/") / "nodes" / self.machine
        place.mkdir(parents=True)
        for package in (self.packages / "archives").glob("*.deb"):
            os.link(package, place / package.name)

    def _disks(self):
        """Have the files of the further disks, at least as large as they are to be."""
        for name, size in self.site.virtual[self.name]["disks"].items():
            with open(self.directory / f"{name}.img", "ab") as disk:
                if disk.tell() < size * GIB:
                    disk.truncate(size * GIB)

    def _read(self, name):
        return read(self.kept / name)

    def host_key(self):
        return read(self.kept / "host_key.pub")

    def update(self, files):
        """Write files of ours into the running machine; another address or other hardware take effect as it starts again."""
        made = self.made()
        if files:
            address, self.address = self.address, made["address"]  # where it is still reached
            self.start()
            self.await_ssh()
            self._send(files)
            self.address = address
            self._keep(files)
        if NETWORK in files or made["hardware"] != self.site.virtual[self.name]:
            self.shut_down()

    def _send(self, files):
        """Unpack the files in the machine; nothing of their content is in an argument."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(content.encode()), 0o600 if name.startswith("root/") else 0o644
                archive.addfile(entry, io.BytesIO(content.encode()))
        self._ssh("tar", "--extract", "--directory=/", "--no-overwrite-dir", stdin=packed.getvalue().decode())

    def _ssh(self, *command, stdin=None):
        home = self.directory.parents[2]
        known = home / "clouds" / self.site.cloud / "known_hosts"
        options = ["-oBatchMode=yes", f"-oUserKnownHostsFile={known}"]
        return run("ssh", "-i", home / "keys" / "lab", *options, f"root@{self.address}", *command, stdin=stdin)

    # -- the machine

    def domain(self):
        """What libvirt is told of it."""
        machine = self.site.virtual[self.name]
        works, _why = kvm_probe.kvm_works()
        disks = [(self.system, None), *((self.directory / f"{name}.img", name) for name in machine["disks"])]
        return DOMAIN.format(
            type="kvm" if works else "qemu",
            cpu="host-passthrough" if works else "maximum",
            name=escape(self.machine),
            memory=machine["memory"],
            cores=machine["cores"],
            kernel=escape(str(self.kernel)),
            initial=escape(str(self.initial)),
            cmdline=CMDLINE + ("" if works else EMULATED),
            disks="".join(_disk(number, *disk) for number, disk in enumerate(disks)),
            bridge=quoteattr(self.site.bridge),
            mac="52:54:00:" + hashlib.sha256(self.machine.encode()).digest()[:3].hex(":"),
            log=quoteattr(str(self.log)),
        )

    def keepers(self):
        return marked("cmdline", str(self.kernel))

    def processes(self):
        return self.keepers()

    def start(self):
        """Boot the machine; nothing for one that runs."""
        if self.keepers():
            return
        self._disks()
        self.hypervisor.connect().createXML(self.domain())
        self.note(hardware=self.site.virtual[self.name])

    def shut_down(self):
        """End the machine as its power button does, so that what it has written is on its disks."""
        if domain := self.hypervisor.domain(self.machine):
            domain.shutdown()
        deadline = time.monotonic() + self.boot_seconds
        while self.keepers():
            if time.monotonic() > deadline:
                raise Failure(f"lab node {self.name} does not shut down", next_step=f"read {self.log}")
            time.sleep(0.2)

    def stop(self):
        """End the machine at once."""
        if domain := self.hypervisor.domain(self.machine):
            domain.destroy()
        processes = self.processes()
        for pid in processes:
            kill(pid)
        while any(map(alive, processes)):
            time.sleep(0.02)


def _disk(number, path, serial):
    named = f"<serial>{escape(serial)}</serial>" if serial else ""
    return f"""
    <disk type="file" device="disk">
      <driver name="qemu" type="raw" cache="unsafe" discard="unmap"/>
      <source file={quoteattr(str(path))}/>
      <target dev="vd{chr(ord("a") + number)}" bus="virtio"/>{named}
    </disk>"""


DOMAIN = """
<domain type="{type}">
  <name>{name}</name>
  <memory unit="GiB">{memory}</memory>
  <vcpu>{cores}</vcpu>
  <os>
    <type arch="x86_64" machine="q35">hvm</type>
    <kernel>{kernel}</kernel>
    <initrd>{initial}</initrd>
    <cmdline>{cmdline}</cmdline>
  </os>
  <features><acpi/></features>
  <cpu mode="{cpu}"/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>restart</on_crash>
  <devices>{disks}
    <interface type="bridge"><source bridge={bridge}/><mac address="{mac}"/><model type="virtio"/></interface>
    <serial type="file"><source path={log} append="on"/></serial>
    <rng model="virtio"><backend model="random">/dev/urandom</backend></rng>
    <memballoon model="none"/>
  </devices>
</domain>
"""
