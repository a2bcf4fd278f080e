"""Module identity against a cloud in this process."""

import json

import pytest
from fake_openstack import fake_openstack
from kit import Story, run_module, twelve_cases

SECRETS = {"identity/admin": "admin-password", "identity/glance": "glance-password", "identity/nova": "nova-password"}


def arguments(root, **changes):
    url = {"public": f"{root}/image", "internal": f"{root}/image", "admin": f"{root}/image"}
    return {
        "auth_url": f"{root}/identity/v3",
        "region": "RegionOne",
        "admin": {"user": "admin", "password": "${secret:identity/admin}", "project": "admin"},
        "services": {"glance": {"type": "image", "description": "Image", "endpoints": url}},
        "users": {"glance": {"password": "${secret:identity/glance}", "project": "service", "roles": ["service"]}},
        "bootstrap": {"command": "false"},
        "secrets": SECRETS,
        **changes,
    }


def test_twelve_cases(cloud):
    create = arguments(cloud.root)
    change = json.loads(json.dumps(create))
    change["services"]["glance"]["endpoints"]["public"] = "https://other:9292"
    change["users"]["glance"]["roles"] = ["admin", "heat_stack_owner"]
    remove = arguments(cloud.root, services={}, users={}, absent={"services": ["glance"], "users": ["glance"]})
    twelve_cases(Story("identity", create, change, remove, state=cloud.snapshot))
    assert not cloud.store["endpoints"]


def test_roles_that_no_user_of_ours_has_are_made(cloud):
    wanted = arguments(cloud.root, roles=["ResellerAdmin", "service"])
    assert run_module("identity", **wanted)["changed"]
    assert cloud.named("roles", "ResellerAdmin")
    assert not run_module("identity", **wanted)["changed"]


def test_a_user_with_another_password_gets_the_wanted_one(cloud):
    run_module("identity", **arguments(cloud.root))
    cloud.named("users", "glance")["password"] = "another"
    told = run_module("identity", **arguments(cloud.root))
    assert [entry["after_header"] for entry in told["diff"]] == ["user glance"]
    assert cloud.named("users", "glance")["password"] == SECRETS["identity/glance"]
    assert not any(secret in json.dumps(told) for secret in SECRETS.values())


def test_an_unchanged_cloud_is_only_read(cloud):
    run_module("identity", **arguments(cloud.root))
    cloud.calls.clear()
    assert not run_module("identity", **arguments(cloud.root))["changed"]
    assert {method for method, _path in cloud.calls} == {"GET"}


def test_roles_are_exact_and_others_are_left_alone(cloud):
    run_module("identity", **arguments(cloud.root))
    project, user = cloud.named("projects", "service"), cloud.named("users", "glance")
    stranger = cloud.add("users", name="stranger", password="x")
    extra, foreign = ((project["id"], one["id"], cloud.named("roles", "member")["id"]) for one in (user, stranger))
    cloud.grants |= {extra, foreign}
    assert run_module("identity", **arguments(cloud.root))["changed"]
    assert extra not in cloud.grants
    assert foreign in cloud.grants


@pytest.fixture
def blank(tmp_path):
    """A Keystone without content; its `command` is a bootstrap command that does nothing."""
    with fake_openstack() as cloud:
        cloud.command = tmp_path / "bootstrap"
        cloud.command.write_text("#!/bin/sh\n")
        cloud.command.chmod(0o755)
        yield cloud


def test_an_empty_keystone_is_bootstrapped_without_a_password_in_the_arguments(blank, monkeypatch):
    monkeypatch.setattr("ansible_collections.cloudos.cloud.plugins.modules.identity.run", bootstrapping(blank))
    told = run_module("identity", **arguments(blank.root, bootstrap={"command": str(blank.command)}))
    assert told["bootstrapped"], told
    assert blank.password == SECRETS["identity/admin"]
    assert not any(secret in " ".join(blank.words) for secret in SECRETS.values())
    assert not run_module("identity", **arguments(blank.root))["changed"]


def bootstrapping(cloud):
    """Stands for the process: fills the cloud and keeps what it was given."""

    def run(argv, environment, **_):
        cloud.words, cloud.password = argv, environment["OS_BOOTSTRAP_PASSWORD"]
        cloud.bootstrap(cloud.password)

    return run


def test_where_nothing_listens_check_mode_says_that_all_would_be_made():
    told = run_module("identity", check=True, **arguments("http://127.0.0.1:1"))
    assert told["changed"]
    assert {"user glance", "service glance", "project service"} <= {entry["after_header"] for entry in told["diff"]}


def test_a_bootstrap_that_fails_is_told_with_its_output(blank):
    blank.command.write_text('#!/bin/sh\necho "no database for $OS_BOOTSTRAP_PASSWORD"\nexit 3\n')
    told = run_module("identity", **arguments(blank.root, bootstrap={"command": str(blank.command)}))
    assert told["failed"]
    assert "ended with status 3" in told["msg"]
    assert "| no database for ***" in told["msg"]


def test_a_keystone_that_never_answers_is_told_by_unit(blank):
    told = run_module("identity", **arguments("http://127.0.0.1:1", timeout=0, bootstrap={"command": "true"}))
    assert told["failure"]["unit"] == "keystone-api.service"
    assert "Connection refused" in told["failure"]["cause"]
