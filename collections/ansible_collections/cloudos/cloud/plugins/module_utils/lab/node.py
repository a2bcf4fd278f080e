"""One lab node: a systemd-nspawn machine with its own root, network and real systemd.

Its directory, lab/<cloud>/<node>, holds upper, work and root (an overlay above the base, or a whole copy in root) and
node.json, written last: a directory without it is a half-made node and is made again. Which processes a node has is
read from /proc, never from a file: the root directory is the mark, on the command line of systemd-nspawn and of the
shell that keeps it, and in the environment of the machine's first process.
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
from ansible_collections.cloudos.cloud.plugins.module_utils.lab import loops
from ansible_collections.cloudos.cloud.plugins.module_utils.lab.files import NETWORK, node_files
from ansible_collections.cloudos.cloud.plugins.module_utils.lab.shell import read, run, write
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure

DEVICES = ("/dev/net/tun", "/dev/fuse", "/dev/kvm", "/dev/vhost-net", loops.CONTROL)
# nspawn ends with 133 where a machine asks for a reboot; a service manager would start it again, here a shell does.
SUPERVISOR = 'while systemd-nspawn "$@"; [ $? -eq 133 ]; do :; done'
# Version 2 of cgroups where the host has both; /tmp on disk, as on a server.
SETTINGS = {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "SYSTEMD_NSPAWN_TMPFS_TMP": "0"}
MARK = "CLOUDOS_LAB_ROOT"


class Node:
    """A node of a site; paths are below `home` (CLOUDOS_HOME)."""

    kind = "container"
    boot_seconds = 60

    def __init__(self, home, site, name):
        self.site = site
        self.name = name
        self.address = site.nodes.get(name)
        self.machine = f"{site.cloud}-{name}"
        self.directory = Path(home) / "lab" / site.cloud / name
        self.root = self.directory / "root"
        self.record = self.directory / "node.json"
        self.log = self.directory / "console.log"
        self.packages = Path(home) / "cache" / "apt"
        self.cache = self.packages / "nodes" / self.machine

    # -- root filesystem

    def made(self):
        """What node.json says: cloud, address, bridge, base, lower (its path, or null); None for no or half a node."""
        text = read(self.record)
        return json.loads(text) if text else None

    def create(self, base, overlay):
        """Make the root from the base, with keys of its own."""
        self.destroy()
        for name in ("root", "upper", "work") if overlay else ("root",):
            (self.directory / name).mkdir(parents=True)
        if overlay:
            self.mount(base.path)
        else:
            run("cp", "-a", "--reflink=auto", f"{base.path}/.", self.root)
        self.identify()
        self.share_packages()
        self.note(base=base.digest, lower=str(base.path) if overlay else None)

    def identify(self):
        """Give the root an identity and an SSH key of its own."""
        write(self.root / "etc/machine-id", f"{uuid.uuid4().hex}\n", 0o444)
        key = self.root / "etc/ssh/ssh_host_ed25519_key"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.machine, "-f", key)

    def note(self, **facts):
        """Write node.json anew, with these facts changed."""
        known = {
            **(self.made() or {}),
            "cloud": self.site.cloud,
            "address": self.address,
            "bridge": self.site.bridge,
            "machine": self.kind,
            **facts,
        }
        write(self.record, json.dumps(known, indent=1) + "\n")

    def mount(self, lower):
        """Mount the overlay, unless it is or the node is a copy (lower is None)."""
        if lower and not os.path.ismount(self.root):
            run("mount", *lab_base.overlay_options(lower, self.directory))

    def share_packages(self):
        """Give the node links to all packages that the host has, so that it downloads none of them again."""
        self.cache.mkdir(parents=True, exist_ok=True)
        for package in (self.packages / "archives").glob("*.deb"):
            if not (self.cache / package.name).exists():
                os.link(package, self.cache / package.name)

    def _read(self, name):
        """A file of the node, mounted or not: all that we write is in the upper layer."""
        upper = self.directory / "upper"
        return read((upper if upper.exists() else self.root) / name)

    def files(self, public_key):
        """Path -> content of our files as they are in the node; those that are gone are left out."""
        present = {name: self._read(name) for name in node_files(self.site, self.name, public_key)}
        return {name: content for name, content in present.items() if content is not None}

    def update(self, files):
        """Write files of ours into the node, path -> content; with another address it will start again."""
        if NETWORK in files:
            self.stop()
        self.mount(self.made()["lower"])
        self.write_files(files)

    def write_files(self, files):
        for name, content in files.items():
            write(self.root / name, content, 0o600 if name.startswith("root/") else 0o644)

    def host_key(self):
        """The public SSH key of the node, or None."""
        return self._read("etc/ssh/ssh_host_ed25519_key.pub")

    # -- processes

    def command(self):
        """The systemd-nspawn command line, a list without the program."""
        devices = [*DEVICES, *sorted(map(str, Path("/dev").glob("loop[0-9]*")))]
        return [
            "--quiet",
            "--boot",
            "--register=no",
            "--keep-unit",
            f"--directory={self.root}",
            f"--machine={self.machine}",
            f"--hostname={self.name}",
            f"--network-bridge={self.site.bridge}",
            "--resolv-conf=off",
            "--timezone=off",
            "--capability=all",
            "--system-call-filter=add_key keyctl bpf @mount @privileged",
            f"--setenv={MARK}={self.root}",
            f"--bind={self.packages}:{lab_base.POOL}",
            *(f"--bind={device}" for device in devices if Path(device).exists()),
        ]

    def keepers(self):
        """Ids of systemd-nspawn and of the shell that starts it again."""
        return marked("cmdline", f"--directory={self.root}")

    def processes(self):
        """Ids of the node's processes as the host sees it: the keepers and its first one, which may outlive them."""
        return [*self.keepers(), *marked("environ", f"{MARK}={self.root}")]

    def start(self):
        """Boot the node, detached from whoever asks; nothing for one that runs or is about to boot again."""
        self.mount(self.made()["lower"])
        if self.keepers():
            return
        self.stop()  # a machine without its keepers, which nothing would start again
        self.note()
        with open(self.log, "ab") as console:
            subprocess.Popen(
                [*service(self.machine, self.log), "sh", "-c", SUPERVISOR, "sh", *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/",
                env={**os.environ, **SETTINGS},
            )

    def answers(self):
        """Whether the node's SSH server greets."""
        try:
            with socket.create_connection((self.address, 22), timeout=1) as connection:
                connection.settimeout(2)
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def await_ssh(self):
        """Return when the node answers; Failure with the end of its console's log where it died or is too slow."""
        deadline = time.monotonic() + self.boot_seconds
        while not self.answers():
            if time.monotonic() > deadline or not self.processes():
                raise Failure(
                    f"lab node {self.name} does not answer at {self.address}:22"
                    if self.processes()
                    else f"lab node {self.name} has ended",
                    log=(read(self.log) or "").splitlines()[-20:],
                    next_step=f"read {self.log}",
                )
            time.sleep(0.1)

    def stop(self):
        """End the node at once: killing its first process ends all others of the machine, then nspawn cleans up."""
        keepers = self.keepers()
        machine = {*self.processes(), *(child for keeper in keepers for child in _children(keeper))} - set(keepers)
        for pid in machine:
            kill(pid)
        deadline = time.monotonic() + 10
        while own := [*self.keepers(), *filter(alive, machine)]:
            if time.monotonic() > deadline:
                for pid in own:
                    kill(pid)
            time.sleep(0.02)

    def destroy(self):
        """Leave no process, loop device, mount or file of the node. Harmless where there is nothing, or half of it."""
        self.stop()
        for device in loops.below(self.root):
            run("losetup", "--detach", device)
        # nspawn refuses to remove its own where /run is no tmpfs.
        for directory in (self.directory, self.cache, Path("/run/systemd/nspawn/propagate", self.machine)):
            lab_base.unmount_below(directory)
            if directory.exists():
                shutil.rmtree(directory)


def recorded(home, cloud="*"):
    """(cloud, name, record) of every node that has a directory; the record of a half-made one is empty."""
    found = []
    for directory in sorted(Path(home, "lab").glob(f"{cloud}/*/")):
        found.append((directory.parent.name, directory.name, json.loads(read(directory / "node.json") or "{}")))
    return found


def service(name, log, stop="mixed"):
    """What makes a command a service where systemd runs the host, or else nothing: then it has a session of its own.

    stop: which of its processes end with it, as in systemd's KillMode.
    """
    if not Path("/run/systemd/system").is_dir():
        return []
    return [
        "systemd-run",
        "--quiet",
        "--collect",
        "--slice=machine",
        f"--unit=cloudos-lab-{name}",
        "--property=Delegate=yes",
        f"--property=KillMode={stop}",
        f"--property=StandardOutput=append:{log}",
        "--property=StandardError=inherit",
        *(f"--setenv={name}={value}" for name, value in SETTINGS.items()),
    ]


def marked(file, mark):
    """Ids of the processes that have the mark among the words of a file in /proc."""
    found = []
    for path in Path("/proc").glob(f"[0-9]*/{file}"):
        try:
            if mark.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # ended meanwhile, or not even root's to look into
    return found


def _children(pid):
    return [int(child) for child in (read(f"/proc/{pid}/task/{pid}/children") or "").split()]


def alive(pid):
    """Whether the process has not ended; the first process of a machine ends after all others of it."""
    text = read(f"/proc/{pid}/stat")
    return bool(text) and text.rpartition(")")[2].split()[0] not in "ZX"


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
