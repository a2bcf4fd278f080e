"""Checks overrides against the options that the bundle's code declares (`<bundle>.options.json`).

Catalogue: {packages: {name: version}, namespaces: {namespace: {group: {option: {type, min, max, ...}}}}}.
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

# What keystoneauth's plugin `password` and its sessions read: declared at run time, so in no catalogue. Its sections are known by these.
AUTHENTICATED = {"auth_type", "send_service_user_token"}
PASSWORD = (
    "auth_type",
    "auth_url",
    "username",
    "user_id",
    "user_domain_id",
    "user_domain_name",
    "password",
    "project_id",
    "project_name",
    "project_domain_id",
    "project_domain_name",
    "domain_id",
    "domain_name",
    "default_domain_id",
    "default_domain_name",
    "system_scope",
    "trust_id",
    "cafile",
    "certfile",
    "keyfile",
)
AUTHENTICATION = {name: {"type": "string"} for name in PASSWORD}


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
        found = merge.sections(*(self._namespaces[name] for name in namespaces if name in self._namespaces))
        return {
            group: {**AUTHENTICATION, **known} if AUTHENTICATED & known.keys() else known
            for group, known in found.items()
        }

    def product(self, service: str) -> str:
        """A service with its version, such as "nova 33.0.2"."""
        version = self.packages.get(service) or self.packages.get(f"openstack-{service}")
        return f"{service} {version}" if version else service


def check_overrides(
    cloud: Cloud, options: Options, configuration: Configuration, nodes: dict[str, Any], report: Report
) -> None:
    """Tell every override that names no declared option, or whose value the option does not take."""
    for place, services in layers(cloud.inventory):
        for service, files in services.items():
            for file, sections in files.items():
                entry = cloud.bodies.get(service, {}).get("files", {}).get(file)
                if entry and entry.get("namespaces"):
                    check = _FileCheck(cloud, options, configuration, service, file, entry, report)
                    for section, said in sections.items():
                        check.section(place, section, said or {}, some_node(cloud, nodes, place))


def undeclared(bodies: dict[str, dict], shared: dict[str, dict], options: Options) -> list[str]:
    """What services and plugins themselves set that no code declares ("nova: nova.conf [DEFAULT] name"), and namespaces
    that do not exist. Sections without any declaration are left out: a service may name sections of its own.

    `bodies`: service -> its merged keys; `shared`: the layers."""
    found = []
    for service, body in bodies.items():
        for name, entry in body.get("files", {}).items():
            found += [
                f"{service}: {name} namespace {one}{nearest(one, options.names())}"
                for one in options.unknown(entry.get("namespaces", []))
            ]
            declared = options.declared(entry.get("namespaces", []))
            layers_of_file = [shared.get(layer, {}) for layer in entry.get("layers", [])]
            for section, said in merge.sections(*layers_of_file, entry.get("options", {})).items():
                found += [
                    f"{service}: {name} [{section}] {option}"
                    for option, value in said.items()
                    if value is not None  # left out of the file
                    and option not in declared.get(section, said) and not new_name(declared, section, option)
                ]
    return found


class _FileCheck:
    def __init__(
        self,
        cloud: Cloud,
        options: Options,
        configuration: Configuration,
        service: str,
        file: str,
        entry: dict,
        report: Report,
    ):
        self.cloud, self.configuration, self.service, self.file, self.report = (
            cloud,
            configuration,
            service,
            file,
            report,
        )
        self.product = options.product(service)
        self.declared = options.declared(entry["namespaces"])
        self.own = merge.sections(
            *(cloud.services.layers.get(name, {}) for name in entry.get("layers", [])), entry.get("options", {})
        )

    def section(self, place: tuple, section: str, said: dict, node: Any) -> None:
        path = ("overrides", *place, self.service, self.file, section)
        where = self.cloud.inventory.where(*path)
        if section not in self.declared:
            if (
                section not in self.own
            ):  # a section that the service itself names, such as a store's, is as good as declared
                known = [*self.declared, *self.own]
                self.report.add(
                    where, f"{self.file} [{section}] is not a section of {self.product}{nearest(section, known)}"
                )
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
        if renamed := new_name(self.declared, section, name):
            return f"; it is now called {renamed}"
        elsewhere = [group for group, known in self.declared.items() if name in known]
        if elsewhere:
            return f"; it belongs to section {' or '.join(f'[{group}]' for group in sorted(elsewhere)[:4])}"
        return nearest(name, self.declared[section])


def new_name(declared: dict[str, dict[str, dict]], section: str, name: str) -> str | None:
    """What an option of former releases is called now, as "[group] option"."""
    for group, known in declared.items():
        for option, described in known.items():
            if any((old or group, alias) == (section, name) for old, alias in described.get("aliases", [])):
                return f"[{group}] {option}"
    return None
