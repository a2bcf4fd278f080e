"""Module volume_group with real disks' contents; LVM is played, because not every kernel under these tests has a device mapper.

The scenario tests/lab/test_volume_lvm.py has the real one.
"""

import json
import os
import subprocess
import sys

import pytest
from kit import Story, run_module, twelve_cases

LVM = f"""#!{sys.executable}
import json, os, sys
command, arguments = os.path.basename(sys.argv[0]), sys.argv[1:]
file = "STATE"
state = json.load(open(file))
def told(kind, rows): print(json.dumps({{"report": [{{kind: rows}}]}}))
size = len(state["disks"]) * 100
free = size - state["pool"]
match command:
    case "vgs": told("vg", [{{"vg_name": "cinder-volumes", "vg_size": str(size), "vg_free": str(free)}}] if state["disks"] else [])
    case "pvs": told("pv", [{{"pv_name": disk, "vg_name": "cinder-volumes"}} for disk in state["disks"]])
    case "lvs": told("lv", [{{"lv_name": "cinder-volumes-pool", "vg_name": "cinder-volumes"}}] if state["pool"] else [])
    case "vgcreate" | "vgextend": state["disks"].append(arguments[-1])
    case "lvcreate" | "lvextend":
        if os.path.exists(file + ".broken"): sys.exit("insufficient free space")
        state["pool"] += free * 95 // 100
json.dump(state, open(file, "w"))
"""
COMMANDS = ("vgs", "pvs", "lvs", "pvcreate", "vgcreate", "vgextend", "lvcreate", "lvextend")


@pytest.fixture
def lvm(tmp_path, monkeypatch):
    """The state of LVM, a file; disks d1 and d2 of 8 MiB lie beside it."""
    (tmp_path / "bin").mkdir()
    state = tmp_path / "lvm.json"
    state.write_text('{"disks": [], "pool": 0}')
    for name in COMMANDS:
        (tmp_path / "bin" / name).write_text(LVM.replace("STATE", str(state)))
        (tmp_path / "bin" / name).chmod(0o755)
    for name in ("d1", "d2"):
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, 8 << 20)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return state


def disks(lvm, *names, **more):
    return {"devices": {name: {"device": str(lvm.parent / name), **more} for name in names}}


def test_made_and_grown_in_the_twelve_cases(lvm):
    create, change = disks(lvm, "d1"), disks(lvm, "d1", "d2")
    twelve_cases(Story("volume_group", create, change, None, state=lambda: json.loads(lvm.read_text())))
    assert json.loads(lvm.read_text())["pool"] > 180, "the pool grows with the group"


def test_the_difference_tells_disks_and_pool(lvm):
    diff = run_module("volume_group", check=True, **disks(lvm, "d1"))["diff"]
    assert [entry["after_header"] for entry in diff] == ["d1", "pool"]
    assert diff[1]["after"] == "cinder-volumes-pool fills cinder-volumes"


def test_what_a_killed_run_left_is_completed(lvm):
    (lvm.parent / "lvm.json.broken").touch()
    assert "insufficient free space" in run_module("volume_group", **disks(lvm, "d1"))["msg"]
    (lvm.parent / "lvm.json.broken").unlink()
    assert run_module("volume_group", **disks(lvm, "d1"))["changed"]
    assert json.loads(lvm.read_text()) == {"disks": [str(lvm.parent / "d1")], "pool": 95}


def test_a_disk_that_holds_something_is_left_alone_unless_it_is_named(lvm):
    subprocess.run(["mkswap", lvm.parent / "d1"], check=True, capture_output=True)
    shown = subprocess.run(["blkid", "-p", "-s", "UUID", "-o", "value", lvm.parent / "d1"], check=True, capture_output=True, text=True)
    uuid = shown.stdout.strip()
    for check in (True, False):
        told = run_module("volume_group", check=check, **disks(lvm, "d1"))
        assert "volume disk d1" in told["msg"] and f"give the disk `erase: {uuid}`" in told["msg"]
    assert json.loads(lvm.read_text())["disks"] == []
    assert run_module("volume_group", **disks(lvm, "d1", erase=uuid))["changed"]
    assert not run_module("volume_group", **disks(lvm, "d1", erase=uuid))["changed"]


def test_data_without_a_signature_is_not_lost(lvm):
    with open(lvm.parent / "d1", "r+b") as disk:
        disk.seek(1 << 20)
        disk.write(b"somebody's")
    assert "holds data of an unknown kind (unknown)" in run_module("volume_group", **disks(lvm, "d1"))["msg"]


def test_a_disk_that_is_not_there_is_told(lvm):
    told = run_module("volume_group", **disks(lvm, "d3"))
    assert f"there is no {lvm.parent / 'd3'}" in told["msg"] and "correct its device in the inventory" in told["msg"]


def test_without_disks_there_must_be_a_group(lvm):
    told = run_module("volume_group", devices={})
    assert "there is no volume group cinder-volumes" in told["msg"] and "volume.devices" in told["msg"]
    lvm.write_text(json.dumps({"disks": ["/dev/somewhere"], "pool": 0}))
    told = run_module("volume_group", devices={})
    assert told["changed"] and json.loads(lvm.read_text())["pool"] == 95
    assert told["size"] == 100


def test_a_group_is_foreseen_on_a_blank_node(lvm, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda *_args, **_options: None)
    assert run_module("volume_group", check=True, **disks(lvm, "d1"))["changed"]
