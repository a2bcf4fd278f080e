"""Module ceph_client against a cluster in this process."""

import json

import pytest
from fake_ceph import KEY, fake_ceph
from kit import Story, run_module, twelve_cases

OTHER = "AQAAAAAAAAAAABAA/////////////////////w=="
CAPS = {"mon": "profile rbd", "osd": "profile rbd pool=volumes"}


@pytest.fixture
def ceph():
    with fake_ceph() as cluster:
        yield cluster


def arguments(**changes):
    given = {"name": "client.cinder", "key": "${secret:service/cinder/ceph}", "caps": CAPS}
    return {**given, "secrets": {"service/cinder/ceph": KEY}, **changes}


def test_twelve_cases(ceph):
    change = arguments(caps={**CAPS, "mgr": "profile rbd"})
    remove = {"name": "client.cinder", "state": "absent"}
    twelve_cases(Story("ceph_client", arguments(), change, remove, state=lambda: str(ceph.entities)))


def test_a_new_key_replaces_the_old_one_and_neither_is_shown(ceph):
    run_module("ceph_client", **arguments())
    told = run_module("ceph_client", **arguments(secrets={"service/cinder/ceph": OTHER}))
    assert told["diff"][0] == {
        "before_header": "key",
        "after_header": "key",
        "before": "(another)",
        "after": "${secret:service/cinder/ceph}",
    }
    assert ceph.entities["client.cinder"]["key"] == OTHER
    assert KEY not in json.dumps(told)
    assert OTHER not in json.dumps(told)
    assert KEY not in json.dumps(ceph.orders), "keys are data, not words of an order"


def test_what_is_no_key_is_refused_before_anything_changes(ceph):
    told = run_module("ceph_client", **arguments(secrets={"service/cinder/ceph": "geheim!"}))
    assert "the key of client.cinder is no key of Ceph" in told["msg"]
    assert "geheim!" not in told["msg"]
    assert not ceph.entities


def test_a_present_client_needs_a_key(ceph):
    assert "key" in run_module("ceph_client", name="client.cinder")["msg"]


def test_check_mode_without_a_cluster_foresees_the_client(ceph):
    ceph.up = False
    assert run_module("ceph_client", check=True, **arguments())["changed"]
    assert "does not answer" in run_module("ceph_client", **arguments())["msg"]
