"""Eve over HTTP, with SQLite, real worker processes and a real Ansible: deploy, change, cancel, kill, fail, take down."""

import os
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
import yaml
from click.testing import CliRunner
from keystoneauth1 import token_endpoint
from keystoneauth1.session import Session

from cloudos.eden import commands
from cloudos.eden.models import Job
from cloudos.eve import cli
from cloudos.eve.client import Eve
from cloudos.eve.models import Design, Kept, StateDocument
from cloudos.runs import leftovers
from tests.api import eve, kit
from tests.api.eve import design
from tests.api.focus import csar


@pytest.fixture
def house(tmp_path, monkeypatch, request):
    yield from eve.house(tmp_path, monkeypatch, **getattr(request, "param", {}))


@pytest.fixture
def worked(house):
    house.worker()
    return house


def rows(house, model):
    with house.eve.app.runtime.db.session(reading=True) as session:
        return session.scalar(sa.select(sa.func.count()).select_from(model))


def test_deploys_updates_scales_and_undeploys(worked):
    house = worked
    path, job = house.deploy("shop", design("one", "two", most=3))
    ended = house.ended(job)
    assert house.files() == [("one", "one"), ("two", "one")]
    assert [(task["name"], task["state"], task["progress"]) for task in ended["tasks"]] == [
        ("one: create", "succeeded", 100), ("two: create", "succeeded", 100)]  # fmt: skip
    found = house.get(path)
    assert (found["status"], found["job"], found["nodes"], found["fault"]) == ("completed", job, 2, None)
    assert found["outputs"] == ended["result"]["outputs"] and "=one=" in found["outputs"]["first"][0]
    assert [(one["node"], one["kinds"]) for one in found["groups"]] == [("one", ["file"]), ("two", ["file"])]
    assert {"rel": "uses", "href": f"{path}/groups/one"} in house.get(f"{path}/groups/two")["links"]

    assert [task["name"] for task in house.done(f"{path}/update", inputs={"content": "new"})["tasks"]] == ["one: change", "two: change"]
    assert house.files() == [("one", "new"), ("two", "new")]
    again = house.done(f"{path}/update")
    assert (again["tasks"], again["result"]["changed"]) == ([], False), "what is as it should be starts no Ansible"

    house.done(f"{path}/scale", instances={"one": 3})
    assert house.files() == [("one", "new"), ("one-2", "new"), ("one-3", "new"), ("two", "new")]
    house.done(f"{path}/update", inputs={"content": "last"})
    assert len(house.files()) == 4, "an update keeps what was scaled"
    refused = house.ann.post(f"{path}/scale", json={"instances": {"one": 4}})
    assert (refused.status_code, refused.json()["code"]) == (400, "design.undeployable")

    tasks = house.done(f"{path}/undeploy")["tasks"]
    assert [task["name"] for task in tasks] == ["two: delete", "one: delete"]
    assert (house.files(), house.get(path)["status"], rows(house, StateDocument), rows(house, Kept)) == ([], "inactive", 0, 0)
    assert house.ann.post(f"{path}/undeploy").json()["code"] == "topology.inactive"
    house.done(f"{path}/update")
    assert len(house.files()) == 4, "an inactive topology is deployed again"
    assert house.ended(house.ann.delete(path).json()["id"])["result"] == {"topology": None}
    assert (house.files(), house.ann.get(path).status_code) == ([], 404)


def test_an_update_forgets_what_another_design_no_longer_has(worked):
    """Inputs and numbers of nodes stay with an update; those of what is gone must not stand in its way for ever."""
    house = worked
    path, job = house.deploy("shop", design("one", "two", most=3), inputs={"content": "given"})
    house.ended(job)
    house.done(f"{path}/scale", instances={"two": 2})
    bare = design("one", "three", content="own", most=3).replace(b"content:\n      default: own", b"other:\n      default: own")
    bare = bare.replace(b"get_input: content", b"get_input: other")
    house.done(f"{path}/update", design=house.store("shop-design", bare))
    assert house.files() == [("one", "own"), ("three", "own")]
    refused = house.ann.post(f"{path}/update", json={"design": "shop-design", "inputs": {"content": "x"}, "instances": {"two": 1}})
    assert refused.status_code == 400 and "has no input content" in str(refused.json()["errors"])


def test_heal_makes_what_is_missing(worked):
    house = worked
    path, job = house.deploy("shop", design("one", "two"))
    house.ended(job)
    next(house.disk.glob("*=one=*")).unlink()
    assert [task["name"] for task in house.done(f"{path}/heal")["tasks"]] == ["one: create"]
    assert house.files() == [("one", "one"), ("two", "one")]


def test_cancel_in_the_middle_leaves_what_undeploy_cleans(worked):
    house = worked
    path, job = house.deploy("shop", design("one", "two", "three", "four", seconds=3))
    kit.until(lambda: ["made", "one"] in [line[:2] for line in house.journal()], 90)
    assert house.ann.post(f"/v1/jobs/{job}/cancel").status_code == 202
    house.ended(job, "cancel-succeeded")
    mark = house.get(path)["mark"]
    assert leftovers.marked("EVE_TOPOLOGY", mark) == set(), "nothing of Ansible goes on"
    there = house.journal()
    found = house.get(path)
    assert found["status"] == "failed" and "was cancelled" in found["fault"]["cause"] and "Undeploy" in found["fault"]["next_step"]
    assert 1 <= len(house.files()) < 4
    house.done(f"{path}/undeploy")
    assert (house.files(), house.get(path)["status"]) == ([], "inactive")
    assert [line for line in house.journal()[len(there) :] if line[0] != "removed"] == []


def test_a_killed_workers_deployment_goes_on_with_no_second_copy(house):
    path, job = house.deploy("shop", design("one", "two", "three", seconds=3))
    first = house.worker()
    kit.until(lambda: ["begin", "one"] in [line[:2] for line in house.journal()], 90)
    house.worker()
    kit.until(lambda: ["begin", "two"] in [line[:2] for line in house.journal()])
    first.send_signal(signal.SIGKILL)
    first.wait()
    ended = house.ended(job)
    assert [event["kind"] for event in house.get(f"/v1/jobs/{job}/events")["events"] if event["kind"] == "taken-over"] == ["taken-over"]
    assert (ended["state"], house.files()) == ("succeeded", [("one", "one"), ("three", "one"), ("two", "one")])
    assert [line[1] for line in house.journal() if line[0] == "made"] == ["one", "two", "three"], "nothing was made twice"
    began, done = ({tuple(line[1:]) for line in house.journal() if line[0] == word} for word in ("begin", "made"))
    assert len(began - done) == 1, "what the killed worker had begun was ended in the middle, and begun again"
    house.done(f"{path}/undeploy")
    assert house.files() == [] and not list((house.disk.parent / "run").iterdir())


def test_failure_tells_node_cause_and_next_step_and_retry_goes_on(worked):
    house = worked
    (house.disk / "broken").write_text("two")
    path, job = house.deploy("shop", design("one", "two", "three"))
    ended = house.ended(job, "failed")
    assert ended["error"] == "node two: file two cannot be made. make room for it"
    assert [(task["name"], task["state"]) for task in ended["tasks"]][:2] == [("one: create", "succeeded"), ("two: create", "failed")]
    failure = next(event["facts"] for event in house.get(f"/v1/jobs/{job}/events")["events"] if event["kind"] == "failure")
    assert (failure["node"], failure["cause"], failure["log"]) == ("two", "file two cannot be made", ["one line of log"])
    found = house.get(path)
    assert (found["status"], found["fault"]["next_step"], house.files()) == ("failed", "make room for it", [("one", "one")])
    (house.disk / "broken").unlink()
    assert house.ann.post(f"/v1/jobs/{job}/retry").status_code == 202
    assert house.ended(job)["attempt"] == 2
    assert [line[1] for line in house.journal() if line[0] == "made"] == ["one", "two", "three"]
    assert (house.get(path)["status"], house.get(path)["fault"]) == ("completed", None)


def test_on_failure_undeploy_takes_down_what_was_made(worked):
    house = worked
    (house.disk / "broken").write_text("two")
    path, job = house.deploy("shop", design("one", "two"), on_failure="undeploy")
    assert house.ended(job, "failed")["error"].endswith("What had been made was undeployed, as on_failure asks.")
    assert (house.files(), house.get(path)["status"]) == ([], "inactive")


@pytest.mark.parametrize("number", [10, pytest.param(50, marks=pytest.mark.lab)])
@pytest.mark.parametrize("house", [{"jobs": {"slots": 6}}], indirect=True)
def test_many_at_once_are_queued_and_all_succeed(house, number):
    house.store("small", design("one"))
    with ThreadPoolExecutor(10) as pool:
        made = list(pool.map(lambda one: house.deploy(f"t{one}", design="small"), range(number)))
    listed = house.get("/v1/jobs", limit=100)["jobs"]
    assert sorted(job["position"] for job in listed) == list(range(1, number + 1))
    house.worker()
    assert {house.ended(job, seconds=240)["state"] for _, job in made} == {"succeeded"}
    assert len(house.files()) == number
    assert {one["status"] for one in house.get("/v1/topologies", limit=100)["topologies"]} == {"completed"}


def test_undeploy_needs_neither_design_nor_profile_nor_pool(worked):
    house = worked
    house.store("values", yaml.safe_dump({"pools": {"here": {"pool": "disk"}}, "inputs": {"content": "told"}}).encode())
    path, job = deploy_with_profile(house)
    house.ended(job)
    assert house.files() == [("one", "told"), ("two", "told")]
    house.focus.app.runtime.close()
    (house.disk.parent / "pools.yml").write_text("{}")
    with house.eve.app.runtime.db.session() as session:
        session.execute(sa.delete(Design))
    house.done(f"{path}/undeploy")
    assert (house.files(), house.get(path)["status"]) == ([], "inactive")


def deploy_with_profile(house):
    house.store("two-files", design("one", "two"))
    answer = house.post("topologies", name="shop", design="two-files", profile="values")
    assert answer.status_code == 202, answer.text
    return answer.json()["resource"], answer.json()["id"]


def test_one_job_at_a_time_has_a_topology(worked):
    house = worked
    path, job = house.deploy("shop", design("one", seconds=2))
    for verb, body in (("update", {}), ("undeploy", None), ("heal", None)):
        refused = house.ann.post(f"{path}/{verb}", json=body)
        assert (refused.status_code, refused.json()["code"]) == (409, "topology.locked"), (verb, refused.text)
        assert job in refused.json()["detail"]
    assert house.ann.delete(path).json()["code"] == "topology.locked"
    house.ended(job)
    (house.disk / "broken").write_text("one")
    failed = house.done(f"{path}/update", "failed", inputs={"content": "new"})["id"]
    other = house.ann.post(f"{path}/undeploy").json()["id"]
    refused = house.ann.post(f"/v1/jobs/{failed}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "topology.locked")
    house.ended(other)


def test_plan_shows_and_starts_nothing_and_is_deployed(worked):
    house = worked
    house.store("two", design("one", "two"))
    plan = house.post("plans", name="shop", design="two", pool="disk").json()
    assert (plan["deployable"], plan["actions"], plan["problems"], plan["quota"]) == (True, {"create": 2}, [], {"default": {"files": 2}})
    assert plan["seconds"] > 0 and house.files() == [] and "login" not in plan["pools"]["default"]
    answer = house.post("topologies", name="shop", plan=plan["id"])
    path = answer.json()["resource"]
    house.ended(answer.json()["id"])
    house.store("two", design("one", "three"))
    change = house.post("plans", topology=path.rpartition("/")[2], design="two").json()
    assert change["actions"] == {"keep": 1, "create": 1, "delete": 1}
    assert [(one["name"], one["action"]) for one in change["plan"]["steps"]] == [("one", "keep"), ("three", "create"), ("two", "delete")]
    house.done(f"{path}/update", inputs={"content": "other"})
    assert house.ann.post(f"{path}/update", json={"plan": change["id"]}).json()["code"] == "plan.outdated"
    fresh = house.post("plans", topology=path.rpartition("/")[2], design="two").json()["id"]
    house.done(f"{path}/update", plan=fresh)
    assert house.files() == [("one", "other"), ("three", "other")]


def test_what_is_wrong_is_told_with_its_place_before_a_job_is_made(house):
    house.store("wrong", design("one").replace(b"toy.nodes.File, ", b"").replace(b"type: toy.nodes.File\n", b"type: toy.nodes.Fiel\n"))
    refused = house.post("topologies", name="shop", design="wrong", pool="disk")
    assert (refused.status_code, refused.json()["code"]) == (400, "design.undeployable")
    place, message = refused.json()["errors"][0]["pointer"], refused.json()["errors"][0]["message"]
    assert place.startswith("wrong!wrong.yaml:") and place.split(":")[1].isdigit() and "toy.nodes.Fiel" in message
    plan = house.post("plans", design="wrong", pool="disk").json()
    assert (plan["deployable"], plan["plan"], plan["problems"][0]["pointer"]) == (False, None, place)
    for body, code in (({"design": "nowhere"}, "design.refused"), ({"design": "wrong", "profile": "wrong"}, "profile.invalid")):
        assert house.post("topologies", name="shop", pool="disk", **body).json()["code"] == code
    assert house.get("/v1/jobs")["jobs"] == [] and house.get("/v1/topologies")["topologies"] == []
    told = house.get("/v1/design", reference="wrong")
    assert told["exit_code"] == 1 and told["problems"][0]["pointer"] == place


def test_programs_on_the_controller_want_an_architect(house):
    content = eve.TYPES.encode() + b"""\
  node_templates:
    one:
      type: toy.nodes.Program
      interfaces:
        Standard: {create: run.sh}
"""
    archive = csar(**{"program.yaml": content, "run.sh": b"true"})
    house.store("program", archive, media="application/zip")
    refused = house.post("topologies", name="shop", design="program", pool="disk")
    assert (refused.status_code, refused.json()["code"]) == (403, "auth.forbidden"), refused.text
    wrong = house.store("local", yaml.safe_dump({"pools": {"a": {"pool": "disk", "defaults": {"connection": "local"}}}}).encode())
    assert house.post("topologies", name="shop", design="program", profile=wrong).json()["code"] == "profile.invalid"


def test_secrets_are_in_no_database_project_event_or_answer(worked, tmp_path):
    house, secret = worked, "Very-Secret-4711"
    content = design("one", secret="${secret:word}")
    refused = house.ended(house.deploy("without", content)[1], "failed")
    assert "secret word is needed" in refused["error"]
    path, job = house.deploy("shop", content, secrets={"word": secret})
    house.ended(job)
    told = [house.ann.get(one).text for one in (path, f"{path}/state", f"/v1/jobs/{job}", f"/v1/jobs/{job}/events", "/v1/audit")]
    assert not [text for text in told if secret in text]
    database = house.eve.app.runtime.db.engine.url.database
    with sqlite3.connect(database) as connection:
        assert not [line for line in connection.iterdump() if secret in line or secret.encode().hex().upper() in line]
    kept = [file for file in (tmp_path / "data").rglob("*") if file.is_file()]
    assert kept and not [file for file in kept if secret in file.read_text(errors="ignore")]


def test_only_the_last_runs_are_kept_and_nobody_else_reads_them(worked, tmp_path):
    house = worked
    path, job = house.deploy("shop", design("one"))
    house.ended(job)
    for content in ("a", "b", "c"):
        job = house.done(f"{path}/update", inputs={"content": content})["id"]
    kept = list((tmp_path / "data").glob("*/*"))
    assert len(kept) == 2 and any(folder.name.startswith(job) for folder in kept)
    assert (kept[0] / "playbook.json").exists() and (kept[0] / "output.txt").stat().st_mode & 0o777 == 0o600
    assert not list((tmp_path / "run").iterdir())


def test_changes_name_what_they_were_made_on(worked):
    house = worked
    path, job = house.deploy("shop", design("one"))
    house.ended(job)
    tag = house.ann.get(path).headers["ETag"]
    assert house.ann.put(path, json={"description": "x"}).status_code == 428
    assert house.ann.put(path, json={"description": "x"}, headers={"If-Match": tag}).json()["description"] == "x"
    assert house.ann.post(f"{path}/update", json={}, headers={"If-Match": tag}).status_code == 412
    assert house.ann.put(path, json={"scope": "public-project"}, headers={"If-Match": "*"}).json()["code"] == "auth.forbidden"


@pytest.mark.parametrize("house", [{"quota": {"topologies": 1, "nodes_per_topology": 1}}], indirect=True)
def test_quotas_hold(house):
    house.store("two", design("one", "two"))
    refused = house.post("topologies", name="shop", design="two", pool="disk")
    assert (refused.status_code, refused.json()["resource"]) == (403, "nodes_per_topology")
    house.deploy("first", design("one"))
    assert house.post("topologies", name="second", design="first-design", pool="disk").json()["resource"] == "topologies"


def test_originals_paths_answer(worked):
    house = worked
    house.store("two", design("one", "two"))
    base = "/1/p1/infrastructure_topology_list"
    answer = house.ann.post(base, json={"name": "shop", "design": "two", "pool": "disk"})
    assert (answer.status_code, answer.json()["state"]) == (202, "initiated")
    job = answer.json()["id"]
    house.ended(job)
    assert house.get(f"/eden/1/p1/job_list/{job}")["state"] == "succeeded"
    listed = house.get(base)["infrastructure_topology_list"]
    assert [(one["name"], one["state"]) for one in listed] == [("shop", "urn:com:hp:iaasc:eve:provision:succeeded")]
    one = house.get(listed[0]["uri"])
    assert one["realized_server_group_list"] == [] and one["jobUri"].endswith(job)
    house.ended(house.ann.delete(listed[0]["uri"]).json()["id"])
    assert house.get(base)["infrastructure_topology_list"] == []


def test_commands_do_it_all(worked, monkeypatch, tmp_path):
    house = worked

    def run(*words, code=0):
        done = CliRunner().invoke(cli.eve, words)
        assert done.exit_code == code, done.output
        return done.output

    client = Eve(Session(auth=token_endpoint.Token(house.eve.url, house.ann.headers["X-Auth-Token"])), endpoint=house.eve.url)
    monkeypatch.setattr(commands, "connect", lambda kind, cloud, socket: client)
    house.store("two", design("one", "two", most=3))
    told = run("topology", "plan", "--design", "two", "--pool", "disk", "--name", "shop")
    assert "create  file  one" in told and "quota {'default': {'files': 2}}" in told
    made = run("topology", "deploy", "shop", "--design", "two", "--pool", "disk", "-i", "content=said")
    assert "succeeded  two: create" in made and "first: [" in made
    assert "shop" in run("topology", "list") and "completed" in run("topology", "show", "shop")
    run("topology", "scale", "shop", "two=2")
    assert "shop.csar" in run("topology", "export", "shop", "-o", str(tmp_path / "shop.csar"))
    assert (tmp_path / "shop.csar").read_bytes().startswith(b"PK")
    assert house.files() == [("one", "said"), ("two", "said"), ("two-2", "said")]
    (house.disk / "broken").write_text("one")
    failed = run("topology", "update", "shop", "-i", "content=new", code=1)
    assert "file one cannot be made" in failed and "cloudos eve job retry" in failed
    job = house.get("/v1/jobs")["jobs"][0]["id"]
    (house.disk / "broken").unlink()
    assert "initiated" in run("job", "retry", job)
    house.ended(job)
    assert "succeeded" in run("job", "list") and "failure" in run("job", "events", job)
    run("topology", "update", "shop", "--choice", "one.content=chosen")
    assert house.files()[0] == ("one", "chosen") and "NODE.WHAT=NAME" in run("topology", "update", "shop", "--choice", "one=x", code=2)
    run("topology", "undeploy", "shop")
    assert "inactive" in run("topology", "list")
    run("topology", "delete", "shop")
    assert "No topology shop" in run("topology", "show", "shop", code=1) and house.files() == []


def test_directories_of_dead_workers_are_swept(tmp_path):
    from cloudos.eve.jobs import workplace

    for name, pid in (("dead", "999999999"), ("alive", str(os.getpid()))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pid").write_text(pid)
        (tmp_path / name / "clouds.yaml").write_text("x")
    assert workplace.sweep(tmp_path) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["alive"]


def test_jobs_tell_nothing_but_the_order(worked):
    house = worked
    _, job = house.deploy("shop", design("one"), secrets={"unused": "Very-Secret-0815"})
    with house.eve.app.runtime.db.session(reading=True) as session:
        input = session.scalar(sa.select(Job.input).where(Job.id == job))
    assert set(input) == {"topology", "verb", "wanted", "pools", "on_failure"} and "Very-Secret" not in str(input)
    house.ended(job)
