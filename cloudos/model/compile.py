"""Compiles inventory, services, plugins, release, facts and options to the plan; the same input gives the same plan."""

from __future__ import annotations

from pathlib import Path

from cloudos.model import addresses, checks, paths, settings
from cloudos.model import facts as node_facts
from cloudos.model.assemble import Cloud, assemble
from cloudos.model.configuration import Configuration
from cloudos.model.context import Context, Named
from cloudos.model.expressions import Expressions
from cloudos.model.host import compile_host
from cloudos.model.identity import identity
from cloudos.model.inventory import Inventory
from cloudos.model.load import Input, load, load_options
from cloudos.model.options import Options, check_overrides
from cloudos.model.overrides import Overrides
from cloudos.model.plan import FORMAT, Plan
from cloudos.model.plugin import Plugin, Plugins
from cloudos.model.problems import Report
from cloudos.model.release import Release
from cloudos.model.scope import Scope
from cloudos.model.secrets import secret_specs
from cloudos.model.service import Services
from cloudos.model.source import ROOT

__all__ = ["Input", "compile_cloud", "compile_file", "load", "load_options"]


def compile_file(path: Path | str, facts: dict | None = None, options: dict | None = None, root: Path = ROOT) -> Plan:
    """Read and compile a cloud. Raises Problems with every mistake in any of the files."""
    report = Report()
    loaded = load(path, root, report)
    if loaded.release is None or not loaded.inventory.nodes:
        _what_can_be_checked(loaded, report)
        report.done()
    return compile_cloud(loaded.inventory, loaded.services, loaded.plugins, loaded.release, facts, options, report)


def compile_cloud(
    inventory: Inventory,
    services: Services,
    plugins: Plugins,
    release: Release,
    facts: dict[str, dict] | None = None,
    options: dict | None = None,
    report: Report | None = None,
) -> Plan:
    """Compile the plan.

    `facts`: node -> what cloudos.cloud.node_facts gathered; a node without is compiled from assumptions and marked so.
    `options`: the content of the bundle's options.json; without it overrides are not checked, and the plan says so.
    `report` may hold what was found while reading. Raises Problems with all mistakes, those in it included.
    """
    report = report if report is not None else Report()
    gathered = {name: (facts or {}).get(name) for name in inventory.nodes}
    nodes = {
        name: Named(
            name,
            facts=node_facts.known(gathered[name]),
            **{key: entry[key] for key in ("address", "groups", "object", "volume")},
        )
        for name, entry in inventory.nodes.items()
    }
    overrides = Overrides(inventory)

    def configured(cloud: Cloud) -> Configuration:
        return Configuration(cloud, Expressions(Context(cloud, nodes).of), overrides, report)

    def unfit(draft: Cloud, plugin: Plugin) -> list[str]:
        missing = checks.unmet(draft, plugin, nodes, configured(draft))
        return [
            f"{name} {message}{'' if gathered[name] else ' (as assumed: nobody has looked)'}" for name, message in missing
        ]

    cloud = assemble(inventory, services, plugins, release, report, unfit)
    cloud.secrets = secret_specs(cloud)
    configuration = configured(cloud)
    _check(cloud, report)
    checks.check_requirements(cloud, nodes, {name for name, found in gathered.items() if found}, configuration, report)
    checks.check_override_values(cloud, nodes, configuration)
    if options is not None:
        check_overrides(cloud, Options(options), configuration, nodes, report)
    scopes = {} if report.problems else {name: Scope(cloud, configuration, node) for name, node in nodes.items()}
    entries = {name: compile_host(scope, gathered[name], report) for name, scope in scopes.items()}
    known = identity(cloud, report)
    report.done()
    return Plan(
        {
            "format": FORMAT,
            "cloud": inventory.cloud,
            "release": {"series": release.series, "patch_level": release.patch_level},
            "services": list(cloud.bodies),
            "plugins": {
                kind: {"chosen": choice.chosen, "passed_over": choice.passed_over}
                for kind, choice in cloud.choices.items()
            },
            "options_checked": options is not None,
            "nodes": entries,
            "identity": known,
            "secrets": list(cloud.secrets.values()),
            "provenance": {
                name: _provenance(scope, overrides, entries[name]["files"]) for name, scope in scopes.items()
            },
        }
    )


def _check(cloud: Cloud, report: Report) -> None:
    addresses.check_addresses(cloud.inventory, report)
    checks.check_groups(cloud.inventory, report)
    checks.check_lab(cloud.inventory, report)
    checks.check_places(cloud, report)
    checks.check_override_names(cloud, report)
    checks.check_ports(cloud, report)
    checks.check_inputs(cloud, report)
    checks.check_foundations(cloud, report)
    settings.check(cloud, report)


def _what_can_be_checked(loaded: Input, report: Report) -> None:
    """Without a release or nodes nothing can be compiled, but mistakes elsewhere are told all the same."""
    cloud = assemble(loaded.inventory, loaded.services, loaded.plugins, loaded.release or Release("", ""), report)
    cloud.secrets = secret_specs(cloud)
    if loaded.inventory.nodes:
        _check(cloud, report)


def _provenance(scope: Scope, overrides: Overrides, files: dict[str, dict]) -> dict:
    """service -> file -> section -> option -> "file:line", for the files that are on the node."""
    found: dict[str, dict] = {}
    for name, body in scope.bodies.items():
        for file in body.get("files", {}):
            places = overrides.places(name, file, str(scope.node))
            if places and paths.in_service(name, file) in files[name]:
                found.setdefault(name, {})[file] = overrides.provenance(name, file, places)
    return found
