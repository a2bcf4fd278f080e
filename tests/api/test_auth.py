"""The doors: Keystone's middleware as it is, and the embedded mode without it."""

import pytest
import requests

from cloudos.eden import config
from cloudos.eden.app import make_app
from tests.api import kit, toy

LOCAL = {"api": {"auth_strategy": "noauth"}}


@pytest.fixture
def guarded(tmp_path):
    """The service behind the real middleware, whose Keystone does not answer."""
    keystone = {"auth_url": "http://127.0.0.1:1", "auth_type": "password", "username": "toy", "password": "x", "project_name": "service",
                "www_authenticate_uri": "https://keystone.example", "http_connect_timeout": 1, "http_request_max_retries": 0}  # fmt: skip
    app = make_app(toy.SERVICE, config.load(toy.SERVICE, [str(kit.write_conf(tmp_path, keystone_authtoken=keystone))]), migrate=True)
    return app.test_client()


def test_without_token_keystone_is_named(guarded):
    answer = guarded.get("/v1/notes")
    assert (answer.status_code, answer.json["code"]) == (401, "auth.required")
    assert answer.headers["WWW-Authenticate"] == 'Keystone uri="https://keystone.example"'
    assert guarded.get("/healthcheck").status_code == 200


def test_nobody_gives_himself_a_role(guarded):
    forged = {"X-Identity-Status": "Confirmed", "X-User-Id": "root", "X-Project-Id": "p1", "X-Roles": "admin"}
    assert guarded.get("/v1/notes", headers=forged).status_code == 401


def test_keystone_away_is_no_error_of_the_caller(guarded):
    answer = guarded.get("/v1/notes", headers={"X-Auth-Token": "some"})
    assert (answer.status_code, answer.json["code"], answer.headers["Retry-After"]) == (503, "unavailable", "5")
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("served", [LOCAL], indirect=True)
def test_local_user_needs_no_token(served):
    made = requests.post(f"{served.url}/v1/notes", json={"text": "x", "scope": "public-cloud"}, timeout=10)
    assert (made.status_code, made.json()["user_id"]) == (201, "local")


@pytest.mark.parametrize("served", [LOCAL], indirect=True)
@pytest.mark.parametrize("headers", [
    {"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {"X-Forwarded-For": "192.0.2.7"},
    {"Host": "192.0.2.7"},
], ids=str)  # fmt: skip
def test_pages_and_proxies_are_not_local(served, headers):
    answer = requests.get(f"{served.url}/v1/notes", headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (403, "auth.not_local")


def test_other_machines_are_not_local(tmp_path):
    app = make_app(toy.SERVICE, config.load(toy.SERVICE, [str(kit.write_conf(tmp_path, **LOCAL))]), migrate=True)
    client = app.test_client()
    assert client.get("/v1/notes", environ_base={"REMOTE_ADDR": "192.0.2.7"}).json["code"] == "auth.not_local"
    assert client.get("/v1/notes", environ_base={"REMOTE_ADDR": ""}).status_code == 200
