"""Make the hashed lock of a patch level from a release's roots and the series' published upper constraints."""

import re
import tempfile
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from cloudos.bundle import own
from cloudos.bundle.commands import run, uv
from cloudos.bundle.errors import BundleError
from cloudos.bundle.release import Release, pins

HEADER = "# Made by: cloudos bundle lock {series} --constraints FILE (docs/how-to/make-a-lock.md). Do not edit.\n"
NAME = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


def make_lock(release: Release, constraints: Path, upgrade: bool = False, replace: bool = False) -> tuple[str, bool]:
    """Resolve `release` and write its lock. Returns (patch level, changed).

    A patch level never changes once it is used: a different resolution becomes the next one, unless `replace`
    rewrites the newest. `upgrade` forgets the newest lock's pins; without it they are kept where they still fit.
    Raises BundleError when nothing satisfies the requirements or a pin is below its security floor.
    """
    levels = release.patch_levels()
    newest = levels[-1] if levels else None
    before = release.lock(newest).read_text() if newest else ""
    text = HEADER.format(series=release.series) + _resolve(release, constraints.read_text(), "" if upgrade else before)
    check_floors(release, text)
    if text == before:
        return newest, False
    number = int(newest.rpartition("-")[2]) if newest else 0
    patch_level = newest if newest and replace else f"{release.series}-{number + 1}"
    target = release.lock(patch_level)
    partial = target.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(target)
    return patch_level, True


def own_constraints(release: Release, published: str) -> str:
    """The published constraints without the lines that this release decides itself, and with its overrides.

    A release decides a name that it overrides, and a root that states its own range; a bare root keeps its line.
    """
    decided = {_name(text) for text in release.overrides}
    decided |= {_name(text) for text in release.roots if Requirement(text).specifier}
    kept = [
        line for line in published.splitlines() if (m := NAME.match(line)) and canonicalize_name(m[1]) not in decided
    ]
    return "\n".join([*kept, *release.overrides]) + "\n"


def check_floors(release: Release, lock: str) -> None:
    """Raise BundleError naming every pin of `lock` that is below its floor, and every floor whose package is absent."""
    pinned = pins(lock)
    low = [
        f"{name} {pinned.get(name, 'is absent')} (floor {floor})"
        for name, floor in release.floors.items()
        if name not in pinned or Version(pinned[name]) < Version(floor)
    ]
    if low:
        advice = "raise the root or add an override in release.yml"
        raise BundleError(f"{release.series}: below the security floor: {', '.join(low)}; {advice}")


def _resolve(release: Release, published: str, preferred: str) -> str:
    with tempfile.TemporaryDirectory(prefix="cloudos-lock-") as work:
        here = Path(work)
        (here / "roots.in").write_text("\n".join([*release.roots, *own.requirements()]) + "\n")
        (here / "constraints.txt").write_text(own_constraints(release, published))
        (here / "build.txt").write_text("\n".join(release.build_constraints) + "\n")
        (here / "lock").write_text(preferred)
        target = ["--python-version", release.python, "--python-platform", "x86_64-manylinux_2_36"]
        limits = ["--constraints", "constraints.txt", "--build-constraints", "build.txt"]
        plain = ["--quiet", "--no-header", "--no-annotate", "--generate-hashes"]
        command = [uv(), "pip", "compile", *plain, *target, *limits, "--output-file", "lock", "roots.in"]
        run(command, what=f"resolving {release.series}", cwd=here)
        return (here / "lock").read_text()


def _name(requirement: str) -> str:
    return canonicalize_name(Requirement(requirement).name)
