"""Which releases there are: `releases/<series>/release.yml` and one lock for each patch level beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cloudos.model import source
from cloudos.model.problems import Report, nearest
from cloudos.model.validation import validate

PATCH_LEVEL = re.compile(r"(.+)-(\d+)")


@dataclass(frozen=True)
class Release:
    """An OpenStack series at one patch level, such as 2026.1 and 2026.1-3."""

    series: str
    patch_level: str


def load(directory: Path, wanted: str, where: str, report: Report | None = None) -> Release | None:
    """Find the series or patch level `wanted` in `releases/`; `where` is the place of that wish.

    None when it is not there, which the report then says (without a report: raises Problems).
    """
    mine = report or Report()
    found = _find(directory, str(wanted), where, mine)
    if report is None:
        mine.done()
    return found


def patch_levels(directory: Path, series: str) -> list[str]:
    """The patch levels of a series that have a lock, oldest first."""
    names = [path.stem for path in (directory / series).glob(f"{series}-*.lock") if PATCH_LEVEL.fullmatch(path.stem)]
    return sorted(names, key=lambda name: int(name.rpartition("-")[2]))


def _find(directory: Path, wanted: str, where: str, report: Report) -> Release | None:
    match = PATCH_LEVEL.fullmatch(wanted)
    series = match[1] if match else wanted
    known = sorted(path.parent.name for path in directory.glob("*/release.yml"))
    if series not in known:
        report.add(where, f"release {wanted} is unknown{nearest(series, known)}")
        return None
    origin = source.load(directory / series / "release.yml", report)
    data = validate(origin, "RELEASE", report)
    if data.get("series", series) != series:
        report.add(
            origin.where("series"), f"series is {data['series']}, but the directory is {series}; name both alike"
        )
    levels = patch_levels(directory, series)
    if not levels:
        report.add(
            where, f"release {series} has no patch level; make its first lock with `cloudos bundle lock {series}`"
        )
        return None
    if match and wanted not in levels:
        report.add(where, f"{wanted} is not a patch level of {series}{nearest(wanted, levels)}")
        return None
    return Release(series, wanted if match else levels[-1])
