"""What commands are given as text, made into data: inputs, mirrors, pools, profiles."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import yaml

from cloudos.eve.emit import variable
from cloudos.eve.problems import Refused
from cloudos.eve.provider import Pool, data_directory
from cloudos.tosca.resolver import DirectoryTree, FileResolver, Location

OURS = "cloudos:"  # imports of 1.x name our types as cloudos:openstack.yaml; 2.0 imports the profile cloudos.openstack
PROFILE_KEYS = {"pools", "placement", "inputs", "instances"}


def resolver(mirrors: tuple[str, ...]) -> FileResolver:
    """Imports of files, of mirrored addresses (ADDRESS=DIRECTORY each), and of the types that Eve brings."""
    ours = DirectoryTree(data_directory("profiles"), shown="(cloudos)")
    profiles = {"cloudos.openstack": Location(ours, "openstack-2.0.yaml")}
    return FileResolver({OURS: ours, **dict(map(mirror, mirrors))}, profiles)


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


def profile(path: Path | None) -> dict[str, Any]:
    """A deployment profile: `pools` (name -> provider, login, defaults), `placement`, `inputs`, `instances`."""
    if path is None:
        return {}
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Refused(f"{path}: {error}. Give a YAML file.") from error
    if not isinstance(data, dict) or data.keys() - PROFILE_KEYS:
        raise Refused(f"{path}: a profile is a map of {', '.join(sorted(PROFILE_KEYS))}. Remove what is not of these.")
    return data


def pools(cloud: str | None, told: dict[str, Any]) -> dict[str, Pool]:
    """The profile's pools; or the one named by --cloud, a cloud of clouds.yaml, as pool `default`."""
    found = {
        name: Pool(name, one["provider"], {key: value for key, value in one.items() if key not in ("provider", "defaults")},
                   one.get("defaults", {}))
        for name, one in (told.get("pools") or {}).items()
    }  # fmt: skip
    if cloud:
        defaults = found["default"].defaults if "default" in found else {}
        found = {"default": Pool("default", "openstack", {"cloud": cloud}, defaults), **{k: v for k, v in found.items() if k != "default"}}
    if not found:
        raise Refused("no pool is given. Name a cloud of clouds.yaml with --cloud, or pools in a profile (--profile).")
    return found


def environment_secret(name: str) -> str:
    """A secret from the environment. Raises Refused that names the variable."""
    value = os.environ.get(variable(name))
    if value is None:
        raise Refused(f"secret {name} is needed and not given. Put it into the environment as {variable(name)}.")
    return value


def counts(given: tuple[str, ...]) -> dict[str, int]:
    """Node -> number of NODE=NUMBER each."""
    found = {}
    for text in given:
        name, _, number = text.partition("=")
        if not number.isdigit():
            raise click.BadParameter(f"{text}: write NODE=NUMBER, such as web=3", param_hint="NODE=NUMBER")
        found[name] = int(number)
    return found
