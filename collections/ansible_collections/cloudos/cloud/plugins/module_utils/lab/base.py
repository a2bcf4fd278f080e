"""The root filesystem that lab nodes start from: a bare Debian server, made once and never changed afterwards.

It lies in cache/lab/<digest of everything that goes into it>; a node is a writable layer above it, or a copy.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from ansible_collections.cloudos.cloud.plugins.module_utils.lab import apt
from ansible_collections.cloudos.cloud.plugins.module_utils.lab.shell import read, run, write
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure

# What a Debian server has after its installer, and Ansible's needs (Python, its binding to apt). Nothing of a cloud.
PACKAGES = (
    "systemd-sysv",
    "libpam-systemd",
    "dbus",
    "udev",
    "kmod",
    "procps",
    "openssh-server",
    "sudo",
    "iproute2",
    "iputils-ping",
    "netbase",
    "ca-certificates",
    "python3",
    "python3-apt",
    "less",
    "vim-tiny",
    "logrotate",
)
LISTS = Path("/var/lib/apt/lists")
POOL = "/var/cache/cloudos-apt"  # where nodes see the host's package cache

FILES = {
    # A lab node that loses power is made again, so nothing waits for the disk; nobody reads manuals there.
    "etc/dpkg/dpkg.cfg.d/lab": """force-unsafe-io
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/man/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/lintian/*
""",
    # apt-get keeps what it downloads; a hook gives it to the pool and to the other nodes.
    "etc/apt/apt.conf.d/90lab": """APT::Keep-Downloaded-Packages "true";
Binary::apt::APT::Keep-Downloaded-Packages "true";
DPkg::Pre-Invoke { "/usr/local/sbin/lab-share-packages"; };
""",
    "usr/local/sbin/lab-share-packages": f"""#!/bin/sh
# Links what this node has downloaded into the pool and into the other nodes' caches. A link is made whole or not
# at all, so nodes need no lock. A name that is there already is left alone.
eval "$(apt-config shell mine Dir::Cache::archives/d)"
case $mine in {POOL}/*) ;; *) exit 0 ;; esac
set -- "$mine"*.deb
[ -e "$1" ] || exit 0
for cache in {POOL}/archives/ {POOL}/nodes/*/; do
    [ "$cache" = "$mine" ] || cp --link --no-clobber "$@" "$cache" 2>/dev/null || true
done
""",
    "etc/systemd/network/10-lab.network": "",  # each node has its own
    "etc/machine-id": "",
}
# Upgrades in the background hold apt's lock at moments of their own choice; a lab has none of them.
MASKED = ("apt-daily.timer", "apt-daily-upgrade.timer", "console-getty.service", "systemd-networkd-wait-online.service")


class Base:
    """The base filesystem of one suite below `home` (CLOUDOS_HOME)."""

    def __init__(self, home, suite=None, packages=PACKAGES):
        self.home = Path(home)
        self.suite = suite or host_suite()
        self.packages = sorted(packages)
        self.sources = apt.read_sources(self.suite)
        self.settings = run("apt-config", "dump")
        if not self.sources.mirror:
            raise Failure(
                f"no package source of this machine offers {self.suite} main",
                next_step="add Debian's archive to /etc/apt/sources.list.d; lab nodes use the same sources",
            )

    @property
    def files(self):
        """Path -> content of all files that make a plain Debian a lab base."""
        return {**FILES, **self.sources.files(), "etc/apt/apt.conf.d/80host": apt.carried_settings(self.settings)}

    @property
    def digest(self):
        """Names the inputs: another suite, package, file or source makes another base."""
        inputs = json.dumps([self.suite, self.packages, self.files, MASKED], sort_keys=True)
        return hashlib.sha256(inputs.encode()).hexdigest()[:16]

    @property
    def path(self):
        return self.home / "cache" / "lab" / self.digest

    @property
    def pool(self):
        """The host's directory of downloaded packages; its parent is what nodes see as POOL."""
        return self.home / "cache" / "apt" / "archives"

    def build(self):
        """Make the base unless it is there, in one step: what an interrupted attempt has left is done away with."""
        self.pool.mkdir(parents=True, exist_ok=True)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.is_dir():
            return
        partial = self.path.with_suffix(".partial")
        unmount_below(partial)
        if partial.exists():
            shutil.rmtree(partial)
        with open(self.path.with_suffix(".log"), "w") as log:
            self._fill(partial, log)
        os.rename(partial, self.path)

    def prune(self, used):
        """Remove the bases that are neither this one nor among the paths (text) that are in use."""
        for path in self.path.parent.iterdir():
            if path.is_dir() and path != self.path and str(path) not in used:
                shutil.rmtree(path)

    def _fill(self, root, log):
        write(root / "etc/dpkg/dpkg.cfg.d/lab", FILES["etc/dpkg/dpkg.cfg.d/lab"])
        via = apt.proxy(self.settings)
        run(
            "debootstrap",
            "--variant=minbase",
            f"--include={','.join(self.packages)}",
            f"--cache-dir={self.pool}",
            self.suite,
            root,
            self.sources.mirror,
            env={"http_proxy": via} if via else None,
            log=log,
        )
        for name, content in self.files.items():
            write(root / name, content, 0o755 if content.startswith("#!") else 0o644)
        self._carry_keys(root)
        self._upgrade(root, log)
        for unit in MASKED:
            (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
        run("systemctl", f"--root={root}", "enable", "systemd-networkd", "ssh")
        for key in (root / "etc/ssh").glob("ssh_host_*"):
            key.unlink()
        (root / "etc/hostname").unlink(missing_ok=True)

    def _carry_keys(self, root):
        names = [
            *self.sources.keyrings,
            "/etc/apt/trusted.gpg",
            *Path("/etc/apt/trusted.gpg.d").glob("*"),
            *Path("/etc/apt/auth.conf.d").glob("*"),
        ]
        for path in map(Path, names):
            target = root / path.relative_to("/")
            if path.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)

    def _upgrade(self, root, log):
        """Bring the base to the newest packages, with the host's package lists where the host has some."""
        shutil.rmtree(root / "var/lib/apt/lists")
        shutil.copytree(LISTS, root / "var/lib/apt/lists", ignore=shutil.ignore_patterns("lock", "partial", "auxfiles"))
        shutil.copyfile("/etc/resolv.conf", root / "etc/resolv.conf")
        self._apt(root, log, "update")
        self._apt(root, log, "dist-upgrade")

    def _apt(self, root, log, *command):
        """Run apt-get in the root; what it downloads goes to the pool, and what is there already is not downloaded."""
        archives = root / "var/cache/apt/archives"
        for package in self.pool.glob("*.deb"):
            if not (archives / package.name).exists():
                os.link(package, archives / package.name)
        run("chroot", root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qy", *command, log=log)
        for package in archives.glob("*.deb"):
            os.replace(package, self.pool / package.name)
            package.unlink(missing_ok=True)  # a link to what the pool had already is not moved


class BootableBase(Base):
    """The same with a kernel, for virtual machines: made from the base of the other nodes."""

    KERNEL = ("linux-image-cloud-amd64", "initramfs-tools")
    # Of drivers, the initial file system has what leads to the disk.
    INITIAL = {
        "etc/initramfs-tools/conf.d/lab": "MODULES=list\nCOMPRESS=gzip\n",
        "etc/initramfs-tools/modules": "virtio_pci\nvirtio_blk\next4\n",
        "etc/fstab": "/dev/vda / ext4 noatime 0 1\n",
    }

    def __init__(self, plain):
        super().__init__(plain.home, plain.suite, [*plain.packages, *self.KERNEL])
        self.plain = plain

    @property
    def files(self):
        return {**super().files, **self.INITIAL}

    def _fill(self, root, log):
        self.plain.build()
        run("cp", "-a", "--reflink=auto", self.plain.path, root)
        for name, content in self.INITIAL.items():
            write(root / name, content)
        self._apt(root, log, "install", "--no-install-recommends", *self.KERNEL)


def host_suite():
    """Code name of the host's Debian: nodes run the same, so that a bundle built on the host fits them."""
    release = dict(line.split("=", 1) for line in (read("/etc/os-release") or "").splitlines() if "=" in line)
    if release.get("ID", "").strip('"') != "debian":
        raise Failure(
            "lab nodes are made from the Debian that the admin host runs, and this host runs another system",
            next_step="use a Debian 12 or 13 admin host, or name your own machines in the inventory",
        )
    return release["VERSION_CODENAME"].strip('"')


def unmount_below(path):
    """Unmount everything mounted at or below the path, innermost first."""
    prefix = f"{Path(path)}/"
    table = [
        line.split()[4].encode().decode("unicode_escape")
        for line in Path("/proc/self/mountinfo").read_text().splitlines()
    ]
    for target in reversed([target for target in table if f"{target}/".startswith(prefix)]):
        run("umount", "--lazy", target)


def overlay_works(directory):
    """Whether an overlay with its layers below the directory can be mounted (not where that is an overlay itself)."""
    probe = Path(directory) / ".overlay-probe"
    for name in ("lower", "upper", "work", "root"):
        (probe / name).mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["unshare", "--mount", "mount", *overlay_options(probe / "lower", probe)], capture_output=True, check=False
    )
    shutil.rmtree(probe)
    return done.returncode == 0


def overlay_options(lower, directory):
    """Arguments of mount(8) for a node's directory with `upper`, `work` and `root` above a lower layer."""
    layers = f"lowerdir={lower},upperdir={directory}/upper,workdir={directory}/work"
    return ["-t", "overlay", "cloudos-lab", "-o", layers, str(directory / "root")]
