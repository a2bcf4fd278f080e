"""Module `bundle`: the twelve cases where no loop device works, and every bundle that must be refused."""

import json
import os
import platform
import subprocess

import pytest
from ansible_collections.cloudos.cloud.plugins.module_utils import bundle_place
from ansible_collections.cloudos.cloud.plugins.module_utils.bundle_place import Place
from kit import Story, run_module, twelve_cases

from cloudos.bundle import artifact as artifacts
from cloudos.bundle import signing
from cloudos.bundle.artifact import Artifact


@pytest.fixture
def node(tmp_path, monkeypatch):
    """The directory that stands for /opt/cloudos."""
    root = tmp_path / "opt"
    monkeypatch.setattr(bundle_place, "ROOT", str(root))
    monkeypatch.setattr(bundle_place, "UNITS", str(tmp_path / "units"))
    return root


@pytest.fixture
def make(tmp_path):
    """Make a small real bundle of a patch level; returns the module's arguments for it."""

    def make(patch_level, home=tmp_path / "home", content=None, **changes):
        content_root = tmp_path / f"content-{patch_level}"
        content_root.mkdir(exist_ok=True)
        (content_root / "patch_level").write_text(content or patch_level)
        (home / "bundles").mkdir(parents=True, exist_ok=True)
        artifact = Artifact(home / "bundles", patch_level)
        squashfs = artifact.path("sqfs")
        command = ["mksquashfs", content_root, squashfs, "-noappend", "-quiet", "-no-progress"]
        subprocess.run(command, check=True, capture_output=True)
        manifest = {
            "name": artifact.name, "patch_level": patch_level, "python": "cp311", "architecture": platform.machine(),
            "files": {"squashfs": artifacts.describe(squashfs)}, **changes,
        }  # fmt: skip
        artifact.path("manifest.json").write_text(json.dumps(manifest))
        signing.sign(artifact.path("manifest.json"), signing.signing_key(home))
        return {
            "patch_level": patch_level,
            "method": "unpack",
            "manifest": artifact.path("manifest.json").read_text(),
            "signature": artifact.path("manifest.json.sig").read_text(),
            "signers": signing.allowed_signers(home / "keys" / "bundle.pub"),
            "squashfs": str(squashfs),
        }

    return make


def state(node):
    """Everything below a directory: {path: text or link target}."""
    found = {}
    for folder, directories, files in os.walk(node):
        for name in [*files, *directories]:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                found[path] = os.readlink(path)
            elif os.path.isfile(path) and not path.endswith(".sqfs"):
                with open(path) as file:
                    found[path] = file.read()
    return found


def test_twelve_cases(node, make):
    new = make("2026.1-10")
    twelve_cases(
        Story("bundle", create=make("2026.1-9"), change=new, remove={**new, "keep": 1}, state=lambda: state(node))
    )
    assert sorted(path.name for path in node.iterdir()) == ["2026.1-10", "bundles", "current"]
    assert (node / "current" / "patch_level").read_text() == "2026.1-10"


def test_a_rollback_is_the_link_back(node, make):
    old, new = make("2026.1-1"), make("2026.1-2")
    run_module("bundle", **old)
    run_module("bundle", **new)
    del old["squashfs"]
    result = run_module("bundle", **old)
    assert result["changed"] and [item["before_header"] for item in result["diff"]] == ["current"]
    assert (node / "current" / "patch_level").read_text() == "2026.1-1"


def test_staging_leaves_the_current_one(node, make):
    run_module("bundle", **make("2026.1-1"))
    run_module("bundle", **make("2026.1-2"), current=False)
    run_module("bundle", **make("2026.1-3"), current=False)
    assert os.readlink(node / "current") == "2026.1-1"
    assert (node / "2026.1-3").is_dir() and (node / "2026.1-1").is_dir()


def test_one_that_a_process_runs_from_stays(node, make, monkeypatch):
    run_module("bundle", **make("2026.1-1"))
    monkeypatch.setattr(Place, "in_use", lambda place: place.patch_level == "2026.1-1")
    run_module("bundle", **make("2026.1-2"), keep=1)
    assert (node / "2026.1-1").is_dir()
    monkeypatch.setattr(Place, "in_use", lambda place: False)
    run_module("bundle", **make("2026.1-2"), keep=1)
    assert not (node / "2026.1-1").exists()


def test_a_damaged_file_on_the_node_is_replaced(node, make):
    given = make("2026.1-1")
    run_module("bundle", **given)
    (squashfs,) = (node / "bundles").glob("*.sqfs")
    right = squashfs.read_bytes()
    squashfs.write_bytes(right[:-1])
    result = run_module("bundle", **given)
    assert result["changed"] and result["transfer"] and squashfs.read_bytes() == right


def test_an_unchanged_file_is_not_hashed_again(node, make, monkeypatch):
    given = make("2026.1-1")
    run_module("bundle", **given)
    monkeypatch.setattr(bundle_place, "sha256", lambda path: pytest.fail("hashed again"))
    assert not run_module("bundle", **given)["changed"]


def test_a_bundle_built_again_takes_the_place_of_the_old_one(node, make):
    run_module("bundle", **make("2026.1-1"))
    run_module("bundle", **make("2026.1-1", content="anew"))
    assert (node / "current" / "patch_level").read_text() == "anew"


def test_what_a_killed_unpacking_left_is_no_obstacle(node, make):
    (node / ".2026.1-1.partial" / "left").mkdir(parents=True)
    (node / "2026.1-1").mkdir()
    assert run_module("bundle", **make("2026.1-1"))["content"] == "unpacked"
    assert (node / "current" / "patch_level").exists()


def test_without_a_loop_device_it_is_unpacked_with_a_warning(node, make, monkeypatch):
    def no_loop(place):
        raise bundle_place.Failure("no loop device")

    monkeypatch.setattr(Place, "mount", no_loop)
    given = {**make("2026.1-1"), "method": "auto"}
    result = run_module("bundle", **given)
    assert result["content"] == "unpacked" and "no loop device" in str(result["warnings"])
    assert not run_module("bundle", **given)["changed"]
    assert run_module("bundle", **{**make("2026.1-2"), "method": "mount"})["failed"]


def truncated(given):
    with open(given["squashfs"], "rb+") as file:
        file.truncate(os.path.getsize(given["squashfs"]) - 1)


def broken(given):
    with open(given["squashfs"], "rb+") as file:
        file.seek(200)
        file.write(b"!!!")


def unsigned(given):
    given["manifest"] = given["manifest"].replace("cp311-", "cp311-other-")


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (truncated, "2026.1-1-cp311-x86_64.sqfs is truncated"),
        (broken, "2026.1-1-cp311-x86_64.sqfs is broken"),
        (unsigned, "is not signed by the key that is trusted"),
        (lambda given: given.pop("squashfs"), "the node has not got 2026.1-1"),
        (lambda given: given.pop("signature"), "came without"),
        (lambda given: given.update(patch_level="2026.1-2"), "the manifest is of 2026.1-1"),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_changes(node, make, damage, cause):
    run_module("bundle", **make("2025.1-1"))
    before = state(node)
    given = make("2026.1-1")
    damage(given)
    result = run_module("bundle", **given)
    message = result["msg"].replace(platform.machine(), "x86_64")
    assert result["failed"] and cause in message and "Next step" in message
    assert state(node) == before


def test_another_signer_is_refused(node, make, tmp_path):
    given = make("2026.1-1")
    given["signers"] = make("2026.1-2", home=tmp_path / "stranger")["signers"]
    assert "not signed by the key" in run_module("bundle", **given)["msg"]
    assert not node.exists()


@pytest.mark.parametrize("changes", [{"architecture": "s390x"}, {"python": "cp399"}])
def test_a_bundle_for_other_nodes_is_refused(node, make, changes):
    result = run_module("bundle", **make("2026.1-1", **changes))
    assert result["failed"] and "Next step" in result["msg"] and not node.exists()


def test_the_unit_is_named_as_systemd_wants_it():
    place = Place("2026.1-1-cp311-x86_64")
    assert place.unit.name == r"opt-cloudos-2026.1\x2d1.mount"
    assert "Where=/opt/cloudos/2026.1-1\n" in place.unit_text()
