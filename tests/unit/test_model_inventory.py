"""The tree's own inventories, services and plugins compile; services and plugins may also live elsewhere."""

import json

import pytest
from click.testing import CliRunner

from cloudos.cli import main
from cloudos.model import inventory
from cloudos.model.compile import compile_file, load_options
from cloudos.model.source import ROOT

CLOUDS = sorted(path.parent for path in ROOT.glob("inventory/*/cloud.yml"))
CLOUD = "inventory/lab/cloud.yml"


@pytest.mark.parametrize("path", CLOUDS, ids=lambda path: path.name)
def test_own_inventory_compiles(path):
    plan = compile_file(path)
    assert plan.data["cloud"] == path.name
    assert "{{" not in plan.to_json()


def test_inventory_is_a_directory_or_its_file(tree):
    directory, file = inventory.load(tree.root / "inventory/lab"), inventory.load(tree.root / CLOUD)
    assert directory.nodes == file.nodes
    assert (file.cloud, file.region, file.endpoint) == ("lab", "RegionOne", "172.29.0.11")
    assert file.networks["external"] == {
        "cidr": "10.99.0.0/24", "gateway": "10.99.0.1", "pool": ["10.99.0.100", "10.99.0.200"],
        "bridge": "br-ex", "interface": None, "mtu": 1500,
    }  # fmt: skip


def test_services_and_plugins_from_outside_the_tree(tree, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "toy.yml").write_text(
        "service: toy\nneeds: [haproxy]\naccount: {}\ncatalog: {type: toy, unit: toy-api}\n"
        "units:\n  toy-api: {on: [control], wsgi: 'toy:application', port: 9999}\n"
    )
    (tmp_path / "plugged" / "compute").mkdir(parents=True)
    (tmp_path / "plugged" / "compute" / "other.yml").write_text(
        "plugin: compute/other\nextends: compute\ntitle: Other\n"
    )
    tree.edit(CLOUD, "services: [identity, compute]", "services: [identity, compute, toy]")
    tree.edit(
        CLOUD,
        "plugins: {compute: kvm}",
        "plugins: {compute: other}\nservice_path: [../../../mine]\nplugin_path: [../../../plugged]",
    )
    plan = tree.compile()
    assert plan.data["identity"]["services"]["toy"]["endpoints"]["public"] == "https://172.29.0.11:9999"
    assert "bind 172.29.0.11:9999" in plan.host("ctl1").files["haproxy"]["/etc/haproxy/haproxy.cfg"]["content"]
    assert "libvirtd.service" not in [unit["name"] for unit in plan.host("cmp1").units]


def test_options_of_a_bundle_are_found_by_its_patch_level(tmp_path):
    assert load_options(tmp_path, "2026.1-1") is None
    (tmp_path / "2026.1-1-cp311-x86_64.options.json").write_text('{"packages": {}, "namespaces": {}}')
    assert load_options(tmp_path, "2026.1-1") == {"packages": {}, "namespaces": {}}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("CLOUDOS_HOME", str(tmp_path / "home"))
    return lambda *arguments: CliRunner().invoke(main, ["plan", *map(str, arguments)])


def test_plan_command_shows_the_plan_and_that_options_are_not_checked(run):
    result = run("-i", ROOT / "inventory/aio")
    assert result.exit_code == 0
    assert "ctl1  172.29.0.11  control, network, compute, storage; nobody has looked at it yet" in result.output
    assert "nova-compute" in result.output
    assert "Overrides are not checked" in result.output
    assert "Nothing was applied yet" in result.output


def test_plan_command_shows_the_difference_from_what_was_applied(run, tmp_path):
    applied = tmp_path / "home/clouds/aio/plan.json"
    applied.parent.mkdir(parents=True)
    applied.write_text(run("-i", ROOT / "inventory/aio", "--json").output)
    assert "Nothing differs" in run("-i", ROOT / "inventory/aio").output
    data = json.loads(applied.read_text())
    data["nodes"]["ctl1"]["packages"].append("zsh")
    applied.write_text(json.dumps(data))
    assert "--- ctl1: packages" in run("-i", ROOT / "inventory/aio").output
    assert "\n-zsh\n" in run("-i", ROOT / "inventory/aio", "--node", "ctl1").output


def test_plan_command_tells_all_mistakes_and_exits_with_2(run, tmp_path):
    text = (
        (ROOT / "inventory/aio/cloud.yml")
        .read_text()
        .replace("cloud: aio", "cloud: aio\nregoin: x")
        .replace("10.99.0.1\n", "10.98.0.1\n")
    )
    (tmp_path / "cloud.yml").write_text(text)
    result = run("-i", tmp_path)
    assert result.exit_code == 2
    assert "did you mean region?" in result.output
    assert "not in network external" in result.output
    assert "2 mistakes; nothing was changed." in result.output


def test_plan_command_names_the_nodes_there_are(run):
    result = run("-i", ROOT / "inventory/aio", "--node", "ctl9")
    assert result.exit_code == 2
    assert "ctl9: no such node; there are ctl1" in result.output


def test_what_nodes_give_to_object_storage_comes_with_where_it_is(tree):
    line = "{address: 172.29.0.22, groups: [compute]"
    tree.edit("inventory/lab/cloud.yml", line, line + ", object: {zone: 2, devices: {d1: {size: 2}}}")
    nodes = inventory.load(tree.root / "inventory/lab").nodes
    device = {"device": None, "size": 2, "weight": 100, "state": "present", "erase": None}
    place = {"node": "cmp2", "address": "172.29.0.22", "region": 1, "zone": 2}
    assert nodes["cmp2"]["object"] == {**place, "devices": {"d1": device}}
    assert nodes["cmp1"]["object"]["devices"] == {}
