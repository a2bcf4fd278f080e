"""Two topologies of the service at work at the same time: what one uses of the other stays, from the moment in which it begins."""

import pytest
import sqlalchemy as sa

from cloudos.eve.jobs.stored import States
from tests.api import eve, kit
from tests.api.eve import TYPES, design

USED = "  toy.nodes.Used: {derived_from: tosca.nodes.Root, properties: {file: {type: string}}}\ntopology_template:\n"
USER = TYPES.replace("topology_template:\n", USED) + """\
  node_templates:
    there: {type: toy.nodes.Used, properties: {file: net}}
    mine: {type: toy.nodes.File, properties: {seconds: 4}, requirements: [{dependency: there}]}
"""  # fmt: skip


@pytest.fixture
def house(tmp_path, monkeypatch):
    yield from eve.house(tmp_path, monkeypatch)


def test_a_topology_that_begins_holds_what_it_uses(house):
    for _ in range(2):
        house.worker()
    owner, job = house.deploy("owner", design("net"))
    house.ended(job)
    user, using = house.deploy("user", USER.encode())
    kit.until(lambda: ["begin", "mine"] in [line[:2] for line in house.journal()], 90)
    refused = house.done(f"{owner}/undeploy", "failed")
    assert "These stay: net, which user uses" in refused["error"]
    house.ended(using)
    assert [name for name, _ in house.files()] == ["mine", "net"]
    house.done(f"{user}/undeploy")
    house.done(f"{owner}/undeploy")
    assert house.files() == []


def test_what_is_being_removed_is_not_begun_with(house):
    house.worker()
    owner, job = house.deploy("owner", design("net"))
    house.ended(job)
    transact = house.eve.app.runtime.db.transact
    states, mark = States(lambda work: transact(work, reading=True), transact, project="p1"), house.get(owner)["mark"]
    state = states.load(mark)
    state.going = ["net"]
    states.save(state)
    assert states.leaving("other") == [], "a topology of which no job is at work removes nothing"
    with house.eve.app.runtime.db.session() as session:
        session.execute(sa.text("UPDATE topology SET status = 'processing'"))
    _, job = house.deploy("user", USER.encode())
    told = house.ended(job, "failed")["error"]
    assert "there (net of owner) is to be used, and topology owner is removing it" in told
    assert [name for name, _ in house.files()] == ["net"]
