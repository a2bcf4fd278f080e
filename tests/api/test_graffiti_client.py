"""The SDK and the commands against the served service; the profile goes to a served Focus."""

import json

import pytest
import yaml
from click.testing import CliRunner
from keystoneauth1.session import Session
from keystoneauth1.token_endpoint import Token

from cloudos.eve import given
from cloudos.focus.service import SERVICE as FOCUS
from cloudos.graffiti import cli, cli_directory
from cloudos.graffiti.client import Focus, Graffiti
from tests.api import graffiti, kit
from tests.api.test_graffiti_binding import TEMPLATE


@pytest.fixture
def served(tmp_path, monkeypatch):
    yield from graffiti.serve(tmp_path, monkeypatch)


@pytest.fixture
def focus(tmp_path, monkeypatch):
    (tmp_path / "focus").mkdir()
    yield from kit.serve(FOCUS, "cloudos.focus.service", tmp_path / "focus", monkeypatch)


def client(kind, served):
    """A client of ann's, an architect in p1."""
    token = json.dumps({"user": "ann", "project": "p1", "roles": ["architect"]})
    return kind(Session(auth=Token(served.url, token)), endpoint=served.url)


@pytest.fixture
def ann(served):
    graffiti.load_standard(served)
    graffiti.discovered(served, served.as_("ann", "p1", "architect"))
    return client(Graffiti, served)


@pytest.fixture
def run(ann, monkeypatch):
    """Runs `cloudos graffiti ...`."""
    monkeypatch.setattr("cloudos.eden.commands.connect", lambda *_: ann)
    return lambda *arguments: CliRunner().invoke(cli.graffiti, list(arguments))


def test_a_profile_is_stored_in_focus_over_http(ann, focus):
    made = ann.bind({"template": {"files": {"web.yaml": TEMPLATE}}, "name": "web"})
    document = ann.store_profile(made["id"], client(Focus, focus), "web-east")
    assert (document["type"], document["latest_version"]) == ("resource_binding", 1)
    content = focus.as_("ann", "p1", "architect").get(f"/v1/documents/{document['id']}/versions/1/content").text
    assert yaml.safe_load(content) == ann.profile(made["id"])
    assert yaml.safe_load(content)["choices"]["web"]["flavor"]["name"] == "m1.small"


def test_match_tells_people_what_was_chosen_and_why_not(run, tmp_path):
    file = tmp_path / "t.yaml"
    file.write_text(TEMPLATE)
    good = run("match", str(file), "--explain")
    assert good.exit_code == 0, good.output
    assert "web.flavor: m1.small in east" in good.output
    assert "not   flavor m1.tiny: cloudos.openstack/Flavor.num_cpus 1 < 2 wanted" in good.output
    file.write_text(TEMPLATE.replace("1 GB", "64 GB"))
    bad = run("match", str(file))
    assert bad.exit_code == 1 and "Not bound: nothing fulfils web.flavor" in bad.output
    file.write_text(TEMPLATE.replace("node_templates", "node_tempaltes"))
    assert "t.yaml:4:" in run("match", str(file)).output
    file.write_text("requirements: [{id: fast, capability: os-traits/HW_CPU_X86_AMXTILE}]")
    none = run("match", str(file)).output
    assert "you see no resource with capability os-traits/HW_CPU_X86_AMXTILE; register a pool" in none


def test_bind_writes_the_profile_and_verify_compares(run, served, ann, tmp_path):
    file, profile = tmp_path / "t.yaml", tmp_path / "profile.out"
    file.write_text(TEMPLATE)
    assert run("bind", str(file), "-o", str(profile)).exit_code == 0
    binding = yaml.safe_load(profile.read_text())["binding"]
    assert run("verify", binding).exit_code == 0
    served.cloud.images.pop(0)
    job = ann.discover(ann.pool("east")["id"], ["images"])
    served.work()
    assert ann.job(job["id"])["result"]["images"]["vanished"] == 1
    changed = run("verify", binding)
    assert changed.exit_code == 1 and "gone" in changed.output
    assert run("release", binding).exit_code == 0
    assert "released" in run("bindings").output


def test_a_named_template_for_a_node_is_bound_and_kept_in_the_profile(run, tmp_path):
    head = "tosca_definitions_version: tosca_simple_yaml_1_3\n"
    (tmp_path / "inside").mkdir()
    types = "node_types: {my.App: {derived_from: tosca.nodes.Root}}\n"
    inner = "topology_template:\n  substitution_mappings: {node_type: my.App}\n  node_templates:\n    server: {type: tosca.nodes.Compute, "
    for name, cores in (("small", 2), ("large", 8)):
        host = f"capabilities: {{host: {{properties: {{num_cpus: {cores}}}}}}}}}\n"
        (tmp_path / "inside" / f"{name}.yaml").write_text(f"{head}imports: [../types.yaml]\n{inner}{host}")
    (tmp_path / "types.yaml").write_text(head + types)
    file = tmp_path / "t.yaml"
    node = "topology_template: {node_templates: {app: {type: my.App, directives: [substitute]}}}\n"
    file.write_text(f"{head}imports: [types.yaml]\n{node}")
    told = run("match", str(file), "--substitute", "app=inside/large.yaml")
    assert told.exit_code == 0 and "app.server.flavor: m1.large" in told.output, told.output
    made = yaml.safe_load(run("bind", str(file), "--substitute", "app=inside/small.yaml").output)
    assert made["substitutions"] == {"app": "inside/small.yaml"} and "substitutions" not in made["template"]
    assert made["choices"]["app.server"]["flavor"]["name"] == "m1.small" and given.mistakes(made) == [], "it is a profile for Eve"
    assert yaml.safe_load(run("bind", str(file), "--substitute", "app=inside/small.yaml").output)["placement"] == {"app.server": "default"}
    wrong = run("match", str(file), "--substitute", "app=types.yaml")
    assert wrong.exit_code == 1 and "types.yaml cannot be put in the place of app: there is no such file" in wrong.output, wrong.output
    assert "which is no node that is to be substituted" in run("match", str(file), "--substitute", "ap=inside/small.yaml").output


@pytest.mark.parametrize("arguments, words", [
    (["keys", "OS::Nova::Flavor"], "key  target"), (["search", "debi"], "debian-12"), (["type", "Flavor"], "mem_size"),
    (["type", "tosca:Compute"], "mem_size"),
    (["type", "os-traits/HW_CPU_X86_AVX2"], "os-traits/HW_CPU_X86"), (["pool", "show", "east"], "provider_url"),
    (["pool", "list"], "east"), (["load", "os-resource-classes", "--dry-run"], "23 new, 0 changed, 0 the same (dry run)"),
    (["search", "--capability", "tosca:Compute", "--filter", "{capabilities: {host: {properties: {num_cpus: 8}}}}"], "m1.large"),
])  # fmt: skip
def test_commands_show_what_there_is(run, arguments, words):
    shown = run(*arguments)
    assert shown.exit_code == 0 and words in shown.output, shown.output


@pytest.mark.parametrize("arguments, words", [
    (["type", "Nonsense"], "Nonsense is not a capability type"), (["discover", "west"], "0 pools are called west"),
    (["discover", "east", "--kind", "flavours"], "have flavors, images, networks"), (["resource", "show", "nope"], "No resource nope"),
    (["load", "metadefs"], "source metadefs needs a directory"), (["search", "--capability", "Comput"], "is not a capability type"),
    (["type", "Compute"], "is not a capability type of the dictionary (did you mean tosca:Compute?).\n"),
])  # fmt: skip
def test_commands_end_with_the_reason(run, arguments, words):
    ended = run(*arguments)
    assert ended.exit_code == 1 and words in ended.output, ended.output


def test_a_pool_is_changed_and_its_password_is_tried(run, served, ann, monkeypatch):
    assert run("pool", "update", "east", "--state", "inactive", "--rename", "west").exit_code == 0
    assert ann.pool("west")["state"] == "inactive"
    entry = {"provider_url": graffiti.POOL["provider_url"], "login": graffiti.POOL["login"], "secret": {"password": "wrong-one"}}
    monkeypatch.setattr(cli_directory, "_of_cloud", lambda name: entry)
    refused = run("pool", "update", "west", "--from-cloud", "mine")
    assert refused.exit_code == 1 and "The pool was not saved" in refused.output and "wrong-one" not in refused.output
    monkeypatch.undo()
    monkeypatch.setattr("cloudos.eden.commands.connect", lambda *_: ann)
    unknown = run("pool", "update", "west", "--from-cloud", "no-such-cloud")
    assert unknown.exit_code == 2 and "no-such-cloud was not found" in unknown.output
    assert "Name what to change" in run("pool", "update", "west").output


def test_a_resource_is_published_replaced_bound_and_withdrawn(run, tmp_path):
    file = tmp_path / "lb.yaml"
    file.write_text("name: lb\ntype: my.LoadBalancer\ncapabilities: [{name: key, type: cloudos.openstack/KeyPair}]\ncapacity: {uses: 1}\n")
    made = run("resource", "publish", str(file))
    assert made.exit_code == 0, made.output
    identity = made.output.split()[0]
    file.write_text(file.read_text().replace("name: lb", "name: balancer"))
    assert "balancer" in run("resource", "publish", str(file), "--replace", identity).output
    wanted = tmp_path / "wanted.yaml"
    wanted.write_text("requirements: [{id: lb, capability: cloudos.openstack/KeyPair, node_filter: {properties: {name: balancer}}}]\n")
    binding = yaml.safe_load(run("bind", str(wanted)).output)["binding"]
    again = run("rebind", binding)
    assert again.exit_code == 0, again.output
    binding = again.output.split(",")[0]
    assert "committed" in run("commit", binding).output
    assert "is bound by" in run("resource", "delete", identity).output
    assert run("release", binding).exit_code == run("resource", "delete", identity).exit_code == 0
    assert run("resource", "show", identity).exit_code == 1
