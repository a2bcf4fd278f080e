"""How services meet infrastructure: `plugins/<kind>/<name>.yml`, parts of service files that extend one service."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from cloudos.model import source
from cloudos.model.merge import extend
from cloudos.model.problems import Report, nearest
from cloudos.model.service import of_series
from cloudos.model.validation import validate

OWN = ("plugin", "extends", "like", "title", "requires", "message", "also")


@dataclass(frozen=True)
class Plugin:
    """A plugin file; `extends` names the service that it is merged into, `also` what it adds to others,
    and `like` the plugin of the same kind that it is laid upon."""

    kind: str
    name: str
    extends: str
    body: dict
    origin: source.Source
    like: Plugin | None = None

    def where(self, *path: Hashable) -> str:
        return self.origin.where(*path)

    def parts(self, series: str) -> dict[str, dict]:
        """Service -> what is merged into it, as it is in a series; the service that it extends comes first."""
        mine = {key: value for key, value in of_series(self.body, series).items() if key not in OWN}
        parts = {self.extends: mine, **self.body.get("also", {})}
        return extend(self.like.parts(series), parts) if self.like else parts

    def requirements(self) -> list[dict]:
        """What nodes must have: [{that: expression, message, on: groups or None, where}]."""
        default = self.body.get("message", f"plugin {self.kind}/{self.name} cannot work there")
        inherited = self.like.requirements() if self.like else []
        return inherited + [
            {"that": item, "message": default, "on": None, "where": self.where("requires", index)}
            if isinstance(item, str)
            else {"on": None, **item, "where": self.where("requires", index)}
            for index, item in enumerate(self.body.get("requires", []))
        ]


Plugins = dict[tuple[str, str], Plugin]


def load(directories: Iterable[Path], report: Report | None = None) -> Plugins:
    """Read the plugin files of some directories: (kind, name) -> Plugin; of two with one name the later counts."""
    mine = report or Report()
    known: Plugins = {}
    for directory in directories:
        for path in sorted(directory.glob("*/*.yml")):
            if plugin := _read(path, mine):
                known[plugin.kind, plugin.name] = plugin
    for key, plugin in known.items():
        if name := plugin.body.get("like"):
            known[key] = replace(plugin, like=_pattern(plugin, name, known, mine))
    if report is None:
        mine.done()
    return known


def _pattern(plugin: Plugin, name: str, known: Plugins, report: Report) -> Plugin | None:
    """The plugin that another is like; one that is itself like another would make readers search three files."""
    fit = {found: other for (kind, found), other in known.items() if kind == plugin.kind and "like" not in other.body}
    if name not in fit:
        report.add(plugin.where("like"), f"{name} is no {plugin.kind} plugin that stands by itself{nearest(name, fit)}")
    return fit.get(name)


def _read(path: Path, report: Report) -> Plugin | None:
    origin = source.load(path, report)
    body = validate(origin, "PLUGIN", report) if origin.data else {}
    if not body.get("plugin") or not body.get("extends"):
        return None
    kind, _, name = body["plugin"].partition("/")
    if (kind, name) != (path.parent.name, path.stem):
        report.add(
            origin.where("plugin"),
            f"plugin is {body['plugin']}, but the file is {path.parent.name}/{path.name}; name both alike",
        )
    return Plugin(kind, name, body["extends"], body, origin)
