"""Eve over HTTP, with SQLite, real worker processes and a real Ansible: deploy, change, cancel, kill, fail, take down."""

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api import eve, kit
from tests.api.eve import design


@pytest.fixture
def house(tmp_path, monkeypatch, request):
    yield from eve.house(tmp_path, monkeypatch, **getattr(request, "param", {}))


def test_deploys_updates_scales_heals_and_undeploys(house):
    house.worker()
    path, job = house.deploy("shop", design("one", "two", most=3))
    ended = house.ended(job)
    assert house.files() == [("one", "one"), ("two", "one")]
    assert [(task["name"], task["state"], task["progress"]) for task in ended["tasks"]] == [
        ("one: create", "succeeded", 100), ("two: create", "succeeded", 100)]  # fmt: skip
    found = house.get(path)
    assert (found["status"], found["job"], found["nodes"]) == ("completed", job, 2)
    assert found["outputs"] == ended["result"]["outputs"] and "=one=" in found["outputs"]["first"]
