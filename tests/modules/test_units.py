"""Module units against a systemctl that keeps its units in a file; what it imitates was compared with systemd 252."""

import json
import os
import subprocess
import time
from pathlib import Path

import kit
import pytest

SYSTEMCTL = r'''#!/usr/bin/python3
import datetime, json, os, sys
store = "STORE"
units = json.load(open(store))
verb, *rest = [word for word in sys.argv[1:] if word not in ("--now", "--no-block", "--timestamp=us+utc")]
def stamp(seconds):
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.strftime("%a %Y-%m-%d %H:%M:%S.%f UTC") if seconds else ""
if verb == "show":
    for number, name in enumerate(rest[2:]):
        unit = units.get(name)
        if number:
            print()
        state = {"LoadState": "loaded" if unit else "not-found",
                 "UnitFileState": unit["file"] if unit else "",
                 "ActiveState": unit["active"] if unit else "inactive",
                 "SubState": unit.get("sub", "x") if unit else "dead",
                 "Result": "success", "ExecMainStartTimestamp": stamp(unit["started"]) if unit else "",
                 "ActiveEnterTimestamp": "", "ControlGroup": "",
                 "NRestarts": str(unit.get("restarts", 0)) if unit else "0"}
        print("\n".join(f"{key}={value}" for key, value in state.items()))
    sys.exit()
with open(store + ".calls", "a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\n")
for name in rest:
    if name not in units:
        sys.exit(f"Failed to {verb} unit: Unit file {name} does not exist.")
    unit = units[name]
    if verb in ("enable", "disable"):
        unit["file"] = verb + "d"
    if verb in ("stop", "disable"):
        unit["active"] = "inactive"
    if verb in ("restart", "reload"):
        unit.update(active=unit.get("becomes", "active"), started=datetime.datetime.now().timestamp())
json.dump(units, open(store, "w"))
'''
JOURNAL = "#!/bin/sh\nprintf 'first line\\nno way to db://toy:letmein@192.0.2.1/toy\\n'\n"


@pytest.fixture
def node(tmp_path, monkeypatch):
    """Two unit files and an input, all of an hour ago, and a node that knows the units."""
    (tmp_path / "bin").mkdir()
    programs = {"systemctl": SYSTEMCTL.replace("STORE", f"{tmp_path}/store"), "journalctl": JOURNAL}
    for name, text in programs.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    for name in ("toy.socket", "toy.service", "toy.conf"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - 3600,) * 2)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    know(tmp_path, toy={"file": "disabled", "active": "inactive", "started": 0})
    return tmp_path


def know(node, **services):
    units = {f"{name}.{kind}": unit for name, unit in services.items() for kind in ("socket", "service")}
    (node / "store").write_text(json.dumps(units))


def units(node, *names, **more):
    return [{"name": name, "service": "toy", "inputs": [f"{node}/{name}", f"{node}/toy.conf"], **more}
            for name in names or ("toy.socket", "toy.service")]


def running(since=60, **more):
    return {"file": "enabled", "active": "active", "started": time.time() - since, **more}


def calls(node):
    path = Path(f"{node}/store.calls")
    return path.read_text().splitlines() if path.exists() else []


def call(node, **more):
    return kit.run_module("units", units=more.pop("units", units(node)), **more)


def actions(result):
    return {name: (unit["action"], unit["reason"]) for name, unit in result["units"].items()}


def test_twelve_cases(node):
    def state():
        return json.loads((node / "store").read_text())

    story = kit.Story("units", state=state, create={"units": units(node, "toy.service")},
                      change={"units": units(node)}, remove={"units": [], "absent": ["toy.socket", "toy.service"]})
    kit.twelve_cases(story)


def test_one_call_starts_all(node):
    result = call(node)
    assert set(actions(result).values()) == {("start", None)}
    assert calls(node) == ["enable toy.socket toy.service", "restart --no-block toy.socket toy.service"]


def test_changed_input_restarts_the_service_and_not_its_socket(node):
    know(node, toy=running())
    assert not call(node)["changed"]
    (node / "toy.conf").touch()
    result = call(node)
    assert actions(result) == {"toy.service": ("restart", f"{node}/toy.conf")}
    assert result["diff"][0]["before"] == f"active, enabled, older than {node}/toy.conf\n"
    assert calls(node) == ["restart --no-block toy.service"] and not call(node)["changed"]


def test_changed_socket_stops_its_service_first(node):
    know(node, toy=running())
    (node / "toy.socket").touch()
    (node / "toy.conf").touch()
    result = call(node)
    assert actions(result) == {"toy.socket": ("restart", f"{node}/toy.socket"),
                               "toy.service": ("restart", "toy.socket")}
    assert calls(node) == ["stop toy.service", "restart --no-block toy.socket toy.service"]


def test_repointed_link_restarts(node):
    (node / "bundle").symlink_to("elsewhere")
    know(node, toy=running())
    result = call(node, units=units(node, "toy.service", inputs=[f"{node}/bundle"]))
    assert actions(result) == {"toy.service": ("restart", f"{node}/bundle")}


def test_announced_changes_count_in_check_mode_only(node):
    know(node, toy=running())
    more = {"changed_paths": [f"{node}/toy.conf"], "bundle_changed": True}
    assert actions(call(node, check=True, **more)) == {"toy.service": ("restart", f"{node}/toy.conf")}
    assert not call(node, **more)["changed"]
    folder = units(node, "toy.service", inputs=[str(node)])
    os.utime(node, (0, 0))
    assert call(node, check=True, units=folder, **more)["changed"]


def test_reload(node):
    know(node, toy=running())
    (node / "toy.conf").touch()
    result = call(node, units=units(node, "toy.service", reload=True))
    assert actions(result) == {"toy.service": ("reload", f"{node}/toy.conf")}
    assert calls(node) == ["reload toy.service"]


def test_newest_process_counts_for_reload(monkeypatch):
    from ansible_collections.cloudos.cloud.plugins.module_utils import systemd

    unit = systemd.Unit("enabled", "active", "", 1.0, "/system.slice/toy.service", 0, False)
    assert unit.reloaded == 1.0
    monkeypatch.setattr(systemd, "_processes", lambda _cgroup: [str(os.getpid()), "999999999"])
    age = time.time() - unit.reloaded
    told = int(subprocess.run(["ps", "-o", "etimes=", "-p", str(os.getpid())], capture_output=True, check=True).stdout)
    assert told - 1 <= age <= told + 2


def test_blank_node(node):
    (node / "store").write_text("{}")
    result = call(node, check=True)
    assert set(actions(result).values()) == {("start", None)} and result["diff"][0]["before"] == "inactive, disabled\n"
    failed = call(node)
    assert failed["failure"]["unit"] == "toy.socket" and "does not exist" in failed["msg"]


@pytest.mark.parametrize(("more", "cause"), [
    ({"becomes": "failed"}, "did not start"),
    ({"becomes": "activating", "sub": "auto-restart", "restarts": 9}, "crashed 9 times"),
    ({"becomes": "activating", "sub": "start"}, "is not active after 1 s"),
])
def test_failure_tells_the_journal(node, more, cause):
    know(node, toy={"file": "disabled", "active": "inactive", "started": 0, **more})
    failed = call(node, units=units(node, "toy.service"), timeout=1)
    assert failed["failure"]["service"] == "toy" and failed["failure"]["unit"] == "toy.service"
    assert cause in failed["msg"]
    assert failed["failure"]["log"][0] == "first line" and "letmein" not in json.dumps(failed)
    assert "journalctl -u toy.service" in failed["failure"]["next_step"]


def test_without_wait_starting_is_enough(node):
    know(node, toy={"file": "disabled", "active": "inactive", "started": 0, "becomes": "activating", "sub": "start"})
    alone = units(node, "toy.service")
    assert call(node, units=alone, wait=False)["changed"] and not call(node, units=alone, wait=False)["changed"]
    assert call(node, units=alone, check=True)["units"]["toy.service"]["action"] == "join"


def test_failed_unit_is_reset(node):
    know(node, toy={"file": "enabled", "active": "failed", "started": 0})
    call(node, units=units(node, "toy.service"))
    assert calls(node) == ["reset-failed toy.service", "restart --no-block toy.service"]


def test_forty_units_again_are_quick(node):
    know(node, **{f"u{number}": running() for number in range(20)})
    names = [f"u{number}.{kind}" for number in range(20) for kind in ("socket", "service")]
    start = time.monotonic()
    assert not call(node, units=units(node, *names))["changed"]
    assert time.monotonic() - start < 0.3
