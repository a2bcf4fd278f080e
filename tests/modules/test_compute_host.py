"""Module compute_host against a cloud in this process."""

import itertools

import pytest
from kit import Story, run_module, twelve_cases


@pytest.fixture
def hosts(cloud):
    """Two compute hosts that are up, by name."""
    return {
        name: cloud.add("hosts", binary="nova-compute", host=name, state="up", status="enabled", disabled_reason=None)
        for name in ("cmp1", "cmp2")
    }


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)


def server(cloud, name, status="ACTIVE"):
    return cloud.add("servers", name=name, status=status, host="cmp1", **{"OS-EXT-STS:task_state": None})


def test_twelve_cases(cloud, hosts, login):
    """Disabling is what creates, draining what changes, and use again what removes."""
    server(cloud, "a")
    server(cloud, "b", status="SHUTOFF")
    base = {**login, "name": "cmp1"}
    create = {**base, "state": "disabled", "reason": "new memory"}
    drain = {**base, "state": "drained", "reason": "new memory"}
    twelve_cases(Story("compute_host", create, drain, {**base, "state": "active"}, state=cloud.snapshot))
    assert {one["host"] for one in cloud.store["servers"].values()} == {"cmp2"}
    assert {one["status"] for one in cloud.store["servers"].values()} == {"ACTIVE", "SHUTOFF"}


def test_without_another_host_draining_is_refused_before_anything_changes(cloud, hosts, login):
    server(cloud, "a")
    hosts["cmp2"]["state"] = "down"
    before = cloud.snapshot()
    told = run_module("compute_host", **login, name="cmp1", state="drained")
    assert "no other enabled compute host is up to take the 1 servers of cmp1" in told["msg"]
    assert cloud.snapshot() == before


def test_a_server_that_is_elsewhere_before_its_migration_ends_is_waited_for(cloud, hosts, login, monkeypatch):
    one = server(cloud, "a", status="SHUTOFF")
    one["slow"] = True
    seconds = itertools.count(1)
    monkeypatch.setattr("time.sleep", lambda _: next(seconds) == 3 and one.update(status="VERIFY_RESIZE"))
    assert run_module("compute_host", **login, name="cmp1", state="drained")["servers"] == 0
    assert (one["host"], one["status"]) == ("cmp2", "SHUTOFF")


def test_a_server_that_finds_no_host_is_named(cloud, hosts, login):
    server(cloud, "big")
    hosts["cmp2"]["full"] = True
    told = run_module("compute_host", **login, name="cmp1", state="drained", timeout=5)
    assert "server big" in told["msg"]
    assert "could not be moved away from cmp1" in told["msg"]


def test_servers_can_be_stopped_instead(cloud, hosts, login):
    one = server(cloud, "a")
    del cloud.store["hosts"][hosts["cmp2"]["id"]]
    assert run_module("compute_host", **login, name="cmp1", state="drained", servers="stop")["changed"]
    assert (one["host"], one["status"]) == ("cmp1", "SHUTOFF")
    assert not run_module("compute_host", **login, name="cmp1", state="drained", servers="stop")["changed"]


def test_waiting_ends_with_the_names_of_those_who_stay(cloud, hosts, login):
    server(cloud, "a")
    told = run_module("compute_host", **login, name="cmp1", state="drained", servers="wait", timeout=0)
    assert "still on cmp1: a (ACTIVE)" in told["msg"]


def test_an_unknown_host_is_told_with_the_known_ones(cloud, hosts, login):
    assert "Nova knows cmp1, cmp2" in run_module("compute_host", **login, name="cmp9")["msg"]
