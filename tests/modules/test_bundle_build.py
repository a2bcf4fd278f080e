"""Module `bundle_build`: asked twice it builds once, check mode builds nothing, and mistakes are told as they are."""

import json

import pytest
from kit import run_module

from cloudos.bundle.build import Build

KEYSTONE = """\
service: keystone
title: Identity
files: {keystone.conf: {on: [control], namespaces: [keystone], options: {token: {provider: fernet}}}}
"""
OPTIONS = {"packages": {"keystone": "29.0.1"}, "namespaces": {"keystone": {"token": {"provider": {"type": "string"}}}}}
RELEASE = "{series: '2026.1', python: '3.11', maintained_until: 2027-10-27, roots: [nova], floors: {nova: 33.0.2}}"


@pytest.fixture
def arguments(tmp_path, monkeypatch):
    """The module's arguments for a release whose tree is not really made."""
    monkeypatch.setenv("CLOUDOS_HOME", str(tmp_path / "home"))
    (tmp_path / "releases" / "2026.1").mkdir(parents=True)
    (tmp_path / "releases" / "2026.1" / "release.yml").write_text(RELEASE)
    (tmp_path / "releases" / "2026.1" / "2026.1-1.lock").write_text("nova==33.0.2\n")
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "layers.yml").write_text("{}")
    (tmp_path / "services" / "keystone.yml").write_text(KEYSTONE)
    (tmp_path / "plugins" / "tokens").mkdir(parents=True)
    built = []

    def make(self):
        built.append(self.inputs())
        self.artifact.directory.mkdir(parents=True, exist_ok=True)
        self.artifact.path("options.json").write_text(json.dumps(OPTIONS))

    monkeypatch.setattr(Build, "make", make)
    monkeypatch.setattr(Build, "found", lambda self: built[-1] if built else None)
    return {
        "release": "2026.1",
        **{name: str(tmp_path / name) for name in ("releases", "services", "plugins")},
    }


def test_it_builds_once(arguments):
    for check, changed in ((True, True), (True, True), (False, True), (True, False), (False, False)):
        result = run_module("bundle_build", check=check, **arguments)
        assert result["changed"] is changed
        assert result["patch_level"] == "2026.1-1" and result["path"].endswith(f"{result['name']}.sqfs")


def test_a_changed_lock_is_built_again(arguments, tmp_path):
    run_module("bundle_build", **arguments)
    (tmp_path / "releases" / "2026.1" / "2026.1-1.lock").write_text("nova==33.0.3\n")
    assert run_module("bundle_build", check=True, **arguments)["changed"]


def test_what_our_files_set_must_be_declared(arguments, tmp_path):
    plugin = tmp_path / "plugins" / "tokens" / "jws.yml"
    plugin.write_text(
        "{plugin: tokens/jws, extends: keystone, title: Tokens, files: {keystone.conf: {options: {token: {providr: jws}}}}}"
    )
    for _ in ("built", "there already"):
        result = run_module("bundle_build", **arguments)
        assert result["failed"] and "\n  keystone: keystone.conf [token] providr\n" in result["msg"]
    plugin.write_text(plugin.read_text().replace("providr: jws", "provider: jws, lifetime: null"))
    assert run_module("bundle_build", **arguments)["changed"] is False


def test_an_unknown_release_is_told(arguments):
    result = run_module("bundle_build", **{**arguments, "release": "2031.1"})
    assert result["failed"] and "no release 2031.1; there are: 2026.1" in result["msg"]


def test_a_lock_below_its_floor_is_refused(arguments, tmp_path):
    (tmp_path / "releases" / "2026.1" / "2026.1-1.lock").write_text("nova==33.0.1\n")
    result = run_module("bundle_build", check=True, **arguments)
    assert result["failed"] and "nova 33.0.1 (floor 33.0.2)" in result["msg"]
