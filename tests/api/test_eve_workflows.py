"""Workflows over HTTP: shown, planned, refused, run as jobs with tasks, failed, retried where they stopped, cancelled."""

import pytest
from click.testing import CliRunner
from keystoneauth1 import token_endpoint
from keystoneauth1.session import Session

from cloudos.eden import commands
from cloudos.eve import cli
from cloudos.eve.client import Eve
from tests.api import eve, kit
from tests.api.focus import csar

DESIGN = """\
tosca_definitions_version: tosca_simple_yaml_1_3
node_types:
  my.Program:
    derived_from: tosca.nodes.Compute
    interfaces:
      Standard: {type: tosca.interfaces.node.lifecycle.Standard, operations: {start: say.sh, stop: say.sh, configure: fail.sh}}
  toy.nodes.Program: {derived_from: my.Program, interfaces: {Standard: {operations: {configure: ok.sh}}}}
  my.Backup: {derived_from: tosca.nodes.Root}
interface_types: {my.Care: {derived_from: tosca.interfaces.Root, operations: {try: {}, wait: {inputs: {word: {type: string}}}}}}
topology_template:
  node_templates:
    a:
      type: toy.nodes.Program
      interfaces: {Care: {type: my.Care, operations: {try: fail.sh, wait: wait.sh}}}
  workflows:
    nightly:
      inputs: {word: {type: string}}
      preconditions: [{target: a, condition: [{state: [{valid_values: [started, error]}]}]}]
      steps:
        stop: {target: a, activities: [{delegate: stop}], on_success: [try]}
        try: {target: a, activities: [{call_operation: Care.try}], on_success: [end]}
        end: {target: a, activities: [{set_state: error}]}
    long: {steps: {wait: {target: a, activities: [{call_operation: {operation: Care.wait, inputs: {word: x}}}]}}}
"""


@pytest.fixture
def house(tmp_path, monkeypatch):
    yield from eve.house(tmp_path, monkeypatch)


@pytest.fixture
def shop(house):
    """(house, path of a deployed topology); fail.sh fails while the file `bad` is there."""
    house.ann = house.eve.as_("ann", "p1", "architect")
    house.worker()
    disk = house.disk
    files = {"say.sh": f"echo said >> {disk}/said\n", "ok.sh": "true\n", "fail.sh": f"[ ! -e {disk}/bad ]\n",
             "wait.sh": f"touch {disk}/waiting; sleep 60\n", "t.yaml": DESIGN}  # fmt: skip
    meta = b"TOSCA-Meta-File-Version: 1.1\nCSAR-Version: 1.1\nCreated-By: test\nEntry-Definitions: t.yaml\n"
    archive = csar(**{"TOSCA-Metadata/TOSCA.meta": meta, **{name: text.encode() for name, text in files.items()}})
    house.store("shop-design", archive, media="application/zip")
    path, job = house.deploy("shop", design="shop-design")
    house.ended(job)
    return house, path


def test_a_workflow_is_shown_planned_run_failed_and_retried(shop, monkeypatch):
    house, path = shop
    found = house.get(f"{path}/workflows")
    assert [one["name"] for one in found["workflows"]] == ["nightly", "long"] and found["runs"] == []
    assert found["workflows"][0]["inputs"] == {"word": {"type": "string", "required": True, "default": None}}
    flows = f"{path}/workflows/nightly"
    planned = house.ann.post(f"{flows}/plan", json={"inputs": {"word": "x"}}).json()
    assert [unit["step"] for unit in planned["units"]] == ["stop", "stop", "try", "end"]
    assert not house.get("/v1/jobs?kind=eve.workflow")["jobs"]
    for url, body, status, code in ((flows, {}, 400, "design.undeployable"), (f"{path}/workflows/weekly", {}, 404, "not_found"),
                                    (flows, {"inputs": {"word": 1, "no": 2}}, 400, "design.undeployable")):  # fmt: skip
        refused = house.ann.post(url, json=body)
        assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text
    member = house.eve.as_("ann", "p1", "member").post(flows, json={"inputs": {"word": "x"}})
    assert member.status_code == 403 and "would run on the machine" in member.json()["detail"]
    assert "It wants one of the roles architect, admin." in member.json()["detail"]

    (house.disk / "bad").touch()
    job = house.ann.post(flows, json={"inputs": {"word": "x"}}).json()["id"]
    ended = house.ended(job, "failed")
    assert "node a, operation try: try a" in ended["error"]
    assert [(task["name"], task["state"]) for task in ended["tasks"]] == [
        ("stop: stop a", "succeeded"), ("stop: configured a", "succeeded"), ("try: try a", "failed"),
        ("end: error a", "initiated")]  # fmt: skip
    assert house.get(path)["fault"]["operation"] == "try: try a"
    assert house.get(f"{path}/state")["state"]["states"] == {"a": "configured"}
    (house.disk / "bad").unlink()
    assert house.ann.post(f"/v1/jobs/{job}/retry").status_code == 202
    ended = house.ended(job)
    assert ended["result"]["run"]["status"] == "succeeded" and house.get(path)["status"] == "completed"
    assert (house.disk / "said").read_text() == "said\nsaid\n", "started once, stopped once"
    assert [(run["id"], run["status"]) for run in house.get(f"{path}/workflows")["runs"]] == [(job, "succeeded")]

    client = Eve(Session(auth=token_endpoint.Token(house.eve.url, house.ann.headers["X-Auth-Token"])), endpoint=house.eve.url)
    monkeypatch.setattr(commands, "connect", lambda kind, cloud, socket: client)

    def command(*words, code=0):
        done = CliRunner().invoke(cli.eve, ["topology", "workflow", *words])
        assert done.exit_code == code, done.output
        return done.output

    assert "succeeded" in command("show", "shop")
    assert "try: call_operation Care.try" in command("run", "shop", "nightly", "-i", "word=x", "--check")
    assert "succeeded  end: error a" in command("run", "shop", "nightly", "-i", "word=x")


def test_a_precondition_that_does_not_hold_refuses_and_a_cancel_ends_it(shop):
    house, path = shop
    (house.disk / "bad").touch()
    house.done(f"{path}/workflows/nightly", "failed", inputs={"word": "x"})
    refused = house.ann.post(f"{path}/workflows/nightly", json={"inputs": {"word": "x"}})
    assert (refused.status_code, refused.json()["code"]) == (409, "workflow.refused") and "a is configured" in refused.json()["detail"]
    job = house.ann.post(f"{path}/workflows/long").json()
    kit.until((house.disk / "waiting").exists, 60)
    assert house.ann.post(f"{path}/workflows/nightly", json={"inputs": {"word": "x"}}).json()["code"] == "topology.locked"
    assert house.ann.post(f"/v1/jobs/{job['id']}/cancel").status_code == 202
    house.ended(job["id"], "cancel-succeeded")
    assert "was cancelled" in house.get(path)["fault"]["cause"]
