"""What commands are given as text, made into data: inputs, mirrors, pools, profiles."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import click
import yaml

from cloudos.eden.options import pairs
from cloudos.eve.engine import export
from cloudos.eve.engine.tasks import variable
from cloudos.eve.problems import Refused
from cloudos.eve.provider import Pool
from cloudos.tosca.resolver import DirectoryTree, FileResolver, Tree

DEFAULT = "default"
MAP, TEXT = {"type": ["object", "null"]}, {"type": "string"}
CHOICE = {"type": "object", "required": ["name"], "properties": {"name": TEXT, "id": {"type": ["string", "null"]}}}
CHOICES = {"type": "object", "additionalProperties": CHOICE}
POOL = {"type": "object", "properties": {"pool": TEXT, "provider": TEXT, "defaults": MAP}}
# A binding of Graffiti is a profile that also says how it came to be.
PROFILE = {"type": "object", "additionalProperties": False, "properties": {
    "pools": {**MAP, "additionalProperties": POOL}, "placement": {**MAP, "additionalProperties": TEXT},
    "choices": {**MAP, "additionalProperties": CHOICES}, "inputs": MAP,
    "substitutions": {**MAP, "additionalProperties": TEXT},
    "instances": {**MAP, "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 10000}},
    **{key: {} for key in ("kind", "name", "binding", "template", "policy", "expires_at")}}}  # fmt: skip
SUBSTITUTE = click.option(
    "--substitute", "substitutions", metavar="NODE=FILE", multiple=True, callback=pairs,
    help="The file of the design that is put in the place of a node with directive substitute; several times.",
)  # fmt: skip
EARLIER = "is of an earlier shape, in which a pool kept what was chosen for nodes; bind the template, or export the topology, once more"


def resolver(mirrors: tuple[str, ...]) -> FileResolver:
    """Imports of files and of mirrored addresses (ADDRESS=DIRECTORY each)."""
    return FileResolver(dict(map(mirror, mirrors)))


def mirror(text: str) -> tuple[str, DirectoryTree]:
    """(address, tree) of ADDRESS=DIRECTORY."""
    address, equals, directory = text.partition("=")
    if not equals or not Path(directory).is_dir():
        raise click.BadParameter(f"{text}: write ADDRESS=DIRECTORY with a directory that exists", param_hint="--mirror")
    return address, DirectoryTree(Path(directory))


def inputs(given: tuple[str, ...]) -> dict[str, Any]:
    """Values of inputs; later ones win."""
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        try:
            data = {name: yaml.safe_load(value)} if equals else yaml.safe_load(Path(text).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise click.BadParameter(f"{text}: {error}", param_hint="-i") from error
        if not isinstance(data, dict):
            raise click.BadParameter(f"{text} is neither NAME=VALUE nor a YAML file of a map", param_hint="-i")
        found.update(data)
    return found


def profile(path: Path | None, tree: Tree) -> dict[str, Any]:
    """A deployment profile: `pools` (name -> provider, login, defaults), `placement`, `choices`, `inputs`,
    `instances`, `substitutions`.

    Of the file, else the one that an archive brings along. Raises Refused.
    """
    if path is None:
        data, where = export.own_profile(tree) or {}, tree.label(export.PROFILE)
    else:
        data, where = _read(path) or {}, str(path)
    if wrong := mistakes(data):
        raise Refused("\n".join(f"{where}: {one['pointer']} {one['message']}." for one in wrong))
    return data


def mistakes(content: Any) -> list[dict[str, str]]:
    """What makes a content no profile: {"pointer", "message"} each; none for a profile."""
    from jsonschema import Draft202012Validator  # only who has a profile waits for it

    from cloudos.eden.schemas import told

    if isinstance(content, dict) and "nodes" in content:
        return [{"pointer": "/nodes", "message": EARLIER}]
    found = [told(one) for one in Draft202012Validator(PROFILE).iter_errors(content)]
    pools = {} if found else content.get("pools") or {}
    return found + [{"pointer": f"/pools/{name}/defaults/chosen", "message": EARLIER}
                    for name, one in pools.items() if "chosen" in (one.get("defaults") or {})]  # fmt: skip


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Refused(f"{path}: {error}. Give a YAML file.") from error


def pools(cloud: str | None, told: dict[str, Any]) -> dict[str, Pool]:
    """The profile's pools; or the one named by --cloud, a cloud of clouds.yaml, as pool `default`."""
    found = {name: pool(name, one) for name, one in (told.get("pools") or {}).items() if not (cloud and name == DEFAULT)}
    if cloud:
        defaults = ((told.get("pools") or {}).get(DEFAULT) or {}).get("defaults") or {}
        found = {DEFAULT: Pool(DEFAULT, "openstack", {"cloud": cloud}, defaults), **found}
    if not found:
        raise Refused("no pool is given. Name a cloud of clouds.yaml with --cloud, or pools in a profile (--profile).")
    return found


def pool(name: str, told: dict[str, Any]) -> Pool:
    """One pool of a profile. What the service calls by `pool` is the entry of clouds.yaml with that name. Raises Refused."""
    provider = told.get("provider", "openstack")
    login = {key: value for key, value in told.items() if key not in ("provider", "defaults", "pool")}
    if provider == "openstack" and not login.get("cloud"):
        if not told.get("pool"):
            raise Refused(f"pool {name} of the profile names no cloud. Add `cloud`, the name of one in clouds.yaml"
                          f"{', or give --cloud' if name == DEFAULT else ''}.")  # fmt: skip
        login["cloud"] = told["pool"]
    return Pool(name, provider, login, told.get("defaults") or {})


def environment_secret(name: str) -> str:
    """A secret from the environment. Raises Refused that names the variable."""
    value = os.environ.get(variable(name))
    if value is None:
        raise Refused(f"secret {name} is needed and not given. Put it into the environment as {variable(name)}.")
    return value


def choices(given: tuple[str, ...]) -> dict[str, dict[str, dict[str, str]]]:
    """Node -> what -> {"name"} of NODE.WHAT=NAME each."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for text in given:
        where, _, name = text.partition("=")
        node, _, what = where.rpartition(".")
        if not (node and what and name):
            raise click.BadParameter(f"{text}: write NODE.WHAT=NAME, such as web.flavor=large", param_hint="--choice")
        found.setdefault(node, {})[what] = {"name": name}
    return found


def counts(given: tuple[str, ...]) -> dict[str, int]:
    """Node -> number of NODE=NUMBER each."""
    found = {}
    for text in given:
        name, _, number = text.partition("=")
        if not re.fullmatch("[0-9]{1,9}", number):
            raise click.BadParameter(f"{text}: write NODE=NUMBER, such as web=3", param_hint="NODE=NUMBER")
        found[name] = int(number)
    return found
