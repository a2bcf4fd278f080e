"""The library as the services use it: resolvers of their own, types, what was read; and the conformance runner."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cloudos import tosca
from cloudos.tosca.resolver import Tree
from tests.unit.tosca.marked import MODERN, OLDER, load, write

ROOT = Path(__file__).resolve().parents[3]


class Shelf(Tree):
    """Documents in memory."""

    def __init__(self, texts):
        super().__init__("shelf:")
        self.texts = texts

    def exists(self, name):
        return name in self.texts

    def names(self):
        return iter(self.texts)

    def read(self, name, limit):
        return self.texts[name].encode()


class Shelves:
    """A resolver over that shelf: names are keys, nothing is relative."""

    def __init__(self, shelf):
        self.shelf = shelf

    def importing(self, url, importer, repository):
        if url not in self.shelf.texts:
            raise tosca.Refused("import.missing", f"{url} is not on the shelf", "Put it there.")
        return tosca.Location(self.shelf, url)

    profile = importing


def test_a_caller_brings_its_own_resolver():
    shelf = Shelf({
        "types": OLDER + "node_types: {N: {derived_from: tosca.nodes.Root}}",
        "main": OLDER + "imports: [types]\ntopology_template: {node_templates: {n: {type: N}}}",
        "broken": OLDER + "imports: [nothing]\n",
    })  # fmt: skip
    report = tosca.load(tosca.Location(shelf, "main"), Shelves(shelf))
    assert (report.exit_code, [one.name for one in report.files]) == (0, ["main", "types"])
    assert [(one.kind, one.name, one.parent.name) for one in report.types] == [("node", "N", "tosca.nodes.Root")]
    (problem,) = tosca.load(tosca.Location(shelf, "broken"), Shelves(shelf)).problems
    assert str(problem) == "shelf:/broken:2:11: nothing is not on the shelf [import.missing] Put it there."


def test_a_file_of_types_has_no_template(tmp_path):
    report = load(tmp_path, MODERN + "data_types: {Name: {derived_from: string}}\nnode_types: {N: {properties: {n: {type: Name}}}}")
    assert (report.exit_code, report.template) == (0, None)
    assert {one.name: one.kind for one in report.types} == {"Name": "data", "N": "node"}


def test_values_know_where_they_come_from(tmp_path):
    text = OLDER + "topology_template:\n  node_templates:\n    net: {type: tosca.nodes.network.Network, properties: {cidr: 10.0.0.0/8}}\n"
    net = load(tmp_path, text).template.nodes["net"]
    given, default = net.properties["cidr"], net.properties["ip_version"]
    assert (given.value, given.assigned, given.place.line, given.place.column) == ("10.0.0.0/8", True, 4, 65)
    assert (default.value, default.assigned) == (4, False)


@pytest.mark.parametrize(("reach", "code"), [([], 1), (["--reach", "2"], 0), (["--reach", "3"], 1)])
def test_conformance_tells_score_and_differences(reach, code, tmp_path):
    write(tmp_path, MODERN, "good.yaml")
    write(tmp_path, MODERN + "nothing: true\n", "bad/bad.yaml")
    write(tmp_path, MODERN, "disputed.yaml")
    expected = {"good.yaml": 0, "bad/bad.yaml": 1, "disputed.yaml": 1}
    write(tmp_path, json.dumps({"expected": expected}), "expected.json")
    command = [sys.executable, str(ROOT / "tests" / "conformance.py"), str(tmp_path), *reach]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == code, done.stderr
    assert done.stdout.splitlines()[0] == "disputed.yaml: expected 1, got 0"
    assert done.stdout.splitlines()[-1].startswith("2 of 3 as expected")


HEAT = """
resources:
  group:
    type: OS::Heat::AutoScalingGroup
    properties: {min_size: 0, max_size: 3, desired_capacity: 0, resource: {type: nested.yaml}}
  roles: {type: "OS::Heat::SoftwareConfig", properties: {config: "ansible-galaxy install team.web"}}
  run: {type: "OS::Heat::SoftwareConfig", properties: {config: {get_file: run.sh}}}
  install: {type: "OS::Heat::SoftwareDeployment", properties: {config: {get_resource: roles}, server: {get_resource: vm}}}
  create: {type: "OS::Heat::SoftwareDeployment", properties: {config: {get_resource: run}, server: {get_resource: vm}}}
"""
NESTED = """
resources:
  vm: {type: "OS::Nova::Server", properties: {networks: [{network: net0}]}}
  net: {type: "OS::Neutron::Net"}
"""
TOSCA = OLDER + """
node_types:
  my.Web:
    derived_from: tosca.nodes.SoftwareComponent
    artifacts: {web: {type: tosca.artifacts.AnsibleGalaxy.role, file: team.web}}
    interfaces: {Standard: {create: run.sh}}
topology_template:
  node_templates:
    vm: {type: tosca.nodes.Compute}
    web: {type: my.Web, requirements: [{host: vm}]}
    port: {type: tosca.nodes.network.Port, requirements: [{link: net}, {binding: vm}]}
    net: {type: tosca.nodes.network.Network, properties: {network_name: net0}}
  policies: [{some: {type: tosca.policies.Scaling, targets: [vm], properties: {min_instances: 0, max_instances: 3, default_instances: 0}}}]
"""


@pytest.mark.parametrize(("change", "told"), [
    (("", ""), []),
    (("network_name: net0", "network_name: net1"), ["links: vm lacks a port on net0"]),
    (("file: team.web", "file: team.other"), ["operations: lacks ('role team.web', 'vm')"]),
    (("network_name: net0", "cidr: 10.0.0.0/24"), ["lacks the existing network net"]),
    (("max_instances: 3", "max_instances: 4"), ["scaling: lacks ('vm', 0, 3)"])])  # fmt: skip
def test_heat_templates_are_compared_as_what_they_stand_for(change, told, tmp_path):
    """Roles of Galaxy, ports that Senlin cannot name, groups of none at first, and what is there already."""
    write(tmp_path, HEAT, "hot_output/hot_x.yaml")
    write(tmp_path, NESTED, "hot_output/nested.yaml")
    write(tmp_path, TOSCA.replace(*change), "tosca_x.yaml")
    command = [sys.executable, str(ROOT / "tests" / "conformance_hot.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    lines = [line.removeprefix("hot_output/hot_x.yaml: ") for line in done.stdout.splitlines()[:-1]]
    assert done.returncode == bool(told) and [*lines[:1]] == told, done.stdout + done.stderr
