"""Module files in temporary directories."""

import json
import os
import time
from pathlib import Path

import kit
import pytest

PASSWORD = "q7-hidden"


@pytest.fixture(autouse=True)
def node(tmp_path, monkeypatch):
    """A state directory and a directory of unit files of its own, and a systemctl that notes its calls."""
    from ansible_collections.cloudos.cloud.plugins.modules import files

    monkeypatch.setattr(files, "STATE", f"{tmp_path}/state")
    monkeypatch.setattr(files, "UNITS", f"{tmp_path}/units")
    (tmp_path / "bin").mkdir()
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.write_text(f"#!/bin/sh\necho \"$*\" >> {tmp_path}/calls\n")
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    return tmp_path


def call(check=False, secrets=None, absent=(), **files):
    return kit.run_module("files", check=check, files=files, absent=list(absent), secrets=secrets or {})


def calls(node):
    return (node / "calls").read_text().splitlines() if (node / "calls").exists() else []


def tree(root):
    """Everything below the root but the module's own notes, with owner, mode, time and content."""
    found = {}
    for folder, folders, names in os.walk(root):
        for name in [*folders, *names]:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            target = os.readlink(path) if os.path.islink(path) else None
            text = Path(path).read_text() if os.path.isfile(path) else ""
            found[path] = (status.st_uid, status.st_mode, status.st_mtime_ns, target, text)
    return found


def test_twelve_cases(node):
    etc, secrets = node / "etc", {"database/toy": PASSWORD}
    (node / "bundle").mkdir()
    (node / "bundle" / "paste.ini").write_text("[app]\n")
    make = {f"{etc}": {"type": "directory", "group": "daemon", "mode": "0750"},
            f"{etc}/toy.conf": {"content": "[db]\npassword = ${secret:database/toy}\n", "group": "daemon"},
            f"{etc}/link": {"type": "link", "target": "toy.conf"},
            f"{etc}/data": {"type": "copy", "source": f"{node}/bundle", "apply": ["touch", f"{node}/applied"]},
            f"{node}/units/toy.service": {"content": "[Service]\n", "mode": "0644"}}
    change = {**make, f"{etc}/toy.conf": {"content": "[db]\npassword = x${secret:database/toy}\n", "mode": "0600"},
              f"{etc}/link": {"type": "link", "target": "data"}}
    kit.twelve_cases(kit.Story("files", state=lambda: tree(node), create={"files": {"toy": make}, "secrets": secrets},
                               change={"files": {"toy": change}, "secrets": secrets}, remove={"files": {}}))
    assert not etc.exists() and calls(node) == ["daemon-reload", "disable --now toy.service", "daemon-reload"]


def test_owner_and_mode(node):
    call(toy={f"{node}/a/b": {"content": "1", "owner": "daemon", "group": "mail", "mode": "0604"}})
    status = os.stat(node / "a" / "b")
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (1, 8, 0o604)
    os.chmod(node / "a" / "b", 0o666)
    assert call(toy={f"{node}/a/b": {"content": "1", "owner": "daemon", "group": "mail", "mode": "0604"}})["changed"]


def test_unknown_owner_is_foreseen_and_refused(node):
    files = {f"{node}/x": {"content": "1", "owner": "nobody-such"}}
    assert call(check=True, toy=files)["changed_paths"] == [f"{node}/x"]
    failed = call(toy=files)
    assert failed["failure"]["service"] == "toy" and "nobody-such" in failed["msg"] and not (node / "x").exists()


def test_rotated_secret_shows_no_value(node):
    files = {f"{node}/x.conf": {"content": "a = 1\nurl = db://toy:${secret:s}@host/\n"}}
    call(toy=files, secrets={"s": "old-value"})
    result = call(toy=files, secrets={"s": "new-value"})
    assert result["changed_paths"] == [f"{node}/x.conf"] and "new-value" in (node / "x.conf").read_text()
    assert "value@" not in json.dumps(result["diff"]) and "${secret:s} (another value)" in result["diff"][0]["before"]


@pytest.mark.parametrize("recorded", [True, False])
def test_drift_beside_secrets_hides_values(node, recorded):
    files = {f"{node}/x.conf": {"content": "[db]\na = 1\nurl = db://toy:${secret:s}@host/\n"}}
    if recorded:
        call(toy=files, secrets={"s": "now"})
    (node / "x.conf").write_text("[db]\na = 1\nb = 2\nurl = db://toy:elsewhen@host/\nelsewhen\n")
    result = call(toy=files, secrets={"s": "now"})
    before = result["diff"][0]["before"].splitlines()[1:]
    assert before == ["[db]", "a = 1", "b = (not shown)", "url = (not shown)", "(not shown)"]


def test_removed_secret_file_shows_references(node):
    call(toy={f"{node}/x.conf": {"content": "p = ${secret:s}\n"}}, secrets={"s": "gone-value"})
    result = call()
    assert "gone-value" not in json.dumps(result) and "${secret:s}" in result["diff"][0]["before"]
    assert result["services"] == {"toy": {"changed": [f"{node}/x.conf"]}}


def test_missing_secret_is_named(node):
    assert "database/toy" in call(check=True, toy={f"{node}/x": {"content": "${secret:database/toy}"}})["msg"]


def test_apply_runs_once_for_neighbours_and_before_what_follows(node):
    note = ["sh", "-c", f"ls {node}/etc >> {node}/seen"]
    files = {f"{node}/etc/{name}": {"content": "1", **({"apply": note} if name != "c" else {})} for name in "abc"}
    call(toy=files)
    assert (node / "seen").read_text().split() == ["a", "b"]
    assert not call(toy=files)["changed"]


def test_failed_apply_is_made_good(node):
    files = {f"{node}/x": {"content": "1", "apply": ["sh", "-c", f"echo broken; test -e {node}/mended"]}}
    failed = call(toy=files)
    assert failed["failure"]["service"] == "toy" and failed["failure"]["log"] == ["broken"] and (node / "x").exists()
    (node / "mended").touch()
    assert call(check=True, toy=files)["changed"]
    assert call(toy=files)["changed"] and not call(toy=files)["changed"]


def test_killed_between_write_and_reload(node, monkeypatch):
    from ansible_collections.cloudos.cloud.plugins.modules import files as module

    files = {f"{node}/units/toy.service": {"content": "[Service]\n"}}
    def killed(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module.Files, "_apply", killed)
        with pytest.raises(KeyboardInterrupt):
            call(toy=files)
    assert (node / "units" / "toy.service").exists() and calls(node) == []
    assert call(toy=files)["changed_paths"] == [] and calls(node) == ["daemon-reload"]
    assert not call(toy=files)["changed"]


def test_copy_leaves_listed_files_alone_and_replaces_text(node):
    for name in ("rootwrap.conf", "filters/net.filters"):
        path = node / "bundle" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("exec_dirs=/usr/bin\n")
    etc = f"{node}/etc"
    files = {etc: {"type": "copy", "source": f"{node}/bundle", "group": "daemon", "mode": "0640",
                   "replace": [["^exec_dirs=.*", "exec_dirs=/opt"]]},
             f"{etc}/rootwrap.conf": {"content": "ours\n"}}
    call(toy=files)
    assert (node / "etc" / "rootwrap.conf").read_text() == "ours\n"
    assert (node / "etc" / "filters" / "net.filters").read_text() == "exec_dirs=/opt\n"
    assert (node / "etc" / "filters").stat().st_mode & 0o777 == 0o750
    (node / "etc" / "own").write_text("an operator's")
    assert not call(toy=files)["changed"]
    os.unlink(node / "bundle" / "filters" / "net.filters")
    assert call(toy=files)["changed_paths"] == [f"{etc}/filters/net.filters"]


def test_copy_without_source(node):
    files = {f"{node}/etc": {"type": "copy", "source": f"{node}/none"}}
    assert call(check=True, toy=files)["changed_paths"] == [f"{node}/etc"]
    assert "bundle" in call(toy=files)["failure"]["next_step"]


def test_directories_with_content_stay(node):
    call(toy={f"{node}/d": {"type": "directory"}, f"{node}/d/x": {"content": "1"}})
    (node / "d" / "own").touch()
    assert call()["changed_paths"] == [f"{node}/d/x"] and (node / "d" / "own").exists()
    assert "d" in call(absent=[f"{node}/d"])["msg"]


def test_absent_and_leftover_of_a_killed_write(node):
    (node / "old").touch()
    (node / ".x.cloudos").touch()
    call(absent=[f"{node}/old"], toy={f"{node}/x": {"content": "1"}})
    assert not (node / "old").exists() and not (node / ".x.cloudos").exists() and (node / "x").read_text() == "1"


def test_sets_do_not_remove_each_others_files(node):
    call(toy={f"{node}/x": {"content": "1"}})
    kit.run_module("files", set="other", files={})
    assert (node / "x").exists()


def test_mistakes_are_named(node):
    for entry in ({"type": "pipe"}, {"content": {"a": 1}}, {"type": "link"}):
        assert f"{node}/x" in call(toy={f"{node}/x": entry})["msg"]
    assert "b" in call(a={f"{node}/x": {"content": "1"}}, b={f"{node}/x": {"content": "2"}})["msg"]


def test_sixty_files_again_are_quick(node):
    files = {f"{node}/{number}": {"content": "[DEFAULT]\nkey = ${secret:s}\n" * 200} for number in range(60)}
    call(toy=files, secrets={"s": PASSWORD})
    start = time.monotonic()
    assert not call(toy=files, secrets={"s": PASSWORD})["changed"]
    assert time.monotonic() - start < 0.3


def test_a_drop_in_goes_without_a_unit_being_disabled(node):
    """The directory of a drop-in lies where units lie, but is none."""
    folder = f"{node}/units/thing.service.d"
    call(node={folder: {"type": "directory"}, f"{folder}/cloudos.conf": {"content": "[Service]\n"}})
    assert call(node={})["changed"] and not os.path.exists(folder)
    assert not [line for line in calls(node) if line.startswith("disable")]


def test_a_directory_whose_files_belong_to_its_group_is_made_once(node):
    shared = {f"{node}/shared": {"type": "directory", "group": "daemon", "mode": "02770"}}
    assert call(toy=shared)["changed"]
    assert os.stat(f"{node}/shared").st_mode & 0o7777 == 0o2770
    assert not call(toy=shared)["changed"]
