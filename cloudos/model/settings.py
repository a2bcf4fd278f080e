"""Settings of services: what people may change of a service although it is no option of one of its files.

A service file names its settings with their defaults; the inventory's `settings` are laid over them.
"""

from __future__ import annotations

from typing import Any

from cloudos.model.assemble import Cloud
from cloudos.model.merge import overlay
from cloudos.model.problems import Report, nearest
from cloudos.model.source import kind_of


def of(cloud: Cloud, service: str) -> dict[str, Any]:
    """Name -> value of a service's settings in a cloud."""
    return overlay(cloud.bodies[service].get("settings", {}), cloud.inventory.settings.get(service, {}))


def check(cloud: Cloud, report: Report) -> None:
    """Services and settings that the inventory names must be there, and values of the kind that the default has."""
    for service, given in cloud.inventory.settings.items():
        if service not in cloud.bodies:
            report.add(
                cloud.inventory.where("settings", service),
                f"{service} is not in this cloud{nearest(service, cloud.bodies)}",
            )
            continue
        known = cloud.bodies[service].get("settings", {})
        for name, value in given.items():
            where = cloud.inventory.where("settings", service, name)
            if name not in known:
                report.add(where, f"{name} is not a setting of {service}{nearest(name, known)}")
            elif kind_of(value) != kind_of(known[name]):
                report.add(where, f"{name} of {service} is {kind_of(value)}, must be {kind_of(known[name])}")
