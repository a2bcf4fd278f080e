"""Providers: what makes resources somewhere, found by the entry points `cloudos.eve.providers`.

An entry point names a Mapping, or a function that returns one. Everything about a provider is in its mapping file; see
docs/how-to/write-a-provider.md.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from collections.abc import Mapping as Table
from dataclasses import dataclass, field
from importlib import metadata, resources
from typing import Any

import yaml

from cloudos.eve import quota
from cloudos.eve.problems import Refused
from cloudos.eve.quota import Survey

GROUP = "cloudos.eve.providers"


@dataclass(frozen=True)
class Kind:
    """One kind of resource: arguments that change in place, seconds it takes, what it counts against quotas (a number or an
    argument), kinds that come before it, arguments without which a cloud will not make it, what a change of an argument means, and
    arguments that hold what they refer to: while it is there, a cloud does not let go of that."""

    change: frozenset[str] = frozenset()
    seconds: float = 1
    delete_seconds: float = 1
    quota: Table[str, Any] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    effects: Table[str, str] = field(default_factory=dict)
    holds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mapping:
    """A provider. `module`: Ansible module that keeps its resources; `login`: argument of the module -> key of the pool.

    `types`, `relationships` and `policies`: TOSCA type -> what stands for it. `host`: where the module runs, and `python`: with
    which interpreter, when not that of Eve. `collections`: directories with Ansible
    collections that the project needs besides ours. `survey`: what a pool may have and has, by its login (see quota.py).
    """

    name: str
    module: str
    login: Table[str, str]
    kinds: Table[str, Kind]
    types: Table[str, dict]
    relationships: Table[str, dict]
    policies: Table[str, dict]
    host: str = "localhost"
    python: str = ""
    collections: tuple[str, ...] = ()
    survey: Callable[[Table[str, Any]], Survey] | None = None

    def of(self, section: str, lineage: Any) -> dict | None:
        """The entry for the nearest of a type and its ancestors."""
        table = getattr(self, section)
        return next((table[one.name] for one in lineage if one.name in table), None)


def read(*texts: str, collections: tuple[str, ...] = (), survey: Callable[[Table[str, Any]], Survey] | None = None) -> Mapping:
    """A mapping from YAML texts, of which later ones add to earlier ones."""
    merged: dict[str, Any] = {"kinds": {}, "types": {}, "relationships": {}, "policies": {}}
    for text in texts:
        for key, value in yaml.load(text, Loader=yaml.CSafeLoader).items():
            merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    kinds = {name: Kind(**{**one, "change": frozenset(one.get("change", ()))}) for name, one in merged["kinds"].items()}
    return Mapping(
        merged["provider"], merged["module"], merged["login"], kinds, merged["types"], merged["relationships"],
        merged["policies"], merged.get("host", "localhost"), merged.get("python", ""), collections, survey,
    )  # fmt: skip


def _ours(*names: str, survey: Callable[[Table[str, Any]], Survey] | None = None) -> Mapping:
    folder = resources.files("cloudos.eve.providers")
    return read(*(folder.joinpath(name).read_text() for name in names), survey=survey)


@functools.cache
def openstack() -> Mapping:
    """Any OpenStack cloud, by the name it has in clouds.yaml."""
    return _ours("openstack.yml", "openstack-nfv.yml", survey=quota.of_login)


@functools.cache
def libvirt() -> Mapping:
    """A plain host with libvirt."""
    return _ours("libvirt.yml")


@functools.cache
def provider(name: str) -> Mapping:
    """The provider of that name. Raises Refused that lists the installed ones."""
    found = {point.name: point for point in metadata.entry_points(group=GROUP)}
    if name not in found:
        raise Refused(f"provider {name} is not installed; there are {', '.join(sorted(found)) or 'none'}. "
                      f"Install the package that has it (entry point group {GROUP}), or name another one.")  # fmt: skip
    loaded = found[name].load()
    return loaded if isinstance(loaded, Mapping) else loaded()


@dataclass(frozen=True)
class Pool:
    """Where resources are made: a provider, and what its module needs to log in (such as {"cloud": "aio"}); no secrets."""

    name: str
    provider: str
    login: Table[str, Any] = field(default_factory=dict)
    defaults: Table[str, Any] = field(default_factory=dict)  # such as flavor, image, external_network, user

    @property
    def mapping(self) -> Mapping:
        """What the provider can make."""
        return provider(self.provider)
