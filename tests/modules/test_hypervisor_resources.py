"""Module hypervisor_resources on libvirt's own driver for tests, in the Python of the system, which has libvirt's binding."""

import json
import subprocess
import sys
from pathlib import Path

import ansible

SYSTEM = "/usr/bin/python3"
ROOT = Path(__file__).resolve().parents[2]
CALLS = """
import json, libvirt, sys
from kit import run_module
kept = libvirt.open("test:///default")  # what it has lasts as long as somebody is connected
print("RESULTS" + json.dumps([run_module("hypervisor_resources", **call) for call in json.loads(sys.stdin.read())]))
"""
NET = {"name": "net", "kind": "network", "arguments": {"cidr": "10.0.7.0/24", "forward": "nat"}}
DISK = {"name": "disk", "kind": "volume", "arguments": {"size": 1}}
WEB = {"name": "web", "kind": "domain", "arguments": {
    "vcpus": 1, "memory": 256, "volumes": [{"$attribute": ["disk", "id"]}], "networks": [{"$attribute": ["net", "id"]}]}}  # fmt: skip
COMMON = {"uri": "test:///default", "storage_pool": "default-pool", "topology": "shop"}


def calls(*wanted):
    """Results of several calls in one process, as the driver for tests forgets everything at its end."""
    paths = [ROOT / "collections", ROOT / "tests" / "modules", *map(Path, {str(Path(ansible.__file__).parents[1])})]
    done = subprocess.run([SYSTEM, "-c", "import sys; sys.path[:0] = sys.argv[1:]\n" + CALLS, *map(str, paths)],
                          input=json.dumps([{**COMMON, **one} for one in wanted]), text=True, capture_output=True, check=False)  # fmt: skip
    assert "RESULTS" in done.stdout, done.stderr
    return json.loads(done.stdout.split("RESULTS")[1])


def test_twelve_cases_without_change_which_libvirt_replaces():
    everything = {"resources": [WEB, DISK, NET]}
    gone = {**everything, "state": "absent"}
    told = calls({**everything, "check": True}, everything, everything, {**everything, "check": True},
                 {**gone, "check": True}, gone, gone, {**gone, "check": True})  # fmt: skip
    assert not [one["msg"] for one in told if one.get("failed")]
    assert [one["changed"] for one in told] == [True, True, False, False, True, True, False, False]
    assert told[0]["diff"] and {name: one["action"] for name, one in told[1]["resources"].items()} == dict.fromkeys(
        ("web", "disk", "net"), "created")  # fmt: skip
    assert {name: one["action"] for name, one in told[4]["resources"].items()} == dict.fromkeys(("web", "disk", "net"), "found")
    assert told[1]["resources"]["disk"]["path"].endswith("shop-disk")


def test_a_killed_call_is_continued_and_other_topologies_are_left_alone():
    first, second, other, gone, left = calls(
        {"resources": [NET]}, {"resources": [NET, DISK, WEB]}, {"resources": [DISK], "topology": "blog"},
        {"resources": [NET, DISK, WEB], "state": "absent"}, {"resources": [DISK], "topology": "blog", "check": True})  # fmt: skip
    assert second["resources"]["net"]["action"] == "kept" and second["resources"]["net"]["uuid"] == first["resources"]["net"]["uuid"]
    assert other["changed"] and gone["changed"] and not left["changed"]


def test_what_must_exist_and_what_cannot_change_is_told():
    lost = {"name": "corporate", "kind": "network", "existing": True, "arguments": {"name": "corporate"}}
    larger = {**DISK, "arguments": {"size": 2}}
    missing, made, refused = calls({"resources": [lost]}, {"resources": [DISK]}, {"resources": [larger]})
    assert "network corporate is not there" in missing["msg"] and made["changed"]
    assert "volume disk cannot be changed in place" in refused["msg"]
    assert sys.executable != SYSTEM
