"""The directory of one job: project, credentials and keys on a tmpfs, readable by Eve only, and gone when the job ends.

    <run_directory>/<mark>.<random>/  pid  clouds.yaml  key  key.pub  known_hosts  design.csar  files/  project/
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from oslo_config import cfg

from cloudos import home
from cloudos.eden.jobs.run import Run
from cloudos.eve.jobs.vault import KEY, Vault, private
from cloudos.eve.models import Kept

PUBLIC, HOSTS, FILES = "key.pub", "known_hosts", "files"


def run_directory(conf: cfg.ConfigOpts) -> Path:
    """Where jobs work: [eve] run_directory, or in memory for an embedded service."""
    if conf.eve.run_directory:
        return Path(conf.eve.run_directory)
    if conf.api.auth_strategy != "noauth":
        return Path("/run/eve")
    memory = Path("/dev/shm")  # noqa: S108 - in memory; below it is a directory of our own
    return memory / f"eve-{os.getuid()}" if memory.is_dir() else home.root() / "eve" / "run"


def data_directory(conf: cfg.ConfigOpts) -> Path:
    """Where the last runs of each topology are kept."""
    embedded = conf.api.auth_strategy == "noauth"
    return Path(conf.eve.data_directory or (home.root() / "eve" / "runs" if embedded else "/var/lib/eve/runs"))


@contextlib.contextmanager
def opened(conf: cfg.ConfigOpts, mark: str) -> Iterator[Path]:
    """A new directory for a job of a topology; what jobs left whose workers died is removed on the way."""
    root = run_directory(conf)
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    sweep(root)
    folder = Path(tempfile.mkdtemp(prefix=f"{mark}.", dir=root))
    try:
        private(folder / "pid", str(os.getpid()).encode())
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(root: Path) -> int:
    """Remove directories of workers that are no more; returns how many."""
    gone = [path.parent for path in root.glob("*/pid") if not _lives(path)]
    for folder in gone:
        shutil.rmtree(folder, ignore_errors=True)
    return len(gone)


def _lives(path: Path) -> bool:
    try:
        return Path("/proc", path.read_text().strip() or "0").exists()
    except OSError:
        return True


class Belongings:
    """What a topology needs in every run, brought into the job's directory and kept from there."""

    def __init__(self, run: Run, vault: Vault, topology: str, mark: str, folder: Path):
        self._run, self._vault, self._topology, self._mark, self.folder = run, vault, topology, mark, folder
        self._kept: dict[str, bytes] = {}

    def bring(self) -> None:
        """Write down what is kept."""
        self._run.runtime.db.transact(self._bring, reading=True)

    def _bring(self, session: sa.orm.Session) -> None:
        for name in (PUBLIC, HOSTS, FILES):
            if kept := session.get(Kept, (self._topology, name)):
                self._kept[name] = kept.data
        if key := self._vault.get(session, self._topology, KEY):
            private(self.folder / KEY, key.encode())
        for name in (PUBLIC, HOSTS):
            if name in self._kept:
                private(self.folder / name, self._kept[name])
        if FILES in self._kept:
            _unpack(self._kept[FILES], self.folder / FILES)

    def key(self) -> str:
        """The public key for servers; a new pair is kept before anybody uses it."""
        if not (self.folder / KEY).exists():
            made = Ed25519PrivateKey.generate()
            secret = made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
            public = made.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
            public += f" eve-{self._mark}\n".encode()

            def keep(session: sa.orm.Session, _job: object) -> None:
                self._vault.put(session, self._topology, KEY, secret.decode())
                session.merge(Kept(topology_id=self._topology, name=PUBLIC, data=public))

            self._run.write(keep)
            private(self.folder / KEY, secret)
            private(self.folder / PUBLIC, public)
        return (self.folder / PUBLIC).read_text().strip()

    def keep(self) -> None:
        """Keep known hosts and files of operations, where they have changed."""
        found = {HOSTS: _read(self.folder / HOSTS), FILES: _packed(self.folder / FILES)}
        changed = {name: data for name, data in found.items() if data is not None and data != self._kept.get(name)}
        if changed:
            kept = [Kept(topology_id=self._topology, name=name, data=data) for name, data in changed.items()]
            self._run.write(lambda session, _job: [session.merge(one) for one in kept])
            self._kept.update(changed)


def archive(conf: cfg.ConfigOpts, folder: Path, mark: str, name: str, output: str) -> None:
    """Keep project and output of a run, which have no secrets, and of each topology only the last [eve] keep_runs."""
    target = data_directory(conf) / mark / name
    if conf.eve.keep_runs and (folder / "project").is_dir():
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copytree(folder / "project", target)
        private(target / "output.txt", output.encode())
    if target.parent.is_dir():
        old = sorted(target.parent.iterdir(), key=lambda path: path.stat().st_mtime)
        for path in old[: max(0, len(old) - conf.eve.keep_runs)]:
            shutil.rmtree(path, ignore_errors=True)


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _packed(folder: Path) -> bytes | None:
    """The same files give the same bytes."""
    if not folder.is_dir():
        return None
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            info = tarfile.TarInfo(path.relative_to(folder).as_posix())
            info.size, info.mode = path.stat().st_size, path.stat().st_mode & 0o777
            archive.addfile(info, io.BytesIO(path.read_bytes()))
    return target.getvalue()


def _unpack(packed: bytes, folder: Path) -> None:
    """Write what `_packed` has packed, whose names are its own."""
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for entry in archive:
            path = folder / entry.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.extractfile(entry).read())
            path.chmod(entry.mode)
