"""Real lab nodes, on a bridge of their own: made, changed, rebooted, revived, and removed without a trace."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from kit import Story, run_module, twelve_cases

pytestmark = pytest.mark.lab

HOME = Path(os.environ.get("CLOUDOS_HOME") or "~/.cloudos").expanduser()
CLOUD = "labtest"
NETWORK = {
    "cloud": CLOUD,
    "bridge": "cloudos9",
    "gateway": "172.29.9.1",
    "cidr": "172.29.9.0/24",
    "external_cidr": "10.99.9.0/24",
    "external_node": "one",
}
ONE = {"one": "172.29.9.11"}
TWO = {**ONE, "two": "172.29.9.12"}


def lab(nodes=None, **more):
    result = run_module("lab_node", **NETWORK, nodes=nodes or {}, **more)
    assert not result.get("failed"), result["msg"]
    return result


def shown(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def ssh(address, command, check=True):
    access = [
        "-i",
        HOME / "keys/lab",
        "-oBatchMode=yes",
        "-oConnectTimeout=3",
        f"-oUserKnownHostsFile={HOME}/clouds/{CLOUD}/known_hosts",
    ]
    done = subprocess.run(["ssh", *access, f"root@{address}", command], capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def footprint():
    """What labs leave on a machine, without counters and times: another lab may be at work on the same one."""
    links = [
        link["ifname"]
        for link in json.loads(shown("ip", "-json", "link"))
        if "cloudos9" in (link["ifname"], link.get("master"))
    ]
    processes = [
        line for line in shown("ps", "-ww", "-eo", "args").splitlines() if f"/lab/{CLOUD}/" in line and "nspawn" in line
    ]
    return {
        "links": sorted(link if link == "cloudos9" else "member" for link in links),
        "routes": [line for line in shown("ip", "route").splitlines() if "cloudos9" in line],
        "tables": [line for line in shown("nft", "list", "tables").splitlines() if "cloudos9" in line],
        "mounts": [
            line.split()[4]
            for line in Path("/proc/self/mountinfo").read_text().splitlines()
            if f"/lab/{CLOUD}/" in line
        ],
        "processes": len(processes),
        "files": sorted(str(path) for path in HOME.glob(f"lab/{CLOUD}/*"))
        + sorted(map(str, HOME.glob(f"cache/apt/nodes/{CLOUD}-*"))),
        "keys": [line.split()[0] for line in (HOME / f"clouds/{CLOUD}/known_hosts").read_text().splitlines()]
        if (HOME / f"clouds/{CLOUD}/known_hosts").exists()
        else [],
        "loops": [
            line
            for line in shown("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE").splitlines()
            if "lab-test-image" in line
        ],
    }


@pytest.fixture(autouse=True)
def nothing_left():
    """Each test starts without a lab and ends without one."""
    lab(state="absent")
    yield
    lab(state="absent")
    assert not any(footprint().values()), footprint()


def test_the_twelve_cases():
    twelve_cases(
        Story(
            "lab_node",
            create={**NETWORK, "nodes": ONE},
            change={**NETWORK, "nodes": TWO},
            remove={**NETWORK, "state": "absent"},
            state=footprint,
        )
    )


def test_a_node_is_a_machine_of_its_own():
    lab(TWO)  # makes the base where it is not there yet
    lab(state="absent")
    start = time.monotonic()
    lab(TWO)
    took = time.monotonic() - start
    print(f"two nodes reached by SSH after {took:.1f} s")
    assert took < 10
    assert ssh("172.29.9.11", "systemctl is-system-running --wait") == "running"
    assert ssh("172.29.9.11", "hostname; getent hosts two one | cut -d' ' -f1").split() == [
        "one",
        "172.29.9.12",
        "172.29.9.11",
    ]
    assert ssh("172.29.9.11", "ping -c1 -W2 172.29.9.12 >/dev/null && cat /etc/machine-id") != ssh(
        "172.29.9.12", "cat /etc/machine-id"
    )
    uplink = json.loads(shown("ip", "-json", "route", "show", "default"))[0]["dev"]
    assert (
        ssh("172.29.9.11", "cat /sys/class/net/host0/mtu") == Path(f"/sys/class/net/{uplink}/mtu").read_text().strip()
    )


def test_a_package_is_downloaded_once_for_all_nodes():
    lab(TWO)
    ssh("172.29.9.11", "apt-get update -q && apt-get install -qy hello")
    said = ssh("172.29.9.12", "apt-get install -y hello")
    assert "Need to get 0 B" in said, said


def test_a_node_reboots_by_itself_and_is_revived_after_a_crash():
    lab(ONE)
    identity, boot = ssh("172.29.9.11", "touch /kept; cat /etc/machine-id"), ssh("172.29.9.11", "stat -c %Y%Z /proc/1")
    ssh("172.29.9.11", "systemctl reboot", check=False)
    deadline = time.monotonic() + 30
    while (now := ssh("172.29.9.11", "stat -c %Y%Z /proc/1", check=False)) in (
        "",
        boot,
    ) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert now not in ("", boot)

    for line in shown("ps", "-ww", "-eo", "pid,args").splitlines():
        if f"/lab/{CLOUD}/one/root" in line:
            os.kill(int(line.split()[0]), signal.SIGKILL)
    time.sleep(0.5)
    assert lab(ONE)["changed"]
    assert ssh("172.29.9.11", "ls /kept && cat /etc/machine-id").split() == ["/kept", identity]
    assert not lab(ONE)["changed"]


def test_loop_devices_of_a_node_are_given_back():
    lab(ONE)
    ssh("172.29.9.11", "truncate -s 20M /lab-test-image && losetup --find --show /lab-test-image")
    assert "lab-test-image" in shown("losetup", "--list")
    lab(state="absent")
    assert "lab-test-image" not in shown("losetup", "--list")


def test_a_half_made_node_is_made_again():
    half = HOME / "lab" / CLOUD / "one"
    (half / "root/etc").mkdir(parents=True)
    assert lab(ONE)["changed"]
    assert ssh("172.29.9.11", "hostname") == "one"


def test_an_address_can_change():
    lab(ONE)
    assert lab({"one": "172.29.9.21"})["changed"]
    assert ssh("172.29.9.21", "hostname") == "one"
    assert "via 172.29.9.21" in shown("ip", "route", "show", "10.99.9.0/24")


def test_a_bridge_of_somebody_else_is_left_alone():
    subprocess.run(["ip", "link", "add", "cloudos9", "type", "bridge"], check=True)
    try:
        result = run_module("lab_node", **NETWORK, nodes=ONE)
        assert result["failed"] and "is no bridge of a lab" in result["msg"]
        assert not lab(state="absent")["changed"]
        assert "cloudos9" in shown("ip", "link")
    finally:
        subprocess.run(["ip", "link", "delete", "cloudos9"], check=True)
