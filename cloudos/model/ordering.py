"""The order in which a node's units start: foundations first, then by `after`, else as the services stand."""

from __future__ import annotations

from cloudos.model.assemble import Cloud
from cloudos.model.problems import Report
from cloudos.model.schemas import STAGES


def ordered_units(units: list[dict], cloud: Cloud, report: Report) -> list[dict]:
    """Sorts plan units; a circle of `after` goes to the report. `after` keeps only units of this node that we start."""
    by_name = {unit["name"]: unit for unit in units}
    for unit in units:
        unit["after"] = [name for name in unit["after"] if name in by_name]
    done: dict[str, dict] = {}
    for stage in STAGES:
        for unit in units:
            if unit["stage"] == stage:
                _visit(unit, by_name, done, [], cloud, report)
    return sorted(done.values(), key=lambda unit: STAGES.index(unit["stage"]))


def _visit(
    unit: dict, by_name: dict[str, dict], done: dict[str, dict], trail: list[str], cloud: Cloud, report: Report
) -> None:
    name = unit["name"]
    if name in done:
        return
    if name in trail:
        circle = " -> ".join([*trail[trail.index(name) :], name])
        report.add(
            cloud.origin(unit["service"]).where("units"), f"units wait for one another: {circle}; take one `after` away"
        )
        return
    for other in unit["after"]:
        _visit(by_name[other], by_name, done, [*trail, name], cloud, report)
    done.setdefault(name, unit)
