"""Projects: deterministic, taken by Ansible, without secrets; and run for real against a cloud in this process."""

import json
import os

import pytest
import yaml
from fake_openstack import fake_openstack
from fake_topology import TopologyCloud
from topologies import APP, APP_NODE, SHOP

from cloudos.eve.engine.emit import emit, secrets_of
from cloudos.eve.engine.plan import make_plan
from cloudos.eve.engine.state import Directory, State
from cloudos.eve.engine.tasks import jinja, variable
from cloudos.eve.lifecycle import Eve
from cloudos.eve.problems import Undeployable
from cloudos.eve.provider import Pool
from cloudos.runs import start
from cloudos.tosca.resolver import DirectoryTree

SECRET = {"types": APP, "declared": "    password: {type: string, default: '${secret:shop/password}'}",
          "outputs": "    token: {value: {get_attribute: [app, token]}}"}  # fmt: skip


@pytest.fixture
def scripts(tmp_path):
    """The files of the application; they write what they did to `trace`."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    trace = tmp_path / "trace"
    create = f'. ./common.inc\ntoken="token for $where"\necho "create|$greeting|$password|$shared" >> {trace}\n'
    (folder / "create.sh").write_text(create)
    (folder / "common.inc").write_text("shared=beside\n")
    (folder / "stop.sh").write_text(f"echo stop >> {trace}\n")
    copy = {"name": "Its own file", "ansible.builtin.copy": {"src": "common.inc", "dest": str(tmp_path / "copied"), "mode": "0644"}}
    plays = [{"name": "Configure", "hosts": "all", "gather_facts": False, "tasks": [copy]}]
    (folder / "configure.yml").write_text(yaml.safe_dump(plays))
    return tmp_path


def written(directory):
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_the_same_plan_gives_the_same_bytes_and_no_secret(compiled, pools, scripts, tmp_path):
    plan = make_plan(State("shop"), compiled(SHOP + APP_NODE, login_key="ssh-ed25519 A", **SECRET), pools)
    out = tmp_path.parent / f"{tmp_path.name}-out"
    for name in ("one", "two"):
        emit(plan, State("shop"), pools, out / name, DirectoryTree(scripts), tmp_path)
    first, second = written(out / "one"), written(out / "two")
    assert first == second and "playbook.json" in first
    plays = json.loads(first["playbook.json"])
    create = next(play for play in plays if play["name"] == "app:create")
    assert create["tasks"][0]["tags"] == ["node:app", "op:create"] and create["hosts"] == ["web"]
    (block,) = json.loads(first[f"calls/{create['vars']['eve_calls']['web']}"])
    assert block["tags"] == ["node:app", "op:create"]
    assert variable("shop/password") in block["block"][0]["environment"]["password"]
    assert secrets_of(plan, pools) == {"shop/password"}
    assert start.check_syntax(out / "one", "playbook.json", "inventory.json") is None


def test_a_missing_file_is_told_before_anything_runs(compiled, pools, tmp_path):
    plan = make_plan(State("shop"), compiled(SHOP + APP_NODE, **SECRET), pools)
    with pytest.raises(Undeployable) as told:
        emit(plan, State("shop"), pools, tmp_path / "out", DirectoryTree(tmp_path))
    assert "scripts/configure.yml: an operation needs this file" in str(told.value)


@pytest.mark.parametrize(("value", "written_as"), [
    ("plain", "plain"),
    ("{{ not mine }}", "{{ '{{ not mine }}' }}"),
    ({"$attribute": ["web", "id"]}, "{{ hostvars['localhost'].eve_known['web']['id'] }}"),
    ({"$concat": ["http://", {"$attribute": ["web", "id"]}]}, "{{ ('http://' ~ hostvars['localhost'].eve_known['web']['id']) }}"),
    ({"a": ["it's {{"]}, {"a": ["{{ 'it\\'s {{' }}"]}),
])  # fmt: skip
def test_values_are_written_so_that_only_references_are_templates(value, written_as):
    assert jinja(value) == written_as


@pytest.fixture
def cloud(tmp_path, monkeypatch):
    with fake_openstack(TopologyCloud) as running:
        running.bootstrap()
        running.add("flavors", name="small", vcpus=1, ram=512, disk=1)
        running.add("images", name="debian", status="active", os_hidden=False, created_at="1")
        running.add("networks", name="ext", description="", **{"router:external": True})
        auth = {"auth_url": f"{running.root}/identity/v3", "username": "admin", "password": "admin-password", "project_name": "admin",
                "user_domain_name": "Default", "project_domain_name": "Default"}  # fmt: skip
        file = tmp_path / "clouds.yaml"
        file.write_text(yaml.safe_dump({"clouds": {"any": {"auth": auth, "region_name": "RegionOne"}}}))
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
        yield running


@pytest.fixture
def pools():
    """The servers of the cloud in this process are this machine."""
    return {"default": Pool("default", "openstack", {"cloud": "any"}, {"connection": "local"})}


@pytest.fixture
def eve(tmp_path):
    return Eve(Directory(tmp_path.parent / f"{tmp_path.name}-states"), {"shop/password": "geheim"}.__getitem__)


def everything(folder):
    """All that was written below a directory, as one text."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "key").decode(errors="ignore")


def test_a_topology_lives_and_dies(cloud, eve, request_for, scripts):
    """Deploy, do nothing, scale out, heal and undeploy with Ansible itself, module and operations."""
    before = cloud.counts()
    first = eve.deploy(request_for(SHOP + APP_NODE, **SECRET))
    assert first.ok and first.state.outputs == {"token": ["token for 10.0.0.10"]}, first.failures
    assert (scripts / "trace").read_text() == "create|hello {{ nobody }}|geheim|beside\n" and (scripts / "copied").exists()
    assert "geheim" not in everything(eve.states.root), "no secret in state or project"
    again = eve.deploy(request_for(SHOP + APP_NODE, **SECRET))
    assert again.ok and not again.started
    more = eve.scale(request_for(SHOP + APP_NODE, {"web": 2}, **SECRET))
    assert more.ok and cloud.counts()["servers"] == 2 and len((scripts / "trace").read_text().splitlines()) == 2
    lost = next(iter(cloud.store["servers"]))
    del cloud.store["servers"][lost]
    for volume in cloud.store["volumes"].values():
        if any(one["server_id"] == lost for one in volume["attachments"]):
            volume.update(status="available", attachments=[])
    healed = eve.heal(request_for(SHOP + APP_NODE, **SECRET))
    assert healed.ok and cloud.counts()["servers"] == 2 and len((scripts / "trace").read_text().splitlines()) == 3
    gone = eve.undeploy("shop")
    assert gone.ok and cloud.counts() == before and (scripts / "trace").read_text().splitlines()[-2:] == ["stop", "stop"]
    assert not list(eve.states.topologies())


def test_a_failure_names_node_operation_cause_and_next_step_and_is_resumed(cloud, eve, request_for, scripts):
    script = scripts / "scripts" / "create.sh"
    good = script.read_text()
    script.write_text("echo the disk is full >&2; exit 3\n")
    failed = eve.deploy(request_for(SHOP + APP_NODE, **SECRET))
    (failure,) = failed.failures
    assert (failure["node"], failure["operation"], failure["host"]) == ("app", "app:create", "web")
    assert "the disk is full" in failure["log"] and "run the same again" in failure["next_step"]
    made = dict(cloud.counts())
    script.write_text(good)
    resumed = eve.deploy(request_for(SHOP + APP_NODE, **SECRET))
    assert resumed.ok and cloud.counts() == made
    assert "web" not in [name for stage in resumed.plan.stages for name in stage.names], "what was made is not looked at again"


def test_a_failed_deployment_can_be_undeployed(cloud, eve, request_for):
    before = cloud.counts()
    cloud.broken.add("shop-web")
    failed = eve.deploy(request_for(SHOP))
    assert not failed.ok and "server web: it is ERROR" in failed.failures[0]["cause"]
    assert eve.undeploy("shop").ok and cloud.counts() == before


def test_the_environment_of_the_runner_holds_no_secret_after_the_run(cloud, eve, request_for, scripts):
    eve.deploy(request_for(SHOP + APP_NODE, **SECRET))
    assert variable("shop/password") not in os.environ


def test_a_plan_that_does_not_fit_says_so_before_anything_is_made(cloud, eve, request_for):
    """Asked of the cloud itself: what is used, what the flavor takes, and that nothing is begun."""
    cloud.quota.update(maxTotalCores=2, maxTotalVolumeGigabytes=3, floatingip=1)
    before = cloud.counts()
    made = eve.plan(request_for(SHOP, {"web": 3}))
    assert [one.message for one in made.lacking] == [
        "quota cores: 0 of 2 are used, 3 more are wanted", "quota floating_ips: 0 of 1 are used, 3 more are wanted",
        "quota gigabytes: 0 of 3 are used, 6 more are wanted"]  # fmt: skip
    with pytest.raises(Undeployable, match="quota cores: 0 of 2 are used, 3 more are wanted"):
        eve.deploy(request_for(SHOP, {"web": 3}))
    assert cloud.counts() == before and not list(eve.states.topologies())
    assert eve.deploy(request_for(SHOP)).ok
    assert "quota cores: 1 of 2 are used, 2 more are wanted" in [one.message for one in eve.plan(request_for(SHOP, {"web": 3})).lacking]


def test_a_cloud_that_does_not_tell_its_quotas_is_no_obstacle(eve, request_for, monkeypatch, tmp_path):
    auth = {"auth_url": "http://127.0.0.1:1", "username": "a", "password": "b", "project_name": "c"}
    (tmp_path / "dead.yaml").write_text(yaml.safe_dump({"clouds": {"any": {"auth": auth}}}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "dead.yaml"))
    made = eve.plan(request_for(SHOP))
    assert not made.lacking and made.notes and all("not known" in note for note in made.notes)


HERE = """
node_types:
  my.nodes.Thing:
    derived_from: tosca.nodes.Root
    interfaces: {Standard: {inputs: {WORDS: {type: string, default: "{{ 7 * 7 }}"}}, operations: {configure: bin/note}}}
"""


def test_an_operation_without_a_server_runs_here_beside_its_files(eve, request_for, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "note").write_text(f'#!/bin/sh\nprintf %s "$WORDS" > {tmp_path}/noted && cat beside >> {tmp_path}/noted\n')
    (tmp_path / "bin" / "beside").write_text(" and what lies beside")
    done = eve.deploy(request_for("thing: {type: my.nodes.Thing}", types=HERE))
    assert done.ok, done.failures
    assert (tmp_path / "noted").read_text() == "{{ 7 * 7 }} and what lies beside"


ROLES = """
node_types:
  my.nodes.Thing:
    derived_from: tosca.nodes.Root
    artifacts:
      web: {type: tosca.artifacts.AnsibleGalaxy.role, file: team.web}
      own: {type: tosca.artifacts.AnsibleGalaxy.role, file: FOLDER/own}
    interfaces: {Standard: {operations: {create: run.yml, configure: site.yml, start: look.sh}}}
"""


@pytest.fixture
def roles(tmp_path):
    """Roles that write their names to `noted`, and operations that ask for them by name."""
    for role in ("roles/team.web", "ansible/own"):
        (tmp_path / role / "tasks").mkdir(parents=True)
        note = {"name": "Note it", "ansible.builtin.shell": f"echo {role} $PWD >> {tmp_path}/noted", "args": {"chdir": "/"}}
        (tmp_path / role / "tasks" / "main.yml").write_text(yaml.safe_dump([note]))
    use = [{"name": "Use it", "ansible.builtin.include_role": {"name": "team.web"}}]
    (tmp_path / "run.yml").write_text(yaml.safe_dump(use))
    (tmp_path / "site.yml").write_text(yaml.safe_dump([{"name": "Site", "hosts": "all", "gather_facts": False, "roles": ["own"]}]))
    (tmp_path / "look.sh").write_text(f'for one in ${{ANSIBLE_ROLES_PATH//:/ }}; do ls "$one" >> {tmp_path}/noted; done\n')
    return tmp_path


def test_roles_among_the_artifacts_are_found_by_their_names(eve, request_for, roles):
    done = eve.deploy(request_for("thing: {type: my.nodes.Thing}", types=ROLES.replace("FOLDER", "ansible")))
    assert done.ok, done.failures
    assert (roles / "noted").read_text().splitlines() == ["roles/team.web /", "ansible/own /", "own", "team.web"]


def test_a_role_that_is_not_there_is_told_before_anything_runs(eve, request_for, roles):
    (roles / "roles" / "team.web" / "tasks" / "main.yml").unlink()
    with pytest.raises(Undeployable, match=r"roles/team\.web: an operation needs this file, and it is not there"):
        eve.deploy(request_for("thing: {type: my.nodes.Thing}", types=ROLES.replace("FOLDER", "ansible")))


def test_two_roles_of_one_name_are_refused(eve, request_for, roles):
    (roles / "deep" / "team.web" / "tasks").mkdir(parents=True)
    (roles / "deep" / "team.web" / "tasks" / "main.yml").write_text("[]\n")
    with pytest.raises(Undeployable, match=r"two roles are called team\.web: deep/team\.web and roles/team\.web"):
        eve.deploy(request_for("thing: {type: my.nodes.Thing}", types=ROLES.replace("FOLDER/own", "deep/team.web")))
    (roles / "roles" / "load_balancer").mkdir()
    (roles / "roles" / "load_balancer" / "x").touch()
    with pytest.raises(Undeployable, match="two roles are called load_balancer: Eve's own and roles/load_balancer"):
        eve.deploy(request_for("thing: {type: my.nodes.Thing}", types=ROLES.replace("FOLDER/own", "load_balancer")))
