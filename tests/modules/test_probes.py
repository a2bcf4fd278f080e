"""Module probes against a listening socket, commands, a fake systemctl and a cloud in this process."""

import socket
import threading
import time

import pytest
from kit import run_module

UNIT = (
    "Id={name}\nLoadState={load}\nActiveState={active}\nSubState=x\nResult=exit-code\nNRestarts={restarts}\n"
    "ActiveEnterTimestampMonotonic={since}\n"
)


@pytest.fixture
def systemctl(tmp_path, monkeypatch):
    """A function that says what systemctl shows from now on; the journal has one line."""
    for name, script in {
        "systemctl": f"cat {tmp_path}/shown",
        "journalctl": "echo started with admin-password",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def say(active="active", restarts=0, since=1, load="loaded"):
        (tmp_path / "shown").write_text(
            UNIT.format(name="a.service", load=load, active=active, restarts=restarts, since=since)
        )

    return say


def ask(*probes, **changes):
    return run_module("probes", probes=list(probes), **{"timeout": 1, **changes})


def test_probes_pass_side_by_side_and_change_nothing(cloud, login):
    address = cloud.root.split("//")[1].split(":")
    told = ask(
        {"name": "tcp", "kind": "tcp", "host": address[0], "port": int(address[1])},
        {"name": "http", "kind": "http", "url": f"{cloud.root}/identity/v3"},
        {"name": "401 is an answer", "kind": "http", "url": f"{cloud.root}/identity/v3/users"},
        *({"name": f"sleep {number}", "kind": "command", "argv": ["sleep", "0.3"]} for number in range(4)),
        **login,
    )
    assert told["changed"] is False
    assert len(told["seconds"]) == 7
    assert max(told["seconds"].values()) < 1.2


def test_what_comes_later_is_waited_for():
    with socket.socket() as late:
        late.bind(("127.0.0.1", 0))
        threading.Timer(0.8, late.listen).start()
        told = ask({"name": "late", "kind": "tcp", "host": "127.0.0.1", "port": late.getsockname()[1]}, timeout=10)
    assert 0.5 < told["seconds"]["late"] < 3


def test_check_mode_looks_once_and_tells_what_it_would_wait_for():
    start = time.monotonic()
    told = ask({"name": "gone", "kind": "tcp", "host": "127.0.0.1", "port": 1}, timeout=60, check=True)
    assert "Connection refused" in told["would_wait_for"]["gone"]
    assert not told["changed"]
    assert time.monotonic() - start < 5


def test_a_failure_tells_service_unit_cause_and_masked_journal(systemctl):
    systemctl(active="activating", restarts=7)
    told = ask(
        {"name": "a", "service": "nova", "kind": "unit", "unit": "a.service"},
        secrets={"identity/admin": "admin-password"},
    )
    assert told["failure"]["service"] == "nova"
    assert told["failure"]["unit"] == "a.service"
    assert "a.service is activating" in told["failure"]["cause"]
    assert "restarted 7 times" in told["failure"]["cause"]
    assert told["failure"]["log"] == ["started with ${secret:identity/admin}"]


@pytest.mark.parametrize(("shown", "passes"), [
    ({}, True),
    ({"restarts": 3}, True),
    ({"restarts": 3, "since": int(time.monotonic() * 1e6) + 10**9}, False),
    ({"active": "failed"}, False),
    ({"load": "not-found", "active": "inactive"}, False),
])  # fmt: skip
def test_a_unit_must_run_and_not_have_been_restarted_just_now(systemctl, shown, passes):
    systemctl(**shown)
    assert bool(ask({"name": "a", "kind": "unit", "unit": "a.service"}).get("failed")) is not passes


def agent(cloud, binary, host, alive=True):
    return cloud.add("agents", binary=binary, host=host, alive=alive, admin_state_up=True)


def test_agents_must_be_there_and_alive(cloud, login):
    probe = {"name": "agents", "kind": "openstack", "check": "agents", "agents": {"neutron-l3-agent": ["net1"]}}
    assert "lacks any agent, neutron-l3-agent on net1" in ask(probe, **login)["msg"]
    one = agent(cloud, "neutron-l3-agent", "net1", alive=False)
    assert "Neutron lacks neutron-l3-agent on net1" in ask(probe, **login)["msg"]
    one["alive"] = True
    assert ask(probe, **login)["seconds"]
    agent(cloud, "neutron-dhcp-agent", "net1", alive=False)
    assert "reports down: neutron-dhcp-agent on net1" in ask(probe, **login)["msg"]


def test_compute_must_be_up_on_each_host(cloud, login):
    for binary, host in (("nova-scheduler", "ctl1"), ("nova-conductor", "ctl1"), ("nova-compute", "cmp1")):
        cloud.add("hosts", binary=binary, host=host, state="up", status="enabled")
    probe = {"name": "compute", "kind": "openstack", "check": "compute", "hosts": ["cmp1"]}
    assert ask(probe, **login)["seconds"]
    assert "Nova lacks nova-compute on cmp2" in ask({**probe, "hosts": ["cmp1", "cmp2"]}, **login)["msg"]


def test_a_wrong_password_is_told(cloud, login):
    told = ask(
        {"name": "compute", "kind": "openstack", "check": "compute"},
        **{**login, "secrets": {"identity/admin": "wrong"}},
    )
    assert "admin cannot log in at" in told["msg"]


def test_what_can_never_pass_is_refused_at_once():
    start = time.monotonic()
    assert "is of kind ping" in ask({"name": "x", "kind": "ping"}, timeout=60)["msg"]
    assert "does not say how to log in" in ask({"name": "x", "kind": "openstack", "check": "agents"}, timeout=60)["msg"]
    assert time.monotonic() - start < 5


def test_volume_services_must_be_up_with_each_back_end(cloud, login):
    probe = {"name": "volumes", "kind": "openstack", "check": "volumes", "backends": ["ceph"]}
    assert "Cinder lacks cinder-scheduler, back end ceph" in ask(probe, **login)["msg"]
    up = {"state": "up", "status": "enabled"}
    cloud.add("backends", binary="cinder-scheduler", host="ctl1", **up)
    backend = cloud.add("backends", binary="cinder-volume", host="ceph@ceph", ready=False, **up)
    assert "Cinder lacks back end ceph" in ask(probe, **login)["msg"], "its driver has not started yet"
    backend["ready"] = True
    assert ask(probe, **login)["seconds"]
    assert "lacks cinder-backup on ctl1" in ask({**probe, "services": {"cinder-backup": ["ctl1"]}}, **login)["msg"]
    backend["state"] = "down"
    assert "Cinder reports down: cinder-volume on ceph@ceph" in ask({**probe, "backends": None}, **login)["msg"]
    assert "Cinder lacks back end ceph" in ask(probe, **login)["msg"]


def test_volume_services_of_a_back_end_and_a_node_that_left_are_not_missed(cloud, login):
    up, down = {"state": "up", "status": "enabled"}, {"state": "down", "status": "enabled"}
    cloud.add("backends", binary="cinder-scheduler", host="ctl1", **up)
    cloud.add("backends", binary="cinder-volume", host="nfs@nfs", **up)
    cloud.add("backends", binary="cinder-volume", host="ceph@ceph", **down)
    cloud.add("backends", binary="cinder-backup", host="st9", **down)
    probe = {"name": "volumes", "kind": "openstack", "check": "volumes", "backends": ["nfs"]}
    assert ask({**probe, "services": {"cinder-backup": []}}, **login)["seconds"]
    assert "down: cinder-backup on st9" in ask(probe, **login)["msg"]
