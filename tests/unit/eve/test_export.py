"""A topology as a document again: what is in the archive, and that the same is made from it."""

import zipfile

import pytest
import yaml
from click.testing import CliRunner

from cloudos.cli import main
from cloudos.eve import given, verbs
from cloudos.eve.engine import export
from cloudos.eve.engine.state import Directory
from cloudos.eve.problems import Refused
from cloudos.eve.provider import Pool
from tests.api.eve import PROVIDER, TYPES

TEMPLATE = TYPES + """\
  inputs: {content: {type: string, default: empty}}
  node_templates:
    one: {type: toy.nodes.File, properties: {content: {get_input: content}, most: 4}}
    two: {type: toy.nodes.File, requirements: [{dependency: one}]}
"""
PROFILE = {"pools": {"here": {"provider": "files", "defaults": {"a": 1}}}, "inputs": {"content": "told"}}


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A template with a profile that makes files; a function that calls `cloudos eve` and gives its output."""
    monkeypatch.syspath_prepend(str(PROVIDER))
    monkeypatch.setenv("ANSIBLE_LIBRARY", str(PROVIDER / "library"))
    (tmp_path / "disk").mkdir()
    (tmp_path / "design").mkdir()
    (tmp_path / "design" / "shop.yaml").write_text(TEMPLATE)
    PROFILE["pools"]["here"]["root"] = str(tmp_path / "disk")
    (tmp_path / "profile.yaml").write_text(yaml.safe_dump(PROFILE))

    def call(*words, code=0):
        states = () if words[0] == "validate" else ("--states", str(tmp_path / "states"))
        done = CliRunner().invoke(main, ["eve", *map(str, words), *states])
        assert done.exit_code == code, done.output
        return done.output

    return tmp_path, call


def made(folder):
    return sorted((path.name.split("=")[1], path.read_text()) for path in (folder / "disk").glob("*=*=*"))


def test_what_is_exported_makes_the_same_again_with_as_many_instances(shop):
    folder, call = shop
    archive = folder / "out" / "shop.csar"
    archive.parent.mkdir()
    call("deploy", folder / "design" / "shop.yaml", "--profile", folder / "profile.yaml")
    call("scale", folder / "design" / "shop.yaml", "one=3", "--profile", folder / "profile.yaml")
    there = made(folder)
    assert [name for name, _ in there] == ["one", "one-2", "one-3", "two"]
    assert str(archive) in call("export", "shop", "-o", archive)
    call("validate", archive)
    assert "nothing is to be done" in call("plan", archive), "what is deployed is what was exported"
    call("undeploy", "shop")
    assert made(folder) == []
    call("deploy", archive)
    assert made(folder) == there and "nothing is to be done" in call("plan", archive)
    again = folder / "out" / "again.csar"
    call("export", "shop", "-o", again)
    assert again.read_bytes() == archive.read_bytes(), "an export of an export is the same"


def test_the_archive_holds_what_was_read_and_the_profile_as_it_is(shop):
    folder, call = shop
    (folder / "design" / "private.txt").write_text("not named by the template")
    call("deploy", folder / "design" / "shop.yaml", "--profile", folder / "profile.yaml", "-i", "content=other")
    call("export", "shop", "-o", folder / "x.csar")
    with zipfile.ZipFile(folder / "x.csar") as file:
        assert sorted(file.namelist()) == ["TOSCA-Metadata/TOSCA.meta", export.PROFILE, "shop.yaml"]
        profile = yaml.safe_load(file.read(export.PROFILE))
    assert profile == {"pools": PROFILE["pools"], "placement": {}, "choices": {}, "inputs": {"content": "other"}, "instances": {"one": 1},
                       "substitutions": {}}  # fmt: skip


def test_choices_of_a_profile_are_made_and_exported(shop):
    folder, call = shop
    chosen = {"one": {"content": {"name": "chosen"}}}
    (folder / "bound.yaml").write_text(yaml.safe_dump({**PROFILE, "choices": chosen}))
    call("deploy", folder / "design" / "shop.yaml", "--profile", folder / "bound.yaml")
    assert made(folder) == [("one", "chosen"), ("two", "empty")]
    call("export", "shop", "-o", folder / "x.csar")
    call("undeploy", "shop")
    call("deploy", folder / "x.csar", "--name", "shop")
    assert made(folder) == [("one", "chosen"), ("two", "empty")]


@pytest.mark.parametrize(("profile", "words"), [
    ({"choices": {"one": {"content": "chosen"}}}, "/choices/one/content is 'chosen', must be object"),
    ({"pool": "x"}, "'pool' was unexpected"), ({"nodes": {}}, "of an earlier shape"), (["x"], "must be object")])  # fmt: skip
def test_a_profile_that_is_none_is_refused_with_its_place(shop, profile, words):
    folder, call = shop
    (folder / "wrong.yaml").write_text(yaml.safe_dump(profile))
    told = call("deploy", folder / "design" / "shop.yaml", "--profile", folder / "wrong.yaml", code=2)
    assert f"{folder / 'wrong.yaml'}: /" in told and words in told


def test_what_operations_need_goes_along_and_addresses_are_found_in_the_archive(tmp_path):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "types.yaml").write_text("tosca_definitions_version: tosca_simple_yaml_1_3\nimports: [{file: more.yaml}]\n")
    (mirror / "more.yaml").write_text("tosca_definitions_version: tosca_simple_yaml_1_3\nnode_types: {my.N: {derived_from: Root}}\n")
    design = tmp_path / "design"
    (design / "scripts").mkdir(parents=True)
    (design / "scripts" / "run.sh").write_text("true")
    head = "tosca_definitions_version: tosca_simple_yaml_1_3\nimports: [{file: 'https://example.com/a/types.yaml'}]\n"
    node = "{type: my.N, interfaces: {Standard: {create: scripts/run.sh}}}"
    (design / "t.yaml").write_text(f"{head}topology_template: {{node_templates: {{n: {node}}}}}\n")
    request = verbs.request_of(design / "t.yaml", (), "any", None, (f"https://example.com/a={mirror}",), None)
    target = tmp_path / "t.csar"
    target.write_bytes(request.design())
    with zipfile.ZipFile(target) as file:
        assert {"scripts/run.sh", "https/example.com/a/types.yaml", "https/example.com/a/more.yaml"} <= {*file.namelist()}
    again = verbs.request_of(target, (), None, None, (), None)
    assert again.pools["default"].login == {"cloud": "any"} and list(again.template.nodes) == ["n"]


def test_what_imports_name_from_another_place_is_where_they_look_for_it(tmp_path):
    (tmp_path / "shared").mkdir()
    types = "tosca_definitions_version: tosca_simple_yaml_1_3\nnode_types: {N: {derived_from: Root}}\n"
    (tmp_path / "shared" / "types.yaml").write_text(types)
    (tmp_path / "design").mkdir()
    head = "tosca_definitions_version: tosca_simple_yaml_1_3\nimports: [samples/types.yaml]\n"
    (tmp_path / "design" / "t.yaml").write_text(f"{head}topology_template: {{node_templates: {{n: {{type: N}}}}}}\n")
    request = verbs.request_of(tmp_path / "design" / "t.yaml", (), "any", None, (f"samples={tmp_path}/shared",), None)
    target = tmp_path / "t.csar"
    target.write_bytes(request.design())
    assert list(verbs.request_of(target, (), None, None, (), None).template.nodes) == ["n"]


def test_what_may_be_secret_stays_where_it_is():
    pools = {"a": Pool("a", "libvirt", {"host": "kvm1", "host_variables": {"ansible_host": "h", "ansible_password": "x"}}),
             "b": Pool("b", "openstack", {"cloud": "far"}, {"flavor": "small"})}  # fmt: skip
    assert export.pools(pools) == {
        "a": {"provider": "libvirt", "host": "kvm1", "host_variables": {"ansible_host": "h"}, "defaults": {}},
        "b": {"provider": "openstack", "cloud": "far", "pool": "far", "defaults": {"flavor": "small"}}}  # fmt: skip
    assert list(export.left_out({name: one.login for name, one in pools.items()})) == ["a.host_variables.ansible_password"]


@pytest.mark.parametrize(("told", "login"), [
    ({"cloud": "a", "pool": "b"}, {"cloud": "a"}), ({"pool": "b"}, {"cloud": "b"}), ({"provider": "libvirt", "host": "h"}, {"host": "h"})])
def test_a_pool_of_the_service_is_the_cloud_of_that_name(told, login):
    assert given.pool("default", told).login == login


def test_what_cannot_be_exported_says_why(shop):
    folder, call = shop
    assert "topology shop is not deployed" in call("export", "shop", code=2)
    call("deploy", folder / "design" / "shop.yaml", "--profile", folder / "profile.yaml")
    assert "cannot be written" in call("export", "shop", "-o", folder / "no" / "where", code=2)
    (folder / "states" / "shop" / "design.csar").unlink()
    assert "Deploy it once more" in call("export", "shop", code=2)
    with pytest.raises(Refused, match="names no cloud"):
        given.pools(None, {"pools": {"default": {"provider": "openstack"}}})
    assert Directory(folder / "states").design("shop") is None
