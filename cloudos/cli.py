"""The command `cloudos`: what it can do is registered here; each group lives with its own part."""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from pathlib import Path

import click

from cloudos import home
from cloudos.model import inventory as inventories
from cloudos.model.difference import diff
from cloudos.model.plan import Host, Plan
from cloudos.model.problems import Problems, Report
from cloudos.runs import compiling

# A group is the attribute of its name in cloudos.<name>.cli.
GROUPS = ("bundle", "eve", "focus", "graffiti", "runs")


class Groups(click.Group):
    """Imports a group when it is called: all of them together take seconds."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Those of this file, and the groups."""
        return sorted([*super().list_commands(context), *GROUPS])

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """One of either."""
        if name in GROUPS:
            return getattr(importlib.import_module(f"cloudos.{name}.cli"), name)
        return super().get_command(context, name)


@click.group(cls=Groups)
def main() -> None:
    """Installs and keeps OpenStack clouds."""


@main.command()
@click.option(
    "-i",
    "--inventory",
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="inventory/<cloud> or its cloud.yml.",
)
@click.option("--node", "nodes", multiple=True, help="Only this node; may be given several times.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan itself.")
def plan(inventory: Path, nodes: tuple[str, ...], as_json: bool) -> None:
    """Show what a cloud must be, and how that differs from what was last applied.

    Touches no node. Exits with 2 and all mistakes when the inventory or a data file is wrong.
    """
    try:
        wanted = compiled(inventory)
    except Problems as problems:
        click.echo(str(problems), err=True)
        count = len(problems.problems)
        click.echo(f"{count} mistake{'' if count == 1 else 's'}; nothing was changed.", err=True)
        sys.exit(2)
    if unknown := [name for name in nodes if name not in wanted.data["nodes"]]:
        raise click.UsageError(f"{', '.join(unknown)}: no such node; there are {', '.join(wanted.data['nodes'])}")
    wanted = only(wanted, nodes)
    if as_json:
        click.echo(wanted.to_json())
        return
    click.echo(summary(wanted))
    last = applied(wanted.data["cloud"])
    click.echo(difference(only(last, nodes) if last else None, wanted), nl=False)


def compiled(inventory: Path) -> Plan:
    """The plan with the facts and the bundle's options that this machine knows. Raises Problems."""
    cloud = inventories.load(inventory, Report()).cloud  # compiling reads it again and tells all mistakes
    return Plan(compiling.compiled(str(inventory), compiling.all_facts(cloud, {}, keep=False) if cloud else {}))


def applied(cloud: str) -> Plan | None:
    """The plan that the cloud was last brought to."""
    path = home.cloud(cloud) / "plan.json"
    return Plan.from_json(path.read_text()) if path.exists() else None


def only(wanted: Plan, nodes: tuple[str, ...]) -> Plan:
    """The plan with only these nodes; with all when none is named."""
    if not nodes:
        return wanted
    kept = {name: data for name, data in wanted.data["nodes"].items() if name in nodes}
    return Plan({**wanted.data, "nodes": kept})


def difference(last: Plan | None, wanted: Plan) -> str:
    """The difference from the last applied plan, as text to print."""
    if last is None:
        return "\nNothing was applied yet: all of it is new.\n"
    text = diff(last, wanted)
    return (
        f"\nDifference from what was last applied:\n{text}"
        if text
        else "\nNothing differs from what was last applied.\n"
    )


def summary(wanted: Plan) -> str:
    """What the plan says, per node and service, in a few lines."""
    data = wanted.data
    lines = [f"Cloud {data['cloud']}, release {data['release']['patch_level']}: {', '.join(data['services'])}"]
    for kind, choice in data["plugins"].items():
        lines.append(f"Plugin {kind}: {', '.join(choice['chosen'])}")
        lines += [f"  not {name}: {', '.join(reasons)}" for name, reasons in choice["passed_over"].items()]
    if not data["options_checked"]:
        lines.append(
            "Overrides are not checked: no bundle on this machine declares the options; playbooks/bundle.yml builds it."
        )
    for host in wanted.hosts():
        lines += ["", *_host(host)]
    return "\n".join(lines)


def _host(host: Host) -> list[str]:
    data = host.data
    note = "" if data["facts_known"] else "; nobody has looked at it yet"
    lines = [
        f"{host.name}  {data['address']}  {', '.join(data['groups'])}{note}",
        f"  {len(data['packages'])} packages: {', '.join(data['packages'])}",
    ]
    units = Counter(unit["service"] for unit in data["units"])
    for service, files in data["files"].items():
        names = [unit["name"].removesuffix(".service") for unit in data["units"] if unit["service"] == service]
        shown = f", {units[service]} units: {', '.join(names)}" if names else ""
        lines.append(f"  {service:<12} {len(files):>3} files{shown}")
    return lines
