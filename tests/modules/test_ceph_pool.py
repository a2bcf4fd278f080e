"""Module ceph_pool against a cluster in this process."""

import pytest
from fake_ceph import fake_ceph
from kit import Story, run_module, twelve_cases


@pytest.fixture
def ceph():
    with fake_ceph() as cluster:
        yield cluster


def test_twelve_cases(ceph):
    create = {"name": "volumes", "size": 1}
    change = {"name": "volumes", "size": 3}
    remove = {"name": "volumes", "state": "absent"}
    twelve_cases(Story("ceph_pool", create, change, remove, state=lambda: str(ceph.pools)))
    assert ceph.config["mon_allow_pool_delete"] is None, "the guard against removal is back"


def test_a_single_copy_is_asked_for_in_earnest(ceph):
    ceph.pools["volumes"] = {"pool_name": "volumes", "size": 3, "application_metadata": {"rbd": {}}}
    run_module("ceph_pool", name="volumes", size=1)
    assert [order["yes_i_really_mean_it"] for order in ceph.orders if order["prefix"] == "osd pool set"] == [True]


def test_the_number_of_placement_groups_is_for_new_pools(ceph):
    assert run_module("ceph_pool", name="volumes", pg_num=32)["size"] == 1
    assert [order["pg_num"] for order in ceph.orders if order["prefix"] == "osd pool create"] == [32]
    assert not run_module("ceph_pool", name="volumes", pg_num=64)["changed"]


def test_a_pool_that_was_not_made_ready_is_completed(ceph):
    ceph.pools["volumes"] = {"pool_name": "volumes", "size": 1, "application_metadata": {}}
    assert run_module("ceph_pool", name="volumes")["changed"]
    assert ceph.pools["volumes"]["application_metadata"] == {"rbd": {}}


def test_another_application_takes_the_pool_over(ceph):
    run_module("ceph_pool", name="objects")
    assert run_module("ceph_pool", name="objects", application="rgw")["changed"]
    assert ceph.pools["objects"]["application_metadata"] == {"rgw": {}}


def test_a_cluster_that_does_not_answer_is_told_and_only_foreseen_in_check_mode(ceph):
    ceph.up = False
    told = run_module("ceph_pool", name="volumes")
    assert "does not answer: [errno 110] RADOS timed out" in told["msg"]
    assert "systemctl status ceph-mon@a" in told["msg"]
    assert run_module("ceph_pool", check=True, name="volumes")["changed"]


def test_a_node_without_the_library_is_told_how_to_get_it():
    assert "apt-get install python3-rados" in run_module("ceph_pool", name="volumes")["msg"]
    assert run_module("ceph_pool", check=True, name="volumes")["changed"]


def test_a_refused_order_ends_with_the_monitors_words(ceph, monkeypatch):
    ceph.pools["volumes"] = {"pool_name": "volumes", "size": 1, "application_metadata": {"rbd": {}}}
    monkeypatch.setitem(ceph.config, "mon_allow_pool_delete", None)
    monkeypatch.setattr(type(ceph), "osd", None)
    ceph.config = type("Locked", (dict,), {"__setitem__": lambda *_: None})()
    assert "pool deletion is disabled" in run_module("ceph_pool", name="volumes", state="absent")["msg"]
