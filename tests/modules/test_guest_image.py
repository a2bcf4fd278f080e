"""The guest_image module: there is one thing to make and to remove, so the table is played without a change."""

import shutil

import pytest
from kit import run_module

pytestmark = pytest.mark.lab


@pytest.fixture
def home(tmp_path):
    yield tmp_path / "home"
    shutil.rmtree(tmp_path / "home", ignore_errors=True)


@pytest.mark.parametrize("state", ["present", "absent"])
def test_it_tells_the_truth_and_does_it_once(home, state):
    args = {"home": str(home), "state": state}
    if state == "absent":
        run_module("guest_image", home=str(home))
    images = set(home.glob("cache/guest/*"))
    announced = run_module("guest_image", check=True, **args)
    assert announced["changed"] and set(home.glob("cache/guest/*")) == images
    done = run_module("guest_image", **args)
    assert done["changed"] and done["diff"] == announced["diff"]
    assert len(list(home.glob("cache/guest/*"))) == (1 if state == "present" else 0)
    for check in (True, False):
        assert not run_module("guest_image", check=check, **args)["changed"]
