"""Providers: the example of the documentation works as it is printed, and what a mapping says agrees with its module."""

import json
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
from ansible_collections.cloudos.cloud.plugins.module_utils.topology.special import KINDS

from cloudos.eve import provider as providers
from cloudos.eve.engine.state import Directory
from cloudos.eve.lifecycle import Eve
from cloudos.eve.problems import Refused
from cloudos.eve.provider import Pool

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "how-to" / "write-a-provider.md"
SERVERS = """
    box:
      type: tosca.nodes.Compute
      capabilities: {scalable: {properties: {min_instances: 1, max_instances: 3, default_instances: 1}}}
"""


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """The package of the page, installed; the directory in which it keeps its boxes."""
    package = tmp_path / "package"
    for text in re.findall(r"```(?:python|yaml|toml)\n# (\S+)\n(.*?)```", PAGE.read_text(), re.DOTALL):
        path = package / text[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text[1])
    monkeypatch.syspath_prepend(str(package))
    point = metadata.EntryPoint("shelf", "shelf:provider", providers.GROUP)
    monkeypatch.setattr(providers.metadata, "entry_points", lambda group: [point])
    providers.provider.cache_clear()
    yield tmp_path / "boxes"
    providers.provider.cache_clear()
    sys.modules.pop("shelf", None)


@pytest.fixture
def pools(shelf):
    return {"attic": Pool("attic", "shelf", {"root": str(shelf)})}


def test_the_example_of_the_page_deploys_scales_and_undeploys(shelf, request_for, tmp_path):
    eve = Eve(Directory(tmp_path / "states"))
    made = eve.deploy(request_for(SERVERS))
    assert made.ok, made.failures
    assert json.loads((shelf / "shop" / "box" / "box.json").read_text()) == {"label": "box", "size": 1}
    assert eve.scale(request_for(SERVERS, {"box": 2})).ok and (shelf / "shop" / "box-2").is_dir()
    assert eve.undeploy("shop").ok and not any((shelf / "shop").iterdir())


def test_secrets_reach_a_module_and_the_way_to_log_in_and_stay_nowhere(shelf, pools, request_for, tmp_path):
    types = "node_types: {my.Box: {derived_from: tosca.nodes.Compute, properties: {name: {type: string}}}}"
    wanted = request_for("    box: {type: my.Box, properties: {name: 'label ${secret:label}'}}", types=types)
    wanted.pools["attic"] = Pool("attic", "shelf", {"root": "${secret:where}"})
    eve = Eve(Directory(tmp_path / "states"), {"label": "geheim", "where": str(shelf)}.__getitem__)
    made = eve.deploy(wanted)
    assert made.ok, made.failures
    assert json.loads((shelf / "shop" / "box" / "box.json").read_text())["label"] == "label geheim"
    written = "".join(path.read_text() for path in (tmp_path / "states").rglob("*.json"))
    assert "geheim" not in written and "${secret:where}" in written and not eve.deploy(wanted).started


def test_an_unknown_provider_lists_those_that_are_installed(shelf):
    with pytest.raises(Refused, match="provider cellar is not installed; there are shelf"):
        providers.provider("cellar")


def test_mapping_and_module_agree_on_what_changes_in_place():
    mapped = providers.openstack().kinds
    assert mapped.keys() == KINDS.keys()
    for name, kind in mapped.items():
        assert kind.change <= set(KINDS[name].changeable), name
