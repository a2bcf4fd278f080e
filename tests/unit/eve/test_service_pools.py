"""Pools of an order: profiles, bindings of Graffiti, what the operator alone may say, what runs on the controller."""

from types import SimpleNamespace

import pytest

from cloudos.eve.api import ordering
from cloudos.eve.engine.plan import Plan, Step
from cloudos.eve.graph import Graph, Resource
from cloudos.eve.jobs import designs, pools
from cloudos.eve.jobs.faults import ProfileWrong, Undeployable
from cloudos.eve.quota import Survey

GUEST = {"id": "i1", "name": "guest"}
BINDING = {"kind": "resource_pool_binding", "name": "shop", "binding": "1", "policy": {}, "expires_at": None,
           "pools": {"default": {"pool": "7"}, "default-2": {"pool": "8"}},
           "placement": {"web": "default", "db": "default", "far": "default-2"},
           "choices": {"web": {"flavor": {"id": "f1", "name": "small", "count": 2}, "image": GUEST},
                       "db": {"flavor": {"id": "f2", "name": "large"}, "image": GUEST}, "far": {"image": GUEST}}}  # fmt: skip


@pytest.fixture
def places(monkeypatch):
    known = {one: {"source": "graffiti", "provider": "openstack", "login": {}, "defaults": {}, "ref": one, "name": f"pool {one}"}
             for one in ("7", "8")}  # fmt: skip
    known[None] = {"source": "own", "provider": "openstack", "login": {}, "defaults": {}, "ref": None}
    monkeypatch.setattr(pools.Places, "_resolve", lambda self, reference: known[reference])
    call = SimpleNamespace(runtime=SimpleNamespace(conf=SimpleNamespace(api=SimpleNamespace(auth_strategy="keystone"))))
    return lambda body, profile, **before: pools.Places(call, body, profile, "values", before)


def test_a_binding_is_a_profile_with_a_pool_for_each_cloud_and_choices_for_each_node(places):
    found = places({}, designs.judged("b", BINDING))
    assert found.placement == BINDING["placement"] and found.choices == BINDING["choices"]
    assert {name: (one["ref"], one["login"], one["defaults"]) for name, one in found.pools.items()} == {
        "default": ("7", {"cloud": "default"}, {}), "default-2": ("8", {"cloud": "default-2"}, {})}  # fmt: skip


def test_an_export_says_pools_and_choices_by_names(places):
    found = places({"defaults": {"user": "debian"}}, designs.judged("b", BINDING))
    profile = pools.profile_of(found.pools, found.choices)
    assert profile["pools"]["default"] == {"provider": "openstack", "pool": "pool 7", "defaults": {"user": "debian"}}
    assert profile["choices"]["web"] == {"flavor": {"name": "small"}, "image": {"name": "guest"}}, "other clouds have other ids"
    assert designs.judged("again", profile) == profile


def test_what_the_body_says_wins_over_the_profile(places):
    profile = {"pools": {"default": {"pool": "7", "defaults": {"flavor": "a", "image": "b"}}}, "placement": {"web": "x"},
               "choices": {"web": {"flavor": {"name": "small"}, "image": GUEST}}}  # fmt: skip
    body = {"defaults": {"flavor": "c"}, "placement": {"web": "y"}, "choices": {"web": {"flavor": {"name": "large"}}}}
    found = places(body, profile)
    assert found.pools["default"]["defaults"] == {"flavor": "c", "image": "b"} and found.pools["default"]["source"] == "graffiti"
    assert found.placement == {"web": "y"} and found.choices == {"web": {"flavor": {"name": "large"}, "image": GUEST}}
    assert list(places({}, {}).pools) == ["default"] and places({}, {}).pools["default"]["source"] == "own"


def test_what_an_update_does_not_name_stays(places):
    before = vars(places({}, designs.judged("b", BINDING)))
    kept = {name: before[name] for name in ("pools", "placement", "choices")}
    found = places({"defaults": {"user": "debian"}, "choices": {"db": {"flavor": {"name": "huge"}}}}, {}, **kept)
    assert found.placement == BINDING["placement"] and list(found.pools) == ["default", "default-2"]
    assert found.pools["default"]["defaults"] == {"user": "debian"} and kept["pools"]["default"]["defaults"] == {}
    assert found.choices == {**BINDING["choices"], "db": {"flavor": {"name": "huge"}, "image": GUEST}}
    other = places({"pool": "8"}, {}, **kept)
    assert [one["ref"] for one in other.pools.values()] == ["8", "8"] and other.choices == BINDING["choices"]


@pytest.mark.parametrize("content", [
    [], "text", {"pools": {"a": "b"}}, {"instances": {"web": "two"}}, {"placement": {"web": 1}}, {"strange": 1}, {"inputs": []},
    {"choices": {"web": {"flavor": "small"}}}, {"choices": {"web": {"flavor": {"id": "f1"}}}}, {"choices": {"web": []}},
], ids=str)  # fmt: skip
def test_what_is_no_profile_is_refused(content):
    with pytest.raises(ProfileWrong, match="is no deployment profile"):
        designs.judged("values", content)


@pytest.mark.parametrize("content", [
    {"kind": "resource_pool_binding", "nodes": {"web": {"resource_pool_ref": "7", "requirements": {"flavor": {"id": "f", "name": "s"}}}}},
    {"pools": {"default": {"pool": "east", "defaults": {"flavor": "small", "chosen": ["flavor"]}}}},
], ids=["binding", "export"])  # fmt: skip
def test_an_earlier_shape_is_refused_with_what_to_do(content):
    with pytest.raises(ProfileWrong, match=r"earlier shape.*bind the template, or export the topology, once more"):
        designs.judged("values", content)


@pytest.mark.parametrize("key", pools.OPERATORS_ONLY)
def test_how_servers_are_logged_in_to_without_ssh_is_the_operators(places, key):
    for body, profile in (({"defaults": {key: "local"}}, {}), ({}, {"pools": {"default": {"defaults": {key: "local"}}}})):
        with pytest.raises(ProfileWrong, match=key):
            places(body, profile)


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
    plan = Plan("t", {}, [], Graph(), peak={"far": {"instances": 1}})
    order = ordering.Wanted({"design": {"reference": "d"}}, {}, b"", plan=plan, surveys=found)
    ordering.demand_room(order)
    plan.peak = {"mine": {"instances": 1}}
    with pytest.raises(Undeployable) as told:
        ordering.demand_room(order)
    assert told.value.facts["errors"][0]["message"] == "quota instances: 1 of 1 are used, 1 more are wanted"
