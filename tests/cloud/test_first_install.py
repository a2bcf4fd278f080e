"""A first install, on lab nodes that these tests make anew: what it announces, and what being killed does to it."""

import random

import pytest

from cloudos.runs import history

pytestmark = [pytest.mark.cloud, pytest.mark.lab]


@pytest.fixture
def blank(cloud):
    """The cloud with nodes on which nothing is installed yet."""
    cloud.play("destroy")
    cloud.play("lab")
    return cloud


def changing(cloud, *arguments):
    """Tasks of a run of site.yml that change a node, in order."""
    cloud.play("site", *arguments)
    newest = history.runs(cloud.name)[0]["id"]
    return [event["task"] for event in history.events(cloud.name, newest) if event.get("changed")]


def test_check_tells_what_the_first_run_changes(blank):
    announced = changing(blank, "--check", "--diff")
    expected = blank.kept("plan.check.json")
    assert changing(blank) == announced != []
    for name, node in blank.kept("plan.json")["nodes"].items():
        # Facts are looked at again once QEMU is there; what follows from them must be what was announced.
        assert {**node, "facts": None} == {**expected["nodes"][name], "facts": None}


def test_killed_during_the_first_run_and_run_again(blank):
    """Five runs from a blank node on, each killed at a random moment; the next undisturbed one ends it."""
    for _attempt in range(5):
        blank.kill("site", after=random.uniform(1, 25))
    blank.play("site")
    assert blank.play("site").changed == 0
    blank.play("verify")
