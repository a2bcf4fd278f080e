"""What a run's events leave in the state."""

from cloudos.eve.engine.plan import REPLACE, make_plan
from cloudos.eve.engine.progress import Follower
from cloudos.eve.engine.state import State
from cloudos.eve.graph import Graph


def removal(compiled, pools):
    """A state with a network in it, and the plan that removes it."""
    state = State("shop")
    for name, one in compiled("lan: {type: cloudos.nodes.NetworkSegment, properties: {cidr: 10.0.0.0/24}}").resources.items():
        state.have(one, {"id": f"id-of-{name}"})
    return state, make_plan(state, Graph(), pools)


def event(kind, **result):
    return {"event": kind, "event_data": {"task": "Remove", "host": "localhost", "res": result}}


def test_what_a_removal_does_not_find_is_gone(compiled, pools):
    """A worker that was killed when all was removed and before it could note that is followed by one that finds nothing."""
    state, plan = removal(compiled, pools)
    told = []
    follower = Follower(plan, state, {}, told.append, lambda: None, {})
    follower.event({"event": "playbook_on_play_start", "event_data": {"name": "Stage 1"}})
    follower.event(event("runner_on_ok", resources={}))
    assert not state.entries and not follower.failures
    assert {one["action"] for one in told} == {"deleted"} and told[-1]["done"] == told[-1]["total"]


def test_a_removal_that_fails_leaves_what_it_does_not_tell(compiled, pools):
    state, plan = removal(compiled, pools)
    before = set(state.entries)
    follower = Follower(plan, state, {}, lambda one: None, lambda: None, {})
    follower.event({"event": "playbook_on_play_start", "event_data": {"name": "Stage 1"}})
    follower.event(event("runner_on_failed", failure={"cause": "no", "resources": {}}))
    assert set(state.entries) == before and follower.failures


def test_looking_for_what_is_missing_notes_nothing(compiled, pools):
    state, plan = removal(compiled, pools)
    before = set(state.entries)
    follower = Follower(plan, state, {}, lambda one: None, None, {})
    follower.event({"event": "playbook_on_play_start", "event_data": {"name": "Stage 1"}})
    follower.event(event("runner_on_ok", resources={}))
    assert set(state.entries) == before and not follower.seen


def test_a_kill_between_the_two_halves_of_a_replacement_loses_nothing(compiled, pools):
    node = "lan: {type: cloudos.nodes.NetworkSegment, properties: {cidr: %s}}"
    state = State("shop")
    for name, one in compiled(node % "10.0.0.0/24").resources.items():
        state.have(one, {"id": f"id-of-{name}"})
    graph = compiled(node % "10.9.0.0/24")
    plan = make_plan(state, graph, pools)
    assert plan.steps["lan_subnet"].action == REPLACE
    follower = Follower(plan, state, {}, lambda one: None, lambda: None, {})
    follower.event({"event": "playbook_on_play_start", "event_data": {"name": "Stage 1"}})
    follower.event(event("runner_on_ok", resources={"lan_subnet": {"action": "deleted"}}))
    left = make_plan(state, Graph(), pools)
    assert left.steps["lan_subnet"].action == "delete", "undeploy looks for what may have been made meanwhile"
    assert make_plan(state, graph, pools).steps["lan_subnet"].reason == "was begun"
