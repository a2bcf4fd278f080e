"""What every run of site.yml must keep: it is idempotent, says the truth beforehand, and restarts only what changed."""

import random
import shutil
import time

import pytest
import yaml

from tests.cloud.running import Cloud

pytestmark = pytest.mark.cloud


@pytest.fixture
def edited(cloud, tmp_path):
    """A copy of the inventory with one option of one service changed; undone afterwards."""
    inventory = tmp_path / "edited"
    shutil.copytree(cloud.inventory, inventory)
    source = yaml.safe_load((inventory / "cloud.yml").read_text())
    source["overrides"]["all"].setdefault("glance", {})["glance-api.conf"] = {"DEFAULT": {"show_multiple_locations": True}}
    (inventory / "cloud.yml").write_text(yaml.safe_dump(source))
    yield Cloud(inventory)
    cloud.play("site")


def test_second_run_changes_nothing(cloud):
    assert cloud.play("site").changed == 0


def test_check_on_a_running_cloud_announces_nothing(cloud):
    assert cloud.play("site", "--check", "--diff").changed == 0


def test_one_option_restarts_only_its_service(cloud, edited):
    before = cloud.processes()
    announced = edited.play("site", "--check", "--diff")
    assert "show_multiple_locations = true" in announced.output
    assert cloud.processes() == before
    assert edited.play("site").changed == announced.changed > 0
    after = cloud.processes()
    assert [unit for unit in before if before[unit] != after[unit]] == ["glance-api.service"]


@pytest.mark.lab
def test_killed_at_any_moment_and_run_again(cloud, edited):
    """Ten runs that would change an option, each killed at a random moment; the next undisturbed one heals all."""
    started = time.monotonic()
    cloud.play("site")
    whole = time.monotonic() - started
    for attempt in range(10):
        (edited if attempt % 2 else cloud).kill("site", after=random.uniform(0.3, whole))
    cloud.play("site")
    assert cloud.play("site").changed == 0
    cloud.play("verify")
