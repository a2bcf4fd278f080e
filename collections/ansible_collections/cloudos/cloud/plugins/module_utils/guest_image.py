"""Builds a small bootable guest image from Debian packages: kernel, busybox, dropbear, some tools, and the files of guest_files.

A FAT partition with syslinux, the kernel and an initial root file system, as qcow2. Nothing is mounted and nothing
runs in a chroot, so an ordinary user could build it; what goes into it is named by a digest.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import re
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

from ansible_collections.cloudos.cloud.plugins.module_utils import guest_files
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure

KERNEL = "linux-image-cloud-amd64"  # a name for the newest linux-image-<version>-cloud-amd64
PROGRAMS = ("busybox", "curl", "dropbear-bin", "iputils-ping", "libpam-modules", "sudo", "util-linux")
BINARIES = ("bin/busybox", "usr/sbin/dropbear", "usr/bin/dropbearkey", "usr/bin/dbclient", "usr/bin/curl", "bin/ping", "sbin/blkid",
            "bin/lsblk", "usr/bin/sudo")
# Loaded at run time as well: the part of sudo that reads its rules, and what lets it in without asking for anything.
PARTS = ("usr/libexec/sudo/sudoers.so", "lib/x86_64-linux-gnu/security/pam_permit.so")
# Looked up at run time, so in no list of needed libraries.
RESOLVER = ("libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2")
BOOT_CODE = ("syslinux-common", "usr/lib/syslinux/mbr/mbr.bin")  # package, and where in it the code is
SECTOR, START = 512, 2048  # the partition begins at 1 MiB
LAYOUT = 1  # raise when the way the image is put together changes


class Packages:
    """The Debian packages of an image: `versions` is a mapping of name to version as apt would install them now."""

    def __init__(self, kernel=KERNEL, programs=PROGRAMS):
        real = re.findall(r"Depends: (linux-image-\S+)", tool("apt-cache", "depends", "--important", kernel))
        if not real:
            raise Failure(f"apt knows no package {kernel}", next_step="run apt-get update on this machine")
        closure = tool("apt-cache", "depends", "--recurse", "--important", *programs)
        names = sorted({real[0], BOOT_CODE[0], *re.findall(r"^([a-z0-9][a-z0-9.+-]*)$", closure, re.MULTILINE)})
        shown = tool("apt-cache", "show", "--no-all-versions", *names)
        self.versions = dict(re.findall(r"^Package: (\S+)\n(?:.+\n)*?Version: (\S+)$", shown, re.MULTILINE))

    def unpack(self, pool, target):
        """Download what the pool lacks and unpack everything below target."""
        pool.mkdir(parents=True, exist_ok=True)
        tool(
            "apt-get",
            "-q",
            "-o",
            "APT::Sandbox::User=root",
            "download",
            *(f"{name}={version}" for name, version in self.versions.items()),
            cwd=pool,
        )
        for name, version in self.versions.items():
            found = list(pool.glob(f"{name}_{version.replace(':', '%3a')}_*.deb"))
            tool("dpkg-deb", "--extract", found[0], target)


def digest(packages):
    """Names the image that these packages and our files make."""
    inputs = [
        LAYOUT,
        packages.versions,
        BINARIES,
        PARTS,
        RESOLVER,
        guest_files.MODES,
        guest_files.DIRECTORIES,
        guest_files.FILES,
        guest_files.SYSLINUX,
        guest_files.EARLY_MODULES,
        guest_files.LATE_MODULES,
    ]
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]


def build(packages, pool, image):
    """Make the image file, in one step: it is there whole or not at all."""
    image.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=image.parent, prefix=".build-") as directory:
        work = Path(directory)
        packages.unpack(pool, work / "debian")
        kernel = next((work / "debian/boot").glob("vmlinuz-*"))
        fill_root(work / "debian", work / "root", kernel.name.removeprefix("vmlinuz-"))
        pack_root(work / "root", work / "initrd")
        make_disk(work, kernel)
        tool("qemu-img", "convert", "-c", "-O", "qcow2", work / "disk.img", work / "disk.qcow2")
        os.chmod(work / "disk.qcow2", 0o644)
        os.replace(work / "disk.qcow2", image)


def fill_root(debian, root, version):
    """Put the guest's root file system together from the unpacked packages and our files."""
    for name in guest_files.DIRECTORIES:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in (*BINARIES, *PARTS):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(place(debian, name), root / name)
    ours = {Path(name).name for name in BINARIES}
    for applet in tool(root / "bin/busybox", "--list").split():
        if applet not in ours:
            (root / "bin" / applet).symlink_to("busybox")
    copy_libraries(debian, root)
    copy_modules(debian, root, version)
    for name, content in guest_files.FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(guest_files.MODES.get(name, 0o644))
    for name in ("root", "root/.ssh", "home/cloud/.ssh"):
        (root / name).chmod(0o700)


def place(debian, name):
    """Where a file is: some releases have below /usr what others have at the root."""
    return next((path for path in (debian / name, debian / "usr" / name) if path.exists()), debian / name)


def copy_libraries(debian, root):
    """Copy the loader and every library that the binaries need, found by the loader of the packages themselves."""
    folder = debian / "lib/x86_64-linux-gnu"
    search = f"{folder}:{debian}/usr/lib/x86_64-linux-gnu:{debian}/usr/libexec/sudo"
    loader = next(
        path
        for path in (debian / "lib64/ld-linux-x86-64.so.2", debian / "usr/lib64/ld-linux-x86-64.so.2")
        if os.path.lexists(path)
    )
    loader = (folder if folder.is_dir() else debian / "usr/lib/x86_64-linux-gnu") / loader.name
    needed = {
        f"{directory}/{name}" for name in RESOLVER for directory in search.split(":") if Path(directory, name).exists()
    }
    for name in (*BINARIES, *PARTS):
        listed = tool(loader, "--list", "--library-path", search, place(debian, name))
        needed |= {path for path in re.findall(r"=> (\S+)", listed) if path.startswith(str(debian))}
    target = root / "lib/x86_64-linux-gnu"
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(needed):
        shutil.copy(path, target)
    (root / "lib64").mkdir()
    shutil.copy(loader, root / "lib64")


def copy_modules(debian, root, version):
    """Copy the kernel modules with all they depend on, unpacked, and index them."""
    source = (
        debian / "lib/modules" / version if (debian / "lib/modules").exists() else debian / "usr/lib/modules" / version
    )
    tool("depmod", "--basedir", source.parents[2], version)
    listed = dict(line.split(":", 1) for line in (source / "modules.dep").read_text().splitlines())
    for name in required(
        listed, (*guest_files.EARLY_MODULES, *guest_files.LATE_MODULES), (source / "modules.builtin").read_text()
    ):
        target = root / "lib/modules" / version / name.removesuffix(".xz")
        target.parent.mkdir(parents=True, exist_ok=True)
        data = (source / name).read_bytes()
        target.write_bytes(lzma.decompress(data) if name.endswith(".xz") else data)
    for index in ("modules.builtin", "modules.order"):
        shutil.copy(source / index, root / "lib/modules" / version)
    tool("depmod", "--basedir", root, version)


def required(listed, wanted, builtin):
    """Paths of the wanted modules and their needs. listed: path -> paths (modules.dep); builtin: text of that index."""
    by_name = {_module(path): path for path in listed}
    inside = {_module(path) for path in builtin.split()}
    missing = [name for name in wanted if name not in by_name and name not in inside]
    if missing:
        raise Failure(f"the kernel package has no module {', '.join(missing)}")
    paths = set()
    for name in wanted:
        if name in by_name:
            paths |= {by_name[name], *listed[by_name[name]].split()}
    return sorted(paths)


def _module(path):
    return Path(path).name.split(".ko", 1)[0].replace("-", "_")


def pack_root(root, initrd):
    """Write the root as a compressed cpio archive that belongs to root, with names in order and without times."""
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*"))
    for name in names:
        os.utime(root / name, (0, 0), follow_symlinks=False)
    archive = tool(
        "cpio",
        "--create",
        "--format=newc",
        "--quiet",
        "--owner=0:0",
        "--reproducible",
        cwd=root,
        stdin="\n".join(names).encode(),
        binary=True,
    )
    initrd.write_bytes(tool("gzip", "-9n", stdin=archive, binary=True))


def make_disk(work, kernel):
    """Write work/disk.img: master boot record, one FAT partition, syslinux, kernel and root."""
    disk = work / "disk.img"
    (work / "syslinux.cfg").write_text(guest_files.SYSLINUX)
    sectors = disk_sectors(kernel.stat().st_size + (work / "initrd").stat().st_size)
    with open(disk, "wb") as file:
        file.truncate(sectors * SECTOR)
        file.write(master_boot_record((work / "debian" / BOOT_CODE[1]).read_bytes(), sectors))
    tool(
        "mkfs.fat",
        "-F",
        "16",
        "-i",
        "c10d0501",
        "--offset",
        START,
        "-n",
        "GUEST",
        disk,
        (sectors - START) * SECTOR // 1024,
    )
    at = f"{disk}@@{START * SECTOR}"
    for source, name in ((work / "syslinux.cfg", "syslinux.cfg"), (kernel, "vmlinuz"), (work / "initrd", "initrd")):
        tool("mcopy", "-i", at, source, f"::/{name}", env={"MTOOLS_SKIP_CHECK": "1"})
    tool("syslinux", "--install", "--offset", START * SECTOR, disk)


def disk_sectors(payload):
    """Sectors of a disk for so many bytes of files, in whole MiB; FAT16 needs a partition of 9 MiB at least."""
    mebibytes = max(9, (payload + payload // 50) // 2**20 + 2)
    return START + mebibytes * 2048


def master_boot_record(code, sectors):
    """512 bytes: boot code, and one active partition of type FAT16 (LBA) from START to the end of the disk."""
    entry = struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x0E, b"\xfe\xff\xff", START, sectors - START)
    return code.ljust(446, b"\0")[:446] + entry.ljust(64, b"\0") + b"\x55\xaa"


def tool(*command, stdin=None, cwd=None, env=None, binary=False):
    """Standard output of a command, text unless binary. Raises Failure with what it said."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            input=stdin,
            cwd=cwd,
            capture_output=True,
            check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
        )
    except FileNotFoundError:
        raise Failure(
            f"{words[0]} is not installed on this machine",
            next_step="apt-get install syslinux mtools dosfstools cpio kmod qemu-utils",
        ) from None
    if done.returncode:
        raise Failure(
            f"{' '.join(words[:3])} failed with exit code {done.returncode}",
            log=done.stderr.decode(errors="replace").splitlines()[-10:],
        )
    return done.stdout if binary else done.stdout.decode()
