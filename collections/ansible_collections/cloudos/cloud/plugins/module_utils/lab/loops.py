"""Loop devices, which lab nodes share with the host.

One that is not there when a node starts cannot come later, so there are enough of them beforehand. One that a node has
set up outlives it, so those of a node are found and given back.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from ansible_collections.cloudos.cloud.plugins.module_utils.lab.shell import ask, read, run, write

ENOUGH = 32
ADD, REMOVE = 0x4C80, 0x4C81  # LOOP_CTL_ADD and LOOP_CTL_REMOVE of linux/loop.h
# Numbers of the devices that we added; below /run, because they go with a reboot as well.
ADDED = Path("/run/cloudos-lab-loops")
CONTROL = "/dev/loop-control"


def provide(count=ENOUGH):
    """Have at least so many loop devices; nothing where the kernel has no loop devices at all."""
    missing = [number for number in range(count) if not Path(f"/dev/loop{number}").exists()]
    if not missing or not Path(CONTROL).exists():
        return
    known = (read(ADDED) or "").split()
    write(ADDED, " ".join([*known, *map(str, missing)]))
    with open(CONTROL, "wb") as control:
        for number in missing:
            try:
                fcntl.ioctl(control, ADD, number)
            except FileExistsError:
                run("mknod", f"/dev/loop{number}", "b", 7, number)  # the kernel has it, /dev does not show it


def take_back():
    """Remove the devices that provide() added, unless a node of any lab still has them: for it they would not come back."""
    numbers = map(int, (read(ADDED) or "").split())
    if not Path(CONTROL).exists() or bound():
        return
    with open(CONTROL, "wb") as control:
        for number in numbers:
            try:
                fcntl.ioctl(control, REMOVE, number)
            except OSError as error:
                if error.errno not in (16, 19):  # busy: somebody else's now; no such device: gone already
                    raise
    ADDED.unlink(missing_ok=True)


def bound(proc="/proc"):
    """Whether loop devices are bound into the mount namespace of some process, as they are into a node's."""
    for path in Path(proc).glob("[0-9]*/mountinfo"):
        try:
            if any(line.split()[4].startswith("/dev/loop") for line in path.read_text().splitlines()):
                return True
        except OSError:
            continue  # it has just ended
    return False


def below(root):
    """Loop devices whose file lies below the root directory of a node.

    The kernel tells a file's path as the node sees it, so device and inode decide: an overlay is a device of its own.
    """
    if not root.exists():
        return []
    listed = ask("losetup", "--json", "--list", "--output", "NAME,BACK-FILE,BACK-INO,BACK-MAJ:MIN") or {}
    layer = numbers(root.stat().st_dev) if os.path.ismount(root) else None
    return [
        device["name"]
        for device in listed.get("loopdevices", [])
        if device["back-maj:min"].strip() == layer or _backs(root, device)
    ]


def _backs(root, device):
    path = Path(device["back-file"] or "/")
    for candidate in (root / str(path).lstrip("/"), path):
        if candidate.is_relative_to(root) and candidate.is_file():
            stat = candidate.stat()
            return (stat.st_ino, numbers(stat.st_dev)) == (int(device["back-ino"]), device["back-maj:min"].strip())
    return False


def numbers(device):
    """Major and minor number of a device as the tools print them."""
    return f"{os.major(device)}:{os.minor(device)}"
