"""What a disk holds, and the rules by which one is taken: only when it is empty, or when all it holds may be lost."""

from __future__ import annotations

import os
from pathlib import Path

from .operation import Failure
from .processes import run

HEAD = 4 << 20  # bytes that must be zero where a disk counts as empty
NOTHING = ("nothing", "")


def content(path):
    """(what the disk holds, identifier of that): NOTHING where it may be taken."""
    told = run(["blkid", "-p", "-o", "export", str(path)], accept=(0, 2))
    known = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    kind = known.get("TYPE") or known.get("PTTYPE")
    if kind is None:
        with open(path, "rb") as disk:
            return ("data of an unknown kind", "unknown") if any(disk.read(HEAD)) else NOTHING
    label = known.get("LABEL")
    return f"{kind}{' labelled ' + label if label else ''}", known.get("UUID") or known.get("PTUUID") or kind


def missing(thing, device, service, otherwise=""):
    """The Failure that tells of a device that is not there; `otherwise` adds to the next step."""
    return Failure(
        f"{thing}: there is no {device}", service=service, next_step=f"correct its device in the inventory{otherwise}"
    )


def refuse(thing, path, held, service):
    """Raise Failure, because the disk holds something; held: (what, identifier)."""
    raise Failure(
        f"{thing}: {path} holds {held[0]} ({held[1]}), and is left alone",
        service=service,
        next_step=f"name another device, or to lose what it holds, give the disk `erase: {held[1]}`",
    )


def claim(thing, path, service):
    """Raise Failure where a disk is in use, however little its content tells of that."""
    try:
        os.close(os.open(Path(path), os.O_RDWR | os.O_EXCL))
    except OSError as error:
        raise Failure(
            f"{thing}: {path} cannot be formatted: {error.strerror}",
            service=service,
            next_step=f"see who uses it: lsblk {path}; fuser -v {path}",
        ) from error
