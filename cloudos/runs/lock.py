"""One lifecycle run per cloud: a lock with an owner.

`clouds/<cloud>/lock` is JSON: pid, started (boot and tick when the process began), user, host, playbook, run, since.
A process that is gone, or whose number belongs to another process by now, owns nothing: its lock is taken over.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import time
from pathlib import Path

from cloudos import home


class Locked(Exception):
    """Another run owns the cloud. `owner` is the content of the lock."""

    def __init__(self, cloud: str, owner: dict):
        self.owner = owner
        super().__init__(
            f"{owner['user']} on {owner['host']} has been running {owner['playbook']} on cloud {cloud} "
            f"since {owner['since']} (process {owner['pid']}, run {owner['run']}). "
            "Wait for it to end, or end that process; run again then."
        )


class Lock:
    """The lock of one cloud."""

    def __init__(self, cloud: str):
        self.cloud = cloud
        self.path = home.cloud(cloud) / "lock"

    def take(self, playbook: str, run: str) -> None:
        """Own the cloud until release() or the end of this process; again by the owner is fine. Raises Locked."""
        with self._guarded():
            owner = self.owner()
            if owner and owner["pid"] != os.getpid():
                raise Locked(self.cloud, owner)
            since = time.strftime("%Y-%m-%d %H:%M:%S %Z")
            owner = {**me(), "playbook": playbook, "run": run, "since": since}
            home.write(self.path, json.dumps(owner, indent=1).encode())

    def release(self) -> None:
        """Give the cloud free if this process owns it."""
        with self._guarded():
            owner = self.owner()
            if owner and owner["pid"] == os.getpid():
                self.path.unlink()

    def owner(self) -> dict | None:
        """Who owns the cloud, if anybody who lives."""
        if not self.path.exists():
            return None
        owner = json.loads(self.path.read_text())
        return owner if alive(owner) else None

    def _guarded(self):
        return home.locked(self.path.with_name("lock.guard"))


def me() -> dict:
    """This process as an owner: {pid, started, user, host}."""
    pid = os.getpid()
    return {"pid": pid, "started": started(pid), "user": getpass.getuser(), "host": socket.gethostname()}


def alive(owner: dict) -> bool:
    """Whether the process of an owner runs. One on another host cannot be seen from here and counts as running."""
    return owner["host"] != socket.gethostname() or started(owner["pid"]) == owner["started"]


def started(pid: int) -> str | None:
    """When a process began, as "<boot>:<tick>"; None when there is no such process (or only its zombie)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return None if fields[0] == "Z" else f"{boot}:{fields[19]}"
