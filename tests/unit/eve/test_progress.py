"""What a run's events leave in the state."""

from cloudos.eve.engine.plan import make_plan
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
