"""Module volume_backend against a cloud in this process."""

import pytest
from kit import Story, run_module, twelve_cases

HOST = "os-vol-host-attr:host"


@pytest.fixture
def backends(cloud):
    """Two back ends that are up, by name."""
    return {
        host: cloud.add("backends", binary="cinder-volume", host=host, state="up", status="enabled", disabled_reason=None)
        for host in ("ctl1@lvm", "ceph@ceph")
    }


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)


def volume(cloud, name):
    return cloud.add("volumes", name=name, migration_status=None, **{HOST: "ctl1@lvm#lvm"})


def test_twelve_cases(cloud, backends, login):
    """Disabling is what creates, draining what changes, and use again what removes."""
    first, second = volume(cloud, "a"), volume(cloud, "b")
    base = {**login, "name": "ctl1@lvm"}
    create = {**base, "state": "disabled", "reason": "new disks"}
    drain = {**base, "state": "drained", "reason": "new disks", "target": "ceph@ceph#ceph"}
    twelve_cases(Story("volume_backend", create, drain, {**base, "state": "active"}, state=cloud.snapshot))
    assert {first[HOST], second[HOST]} == {"ceph@ceph#ceph"}


def test_a_volume_that_cannot_be_moved_is_named(cloud, backends, login):
    volume(cloud, "big")
    backends["ceph@ceph"]["full"] = True
    told = run_module("volume_backend", **login, name="ctl1@lvm", state="drained", target="ceph@ceph#ceph")
    assert "volume big could not be moved to ceph@ceph#ceph" in told["msg"]


def test_an_unknown_target_ends_with_the_apis_words(cloud, backends, login):
    volume(cloud, "a")
    told = run_module("volume_backend", **login, name="ctl1@lvm", state="drained", target="nowhere@x#x")
    assert "No available service named nowhere@x#x" in told["msg"]


def test_without_a_target_draining_waits_and_tells_what_stays(cloud, backends, login):
    volume(cloud, "a")
    told = run_module("volume_backend", **login, name="ctl1@lvm", state="drained", timeout=0)
    assert "still on ctl1@lvm: a" in told["msg"]
    assert backends["ctl1@lvm"]["status"] == "disabled"


def test_an_unknown_back_end_is_told_with_the_known_ones(cloud, backends, login):
    assert "Cinder knows ceph@ceph, ctl1@lvm" in run_module("volume_backend", **login, name="ctl9@lvm")["msg"]
