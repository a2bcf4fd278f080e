"""Pools of an order: profiles, bindings of Graffiti, what the operator alone may say, what runs on the controller."""

from types import SimpleNamespace

import pytest

from cloudos.eve import designs, ordering, pools
from cloudos.eve.faults import ProfileWrong, Undeployable
from cloudos.eve.graph import Graph, Resource
from cloudos.eve.plan import Plan, Step
from cloudos.eve.quota import Survey

BINDING = {"kind": "resource_pool_binding", "nodes": {
    "web": {"resource_pool_ref": "7", "requirements": {"flavor": {"id": "f1", "name": "small"}, "image": {"id": "i1", "name": "guest"}}},
    "db": {"resource_pool_ref": "7", "requirements": {"flavor": {"id": "f2", "name": "large"}, "image": {"id": "i1", "name": "guest"}}},
    "api": {"resource_pool_ref": "7",
            "requirements": {"image": {"id": "i1", "name": "guest"}, "flavor": {"id": "f1", "name": "small"}}}}}  # fmt: skip


@pytest.fixture
def chosen(monkeypatch):
    known = {"7": {"source": "graffiti", "provider": "openstack", "login": {}, "defaults": {}, "ref": "7"},
             None: {"source": "own", "provider": "openstack", "login": {}, "defaults": {}, "ref": None}}  # fmt: skip
    monkeypatch.setattr(pools.Chosen, "_resolve", lambda self, reference: known[reference])
    conf = SimpleNamespace(api=SimpleNamespace(auth_strategy="keystone"))
    return lambda body, profile: pools.Chosen(SimpleNamespace(runtime=SimpleNamespace(conf=conf)), body, profile, "values")


def test_a_binding_places_nodes_with_what_was_chosen_for_them(chosen):
    found = chosen({}, designs.judged("b", BINDING))
    assert found.placement == {"api": "default", "db": "default-2", "web": "default"}
    assert found.pools["default"]["defaults"] == {"flavor": "f1", "image": "i1", "chosen": ["flavor", "image"]}
    assert found.pools["default-2"]["defaults"] == {"flavor": "f2", "image": "i1", "chosen": ["flavor", "image"]}
    assert found.pools["default-2"]["login"] == {"cloud": "default-2"}


def test_a_bound_volume_type_is_applied_and_shares_the_entry_of_the_servers(chosen):
    disk = {"resource_pool_ref": "7", "requirements": {"volume_type": {"id": "v1", "name": "fast"}}}
    found = chosen({}, designs.judged("b", {**BINDING, "nodes": {**BINDING["nodes"], "disk": disk}}))
    assert found.placement["disk"] == found.placement["web"] == "default", "one call makes both"
    assert found.pools["default"]["defaults"] == {"flavor": "f1", "image": "i1", "volume_type": "fast",
                                                  "chosen": ["flavor", "image", "volume_type"]}, "Cinder shows types by name"
    profile = pools.profile_of(found.pools)
    assert profile["default"]["defaults"] == {"flavor": "small", "image": "guest", "volume_type": "fast",
                                              "chosen": ["flavor", "image", "volume_type"]}, "other clouds have other ids"


def test_what_the_body_says_wins_over_the_profile(chosen):
    profile = {"pools": {"default": {"pool": "7", "defaults": {"flavor": "a", "image": "b"}}}, "placement": {"web": "x"}}
    found = chosen({"defaults": {"flavor": "c"}, "placement": {"web": "y"}}, profile)
    assert found.pools["default"]["defaults"] == {"flavor": "c", "image": "b"} and found.pools["default"]["source"] == "graffiti"
    assert found.placement == {"web": "y"}
    assert list(chosen({}, {}).pools) == ["default"] and chosen({}, {}).pools["default"]["source"] == "own"


@pytest.mark.parametrize("content", [
    [], "text", {"pools": {"a": "b"}}, {"instances": {"web": "two"}}, {"placement": {"web": 1}}, {"strange": 1}, {"inputs": []},
    {"kind": "resource_pool_binding", "nodes": {"web": {"requirements": {"flavor": {}}}}},
], ids=str)  # fmt: skip
def test_what_is_no_profile_is_refused(content):
    with pytest.raises(ProfileWrong, match="is no deployment profile"):
        designs.judged("values", content)


@pytest.mark.parametrize("key", pools.OPERATORS_ONLY)
def test_how_servers_are_logged_in_to_without_ssh_is_the_operators(chosen, key):
    with pytest.raises(ProfileWrong, match=key):
        chosen({"defaults": {key: "local"}}, {})


@pytest.mark.parametrize(("arguments", "there"), [
    ({"hosts": {"s": {"address": "a"}}, "how": {"kind": "script"}}, False),
    ({"hosts": {"s": {"address": "a"}}, "how": {"kind": "ansible"}}, True),
    ({"hosts": {"s": {"address": "a"}}, "how": {"kind": "script"}, "undo": {"how": {"kind": "ansible"}}}, True),
    ({"hosts": {"s": {"address": "a", "connection": "local"}}, "how": {"kind": "script"}}, True),
    ({"hosts": {}, "how": {"kind": "script"}}, True),
], ids=str)  # fmt: skip
def test_what_runs_on_the_controller_is_seen(arguments, there):
    step = Step("one", "run", Resource("one", "operation", "web", "", arguments))
    assert pools.runs_on_the_controller(Plan("t", {"one": step}, [], Graph())) == (["one"] if there else [])


def test_only_what_was_asked_just_now_refuses_an_order(monkeypatch):
    limits = {"instances": {"limit": 1, "used": 1}}
    monkeypatch.setattr(pools.neighbours, "survey", lambda call: Survey(limits))
    known = {"mine": {"source": "own"}, "far": {"source": "graffiti", "quota": limits}, "also": {"source": "own"}}
    found = pools.surveys(None, known)
    assert [found[name].live for name in known] == [True, False, True] and found["mine"] is found["also"]
    plan = Plan("t", {}, [], Graph(), quota={"far": {"instances": 1}})
    order = ordering.Wanted({"design": {"reference": "d"}}, {}, b"", plan=plan, surveys=found)
    ordering.demand_room(order)
    plan.quota = {"mine": {"instances": 1}}
    with pytest.raises(Undeployable) as told:
        ordering.demand_room(order)
    assert told.value.facts["errors"][0]["message"] == "quota instances: 1 of 1 are used, 1 more are wanted"
