"""One lab node: a systemd-nspawn machine with its own root, network and real systemd.

Its directory, lab/<cloud>/<node>, holds upper, work and root (an overlay above the base, or a whole copy in root) and
node.json, written last: a directory without it is a half-made node and is made again. Which processes a node has is read
from /proc, never from a file: the root directory on their command line is the mark.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from pathlib import Path

from ansible_collections.cloudos.cloud.plugins.module_utils.lab import base as lab_base
from ansible_collections.cloudos.cloud.plugins.module_utils.lab.files import node_files
from ansible_collections.cloudos.cloud.plugins.module_utils.lab.network import members
from ansible_collections.cloudos.cloud.plugins.module_utils.lab.shell import ask, read, run, write
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure

DEVICES = ("/dev/net/tun", "/dev/fuse", "/dev/kvm", "/dev/vhost-net", "/dev/loop-control")
# nspawn ends with 133 where a machine asks for a reboot; a service manager would start it again, here a shell does.
SUPERVISOR = 'while systemd-nspawn "$@"; [ $? -eq 133 ]; do :; done'
# Controllers of cgroup v2 where the host has both versions; /tmp on disk, as on a server.
SETTINGS = {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "SYSTEMD_NSPAWN_TMPFS_TMP": "0"}
BOOT_SECONDS = 60


class Node:
    """A node of a site; paths are below `home` (CLOUDOS_HOME)."""

    def __init__(self, home, site, name):
        self.site = site
        self.name = name
        self.machine = f"{site.cloud}-{name}"
        self.directory = Path(home) / "lab" / site.cloud / name
        self.root = self.directory / "root"
        self.record = self.directory / "node.json"
        self.log = self.directory / "console.log"
        self.packages = Path(home) / "cache" / "apt"

    def made(self):
        """What node.json says ({base, overlay, ...}); None for a node that is not there or half made."""
        return json.loads(self.record.read_text()) if self.record.exists() else None

    def files(self, public_key):
        """Path -> content of our files as they are in the node; those that are gone are left out."""
        names = node_files(self.site, self.name, public_key)
        mounted = self.root if self.mounted() else self.directory / "upper"
        present = {name: read(mounted / name) for name in names}
        return {name: content for name, content in present.items() if content is not None}

    # -- root filesystem

    def create(self, base, overlay):
        """Make the root from the base, with keys of its own, and record it."""
        self.destroy()
        for name in ("root", "upper", "work") if overlay else ("root",):
            (self.directory / name).mkdir(parents=True)
        if overlay:
            self.mount(base.path)
        else:
            run("cp", "-a", "--reflink=auto", f"{base.path}/.", self.root)
        write(self.root / "etc/machine-id", f"{uuid.uuid4().hex}\n", 0o444)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.machine, "-f", self.root / "etc/ssh/ssh_host_ed25519_key")
        self.share_packages()
        facts = {"cloud": self.site.cloud, "base": base.digest, "base_path": str(base.path), "overlay": overlay}
        write(self.record, json.dumps(facts, indent=1) + "\n")

    def mounted(self):
        """Whether the root is there to be read: a copy always is, an overlay while it is mounted."""
        return not (self.directory / "upper").exists() or os.path.ismount(self.root)

    def mount(self, lower):
        run("mount", *lab_base.overlay_options(lower, self.directory))

    def write_files(self, files):
        for name, content in files.items():
            write(self.root / name, content, 0o600 if name.startswith("root/") else 0o644)

    def share_packages(self):
        """Give the node links to all packages that the host has, so that it downloads none of them again."""
        cache = self.packages / "nodes" / self.machine
        cache.mkdir(parents=True, exist_ok=True)
        run("cp", "--archive", "--link", "--no-clobber", f"{self.packages}/archives/.", cache)

    def host_key(self):
        """The public SSH key of the node, or None."""
        where = self.root if self.mounted() else self.directory / "upper"
        return read(where / "etc/ssh/ssh_host_ed25519_key.pub")

    # -- processes

    def command(self):
        """The systemd-nspawn command line, a list without the program."""
        loops = sorted(str(path) for path in Path("/dev").glob("loop[0-9]*"))
        devices = [device for device in (*DEVICES, *loops) if Path(device).exists()]
        return [
            "--quiet", "--boot", "--register=no", "--keep-unit", f"--directory={self.root}", f"--machine={self.machine}",
            f"--hostname={self.name}", f"--network-bridge={self.site.bridge}", "--resolv-conf=off", "--timezone=off",
            "--capability=all", "--system-call-filter=add_key keyctl bpf @mount @privileged",
            f"--bind={self.packages}:{lab_base.POOL}", *(f"--bind={device}" for device in devices),
        ]

    def processes(self):
        """Ids of the node's processes on the host: systemd-nspawn and the shell that starts it again."""
        mark = f"--directory={self.root}".encode()
        return [pid for pid, words in _command_lines() if mark in words]

    def running(self):
        return any(b"systemd-nspawn" in Path(os.fsdecode(words[0])).name.encode()
                   for pid, words in _command_lines() if f"--directory={self.root}".encode() in words)

    def start(self):
        """Boot the node, detached from whoever asks, and wait until its SSH server greets."""
        facts = self.made()
        if not self.mounted():
            self.mount(facts["base_path"])
        run("ip", "link", "show", "dev", self.site.bridge)
        with open(self.log, "ab") as console:
            process = subprocess.Popen(
                [*_detached(self.machine), "sh", "-c", SUPERVISOR, "sh", *self.command()], stdin=subprocess.DEVNULL, stdout=console,
                stderr=subprocess.STDOUT, start_new_session=True, cwd="/",
                env={**os.environ, **SETTINGS})
        write(self.record, json.dumps({**facts, "address": self.site.nodes[self.name], "pid": process.pid}, indent=1) + "\n")
        self.await_ssh(process)

    def await_ssh(self, process):
        """Return when the node answers on port 22; Failure with the end of the console's log when it died or is too slow."""
        address = self.site.nodes[self.name]
        deadline = time.monotonic() + BOOT_SECONDS
        while time.monotonic() < deadline and not (process.poll() is not None and not self.processes()):
            try:
                with socket.create_connection((address, 22), timeout=1) as connection:
                    connection.settimeout(2)
                    if connection.recv(4) == b"SSH-":
                        return
            except OSError:
                time.sleep(0.1)
        raise Failure(f"lab node {self.name} does not answer at {address}:22 within {BOOT_SECONDS} s",
                      unit="systemd-nspawn", log=(read(self.log) or "").splitlines()[-20:],
                      next_step=f"read {self.log}")

    def stop(self):
        """End the node at once: its first process is killed, with it all others of the machine, then nspawn cleans up."""
        for pid in self.processes():
            for child in (read(f"/proc/{pid}/task/{pid}/children") or "").split():
                if int(child) not in self.processes():
                    _kill(int(child))
        deadline = time.monotonic() + 10
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid in self.processes():
            _kill(pid)
        while self.processes():
            time.sleep(0.05)

    def destroy(self):
        """Leave nothing of the node: no process, loop device, mount or file. Harmless where there is nothing, or half of it."""
        self.stop()
        for device in self.loops():
            run("losetup", "--detach", device)
        if self.directory.exists():
            lab_base.unmount_below(self.directory)
            shutil.rmtree(self.directory)
        cache = self.packages / "nodes" / self.machine
        if cache.exists():
            shutil.rmtree(cache)

    def loops(self):
        """Loop devices whose file lies in the node's root; a node shares the devices with the host, so they outlive it."""
        if not self.root.exists():
            return []
        devices = (ask("losetup", "--json", "--list", "--output", "NAME,BACK-FILE,BACK-INO,BACK-MAJ:MIN") or {}).get("loopdevices", [])
        layer = _numbers(self.root.stat().st_dev) if os.path.ismount(self.root) else None
        return [device["name"] for device in devices if device["back-maj:min"].strip() == layer or self._backs(device)]

    def _backs(self, device):
        inside = self.root / (device["back-file"] or "").lstrip("/")
        for path in (inside, Path(device["back-file"] or "/")):
            if path.is_relative_to(self.root) and path.is_file():
                stat = path.stat()
                return (stat.st_ino, _numbers(stat.st_dev)) == (int(device["back-ino"]), device["back-maj:min"].strip())
        return False


def recorded(home, cloud):
    """Names of the nodes of a cloud that have a directory, whole or half made."""
    directory = Path(home) / "lab" / cloud
    return sorted(path.name for path in directory.iterdir() if path.is_dir()) if directory.is_dir() else []


def bridge_in_use(bridge):
    """Whether any interface is left on the bridge: a node of this or another cloud."""
    return bool(members(bridge))


def _detached(machine):
    """What keeps the node alive when its starter's session ends: systemd where it runs the host, else a session of its own."""
    if not Path("/run/systemd/system").is_dir():
        return []
    return ["systemd-run", "--quiet", "--collect", "--pipe", "--wait", "--slice=machine", f"--unit=cloudos-lab-{machine}",
            "--property=Delegate=yes", *(f"--setenv={name}={value}" for name, value in SETTINGS.items())]


def _command_lines():
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue   # ended meanwhile
        if words[0]:
            yield int(path.parent.name), words


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _numbers(device):
    return f"{os.major(device)}:{os.minor(device)}"
