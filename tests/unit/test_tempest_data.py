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


def test_required_tests_are_named_once_and_whole():
    names = [line for line in (FILES / "powered-2020.06.txt").read_text().splitlines() if line and line[0] != "#"]
    assert len(names) == len(set(names)) == 273
    assert all(re.fullmatch(r"tempest\.api\.[a-z0-9_.]+\.[A-Z]\w+\.test_\w+", name) for name in names)


def test_every_exclusion_has_a_reason():
    for item in yaml.safe_load((FILES / "excluded.yml").read_text()):
        assert re.compile(item["test"]) and len(item["why"]) > 20
