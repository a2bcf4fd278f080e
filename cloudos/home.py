"""Where Cloud OS keeps its state, and how files there are written: completely or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


def root() -> Path:
    """`CLOUDOS_HOME`, or `~/.cloudos`."""
    return Path(os.environ.get("CLOUDOS_HOME") or "~/.cloudos").expanduser()


def cloud(name: str) -> Path:
    """The directory with the state of one cloud."""
    return root() / "clouds" / name


def write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace `path` by `data` in one step that survives a crash: temporary file, fsync, rename, fsync."""
    temporary = _temporary(path, data, mode)
    os.replace(temporary, path)
    _sync(path.parent)


def write_once(path: Path, data: bytes, mode: int = 0o600) -> bool:
    """Like `write`, but leave a file that is there or that another process makes; True when made by this call."""
    temporary = _temporary(path, data, mode)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(temporary)
    _sync(path.parent)
    return True


@contextlib.contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold `path` (made if needed) against other processes that ask for it; the kernel frees it when a process dies.

    Raises BlockingIOError where it is held and one is not to `wait`.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield


def _temporary(path: Path, data: bytes, mode: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    return temporary


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
