"""Module object_ring with Swift's own builder."""

import json
import time
from pathlib import Path

import pytest
from kit import Story, run_module, twelve_cases
from swift.common.ring import Ring, RingBuilder

KINDS = {"account": 6202, "container": 6201, "object": 6200}


@pytest.fixture
def swift(tmp_path, monkeypatch):
    """A directory for the rings, whose settings let partitions move at once."""
    monkeypatch.setattr("swift.common.utils.HASH_PATH_SUFFIX", b"of servers alone")
    return settings(tmp_path, min_part_hours=0)


def settings(directory, **changes):
    values = {"part_power": 6, "replicas": 3, "min_part_hours": 1, **changes}
    text = "".join(f"{key} = {value}\n" for key, value in values.items())
    (directory / "rings.conf").write_text(f"[rings]\n{text}")
    return directory


def arguments(directory, **states):
    """Four devices on two nodes; `states` changes single ones: d4={"state": "drained"}, or None to leave one out."""
    devices = {name: {"weight": 100} for name in ("d1", "d2", "d3", "d4")} | states
    devices = {name: device for name, device in devices.items() if device is not None}
    nodes = [
        {"node": f"sto{zone}", "address": f"192.0.2.{zone}", "region": 1, "zone": zone,
         "devices": {name: device for name, device in devices.items() if name in own}}
        for zone, own in ((1, ("d1", "d2")), (2, ("d3", "d4", "d5")))
    ]  # fmt: skip
    return {"nodes": nodes, "directory": str(directory), "settings": str(directory / "rings.conf"), "group": "root"}


def parts(directory, kind="object"):
    """{device: number of its partitions}."""
    builder = RingBuilder.load(str(directory / f"{kind}.builder"))
    return {device["device"]: device["parts"] for device in builder.devs if device}


def look(directory):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(directory.iterdir())}


def failure(directory, **states):
    before = look(directory)
    told = run_module("object_ring", **arguments(directory, **states))
    assert told.get("failed"), told
    assert look(directory) == before, "a refusal changes nothing"
    return told["msg"]


def test_twelve_cases(swift):
    create = arguments(swift)
    change = arguments(swift, d4={"weight": 0, "state": "drained"}, d1={"weight": 50})
    remove = arguments(swift, d4={"state": "absent"}, d1={"weight": 50})
    twelve_cases(Story("object_ring", create, change, remove, state=lambda: look(swift)))


def test_servers_find_three_replicas_of_every_partition(swift):
    told = run_module("object_ring", **arguments(swift))
    assert told["rings"]["object"]["balance"] < 2
    for kind, port in KINDS.items():
        ring = Ring(str(swift), ring_name=kind)
        for part in range(64):
            nodes = ring.get_part_nodes(part)
            assert len({(node["ip"], node["device"]) for node in nodes}) == 3
            assert {node["ip"] for node in nodes} == {"192.0.2.1", "192.0.2.2"}, "both zones"
            assert {node["port"] for node in nodes} == {port}


def test_a_drained_device_loses_its_partitions_and_stays_in_the_ring(swift):
    run_module("object_ring", **arguments(swift))
    run_module("object_ring", **arguments(swift, d4={"state": "drained"}))
    assert parts(swift)["d4"] == 0
    assert parts(swift)["d1"] == 64


def test_a_device_with_partitions_is_not_taken_out(swift):
    run_module("object_ring", **arguments(swift))
    assert "device d4 of 192.0.2.2 has 48 partitions" in failure(swift, d4={"state": "absent"})


def test_an_undeclared_device_is_refused_with_the_next_step(swift):
    run_module("object_ring", **arguments(swift))
    told = failure(swift, d4=None)
    assert "account ring: device d4 of 192.0.2.2 is not declared" in told
    assert "Next step: declare it in the inventory with state: drained" in told


def test_a_lost_device_is_taken_out_at_once(tmp_path):
    settings(tmp_path, min_part_hours=24)
    run_module("object_ring", **arguments(tmp_path))
    assert run_module("object_ring", **arguments(tmp_path, d4={"state": "lost"}))["changed"]
    assert parts(tmp_path) == {"d1": 64, "d2": 64, "d3": 64}
    assert not run_module("object_ring", **arguments(tmp_path, d4={"state": "lost"}))["changed"]


def test_min_part_hours_is_kept_and_a_later_run_goes_on(tmp_path, monkeypatch):
    settings(tmp_path)
    run_module("object_ring", **arguments(tmp_path))
    run_module("object_ring", **arguments(tmp_path, d4={"state": "drained"}))
    moved = parts(tmp_path)["d4"]
    assert moved == 48, "nothing moves within the hour of the first balance"
    assert not run_module("object_ring", **arguments(tmp_path, d4={"state": "drained"}))["changed"]
    now = time.time
    monkeypatch.setattr("swift.common.ring.builder.time", lambda: now() + 7200)
    told = run_module("object_ring", **arguments(tmp_path, d4={"state": "drained"}))
    assert told["changed"]
    assert [entry["after_header"] for entry in told["diff"]] == list(KINDS)
    assert parts(tmp_path)["d4"] == 0
    assert not run_module("object_ring", **arguments(tmp_path, d4={"state": "drained"}))["changed"]


def test_a_new_device_gets_its_share(swift):
    run_module("object_ring", **arguments(swift))
    run_module("object_ring", **arguments(swift, d5={}))
    assert parts(swift)["d5"] > 20


def test_too_few_devices_for_the_replicas(swift):
    told = failure(swift, d3={"state": "drained"}, d4=None)
    assert "3 replicas need as many devices with a weight, and 2 are declared" in told


def test_part_power_does_not_change(swift):
    run_module("object_ring", **arguments(swift))
    settings(swift, part_power=7, min_part_hours=0)
    assert "its part_power is 6, not 7" in failure(swift)


def test_settings_that_are_no_numbers(swift):
    settings(swift, replicas="many")
    assert "invalid literal" in failure(swift)


def test_a_ring_that_a_killed_run_did_not_write_is_written(swift):
    run_module("object_ring", **arguments(swift))
    (swift / "object.ring.gz").unlink()
    before = (swift / "object.builder").read_bytes()
    told = run_module("object_ring", **arguments(swift))
    assert [entry["after_header"] for entry in told["diff"]] == ["object"]
    assert (swift / "object.builder").read_bytes() == before, "no partition moves for that"
    Ring(str(swift), ring_name="object")


def test_the_builder_before_a_change_is_kept(swift):
    run_module("object_ring", **arguments(swift))
    before = (swift / "object.builder").read_bytes()
    run_module("object_ring", **arguments(swift, d1={"weight": 50}))
    assert (swift / "object.builder.before").read_bytes() == before
    assert (swift / "object.builder").stat().st_mode & 0o777 == 0o600


def test_without_swift_a_blank_node_is_told_what_would_come(tmp_path, monkeypatch):
    module = "ansible_collections.cloudos.cloud.plugins.modules.object_ring._library"
    monkeypatch.setattr(module, lambda: False)
    told = run_module("object_ring", check=True, **arguments(tmp_path))
    assert told["changed"]
    assert "device 192.0.2.1/d1: region 1, zone 1, weight 100" in json.dumps(told["diff"])
    assert "Swift's library is missing" in run_module("object_ring", **arguments(tmp_path))["msg"]
    assert not list(Path(tmp_path).iterdir())
