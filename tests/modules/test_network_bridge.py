"""Module network_bridge against a real Open vSwitch of its own, whose datapath is the dummy one."""

import json
import subprocess
import time

import pytest
from kit import Story, run_module, twelve_cases

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


@pytest.fixture(scope="module")
def switch(tmp_path_factory):
    """Where the database of a running Open vSwitch listens."""
    work = tmp_path_factory.mktemp("ovs")
    database = f"unix:{work}/db.sock"
    subprocess.run(["ovsdb-tool", "create", f"{work}/conf.db", SCHEMA], check=True)
    common = ["--no-chdir", "-vconsole:off", "--unixctl"]
    server = subprocess.Popen(["ovsdb-server", f"--remote=p{database}", *common, f"{work}/s.ctl", f"{work}/conf.db"])
    daemon = None
    try:
        for _ in range(100):
            if (work / "db.sock").exists():
                break
            time.sleep(0.05)
        subprocess.run(["ovs-vsctl", f"--db={database}", "--no-wait", "init"], check=True)
        daemon = subprocess.Popen(
            ["ovs-vswitchd", "--enable-dummy=override", "--disable-system", *common, f"{work}/v.ctl", database]
        )
        yield database
    finally:
        for process in filter(None, (daemon, server)):
            process.terminate()
            process.wait()


def state(database):
    shown = subprocess.run(
        [
            "ovs-vsctl",
            f"--db={database}",
            "--format=json",
            "--columns=name,datapath_type,external_ids",
            "list",
            "Bridge",
            "--",
            "--columns=external_ids",
            "list",
            "Open_vSwitch",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line)["data"] for line in shown.stdout.splitlines()]


def test_twelve_cases(switch):
    bridge = {"name": "br-test", "database": switch, "datapath_type": "netdev", "network": "external"}
    twelve_cases(Story(
        "network_bridge",
        create=bridge,
        change={**bridge, "external_ids": {"owner": "cloud os"}, "mtu": 1400, "interface": "p1"},
        remove={"name": "br-test", "database": switch, "state": "absent"},
        state=lambda: state(switch),
    ))  # fmt: skip


def test_mappings_of_other_bridges_are_left_alone(switch):
    run_module("network_bridge", name="br-a", database=switch, network="a")
    second = run_module("network_bridge", name="br-b", database=switch, network="b", interface="p2")
    assert second["ports"] == ["p2"]
    run_module("network_bridge", name="br-a", database=switch, state="absent")
    assert state(switch)[1] == [[["map", [["ovn-bridge-mappings", "b:br-b"]]]]]


def test_a_node_without_open_vswitch_is_told_what_would_come(tmp_path):
    told = run_module("network_bridge", check=True, name="br-ex", database=f"unix:{tmp_path}/none", interface="eth1")
    assert told["changed"]
    assert told["diff"][0]["after"] == "br-ex"
