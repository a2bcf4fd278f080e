"""Module alarm against an Aodh in this process."""

import pytest
from fake_telemetry import add_telemetry
from kit import Story, run_module, twelve_cases


@pytest.fixture
def aodh(cloud, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    return add_telemetry(cloud, monkeypatch)


def arguments(login, **changes):
    return {**login, "name": "busy", "metric": "cpu", "resource": "vm1", "threshold": 5, "timeout": 0, **changes}


def test_twelve_cases(aodh, login):
    create = arguments(login)
    change = arguments(login, threshold=9, severity="critical", actions={"alarm": ["https://example.org/"]})
    remove = {**login, "name": "busy", "state": "absent"}
    twelve_cases(Story("alarm", create, change, remove, state=aodh.snapshot))
    assert not aodh.store["alarms"]


def test_what_the_arguments_do_not_speak_of_stays(aodh, login):
    run_module("alarm", **arguments(login))
    alarm = next(iter(aodh.store["alarms"].values()))
    alarm["repeat_actions"] = True
    run_module("alarm", **arguments(login, threshold=1))
    assert alarm["repeat_actions"] is True
    assert alarm["gnocchi_resources_threshold_rule"]["threshold"] == 1


def test_its_state_is_waited_for(aodh, login, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: setattr(aodh, "state_of_alarms", "alarm"))
    told = run_module("alarm", **arguments(login, wait_for=["ok", "alarm"], timeout=60))
    assert told["alarm_state"] == "alarm"


def test_a_state_that_never_comes_is_told_with_the_reason(aodh, login):
    told = run_module("alarm", **arguments(login, wait_for=["alarm"]))
    assert told["failed"]
    assert "busy is in state insufficient data after 0 s: Not evaluated yet" in told["msg"]


def test_check_mode_does_not_wait(aodh, login):
    assert run_module("alarm", check=True, **arguments(login, wait_for=["alarm"], timeout=600))["changed"]


def test_an_alarm_that_somebody_disabled_is_enabled(aodh, login):
    run_module("alarm", **arguments(login))
    next(iter(aodh.store["alarms"].values()))["enabled"] = False
    assert run_module("alarm", **arguments(login))["changed"]
    assert next(iter(aodh.store["alarms"].values()))["enabled"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"actions": {"alert": []}}, "actions has alert"),
        ({"threshold": None}, "threshold"),
        ({"wait_for": ["bad"]}, "value of wait_for"),
    ],
)
def test_bad_input_is_told(aodh, login, changes, message):
    given = {key: value for key, value in arguments(login, **changes).items() if value is not None}
    told = run_module("alarm", **given)
    assert told["failed"] and message in told["msg"]
    assert not aodh.store["alarms"]
