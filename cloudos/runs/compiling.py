"""From an inventory file and what is known of the nodes to a plan: what `cloudos.model` needs from the disk."""

from __future__ import annotations

import json
from collections.abc import Mapping

from cloudos import home
from cloudos.model import inventory as inventories
from cloudos.model import release as releases
from cloudos.model.compile import compile_file, load_options
from cloudos.model.problems import Report
from cloudos.model.source import ROOT


def compiled(path: str, facts: Mapping[str, Mapping] | None = None) -> dict:
    """The plan (JSON form) of the cloud described in `path`, overrides checked against the bundle where it is built.

    Without `facts` nodes are taken for what `cloudos.model.facts` assumes. Raises Problems with every mistake.
    """
    return compile_file(path, dict(facts or {}), options(path)).data


def options(path: str) -> dict | None:
    """What the code in the cloud's bundle declares as options; None where that bundle is not on this controller."""
    ignored = Report()  # compile_file reads the same files and tells
    wanted = inventories.load(path, ignored).release
    release = releases.load(ROOT / "releases", wanted, path, ignored) if wanted else None
    return load_options(home.root() / "bundles", release.patch_level) if release else None


def all_facts(cloud: str, gathered: Mapping[str, Mapping], keep: bool) -> dict[str, dict]:
    """Node -> facts: those gathered now, and of other nodes those of earlier runs (`clouds/<cloud>/facts.json`).

    With `keep`, what was gathered now is remembered for later.
    """
    path = home.cloud(cloud) / "facts.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    facts = {**known, **gathered}
    if keep and facts != known:
        home.write(path, json.dumps(facts, indent=1, sort_keys=True).encode())
    return facts
