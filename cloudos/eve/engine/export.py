"""A deployed topology as a document again: an archive with its template, all that it imports, the files of its operations, and the
profile with which it was deployed, so that the same can be made elsewhere.

    <the template's files>  TOSCA-Metadata/TOSCA.meta  TOSCA-Metadata/profile.yaml
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from cloudos import tosca
from cloudos.eve.compiler.operations import implemented
from cloudos.eve.problems import Refused
from cloudos.eve.provider import Pool
from cloudos.tosca.archive import META, meta, pack, unpacked
from cloudos.tosca.model import Template
from cloudos.tosca.resolver import SCHEME, Tree, plain_path

MEDIA = "application/zip"
PROFILE = "TOSCA-Metadata/profile.yaml"
LIMIT = 500_000_000  # bytes of one file
# Of how a pool is logged in to, what may be a secret stays where it is.
SECRETIVE = re.compile(r"pass|secret|token|credential", re.IGNORECASE)


def design(report: tosca.Report, tree: Tree, mirrors: Mapping[str, Tree], profile: Mapping[str, Any]) -> bytes:
    """The archive of a template that was read, with a profile. `tree`: the files beside it; `mirrors`: beginning of imports -> its files.

    Where nothing in the template names a file, only what was read goes along.
    """
    main = report.files[0]
    names = {one.name for one in report.files if one.tree is main.tree}
    if tree.complete or (report.template and _names_files(report.template)):
        names |= {*tree.names()}
    files = {name: tree.read(name, LIMIT) for name in sorted(names)}
    folders = {posixpath.dirname(one.name) for one in report.files if one.tree is main.tree}
    for begin, mirror in mirrors.items():
        for one in (one for one in report.files if one.tree is mirror):
            for name in _mirrored(f"{begin.rstrip('/')}/{one.name}", folders):
                files[name] = mirror.read(one.name, LIMIT)
    return _packed(files, main.name, profile)


def _mirrored(url: str, folders: Iterable[str]) -> Iterator[str]:
    """Where in an archive imports find a mirror's file: by its address, or by the path from wherever they stand."""
    if SCHEME.match(url):
        yield plain_path(url)
        return
    yield from (name for folder in folders if not (name := posixpath.normpath(posixpath.join(folder, url))).startswith(("../", "/")))


def again(archive: bytes, profile: Mapping[str, Any]) -> bytes:
    """The same archive with another profile."""
    files = unpacked(archive)
    roots = [name for name in files if "/" not in name and name.endswith((".yaml", ".yml"))]
    return _packed(files, roots[0] if roots else "", profile)


def scaled(archive: bytes, counts: Mapping[str, Mapping[str, Any]]) -> bytes:
    """The same archive with the numbers of instances that there are now."""
    profile = yaml.safe_load(unpacked(archive)[PROFILE])
    return again(archive, {**profile, "instances": {**(profile.get("instances") or {}), **numbers(counts)}})


def numbers(counts: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Scalable node -> how many there are, of the counts of a state."""
    return {name: one["count"] for name, one in sorted(counts.items())}


def own_profile(tree: Tree) -> Any:
    """The profile that an archive brings along; None where it has none. Raises Refused for one that is no YAML."""
    if not tree.complete or not tree.exists(PROFILE):
        return None
    try:
        return yaml.safe_load(tree.read(PROFILE, 10_000_000)) or {}
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise Refused(f"{tree.label(PROFILE)}: {error}. Correct the file, or take it out of the archive.") from error


def pools(given: Mapping[str, Pool]) -> dict[str, dict[str, Any]]:
    """Pools for a profile. All but the first are also named for the service, where clouds.yaml is not known."""
    found: dict[str, dict[str, Any]] = {}
    for pool in given.values():
        named = {"pool": pool.login["cloud"]} if found and isinstance(pool.login.get("cloud"), str) else {}
        found[pool.name] = public({"provider": pool.provider, **pool.login, **named, "defaults": dict(pool.defaults)})
    return found


def public(value: Any) -> Any:
    """The value without what may be secret, at any depth."""
    if isinstance(value, Mapping):
        return {key: public(item) for key, item in value.items() if not SECRETIVE.search(str(key))}
    return [public(item) for item in value] if isinstance(value, list) else value


def left_out(value: Any, path: str = "") -> Iterator[str]:
    """Where public() leaves something out, as a.b.c."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        here = f"{path}.{key}".lstrip(".")
        if isinstance(value, Mapping) and SECRETIVE.search(str(key)):
            yield here
        else:
            yield from left_out(item, here)


def _packed(files: dict[str, bytes], entry: str, profile: Mapping[str, Any]) -> bytes:
    own = {name: content for name, content in files.items() if name != PROFILE}
    if not any(name in own for name in META):
        own[META[0]] = meta(entry, own, "Eve")
    about = {key: profile.get(key) or {} for key in ("pools", "placement", "choices", "inputs", "instances", "substitutions")}
    return pack({**own, PROFILE: yaml.safe_dump(about, sort_keys=False, allow_unicode=True).encode()})


def _names_files(template: Template) -> bool:
    things = [*template.nodes.values(), *template.relationships()]
    operations = (one for thing in things for interface in thing.interfaces.values() for one in interface.operations.values())
    files = any(node.artifacts for node in template.nodes.values()) or any(one.implementation for one in template.workflows.values())
    return files or any(map(implemented, operations))
