"""What systemd tells about units, as one snapshot for many of them, and the times to compare it with."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure
from ansible_collections.cloudos.cloud.plugins.module_utils.processes import run

UNIT_FILES = "/etc/systemd/system"
CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd")
TICK = 1 / os.sysconf("SC_CLK_TCK")
PROPERTIES = ("LoadState,UnitFileState,ActiveState,SubState,Result,ConditionResult,ExecMainStartTimestamp,"
              "ActiveEnterTimestamp,ControlGroup,NRestarts,Job")


@dataclass
class Unit:
    """One unit. active: systemd's ActiveState, but `crashing` between two starts and `starting` for other activations.

    started, reloaded: seconds since the epoch (0: never); reloaded is the start of the newest process of the unit.
    """

    file_state: str
    active: str
    detail: str
    started: float
    cgroup: str
    restarts: int
    job: bool

    @property
    def running(self):
        return self.active in ("active", "starting", "crashing")

    @property
    def starting(self):
        return self.active == "starting"

    @property
    def reloaded(self):
        return max((_process_start(pid) for pid in _processes(self.cgroup)), default=self.started)


def show(names):
    """{name: Unit} of units that need not exist, with one call of systemctl."""
    if not names:
        return {}
    output = run(["systemctl", "show", "--timestamp=us+utc", "--property", PROPERTIES, *names],
                 environment={"LC_ALL": "C"}, timeout=30)
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in output.strip("\n").split("\n\n")]
    if len(blocks) != len(names):
        raise Failure(f"systemctl told about {len(blocks)} instead of {len(names)} units",
                      next_step=f"systemctl show {' '.join(names)}")
    return {name: _unit(block) for name, block in zip(names, blocks, strict=True)}


def changed_at(path):
    """When the path was last written or, for a link, pointed elsewhere; 0 where nothing is. Seconds since the epoch."""
    try:
        return os.lstat(path).st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return 0.0


def hide_passwords(text):
    """The text without the passwords of URLs."""
    return re.sub(r"(://[^\s:/@]*:)[^\s@]+@", r"\1***@", text)


def _unit(block):
    active = block["ActiveState"]
    if active == "activating":
        active = "crashing" if block["SubState"].startswith("auto-restart") else "starting"
    if active in ("reloading", "refreshing"):
        active = "active"
    detail = f"{block['ActiveState']}, {block['SubState']}, result {block.get('Result', 'unknown')}"
    if block["LoadState"] != "loaded":
        detail += f", unit file {block['LoadState']}"
    if block.get("ConditionResult") == "no":
        detail += ", or its conditions do not hold"
    return Unit(file_state=block.get("UnitFileState", ""), active=active, detail=detail,
                started=_seconds(block.get("ExecMainStartTimestamp")) or _seconds(block.get("ActiveEnterTimestamp")),
                cgroup=block.get("ControlGroup", ""), restarts=int(block.get("NRestarts") or 0),
                job=block.get("Job", "0") not in ("", "0"))


def _seconds(stamp):
    """Seconds since the epoch of a stamp like `Sat 2026-11-21 01:45:19.123456 UTC`; 0 where there is none."""
    if not stamp or stamp == "n/a":
        return 0.0
    return datetime.strptime(stamp, "%a %Y-%m-%d %H:%M:%S.%f UTC").replace(tzinfo=UTC).timestamp()


def _processes(cgroup):
    for root in CGROUPS:
        try:
            with open(f"{root}{cgroup}/cgroup.procs") as processes:
                return processes.read().split() if cgroup else []
        except FileNotFoundError:
            continue
    return []


def _process_start(pid):
    """When the process started, in seconds since the epoch, at most one tick too late; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as status:
            ticks = int(status.read().rpartition(")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + (ticks + 1) * TICK
