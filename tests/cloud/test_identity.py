"""Keystone under requests of several users at once: each is judged with its own token."""

import collections
import secrets
import threading
import time

import openstack
import pytest
import yaml

pytestmark = pytest.mark.cloud
SECONDS = 8


@pytest.fixture
def people(cloud):
    """Role -> (id, identity API) of a member and of one who has role service, each in a project of its own."""
    about = yaml.safe_load((cloud.state / "clouds.yaml").read_text())["clouds"][cloud.name]
    known = {"region_name": about["region_name"], "cacert": about.get("cacert")}
    identity = openstack.connect(auth=about["auth"], **known).identity
    made, found = [], {}
    try:
        for role in ("member", "service"):
            name, password = f"identity-{role}-{secrets.token_hex(3)}", secrets.token_urlsafe(24)
            project = identity.create_project(name=name, domain_id="default")
            made.append((identity.delete_project, project))
            user = identity.create_user(name=name, domain_id="default", password=password)
            made.append((identity.delete_user, user))
            identity.assign_project_role_to_user(project, user, identity.find_role(role))
            login = {"auth_url": about["auth"]["auth_url"], "username": name, "password": password, "project_name": name,
                     "user_domain_name": "Default", "project_domain_name": "Default"}  # fmt: skip
            found[role] = user.id, openstack.connect(auth=login, **known).identity
        yield found
    finally:
        for delete, one in reversed(made):
            delete(one)


def test_a_credential_has_the_roles_of_its_own_token(people):
    """Whatever others ask at the same moment."""
    told, until = collections.Counter(), time.monotonic() + SECONDS

    def order(user, identity):
        while time.monotonic() < until:
            body = {"application_credential": {"name": secrets.token_hex(8)}}
            answer = identity.post(f"/users/{user}/application_credentials", json=body)
            made = answer.json().get("application_credential", {})
            told[answer.status_code, *sorted(role["name"] for role in made.get("roles", ()))] += 1
            if made:
                identity.delete(f"/users/{user}/application_credentials/{made['id']}")

    def look(user, identity):
        while time.monotonic() < until:
            identity.get(f"/users/{user}")

    kinds = ((order, "member"), (look, "service"), (look, "service"))
    threads = [threading.Thread(target=do, args=people[role]) for do, role in kinds for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert set(told) == {(201, "member", "reader")}, told
