"""Reads everything that a plan is compiled from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from cloudos.model import inventory as inventories
from cloudos.model import plugin, service
from cloudos.model import release as releases
from cloudos.model.inventory import Inventory
from cloudos.model.plugin import Plugins
from cloudos.model.problems import Report
from cloudos.model.release import Release
from cloudos.model.service import Services
from cloudos.model.source import ROOT


@dataclass(frozen=True)
class Input:
    """Everything read for one cloud; `release` is None when it is unknown, which the report says."""

    inventory: Inventory
    services: Services
    plugins: Plugins
    release: Release | None


def load(path: Path | str, root: Path = ROOT, report: Report | None = None) -> Input:
    """Read an inventory (directory or cloud.yml) and all data files of the tree `root` that it may use."""
    mine = report or Report()
    inventory = inventories.load(path, mine)
    where = inventory.where("release")
    loaded = Input(
        inventory,
        service.load([root / "services", *inventory.service_path], mine),
        plugin.load([root / "plugins", *inventory.plugin_path], mine),
        releases.load(root / "releases", inventory.release, where, mine) if inventory.release else None,
    )
    if report is None:
        mine.done()
    return loaded


def load_options(bundles: Path, patch_level: str) -> dict | None:
    """The options catalogue of a bundle in directory `bundles`, None when it is not built. Raises ValueError for a
    broken file."""
    found = sorted(bundles.glob(f"{patch_level}-*.options.json"))
    return json.loads(found[0].read_text()) if found else None
