"""Commands of the dictionary: load types, look at them and at keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cloudos.eden.commands import as_json, details, table
from cloudos.graffiti.cli_common import command, scope_option
from cloudos.graffiti.client import STANDARD, Graffiti
from cloudos.graffiti.sources import SOURCES

commands = click.Group()


@command(
    commands,
    click.argument("source", type=click.Choice(["standard", *SOURCES])),
    scope_option,
    click.argument("path", required=False, type=click.Path(exists=True, path_type=Path)),
    click.option("--dry-run", is_flag=True, help="Store nothing."),
)
def load(service: Graffiti, source: str, path: Path | None, scope: str, dry_run: bool) -> None:
    """Load types into the dictionary; doing it again changes nothing.

    SOURCE standard is TOSCA's types, os-traits, os-resource-classes and those of OpenStack, and with PATH Glance's metadata definitions.
    """
    wanted: list[tuple[str, Path | None]] = [(source, path)]
    if source == "standard":
        wanted = [(name, None) for name in STANDARD] + ([("metadefs", path)] if path else [])
    for name, where in wanted:
        done = service.load(name, where, scope, dry_run)
        would = " (dry run)" if dry_run else ""
        click.echo(f"{name}: {len(done['created'])} new, {len(done['changed'])} changed, {done['same']} the same{would}")


@command(
    commands,
    click.option("--kind", help="capability, resource, requirement or property."),
    click.option("--namespace", help="Only those of this one."),
    click.option("--q", help="A part of the name."),
    as_json,
)
def types(service: Graffiti, as_json: bool, **query: Any) -> None:
    """List types of the dictionary."""
    table(service.types(**query), ["kind", "full_name", "derived_from", "description"], as_json)


@command(
    commands,
    click.argument("name"),
    click.option("--kind", default="capability", show_default=True, help="capability, resource, requirement or property."),
    as_json,
)
def type_(service: Graffiti, name: str, kind: str, as_json: bool) -> None:
    """Show a type with all its properties and where each comes from."""
    found = service.type(name, kind)
    if as_json:
        details(found, True)
        return
    details({key: found[key] for key in ("full_name", "kind", "description", "ancestry", "deprecated", "aliases")})
    rows = [{"property": name, "type": body["schema"].get("tosca:type") or body["schema"].get("type"), "required": body["required"],
             "from": body["from"]} for name, body in found["derived_properties"].items()]  # fmt: skip
    table(rows, ["property", "type", "required", "from"])


@command(commands, click.argument("resource_type"), as_json)
def keys(service: Graffiti, resource_type: str, as_json: bool) -> None:
    """Show which properties a resource of a type may carry, with which key: `keys OS::Nova::Flavor`."""
    table(service.keys(resource_type), ["key", "target", "type", "property"], as_json)
