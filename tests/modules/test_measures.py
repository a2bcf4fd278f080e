"""Module measures against a Gnocchi in this process."""

import pytest
from fake_telemetry import add_telemetry
from kit import run_module

MEASURE = ["2026-11-21T05:00:00+00:00", 300.0, 7.5]


@pytest.fixture
def gnocchi(cloud, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    return add_telemetry(cloud, monkeypatch)


def ask(login, check=False, **arguments):
    return run_module("measures", check=check, **login, **{"resource": "vm1", "metrics": ["cpu"], "timeout": 0, **arguments})


def measured(gnocchi, **metrics):
    gnocchi.store["resources"]["vm1"] = {"id": "vm1", "metrics": {name: f"id-{name}" for name in metrics}}
    gnocchi.store["measures"] = {f"id-{name}": measures for name, measures in metrics.items()}


@pytest.mark.parametrize("check", [True, False])
def test_the_newest_measure_is_told_and_nothing_changes(gnocchi, login, check):
    measured(gnocchi, cpu=[[*MEASURE[:2], 1.0], MEASURE], memory=[])
    told = ask(login, check=check)
    assert told["changed"] is False
    assert told["measures"] == {"cpu": MEASURE}


def test_a_metric_without_measures_fails(gnocchi, login):
    measured(gnocchi, cpu=[], memory=[MEASURE])
    told = ask(login, metrics=["cpu", "memory"])
    assert told["failed"] and "cpu of vm1 has no measure after 0 s; Gnocchi knows its metrics cpu, memory" in told["msg"]
    assert "ceilometer-polling" in told["failure"]["next_step"]


def test_an_unknown_resource_fails(gnocchi, login):
    assert "knows no such resource" in ask(login)["msg"]


def test_measures_are_waited_for(gnocchi, login, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: measured(gnocchi, cpu=[MEASURE]))
    assert ask(login, timeout=60)["measures"] == {"cpu": MEASURE}


def test_a_service_that_fails_is_told(gnocchi, login):
    gnocchi.store["resources"]["vm1"] = {"id": "vm1"}
    gnocchi.metric = lambda *_: None
    told = ask(login)
    assert not told.get("changed")
    assert told["failed"]
