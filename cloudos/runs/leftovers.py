"""Processes of a run whose starter died: found by a mark in their environment, and ended, so that no two do the same work.

Ansible's workers are sessions of their own; neither a hangup nor a signal to the group of ansible-playbook reaches them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

PROC = Path("/proc")


def end(name: str, value: str, seconds: float = 10) -> int:
    """Kill all processes that have `name=value` in their environment, and wait until they are gone; returns how many there were.

    Raises TimeoutError when one stays.
    """
    until, found = time.monotonic() + seconds, set()
    while alive := marked(name, value):
        found |= alive
        for process in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if time.monotonic() > until:
            raise TimeoutError(f"processes {', '.join(map(str, sorted(alive)))} with {name}={value} do not end; see what they wait for")
        time.sleep(0.05)
    return len(found)


def marked(name: str, value: str) -> set[int]:
    """Ids of the living processes, other than this one, that have `name=value` in their environment."""
    wanted = f"{name}={value}".encode()
    return {int(one.name) for one in PROC.iterdir() if one.name.isdigit() and int(one.name) != os.getpid() and _has(one, wanted)}


def _has(process: Path, wanted: bytes) -> bool:
    """A process that has gone, or is another user's, has not; of a zombie the environment is empty."""
    try:
        return wanted in (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
