"""The lists that Tempest is run with fit together."""

import re
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROLE = Path(__file__).resolve().parents[2] / "roles/verify"
FILES = ROLE / "files/tempest"
PINS = dict(re.findall(r"(?m)^([a-z0-9.-]+)==(\S+)", (FILES / "tempest.lock").read_text()))
ROOTS = [Requirement(line) for line in (FILES / "tempest.in").read_text().splitlines() if line and line[0] != "#"]


@pytest.mark.parametrize("root", ROOTS, ids=str)
def test_the_lock_holds_what_is_wanted(root):
    assert root.specifier.contains(PINS[root.name]), "make the lock anew: docs/how-to/run-tempest.md"


def test_everything_locked_has_a_hash():
    text = (FILES / "tempest.lock").read_text()
    assert all("--hash=sha256:" in entry for entry in re.split(r"(?m)^(?=[a-z0-9.-]+==)", text)[1:])


def test_plugins_are_in_the_lock():
    plugins = yaml.safe_load((ROLE / "vars/main.yml").read_text())["verify_tempest_plugins"]
    assert set(plugins.values()) <= set(PINS)


@pytest.mark.parametrize(("name", "count", "form"), [
    ("powered-2020.06.txt", 273, r"tempest\.api\.[a-z0-9_.]+\.[A-Z]\w+\.test_\w+"),
    ("powered-orchestration-2020.06.txt", 60, r"heat_tempest_plugin\.tests\.[a-z0-9_.]+(\.[A-Z]\w+)?\.test_\w+"),
])  # fmt: skip
def test_required_tests_are_named_once_and_whole(name, count, form):
    names = [line for line in (FILES / name).read_text().splitlines() if line and line[0] != "#"]
    assert len(names) == len(set(names)) == count
    assert all(re.fullmatch(form, name) for name in names)


def test_every_exclusion_has_a_reason():
    for item in yaml.safe_load((FILES / "excluded.yml").read_text()):
        assert re.compile(item["test"]) and len(item["why"]) > 20
