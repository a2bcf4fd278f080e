"""Module telemetry_policy against a Gnocchi in this process."""

import json

import pytest
from fake_telemetry import add_telemetry
from kit import Story, run_module, twelve_cases

LOW = {"aggregation_methods": ["mean", "max"], "keep": {"5m": "30d"}}
RULE = {"metric_pattern": "*", "archive_policy": "low"}


@pytest.fixture
def gnocchi(cloud, monkeypatch):
    return add_telemetry(cloud, monkeypatch)


def arguments(root, **changes):
    return {
        "auth_url": f"{root}/identity/v3",
        "region": "RegionOne",
        "admin": {"password": "${secret:identity/admin}"},
        "secrets": {"identity/admin": "admin-password"},
        "policies": {"low": LOW},
        "rules": {"default": RULE},
        "timeout": 0,
        **changes,
    }


def run(cloud, check=False, **changes):
    return run_module("telemetry_policy", check=check, **arguments(cloud.root, **changes))


def test_twelve_cases(gnocchi):
    create = arguments(gnocchi.root)
    change = arguments(gnocchi.root, policies={"low": {**LOW, "keep": {"5m": "90d"}}},
                       rules={"default": {**RULE, "metric_pattern": "disk.*"}})  # fmt: skip
    remove = arguments(gnocchi.root, policies={"low": None}, rules={"default": None})
    twelve_cases(Story("telemetry_policy", create, change, remove, state=gnocchi.snapshot))
    assert not gnocchi.store["policies"] and not gnocchi.store["rules"]


def test_times_are_compared_by_their_length(gnocchi):
    run(gnocchi)
    assert not run(gnocchi, policies={"low": {**LOW, "keep": {"300": "720h"}}})["changed"]
    assert gnocchi.store["policies"]["low"]["definition"] == [{"granularity": "0:05:00", "timespan": "30 days, 0:00:00"}]


def test_retention_changes_in_place(gnocchi):
    run(gnocchi)
    gnocchi.policies_in_use = {"low"}
    gnocchi.calls.clear()
    told = run(gnocchi, policies={"low": {**LOW, "keep": {"5m": "1w"}}})
    assert [(method, path.rsplit("/", 1)[1]) for method, path in gnocchi.calls if method != "GET"] == [("PATCH", "low")]
    assert '"30d"' in json.dumps(told["diff"]) and '"7d"' in json.dumps(told["diff"])


@pytest.mark.parametrize("change", [{"keep": {"1m": "30d"}}, {"aggregation_methods": ["min"]}])
def test_what_is_fixed_is_made_anew_unless_in_use(gnocchi, change):
    run(gnocchi, rules={})
    wanted = {"low": {**LOW, **change}}
    gnocchi.policies_in_use = {"low"}
    told = run(gnocchi, policies=wanted, rules={})
    assert told["failed"] and "policy low is in use" in told["msg"] and "another name" in told["msg"]
    gnocchi.policies_in_use = set()
    assert run(gnocchi, policies=wanted, rules={})["changed"]
    assert not run(gnocchi, policies=wanted, rules={})["changed"]


def test_what_others_made_is_left_alone(gnocchi):
    gnocchi.store["policies"]["theirs"] = {"name": "theirs", "definition": [], "aggregation_methods": [], "back_window": 0}
    run(gnocchi)
    assert "theirs" in gnocchi.store["policies"]


def test_an_unchanged_cloud_is_only_read(gnocchi):
    run(gnocchi)
    gnocchi.calls.clear()
    assert not run(gnocchi)["changed"]
    assert {method for method, _path in gnocchi.calls} == {"GET"}


def test_a_run_that_was_killed_between_policy_and_rule_is_completed(gnocchi):
    run(gnocchi)
    gnocchi.store["rules"].clear()
    assert run(gnocchi)["changed"] and gnocchi.store["rules"]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"keep": {"5m": "soon"}}, "'soon' is no length of time"),
        ({"keep": {"5m": "30s"}}, "less than one period"),
        ({"keep": {"5m": "1d"}, "timespan": 3}, "has timespan"),
        ({}, "lacks keep"),
    ],
)
def test_bad_input_is_told(gnocchi, said, message):
    told = run(gnocchi, policies={"low": said})
    assert told["failed"] and message in told["msg"]
    assert not gnocchi.store["policies"]


def test_check_mode_on_a_cloud_without_gnocchi_tells_all(cloud):
    told = run(cloud, check=True)
    assert {entry["after_header"] for entry in told["diff"]} == {"policy low", "rule default"}


def test_a_cloud_without_gnocchi_is_told(cloud):
    told = run(cloud)
    assert told["failed"] and "no metric service in the catalog" in told["msg"]
