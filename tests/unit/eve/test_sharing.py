"""What one topology uses of another is not removed beneath it, in whatever moment both are at work."""

import json

import pytest
import yaml

from cloudos.eve.engine.state import Directory
from cloudos.eve.lifecycle import Eve
from cloudos.eve.problems import Refused
from cloudos.eve.verbs import request_of
from cloudos.runs import start
from tests.api.eve import PROVIDER

TYPES = """\
tosca_definitions_version: tosca_simple_yaml_1_3
node_types:
  toy.nodes.File: {derived_from: tosca.nodes.Root, properties: {content: {type: string, default: empty}}}
  toy.nodes.Used: {derived_from: tosca.nodes.Root, properties: {file: {type: string}}}
topology_template:
  node_templates:
"""
OWNER = f"{TYPES}    net: {{type: toy.nodes.File}}\n    rest: {{type: toy.nodes.File}}\n"
USER = f"{TYPES}    there: {{type: toy.nodes.Used, properties: {{file: net}}}}\n"
USER += "    mine: {type: toy.nodes.File, requirements: [{dependency: there}]}\n"


class World:
    """Topologies `owner` and `user`; `meanwhile` is done once, when everything is ready and Ansible is about to be started."""

    def __init__(self, folder):
        self.folder, self.meanwhile = folder, None
        self.states = Directory(folder / "states")
        self.eve = Eve(self.states, start_project=self._start)
        (folder / "disk").mkdir()
        (folder / "profile.yaml").write_text(yaml.safe_dump({"pools": {"here": {"provider": "files", "root": str(folder / "disk")}}}))

    def _start(self, *arguments):
        work, self.meanwhile = self.meanwhile, None
        if work:
            work()
        return start.start_project(*arguments)

    def deploy(self, name, text):
        path = self.folder / f"{name}.yaml"
        path.write_text(text)
        return self.eve.deploy(request_of(path, (), None, self.folder / "profile.yaml", (), None))

    @property
    def made(self):
        return sorted(path.name.split("=")[1] for path in (self.folder / "disk").glob("*=*=*"))


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(PROVIDER))
    monkeypatch.setenv("ANSIBLE_LIBRARY", str(PROVIDER / "library"))
    found = World(tmp_path)
    assert found.deploy("owner", OWNER).ok
    return found


@pytest.mark.parametrize("goes", ["undeploy", "update"])
def test_what_another_has_begun_to_use_stays(world, goes):
    outcomes = []

    def remove():
        without = OWNER.replace("    net: {type: toy.nodes.File}\n", "")
        outcomes.append(world.eve.undeploy("owner") if goes == "undeploy" else world.deploy("owner", without))

    world.meanwhile = remove
    assert world.deploy("user", USER).ok
    assert outcomes[0].ok and outcomes[0].plan.kept == {"net": ["user"]}
    assert "net" in world.made and "mine" in world.made
    world.eve.undeploy("user")
    assert world.eve.undeploy("owner").ok and world.made == []


def test_what_is_being_removed_is_used_by_nobody_new(world):
    told = []

    def use():
        with pytest.raises(Refused) as refused:
            world.deploy("user", USER)
        told.append(str(refused.value))

    world.meanwhile = use
    assert world.eve.undeploy("owner").ok
    assert "there (net of owner) is to be used, and topology owner is removing it. Nothing was begun" in told[0]
    assert world.made == [] and list(world.states.topologies()) == []


def test_a_failed_removal_does_not_refuse_for_ever(world):
    def fail():
        raise RuntimeError("the machine")

    world.meanwhile = fail
    with pytest.raises(RuntimeError):
        world.eve.undeploy("owner")
    assert "going" not in json.loads((world.folder / "states" / "owner" / "state.json").read_text())
    assert world.deploy("user", USER).ok


def test_what_a_kill_left_is_heeded_until_its_topology_is_seen_to(world):
    state = world.states.load("owner")
    state.going = ["net", "rest"]
    world.states.save(state)
    with pytest.raises(Refused, match="do it again for owner"):
        world.deploy("user", USER)
    world.deploy("owner", OWNER)
    assert world.deploy("user", USER).ok


def test_what_was_not_found_holds_nobody(world):
    missing = USER.replace("file: net", "file: nothing")
    assert not world.deploy("user", missing).ok
    assert [name for name, one in world.states.load("user").entries.items() if one.resource.existing] == []
    assert not world.eve.undeploy("owner").plan.kept
