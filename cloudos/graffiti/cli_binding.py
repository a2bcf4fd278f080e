"""Commands of binding: match and bind a template, and what becomes of a binding."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import yaml

from cloudos.eden.client import Conflict
from cloudos.eden.commands import as_json, connect, table
from cloudos.eden.options import pairs
from cloudos.graffiti.cli_common import command, read_yaml, scope_option
from cloudos.graffiti.client import Focus, Graffiti
from cloudos.graffiti.joint import POLICIES
from cloudos.tosca.archive import open_archive
from cloudos.tosca.resolver import Refused

LARGEST = 10_000_000  # bytes of one file of a template

commands = click.Group()
_REQUEST = (
    click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path)),
    click.option("-i", "--inputs", type=click.File(), help="YAML with the template's inputs."),
    click.option("--prefer", type=click.Choice(POLICIES), help="What a good choice is."),
    click.option("--span", type=click.Choice(["one", "any"]), help="One pool for all, or any for each node."),
    click.option("--substitute", "substitutions", metavar="NODE=FILE", multiple=True, callback=pairs, help="To put in its place."),
)  # fmt: skip


@command(
    commands, *_REQUEST, click.option("--explain", is_flag=True, help="Show candidates with scores, and why others were rejected."), as_json
)
def match(service: Graffiti, file: Path, explain: bool, as_json: bool, **asked: Any) -> None:
    """Find what fulfils a TOSCA template, or a YAML file with `requirements`; keeps nothing. Exits with 1 when nothing does."""
    found = service.match({**_request(file, **asked), "explain": explain or as_json})
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        _tell(found, explain)
    sys.exit(0 if found["bound"] else 1)


@command(
    commands,
    *_REQUEST,
    click.option("--name", help="Of the binding."),
    click.option("--seconds", type=int, help="How long it is reserved."),
    click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the profile document there."),
    scope_option,
)
def bind(
    service: Graffiti,
    file: Path,
    name: str | None,
    seconds: int | None,
    output: Path | None,
    scope: str,
    **asked: Any,
) -> None:
    """Choose and reserve; prints the profile document. Exits with 1, and the reasons, when nothing fulfils all."""
    more = {"name": name or file.stem, "scope": scope, **({"seconds": seconds} if seconds else {})}
    try:
        made = service.bind({**_request(file, **asked), **more})
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
    commands,
    click.argument("binding"),
    click.argument("name"),
    click.option("--reference", help="The topology that it binds: name@version."),
)
def store(service: Graffiti, binding: str, name: str, reference: str | None) -> None:
    """Store the profile document of a binding in Focus, under a name."""
    options = click.get_current_context().parent.params
    made = service.store_profile(binding, connect(Focus, options["cloud"], None), name, reference)
    click.echo(f"{made['id']}  {made['name']}@{made['latest_version']}")


@command(commands, as_json)
def bindings(service: Graffiti, as_json: bool) -> None:
    """List bindings, newest first."""
    table(service.bindings(), ["id", "name", "state", "created_at", "expires_at"], as_json)


@command(commands, click.argument("binding"))
def commit(service: Graffiti, binding: str) -> None:
    """Keep what a binding holds: it is provisioned, and expires no more."""
    click.echo(f"{binding}  {service.commit(binding)['state']}")


@command(commands, click.argument("binding"))
def rebind(service: Graffiti, binding: str) -> None:
    """Choose again for a binding; prints the new one, and what is another than before."""
    made = service.rebind(binding)
    click.echo(f"{made['id']}, reserved until {made['expires_at']}")
    table(made["changes"], ["requirement", "before", "after"])


@command(commands, click.argument("binding"))
def release(service: Graffiti, binding: str) -> None:
    """Give back what a binding holds."""
    service.release(binding)


@command(commands, click.argument("binding"), as_json)
def verify(service: Graffiti, binding: str, as_json: bool) -> None:
    """Compare what was bound with what the directory knows now; exits with 1 when they differ."""
    found = service.drift(binding)
    table(found["drift"], ["requirement", "what", "bound", "found"], as_json)
    sys.exit(0 if found["same"] else 1)


def _request(file: Path, inputs: Any, prefer: str | None, span: str | None, substitutions: dict[str, str]) -> dict[str, Any]:
    """The request of a file: its own `requirements`, or the YAML files of a TOSCA template: beside it and the named, or of its archive."""
    policy = {key: value for key, value in (("prefer", prefer), ("span", span)) if value}
    try:
        tree = open_archive(file)
        if tree:
            texts = {name: tree.read(name, LARGEST).decode() for name in tree.names() if name.endswith((".yaml", ".yml", ".tosca"))}
            template = {"files": texts, "entry": tree.entry()}
        else:
            document = read_yaml(file.read_text())
            folders = {file.parent, *((file.parent / one).parent for one in substitutions.values())}
            near = sorted(one for folder in folders for one in folder.glob("*.y*ml") if one.is_file())
            template = {"files": {one.relative_to(file.parent).as_posix(): one.read_text() for one in near}, "entry": file.name}
    except (Refused, UnicodeDecodeError) as error:
        raise click.UsageError(f"{file}: {error}. Give a TOSCA template, its archive, or a YAML file with `requirements`.") from error
    if not tree and isinstance(document, dict) and "requirements" in document and "tosca_definitions_version" not in document:
        body = document
    else:
        more = {"inputs": yaml.safe_load(inputs) if inputs else None, "substitutions": substitutions}
        body = {"template": {**template, **{key: value for key, value in more.items() if value}}}
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
