"""Module orchestration_domain against a cloud in this process."""

import json

import pytest
from kit import Story, run_module, twelve_cases

SECRETS = {"identity/admin": "admin-password", "service/heat/domain": "domain-password", "other": "new-password"}
PASSWORD = "${secret:service/heat/domain}"


def arguments(root, **changes):
    return {
        "auth_url": f"{root}/identity/v3",
        "admin": {"password": "${secret:identity/admin}"},
        "user": "heat_domain_admin",
        "password": PASSWORD,
        "secrets": SECRETS,
        **changes,
    }


def run(cloud, **changes):
    return run_module("orchestration_domain", **arguments(cloud.root, **changes))


def test_twelve_cases(cloud):
    create = arguments(cloud.root)
    change = arguments(cloud.root, description="Of stacks", password="${secret:other}", role="member")
    remove = arguments(cloud.root, state="absent")
    twelve_cases(Story("orchestration_domain", create, change, remove, state=cloud.snapshot))
    assert cloud.named("roles", "heat_stack_user"), "a role may be in use elsewhere"


def test_the_administrator_has_its_role_in_the_domain_and_nowhere_else(cloud):
    told = run(cloud)
    domain, user = cloud.named("domains", "heat"), cloud.named("users", "heat_domain_admin")
    assert told["domain_id"] == domain["id"] == user["domain_id"]
    grants = {(home, role) for home, who, role in cloud.grants if who == user["id"]}
    assert grants == {(domain["id"], cloud.named("roles", "admin")["id"])}


def test_a_role_too_many_is_taken_away(cloud):
    run(cloud)
    domain, user = cloud.named("domains", "heat"), cloud.named("users", "heat_domain_admin")
    extra = (domain["id"], user["id"], cloud.named("roles", "member")["id"])
    cloud.grants.add(extra)
    assert run(cloud)["changed"]
    assert extra not in cloud.grants


def test_another_password_is_set_again_and_none_is_shown(cloud):
    run(cloud)
    cloud.named("users", "heat_domain_admin")["password"] = "another"
    told = run(cloud)
    assert [entry["after_header"] for entry in told["diff"]] == ["user heat_domain_admin"]
    assert cloud.named("users", "heat_domain_admin")["password"] == "domain-password"
    assert not any(secret in json.dumps(told) for secret in SECRETS.values())


def test_a_disabled_domain_is_enabled(cloud):
    run(cloud)
    cloud.named("domains", "heat")["enabled"] = False
    assert run(cloud)["changed"]
    assert cloud.named("domains", "heat")["enabled"]


def test_a_run_that_was_killed_half_way_is_completed(cloud):
    """The user was made, and its role was not."""
    run(cloud)
    user = cloud.named("users", "heat_domain_admin")
    cloud.grants = {grant for grant in cloud.grants if grant[1] != user["id"]}
    assert run(cloud)["changed"]
    assert not run(cloud)["changed"]


def test_what_heat_made_in_the_domain_is_left_alone(cloud):
    run(cloud)
    cloud.add("users", name="stack-user", password="x", enabled=True, domain_id=cloud.named("domains", "heat")["id"])
    cloud.calls.clear()
    assert not run(cloud)["changed"]
    assert {method for method, _path in cloud.calls} == {"GET"}


def test_a_domain_is_disabled_before_it_is_removed(cloud):
    run(cloud)
    cloud.calls.clear()
    run(cloud, state="absent")
    assert [method for method, _path in cloud.calls if method != "GET"] == ["PATCH", "DELETE"]


def test_an_unknown_role_is_told(cloud):
    told = run(cloud, role="amdin")
    assert told["failed"] and "no role amdin" in told["msg"]


def test_a_wrong_password_of_the_cloud_s_administrator_is_told(cloud):
    told = run(cloud, admin={"password": "${secret:other}"})
    assert told["failed"] and "admin cannot log in" in told["msg"] and "Next step" in told["msg"]
    assert "new-password" not in json.dumps(told)


@pytest.mark.parametrize("check", [True, False])
def test_where_nothing_listens(check):
    """Check mode says what would come; a real run tells which unit does not answer."""
    told = run_module("orchestration_domain", check=check, **arguments("http://127.0.0.1:1", timeout=0))
    if check:
        assert {"domain heat", "user heat_domain_admin"} <= {entry["after_header"] for entry in told["diff"]}
    else:
        assert told["failure"]["unit"] == "keystone-api.service"


def test_user_and_password_are_required_for_a_domain(cloud):
    told = run_module("orchestration_domain", auth_url="http://127.0.0.1:1", admin={})
    assert told["failed"] and "user, password" in told["msg"]
