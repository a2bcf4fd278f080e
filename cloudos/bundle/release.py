"""A release directory, `releases/<series>/`: its data file and the locks of its patch levels."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cloudos.bundle.errors import BundleError

PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)
PATCH_LEVEL = re.compile(r"^(\d{4}\.\d)-(\d+)$")


@dataclass(frozen=True)
class Release:
    """One series. `roots`, `overrides`, `build_constraints`: requirement strings; `absent`: packages that code imports although
    no lock holds them; `floors`: name to version."""

    series: str
    directory: Path
    python: str
    maintained_until: str
    roots: tuple[str, ...]
    overrides: tuple[str, ...] = ()
    build_constraints: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    floors: dict[str, str] = field(default_factory=dict)

    def patch_levels(self) -> list[str]:
        """Patch levels that have a lock, oldest first."""
        found = [path.stem for path in self.directory.glob("*.lock") if PATCH_LEVEL.match(path.stem)]
        return sorted(found, key=lambda name: int(name.rpartition("-")[2]))

    def lock(self, patch_level: str) -> Path:
        """The path of the lock of `patch_level`, whether it exists or not."""
        return self.directory / f"{patch_level}.lock"


def load_release(releases: Path, name: str) -> tuple[Release, str | None]:
    """Read a release by series (`2026.1`: its newest patch level, None if it has no lock) or patch level (`2026.1-1`).

    Raises BundleError for an unknown series or patch level, and for a data file that is not as documented.
    """
    named = PATCH_LEVEL.match(name)
    series = named.group(1) if named else name
    known = sorted(path.parent.name for path in releases.glob("*/release.yml"))
    if series not in known:
        raise BundleError(f"{releases}: no release {series}; there are: {', '.join(known) or 'none'}")
    release = _read(releases / series / "release.yml")
    levels = release.patch_levels()
    if named and name not in levels:
        raise BundleError(f"{release.directory}: no lock {name}.lock; there are: {', '.join(levels) or 'none'}")
    return release, name if named else (levels[-1] if levels else None)


def load_locked(releases: Path, name: str) -> tuple[Release, str]:
    """Like load_release, for a release that must have a lock; raises BundleError for one without."""
    release, patch_level = load_release(releases, name)
    if patch_level is None:
        raise BundleError(f"{release.directory}: no lock yet; docs/how-to/make-a-lock.md tells how to make one")
    return release, patch_level


def _read(path: Path) -> Release:
    data = yaml.safe_load(path.read_text())
    try:
        for text in (*data["roots"], *data.get("overrides", []), *data.get("build_constraints", [])):
            Requirement(text)
        return Release(
            series=str(data["series"]),
            directory=path.parent,
            python=str(data["python"]),
            maintained_until=str(data["maintained_until"]),
            roots=tuple(data["roots"]),
            overrides=tuple(data.get("overrides", [])),
            build_constraints=tuple(data.get("build_constraints", [])),
            absent=tuple(data.get("absent", [])),
            floors={canonicalize_name(name): str(floor) for name, floor in data.get("floors", {}).items()},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"{path}: {type(error).__name__} {error}; docs/how-to/make-a-lock.md shows the keys"
        ) from error


def pins(lock: str) -> dict[str, str]:
    """The pinned versions of a lock's text: {canonical name: version}."""
    return {canonicalize_name(name): version for name, version in PIN.findall(lock)}
