"""Checks overrides against the options that the bundle's code declares (`<bundle>.options.json`).

Catalogue: {packages: {name: version}, namespaces: {namespace: {group: {option: {type, min, max, choices, item, value, name, aliases, ...}}}}}.
"""

from __future__ import annotations

from typing import Any

from cloudos.model import merge
from cloudos.model.assemble import Cloud
from cloudos.model.checks import some_node
from cloudos.model.configuration import Configuration
from cloudos.model.expressions import ExpressionError
from cloudos.model.option_types import complaint
from cloudos.model.overrides import layers
from cloudos.model.problems import Report, nearest


class Options:
    """The catalogue of one bundle."""

    def __init__(self, catalogue: dict):
        self.packages = {name.lower().replace("_", "-"): version for name, version in catalogue["packages"].items()}
        self._namespaces = catalogue["namespaces"]

    def unknown(self, namespaces: list[str]) -> list[str]:
        """Those of the names that the catalogue has not."""
        return [name for name in namespaces if name not in self._namespaces]

    def names(self) -> list[str]:
        return list(self._namespaces)

    def declared(self, namespaces: list[str]) -> dict[str, dict[str, dict]]:
        """group -> option -> description of all the namespaces together."""
        return merge.sections(*(self._namespaces[name] for name in namespaces if name in self._namespaces))

    def product(self, service: str) -> str:
        """A service with its version, such as "nova 33.0.2"."""
        version = self.packages.get(service) or self.packages.get(f"openstack-{service}")
        return f"{service} {version}" if version else service


def check_overrides(cloud: Cloud, options: Options, configuration: Configuration, nodes: dict[str, Any], report: Report) -> None:
    """Tell every override that names no declared option, or whose value the option does not take."""
    for place, services in layers(cloud.inventory):
        for service, files in services.items():
            for file, sections in files.items():
                entry = cloud.bodies.get(service, {}).get("files", {}).get(file)
                if entry and entry.get("namespaces"):
                    check = _FileCheck(cloud, options, configuration, service, file, entry, report)
                    for section, said in sections.items():
                        check.section(place, section, said or {}, some_node(cloud, nodes, place))


class _FileCheck:
    def __init__(self, cloud: Cloud, options: Options, configuration: Configuration, service: str, file: str, entry: dict, report: Report):
        self.cloud, self.configuration, self.service, self.file, self.report = cloud, configuration, service, file, report
        self.product = options.product(service)
        self.declared = options.declared(entry["namespaces"])
        self.own = merge.sections(*(cloud.services.layers.get(name, {}) for name in entry.get("layers", [])), entry.get("options", {}))

    def section(self, place: tuple, section: str, said: dict, node: Any) -> None:
        path = ("overrides", *place, self.service, self.file, section)
        where = self.cloud.inventory.where(*path)
        if section not in self.declared:
            if section not in self.own:  # a section that the service itself names, such as a store's, is as good as declared
                known = [*self.declared, *self.own]
                self.report.add(where, f"{self.file} [{section}] is not a section of {self.product}{nearest(section, known)}")
            return
        for name, value in said.items():
            self._option(self.cloud.inventory.where(*path, name), section, name, value, node)

    def _option(self, where: str, section: str, name: str, value: Any, node: Any) -> None:
        thing = f"{self.file} [{section}] {name}"
        known = self.declared[section]
        described = known.get(name) or known.get(name.replace("-", "_"))
        if described is None:
            if name not in self.own.get(section, {}):
                self.report.add(where, f"{thing} is not an option of {self.product}{self._hint(section, name)}")
            return
        if value is None:
            return
        try:
            value = self.configuration.expressions.value(value, self.service, node)
        except ExpressionError:
            return  # told by checks.check_override_values
        if wrong := complaint(described, value):
            self.report.add(where, f"{thing} is {value!r}, {wrong}")

    def _hint(self, section: str, name: str) -> str:
        for group, known in self.declared.items():
            for option, described in known.items():
                if any((old or group, alias) == (section, name) for old, alias in described.get("aliases", [])):
                    return f"; it is now called [{group}] {option}"
        elsewhere = [group for group, known in self.declared.items() if name in known]
        if elsewhere:
            return f"; it belongs to section {' or '.join(f'[{group}]' for group in sorted(elsewhere)[:4])}"
        return nearest(name, self.declared[section])
