"""Looks at and writes the entries of a node's file system: files, directories, links.

Writing is atomic: an entry appears under its name complete, with its owner and mode, or not at all.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import stat
from functools import cache
from pathlib import Path

from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure


def look(path):
    """What is at the path: {type, owner, group, mode} plus `data` (bytes) or `target`; None where nothing is.

    A link to a directory counts as that directory: an operator may have moved one to a larger disk.
    """
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(status.st_mode):
        if not os.path.isdir(path):
            return {"type": "link", "target": os.readlink(path)}
        link, status = os.readlink(path), os.stat(path)
    else:
        link = None
    entry = {"owner": _user_name(status.st_uid), "group": _group_name(status.st_gid),
             "mode": f"0{stat.S_IMODE(status.st_mode):03o}"}
    if stat.S_ISDIR(status.st_mode):
        return {"type": "directory", **entry, **({"target": link} if link else {})}
    if stat.S_ISREG(status.st_mode):
        return {"type": "file", **entry, "data": Path(path).read_bytes()}
    return {"type": "other", **entry}


def write_file(path, data, owner="root", group="root", mode="0640"):
    """Put the bytes at the path, replacing a file, a link or an empty directory."""
    uid, gid = owner_ids(path, owner, group)
    with _replacing(path) as temporary:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            os.fchown(handle, uid, gid)
            os.fchmod(handle, int(mode, 8))
            file.write(data)
            file.flush()
            os.fsync(handle)


def write_link(path, target):
    """Make the path a symbolic link, replacing a file, a link or an empty directory."""
    with _replacing(path) as temporary:
        os.symlink(target, temporary)


def write_directory(path, owner="root", group="root", mode="0755"):
    """Make the path a directory, or give an existing one this owner and mode; missing parents become root's, 0755."""
    uid, gid = owner_ids(path, owner, group)
    if os.path.lexists(path) and not os.path.isdir(path):
        raise Failure(f"{path} is to be a directory but something else is there",
                      next_step=f"look at {path} and move it away")
    if not os.path.isdir(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        os.mkdir(path, 0o700)
    os.chown(path, uid, gid)
    os.chmod(path, int(mode, 8))


def remove(path):
    """Remove a file, a link or an empty directory; nothing there is fine."""
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            os.rmdir(path)
        else:
            os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Failure(f"{path} cannot be removed: {error.strerror}",
                      next_step=f"look at {path} and empty it") from error
    _sync_directory(os.path.dirname(path))


def owner_ids(path, owner, group):
    """The numeric user and group; Failure where one does not exist."""
    try:
        return pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise Failure(f"{path} is to belong to {owner}:{group}, but {error.args[0]}",
                      next_step="list the account before the files that belong to it") from error


@contextlib.contextmanager
def _replacing(path):
    """A temporary name beside the path; what was made there takes the path's place."""
    folder, name = os.path.split(path)
    os.makedirs(folder, mode=0o755, exist_ok=True)
    temporary = os.path.join(folder, f".{name}.cloudos")
    if os.path.lexists(temporary):   # left by a run that was killed
        os.unlink(temporary)
    try:
        yield temporary
        if os.path.isdir(path) and not os.path.islink(path):
            remove(path)
        os.rename(temporary, path)
    except BaseException:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise
    _sync_directory(folder)


def _sync_directory(folder):
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@cache
def _user_name(uid):
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@cache
def _group_name(gid):
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
