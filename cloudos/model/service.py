"""What Cloud OS can run: `services/<service>.yml`, and the option sets that they share, `services/layers.yml`."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cloudos.model import source
from cloudos.model.merge import overlay
from cloudos.model.problems import Report
from cloudos.model.validation import validate

LAYERS = "layers.yml"


@dataclass(frozen=True)
class Service:
    """A service file: `body` has the keys of docs/reference/data.md."""

    name: str
    body: dict
    origin: source.Source

    @property
    def base(self) -> bool:
        return self.body.get("base", False)

    def where(self, *path: Hashable) -> str:
        return self.origin.where(*path)

    def of(self, series: str) -> dict:
        """The body as it is in a series: what `releases` says of it laid over."""
        return of_series(self.body, series)


@dataclass(frozen=True)
class Services:
    """All service files by name, and the layers: name -> section -> option -> value."""

    known: dict[str, Service]
    layers: dict[str, dict]


def load(directories: Iterable[Path], report: Report | None = None) -> Services:
    """Read the service files of some directories; a later directory's file replaces one of the same name."""
    mine = report or Report()
    known: dict[str, Service] = {}
    layers: dict[str, dict] = {}
    for directory in directories:
        for path in sorted(directory.glob("*.yml")):
            if path.name == LAYERS:
                layers.update(validate(source.load(path, mine), "LAYERS", mine))
            elif service := _read(path, mine):
                known[service.name] = service
    if report is None:
        mine.done()
    return Services(known, layers)


def of_series(body: dict, series: str) -> dict:
    """A service's or plugin's keys with its overlay for the series, without the key `releases`."""
    merged = overlay(body, body.get("releases", {}).get(series, {}))
    return {key: value for key, value in merged.items() if key != "releases"}


def _read(path: Path, report: Report) -> Service | None:
    origin = source.load(path, report)
    body = validate(origin, "SERVICE", report) if origin.data else {}
    name = body.get("service")
    if name and name != path.stem:
        report.add(origin.where("service"), f"service is {name}, but the file is {path.name}; name both alike")
    return Service(name, body, origin) if name else None
