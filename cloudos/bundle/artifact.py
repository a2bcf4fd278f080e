"""The files that make up one bundle on the admin host, and whether they are whole."""

import hashlib
import json
import platform
from dataclasses import dataclass
from pathlib import Path

from cloudos.bundle import signing
from cloudos.bundle.errors import BundleError

FORMAT = 1


@dataclass(frozen=True)
class Artifact:
    """One bundle: `<directory>/<patch level>-<python>-<architecture>.sqfs` and the small files beside it."""

    directory: Path
    patch_level: str
    python: str = "cp311"

    @property
    def name(self) -> str:
        return f"{self.patch_level}-{self.python}-{platform.machine()}"

    def path(self, suffix: str) -> Path:
        """The path of one of its files: `sqfs`, `manifest.json`, `manifest.json.sig`, `cdx.json` or `options.json`."""
        return self.directory / f"{self.name}.{suffix}"

    def manifest(self) -> dict:
        """The manifest; raises BundleError where there is none or it is not JSON."""
        try:
            return json.loads(self.path("manifest.json").read_text())
        except (OSError, ValueError) as error:
            raise BundleError(
                f"{self.path('manifest.json')}: {error}; build the bundle with playbooks/bundle.yml"
            ) from error

    def verify(self, public_key: Path) -> dict:
        """The manifest, if its signature and size and hash of every file it names are right; else BundleError."""
        manifest = self.manifest()
        signing.verify(self.path("manifest.json"), self.path("manifest.json.sig"), public_key)
        for file in manifest["files"].values():
            path = self.directory / file["file"]
            if not path.is_file():
                raise BundleError(f"{path}: missing; build the bundle again with playbooks/bundle.yml")
            if path.stat().st_size != file["size"] or sha256(path) != file["sha256"]:
                raise BundleError(
                    f"{path}: is not the file that its manifest names; build the bundle again with playbooks/bundle.yml"
                )
        return manifest


def describe(path: Path) -> dict:
    """A file as a manifest names it: {file, size in bytes, sha256}."""
    return {"file": path.name, "size": path.stat().st_size, "sha256": sha256(path)}


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
