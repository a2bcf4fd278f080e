"""Commands of the directory: pools and their discovery, resources and the search for them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import yaml

from cloudos.eden.commands import as_json, details, table
from cloudos.graffiti.cli_common import command, read_yaml, scope_option
from cloudos.graffiti.client import Graffiti

commands = click.Group()


@commands.group("pool", help="Resource pools: a region of a cloud and its account.")
def pool() -> None:
    """The group of a pool's commands."""


@command(pool, click.option("--state", default="active", show_default=True, help="active, inactive, deleted or all."), as_json)
def list_(service: Graffiti, state: str, as_json: bool) -> None:
    """List pools."""
    table(service.pools(state=state), ["id", "name", "type", "region_id", "state", "scope", "discovered_at"], as_json)


@command(
    pool,
    click.argument("name"),
    click.option("--from-cloud", required=True, help="Entry of clouds.yaml with URL, region and account."),
    click.option("--country", help="Where it is, for data residency."),
    click.option("--prices", type=click.File(), help="YAML: name of flavor -> price an hour."),
    scope_option,
)
def add(service: Graffiti, name: str, from_cloud: str, country: str | None, prices: Any, scope: str) -> None:
    """Register a pool; its log-in is tried first. The password may also come from GRAFFITI_POOL_PASSWORD."""
    body = {**_of_cloud(from_cloud), "name": name, "scope": scope, **({"country": country} if country else {})}
    if prices:
        body["prices"] = yaml.safe_load(prices)
    made = service.add_pool(body)
    click.echo(f"{made['id']}  {made['name']}  {made['region_id'] or ''}")


@command(pool, click.argument("name"), as_json)
def show(service: Graffiti, name: str, as_json: bool) -> None:
    """Show a pool with its quotas; its secret is shown to nobody."""
    details(service.pool(name), as_json)


@command(
    pool,
    click.argument("name"),
    click.option("--rename", help="Its new name."),
    click.option("--state", type=click.Choice(["active", "inactive"]), help="inactive: nothing new is bound to it."),
    click.option("--from-cloud", help="Entry of clouds.yaml with the account that it has from now on, as after a change of the password."),
    click.option("--country", help="Where it is, for data residency."),
    click.option("--prices", type=click.File(), help="YAML: name of flavor -> price an hour; they count from the next discovery on."),
)
def update(service: Graffiti, name: str, rename: str | None, from_cloud: str | None, prices: Any, **given: str | None) -> None:
    """Change a pool; a new log-in is tried first. The password may also come from GRAFFITI_POOL_PASSWORD."""
    changes: dict[str, Any] = {key: value for key, value in {"name": rename, **given}.items() if value}
    changes |= _of_cloud(from_cloud) if from_cloud else {}
    changes |= {"prices": yaml.safe_load(prices)} if prices else {}
    if not changes:
        raise click.UsageError("Name what to change: --rename, --state, --from-cloud, --country or --prices.")
    made = service.update_pool(service.pool(name)["id"], **changes)
    click.echo(f"{made['id']}  {made['name']}  {made['state']}")


@command(pool, click.argument("name"))
def delete(service: Graffiti, name: str) -> None:
    """Mark a pool as deleted: nothing new is bound to it, what is there can be taken down."""
    service.delete_pool(service.pool(name)["id"])


@command(commands, click.argument("pool"), click.option("--kind", "kinds", multiple=True, help="Only this; may be given several times."),
         click.option("--no-wait", is_flag=True, help="Print the job and return."))  # fmt: skip
def discover(service: Graffiti, pool: str, kinds: tuple[str, ...], no_wait: bool) -> None:
    """Bring the directory to what a pool has; prints what is new, changed and gone."""
    job = service.discover(service.pool(pool)["id"], list(kinds) or None)
    if no_wait:
        click.echo(job["id"])
        return
    result = service.wait(job["id"])["result"]
    rows = [{"kind": kind, **counts} for kind, counts in result.items() if kind != "quota"]
    table(rows, ["kind", "new", "changed", "same", "vanished", "not_allowed"])


@command(
    commands, click.argument("text", required=False), click.option("--type", "type_", help="Resource type, as OS::Nova::Flavor."),
    click.option("--capability", help="Capability type; those that derive from it count."),
    click.option("--pool", help="Name or id of a pool."), click.option("--filter", "filter_", help="TOSCA's node_filter, in YAML."),
    click.option("--tag", "tags", multiple=True, help="May be given several times; all must be there."),
    click.option("--vanished", is_flag=True, help="Show also what is gone."), as_json,
)  # fmt: skip
def search(
    service: Graffiti, as_json: bool, filter_: str | None, type_: str | None, tags: tuple[str, ...], pool: str | None, **asked: Any
) -> None:
    """Find resources by words, type, capability, tags and a filter."""
    body = {**asked, "type": type_, "tags": list(tags), "node_filter": read_yaml(filter_) if filter_ else None,
            "pool": service.pool(pool)["id"] if pool else None}  # fmt: skip
    found = service.search(**{key: value for key, value in body.items() if value})
    table(found, ["id", "type", "name", "region", "zone", "health", "price"], as_json)


@commands.group("resource", help="Resources: one of them; those that are published by hand.")
def resource() -> None:
    """The group of a resource's commands."""


@command(resource, click.argument("id_", metavar="ID"), as_json)
def show_(service: Graffiti, id_: str, as_json: bool) -> None:
    """Show a resource with its capabilities."""
    details(service.resource(id_), as_json)


@command(resource, click.argument("file", type=click.File()), click.option("--replace", metavar="ID", help="The published one that it is."))
def publish(service: Graffiti, file: Any, replace: str | None) -> None:
    """Publish a resource: a YAML file with name, type, capabilities, properties, tags, price ... as POST /v1/resources takes them."""
    body = read_yaml(file.read())
    made = service.update_resource(replace, body) if replace else service.publish(body)
    click.echo(f"{made['id']}  {made['type']}  {made['name']}")


@command(resource, click.argument("id_", metavar="ID"))
def delete_(service: Graffiti, id_: str) -> None:
    """Delete a resource that was published, or has vanished."""
    service.delete_resource(id_)


def _of_cloud(name: str) -> dict[str, Any]:
    """A pool's body from an entry of clouds.yaml."""
    from openstack.config import OpenStackConfig  # takes a while, and only this needs it
    from openstack.exceptions import ConfigException

    try:
        region = OpenStackConfig().get_one(cloud=name)
    except ConfigException as error:
        raise click.UsageError(f"{error} Name an entry of clouds.yaml; `openstack config show` tells which file is read.") from error
    auth = region.config["auth"]
    password = os.environ.get("GRAFFITI_POOL_PASSWORD") or auth.get("password")
    if not password or not auth.get("username"):
        raise click.UsageError(f"Cloud {name} of clouds.yaml has no username and password; a pool needs both.")
    names = {
        "project_id": "project_id",
        "project_name": "project_name",
        "user_domain_name": "user_domain",
        "project_domain_name": "project_domain",
    }
    login = {"user_name": auth["username"], "interface": region.get_interface() or "public",
             **{ours: auth[theirs] for theirs, ours in names.items() if auth.get(theirs)}}  # fmt: skip
    if ca := region.config.get("cacert"):
        try:
            login["ca"] = Path(ca).expanduser().read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"cacert of cloud {name} in clouds.yaml: {error}") from error
    body = {"provider_url": auth["auth_url"], "login": login, "secret": {"password": password}}
    return {**body, **({"region_id": region.region_name} if region.region_name else {})}
