"""Values that are written as text and compare as more: versions, timestamps, scalars with units, ranges."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import total_ordering
from typing import Any

VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+)(?:\.([A-Za-z0-9_]+)(?:-(\d+))?)?)?", re.ASCII)
NUMBER = re.compile(r"\s*([-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)\s*(\S.*?)?\s*", re.ASCII)
RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?([Zz]|[-+]\d\d:\d\d))?", re.ASCII)
YAML_TIME = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)(?:(?:[Tt]|[ \t]+)(\d\d?):(\d\d):(\d\d)(?:\.(\d*))?[ \t]*([Zz]|[-+]\d\d?(?::?\d\d)?)?)?", re.ASCII
)
UNBOUNDED = "UNBOUNDED"
DIGITS = 300  # of an integer; one that has more cannot be multiplied with a float
LARGEST = 10**DIGITS

# The scalar units of 1.x (1.3, 3.3.6), which 2.0 documents still use without defining them.
UNITS: dict[str, dict[str, float]] = {
    "scalar-unit.size": {
        "B": 1, "kB": 1000, "KiB": 1024, "MB": 1000**2, "MiB": 1024**2,
        "GB": 1000**3, "GiB": 1024**3, "TB": 1000**4, "TiB": 1024**4,
    },
    "scalar-unit.time": {"d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9},
    "scalar-unit.frequency": {"Hz": 1, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9},
    "scalar-unit.bitrate": {
        "bps": 1, "Kbps": 1e3, "Kibps": 1024, "Mbps": 1e6, "Mibps": 1024**2, "Gbps": 1e9, "Gibps": 1024**3, "Tbps": 1e12,
        "Tibps": 1024**4, "Bps": 8, "KBps": 8e3, "KiBps": 8 * 1024, "MBps": 8e6, "MiBps": 8 * 1024**2, "GBps": 8e9,
        "GiBps": 8 * 1024**3, "TBps": 8e12, "TiBps": 8 * 1024**4,
    },
}  # fmt: skip


@total_ordering
@dataclass(frozen=True)
class Version:
    """major.minor[.fix[.qualifier[-build]]]; one with a qualifier is older than one without."""

    major: int
    minor: int
    fix: int
    qualifier: str
    build: int

    def _order(self) -> tuple:
        return self.major, self.minor, self.fix, not self.qualifier, self.qualifier, self.build

    def __lt__(self, other: Version) -> bool:
        return self._order() < other._order()

    @staticmethod
    def coerce(text: Any) -> Version | None:
        """The version that a text means."""
        return version(text)


@total_ordering
@dataclass(frozen=True)
class Moment:
    """A point in time, in UTC."""

    at: datetime.datetime

    def __lt__(self, other: Moment) -> bool:
        return self.at < other.at

    @staticmethod
    def coerce(text: Any) -> Moment | None:
        """The point in time that a text means."""
        return timestamp(text, modern=False)


@total_ordering
@dataclass(frozen=True)
class Quantity:
    """A number in the canonical unit of its type; compares with others of the same units only."""

    amount: float
    units: tuple[tuple[str, float], ...]

    def __lt__(self, other: Quantity) -> bool:
        return self.amount < other.amount

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and math.isclose(self.amount, other.amount, rel_tol=1e-12, abs_tol=0)

    def __hash__(self) -> int:
        return hash(self.amount)

    def coerce(self, text: Any) -> Quantity | None:
        """The quantity of this type that a text means."""
        found = split(text, dict(self.units))
        return Quantity(found[0] * found[1], self.units) if found else None


def version(text: Any) -> Version | None:
    """The version that a text means, None if it means none."""
    match = VERSION.fullmatch(str(text))
    if not match or max(len(part or "") for part in match.groups()) > DIGITS:
        return None
    major, minor, fix, qualifier, build = match.groups()
    return Version(int(major), int(minor), int(fix or 0), qualifier or "", int(build or 0))


def timestamp(text: Any, modern: bool) -> Moment | None:
    """The point in time that a text means: RFC 3339 in 2.0, also YAML 1.1's forms in 1.x; a time without zone is UTC."""
    match = (RFC3339 if modern else YAML_TIME).fullmatch(text) if isinstance(text, str) else None
    if not match:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        at = datetime.datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), min(int(second or 0), 59),
            int(((fraction or "") + "000000")[:6]), tzinfo=_zone(zone),
        )  # fmt: skip
        return Moment(at.astimezone(datetime.UTC))
    except (ValueError, OverflowError):
        return None


def _zone(text: str | None) -> datetime.timezone:
    if not text or text in "Zz":
        return datetime.UTC
    hours, minutes = text[1:].replace(":", "")[:2], text[1:].replace(":", "")[2:] or "0"
    offset = datetime.timedelta(hours=int(hours), minutes=int(minutes))
    return datetime.timezone(-offset if text[0] == "-" else offset)


def split(text: Any, units: Mapping[str, float]) -> tuple[float | int, float] | None:
    """(number, multiplier of its unit) of a text like "10 kg"; None when number or unit is missing or unknown."""
    match = NUMBER.fullmatch(text) if isinstance(text, str) else None
    if not match or not match[2] or match[2] not in units:
        return None
    number = match[1]
    whole = re.fullmatch(r"[-+]?\d+", number) and len(number) <= DIGITS
    return (int(number) if whole else float(number)), units[match[2]]


def bounds(value: Any) -> tuple[int | float, float] | None:
    """(lower, upper) of a list of two numbers, the upper also UNBOUNDED (infinity); None for anything else."""
    if not isinstance(value, list) or len(value) != 2:
        return None
    low, high = value
    if high == UNBOUNDED:
        high = math.inf
    if any(isinstance(number, bool) or not isinstance(number, int | float) for number in (low, high)):
        return None
    return (low, high) if low <= high else None
