"""The commands `cloudos graffiti ...`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
import yaml

from cloudos.eden.client import Conflict
from cloudos.eden.commands import as_json, connect, details, group, table, told
from cloudos.eden.policy import SCOPES
from cloudos.graffiti.client import STANDARD, Focus, Graffiti
from cloudos.graffiti.joint import POLICIES
from cloudos.graffiti.sources import SOURCES, Unloadable
from cloudos.tosca.archive import open_archive
from cloudos.tosca.resolver import Refused

LARGEST = 10_000_000  # bytes of one file of a template

graffiti = group(Graffiti, "graffiti", "What clouds can do: dictionary, directory, binding.")
scope_option = click.option("--scope", type=click.Choice(SCOPES), default="private-project", show_default=True, help="Who sees it.")


def command(parent: click.Group, *options: Any) -> Callable[[Callable], click.Command]:
    """A command whose first argument is the client, with the errors that all have."""

    def made(function: Callable) -> click.Command:
        @wraps(function)
        def wrapped(*arguments: Any, **given: Any) -> Any:
            try:
                return told(function)(*arguments, **given)
            except (Unloadable, LookupError) as error:
                raise click.ClickException(str(error)) from error

        wrapped = click.pass_obj(wrapped)
        for option in reversed(options):
            wrapped = option(wrapped)
        return parent.command(function.__name__.rstrip("_").replace("_", "-"))(wrapped)

    return made


@command(
    graffiti,
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
    graffiti,
    click.option("--kind", help="capability, resource, requirement or property."),
    click.option("--namespace", help="Only those of this one."),
    click.option("--q", help="A part of the name."),
    as_json,
)
def types(service: Graffiti, as_json: bool, **query: Any) -> None:
    """List types of the dictionary."""
    table(service.types(**query), ["kind", "full_name", "derived_from", "description"], as_json)


@command(
    graffiti,
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


@command(graffiti, click.argument("resource_type"), as_json)
def keys(service: Graffiti, resource_type: str, as_json: bool) -> None:
    """Show which properties a resource of a type may carry, with which key: `keys OS::Nova::Flavor`."""
    table(service.keys(resource_type), ["key", "target", "type", "property"], as_json)


@graffiti.group("pool", help="Resource pools: a region of a cloud and its account.")
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


@command(graffiti, click.argument("pool"), click.option("--kind", "kinds", multiple=True, help="Only this; may be given several times."),
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
    graffiti, click.argument("text", required=False), click.option("--type", "type_", help="Resource type, as OS::Nova::Flavor."),
    click.option("--capability", help="Capability type; those that derive from it count."),
    click.option("--pool", help="Name or id of a pool."), click.option("--filter", "filter_", help="TOSCA's node_filter, in YAML."),
    click.option("--tag", "tags", multiple=True, help="May be given several times; all must be there."),
    click.option("--vanished", is_flag=True, help="Show also what is gone."), as_json,
)  # fmt: skip
def search(
    service: Graffiti, as_json: bool, filter_: str | None, type_: str | None, tags: tuple[str, ...], pool: str | None, **asked: Any
) -> None:
    """Find resources by words, type, capability, tags and a filter."""
    body = {**asked, "type": type_, "tags": list(tags), "node_filter": _yaml(filter_) if filter_ else None,
            "pool": service.pool(pool)["id"] if pool else None}  # fmt: skip
    found = service.search(**{key: value for key, value in body.items() if value})
    table(found, ["id", "type", "name", "region", "zone", "health", "price"], as_json)


@graffiti.group("resource", help="Resources: one of them; those that are published by hand.")
def resource() -> None:
    """The group of a resource's commands."""


@command(resource, click.argument("id_", metavar="ID"), as_json)
def show_(service: Graffiti, id_: str, as_json: bool) -> None:
    """Show a resource with its capabilities."""
    details(service.resource(id_), as_json)


@command(resource, click.argument("file", type=click.File()), click.option("--replace", metavar="ID", help="The published one that it is."))
def publish(service: Graffiti, file: Any, replace: str | None) -> None:
    """Publish a resource: a YAML file with name, type, capabilities, properties, tags, price ... as POST /v1/resources takes them."""
    body = _yaml(file.read())
    made = service.update_resource(replace, body) if replace else service.publish(body)
    click.echo(f"{made['id']}  {made['type']}  {made['name']}")


@command(resource, click.argument("id_", metavar="ID"))
def delete_(service: Graffiti, id_: str) -> None:
    """Delete a resource that was published, or has vanished."""
    service.delete_resource(id_)


_REQUEST = (
    click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path)),
    click.option("-i", "--inputs", type=click.File(), help="YAML with the template's inputs."),
    click.option("--prefer", type=click.Choice(POLICIES), help="What a good choice is."),
    click.option("--span", type=click.Choice(["one", "any"]), help="One pool for all, or any for each node."),
)  # fmt: skip


@command(
    graffiti, *_REQUEST, click.option("--explain", is_flag=True, help="Show candidates with scores, and why others were rejected."), as_json
)
def match(service: Graffiti, file: Path, inputs: Any, prefer: str | None, span: str | None, explain: bool, as_json: bool) -> None:
    """Find what fulfils a TOSCA template, or a YAML file with `requirements`; keeps nothing. Exits with 1 when nothing does."""
    found = service.match({**_request(file, inputs, prefer, span), "explain": explain or as_json})
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        _tell(found, explain)
    sys.exit(0 if found["bound"] else 1)


@command(
    graffiti,
    *_REQUEST,
    click.option("--name", help="Of the binding."),
    click.option("--seconds", type=int, help="How long it is reserved."),
    click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the profile document there."),
    scope_option,
)
def bind(
    service: Graffiti,
    file: Path,
    inputs: Any,
    prefer: str | None,
    span: str | None,
    name: str | None,
    seconds: int | None,
    output: Path | None,
    scope: str,
) -> None:
    """Choose and reserve; prints the profile document. Exits with 1, and the reasons, when nothing fulfils all."""
    more = {"name": name or file.stem, "scope": scope, **({"seconds": seconds} if seconds else {})}
    try:
        made = service.bind({**_request(file, inputs, prefer, span), **more})
    except Conflict as error:
        if "requirements" in error.problem:
            _tell({"bound": False, "reasons": [error.problem["detail"]], **error.problem}, True)
            sys.exit(1)
        raise
    text = service.profile_text(made["id"])
    if output:
        output.write_bytes(text)
    click.echo(f"{made['id']}, reserved until {made['expires_at']}" if output else text.decode().rstrip())


@command(
    graffiti,
    click.argument("binding"),
    click.argument("name"),
    click.option("--reference", help="The topology that it binds: name@version."),
)
def store(service: Graffiti, binding: str, name: str, reference: str | None) -> None:
    """Store the profile document of a binding in Focus, under a name."""
    options = click.get_current_context().parent.params
    made = service.store_profile(binding, connect(Focus, options["cloud"], None), name, reference)
    click.echo(f"{made['id']}  {made['name']}@{made['latest_version']}")


@command(graffiti, as_json)
def bindings(service: Graffiti, as_json: bool) -> None:
    """List bindings, newest first."""
    table(service.bindings(), ["id", "name", "state", "created_at", "expires_at"], as_json)


@command(graffiti, click.argument("binding"))
def commit(service: Graffiti, binding: str) -> None:
    """Keep what a binding holds: it is provisioned, and expires no more."""
    click.echo(f"{binding}  {service.commit(binding)['state']}")


@command(graffiti, click.argument("binding"))
def rebind(service: Graffiti, binding: str) -> None:
    """Choose again for a binding; prints the new one, and what is another than before."""
    made = service.rebind(binding)
    click.echo(f"{made['id']}, reserved until {made['expires_at']}")
    table(made["changes"], ["requirement", "before", "after"])


@command(graffiti, click.argument("binding"))
def release(service: Graffiti, binding: str) -> None:
    """Give back what a binding holds."""
    service.release(binding)


@command(graffiti, click.argument("binding"), as_json)
def verify(service: Graffiti, binding: str, as_json: bool) -> None:
    """Compare what was bound with what the directory knows now; exits with 1 when they differ."""
    found = service.drift(binding)
    table(found["drift"], ["requirement", "what", "bound", "found"], as_json)
    sys.exit(0 if found["same"] else 1)


def _request(file: Path, inputs: Any, prefer: str | None, span: str | None) -> dict[str, Any]:
    """The request of a file: its own `requirements`, or the YAML files of a TOSCA template: those beside it, or of its archive."""
    policy = {key: value for key, value in (("prefer", prefer), ("span", span)) if value}
    try:
        tree = open_archive(file)
        if tree:
            texts = {name: tree.read(name, LARGEST).decode() for name in tree.names() if name.endswith((".yaml", ".yml", ".tosca"))}
            template = {"files": texts, "entry": tree.entry()}
        else:
            document = _yaml(file.read_text())
            near = [one for one in sorted(file.parent.glob("*.y*ml")) if one.is_file()]
            template = {"files": {one.name: one.read_text() for one in near}, "entry": file.name}
    except (Refused, UnicodeDecodeError) as error:
        raise click.UsageError(f"{file}: {error}. Give a TOSCA template, its archive, or a YAML file with `requirements`.") from error
    if not tree and isinstance(document, dict) and "requirements" in document and "tosca_definitions_version" not in document:
        body = document
    else:
        body = {"template": {**template, **({"inputs": yaml.safe_load(inputs)} if inputs else {})}}
    return {**body, **({"policy": {**(body.get("policy") or {}), **policy}} if policy else {})}


def _tell(found: dict[str, Any], explain: bool) -> None:
    """A match for people: what was chosen, or why nothing; with `explain` also candidates and rejections."""
    for one in found["requirements"]:
        chosen = one.get("chosen")
        said = f"{chosen['name']} in {chosen['pool_name'] or 'no pool'} (score {chosen['score']})" if chosen else "nothing chosen"
        click.echo(f"{one['id']}: {said}; {one['matched']} fit, {one['rejected']} do not")
        for candidate in one.get("candidates", []) if explain else []:
            parts = ", ".join(f"{name} {share}" for name, share in candidate["because"].items())
            click.echo(f"  {candidate['score']:.3f}  {candidate['name']}  {candidate['pool_name'] or ''}  ({parts})")
        for near in one.get("nearest", []) if explain or not chosen else []:
            for reason in near["reasons"]:
                click.echo(f"  not   {reason}")
        for why in one.get("reasons", []) if not (chosen or one.get("nearest")) else []:
            click.echo(f"  {why['reason']}")
    for reason in found.get("reasons", []):
        click.echo(f"Not bound: {reason}")
    for warning in found.get("warnings", []):
        click.echo(f"Warning: {warning}", err=True)


def _yaml(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise click.UsageError(f"This is no YAML: {error}") from error


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
