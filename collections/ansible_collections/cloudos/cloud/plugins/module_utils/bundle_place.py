"""Where a bundle lives on a node: its files, the path it is mounted on or unpacked to, and the unit that mounts it."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

from .bundle_trust import sha256
from .operation import Failure
from .processes import journal, run

ROOT = "/opt/cloudos"
UNITS = "/etc/systemd/system"
WANTS = "local-fs.target.wants"
FILES = re.compile(r"(\d{4}\.\d-\d+)(-cp\d+-\w+)\.manifest\.json")
UNIT = """\
[Unit]
Description=Cloud OS bundle {patch_level}

[Mount]
What={squashfs}
Where={target}
Type=squashfs
Options=loop,ro,nodev,nosuid

[Install]
WantedBy=local-fs.target
"""


class Place:
    """The place of one bundle, whether it is there or not. `name` is the bundle's, such as 2026.1-1-cp311-x86_64."""

    def __init__(self, name):
        self.patch_level = name.split("-cp")[0]
        self.squashfs, self.manifest, self.signature, self.verified = (
            Path(ROOT, "bundles", f"{name}.{suffix}")
            for suffix in ("sqfs", "manifest.json", "manifest.json.sig", "sqfs.verified")
        )
        self.target = Path(ROOT, self.patch_level)
        self.mark = self.target / ".squashfs-sha256"  # only in an unpacked bundle
        self.unit = Path(UNITS, f"{_escaped(self.target)}.mount")
        self.enabled = Path(UNITS, WANTS, self.unit.name)

    def unit_text(self):
        """The systemd unit that mounts the bundle."""
        return UNIT.format(patch_level=self.patch_level, squashfs=self.squashfs, target=self.target)

    def digest(self):
        """SHA-256 of the squashfs on this node, None where it is not. Hashed only if it is not the file hashed last."""
        if not self.squashfs.is_file():
            return None
        status = self.squashfs.stat()
        facts = {"size": status.st_size, "mtime": status.st_mtime_ns, "inode": status.st_ino}
        known = json.loads(self.verified.read_text()) if self.verified.exists() else {}
        if {key: known.get(key) for key in facts} != facts:
            known = {**facts, "sha256": sha256(self.squashfs)}
            temporary = self.verified.with_suffix(".partial")
            temporary.write_text(json.dumps(known))
            temporary.replace(self.verified)
        return known["sha256"]

    def content(self, digest):
        """How the bundle with this digest is there: mounted, unpacked or None."""
        if self.is_mounted():
            return "mounted"
        return "unpacked" if self.mark.exists() and self.mark.read_text() == digest else None

    def is_mounted(self):
        """Whether something is mounted on the target."""
        with open("/proc/self/mountinfo") as mounts:
            return any(line.split()[4] == str(self.target) for line in mounts)

    def mount(self):
        """Mount it now and at every boot; raises Failure with the unit's log where that does not work."""
        self.clear()
        self.target.mkdir(parents=True, exist_ok=True)
        self.unit.write_text(self.unit_text())
        run(["systemctl", "daemon-reload"])
        run(["systemctl", "--quiet", "enable", self.unit.name])
        try:
            run(["systemctl", "restart", self.unit.name])
        except Failure as failure:
            raise Failure(
                f"{self.squashfs} cannot be mounted",
                unit=self.unit.name,
                log=failure.facts["log"] + journal(self.unit.name, 5),
                next_step="look whether the node has loop devices and squashfs: losetup --find",
            ) from failure

    def unpack(self, digest):
        """Unpack it, for a node where no loop device works; complete or not at all."""
        self.clear()
        if not shutil.which("unsquashfs"):
            raise Failure(
                f"bundle {self.patch_level} cannot be unpacked without unsquashfs", next_step="install squashfs-tools"
            )
        partial = self.target.with_name(f".{self.patch_level}.partial")
        if partial.exists():  # left by a run that was killed
            shutil.rmtree(partial)
        run(["unsquashfs", "-no-progress", "-quiet", "-dest", str(partial), str(self.squashfs)])
        (partial / self.mark.name).write_text(digest)
        os.sync()
        if self.target.exists():
            self.target.rmdir()
        partial.rename(self.target)

    def clear(self):
        """Take the content away, not the files: unmount (processes keep what they opened) or delete the unpacked."""
        if self.unit.exists():
            run(["systemctl", "--quiet", "disable", self.unit.name])
            self.unit.unlink()
            run(["systemctl", "daemon-reload"])
        while self.is_mounted():
            run(["umount", "--lazy", str(self.target)])
        if self.target.exists():
            shutil.rmtree(self.target)

    def remove(self):
        """Remove all of it."""
        self.clear()
        for path in (
            self.signature,
            self.verified,
            self.squashfs,
            self.manifest,
        ):  # the manifest last: it is what is found
            path.unlink(missing_ok=True)

    def in_use(self):
        """Whether a process has one of the bundle's files mapped."""
        prefix = f" {self.target}/"
        for maps in Path("/proc").glob("[0-9]*/maps"):
            try:
                if prefix in maps.read_text(errors="replace"):
                    return True
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                # It just ended, or it is one that even root may not look into, which none of ours is.
                continue
        return False


def installed():
    """{patch level: Place} of the bundles whose files are on this node, oldest first."""
    matches = [match for path in Path(ROOT, "bundles").glob("*.manifest.json") if (match := FILES.fullmatch(path.name))]
    return {match[1]: Place(match[1] + match[2]) for match in sorted(matches, key=lambda match: age(match[1]))}


def age(patch_level):
    """Sorts patch levels, oldest first: 2026.1-9 is older than 2026.1-10."""
    return [int(number) for number in re.findall(r"\d+", patch_level)]


def current():
    """The patch level that `current` points at, or None."""
    link = Path(ROOT, "current")
    return os.readlink(link) if link.is_symlink() else None


def point_current(patch_level):
    """Make `current` point at a patch level, in one step."""
    temporary = Path(ROOT, ".current.partial")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(patch_level)
    temporary.replace(Path(ROOT, "current"))


def _escaped(path):
    """A path as systemd writes it in the name of a unit (systemd-escape --path)."""
    safe = re.compile(r"[A-Za-z0-9:_.]")
    return "".join(c if safe.match(c) else "-" if c == "/" else f"\\x{ord(c):02x}" for c in str(path).strip("/"))
