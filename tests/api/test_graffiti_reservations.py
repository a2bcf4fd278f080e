"""Reservations over HTTP: what they hold and for how long, binding again, and what becomes of what ended."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from cloudos.eden.db import now
from cloudos.graffiti.binding import purge
from cloudos.graffiti.models import Binding, Claim
from tests.api import graffiti
from tests.api.graffiti import flavor


@pytest.fixture
def served(tmp_path, monkeypatch):
    yield from graffiti.serve(tmp_path, monkeypatch)


@pytest.fixture
def ann(served):
    graffiti.load_standard(served)
    return served.as_("ann", "p1", "architect")


@pytest.fixture
def pool(served, ann):
    return graffiti.discovered(served, ann)


def test_reservations_hold_what_others_then_do_not_get(served, ann, pool):
    body = {"requirements": [flavor("10 GB", count=2)], "name": "first", "scope": "public-project"}
    made = ann.post("/v1/bindings", json=body)
    assert made.status_code == 201, made.text
    path = made.headers["Location"]
    second = ann.post("/v1/bindings", json={**body, "name": "second"})
    assert second.status_code == 409 and "cores 16 > 2 left" in second.json()["detail"]
    assert ann.post(f"{path}/commit").json()["state"] == "committed"
    assert ann.post(f"{path}/commit").json()["state"] == "committed", "who repeats a step finds it done"
    assert ann.delete(path).status_code == 204 and ann.get(path).json()["state"] == "released"
    assert ann.post("/v1/bindings", json={**body, "name": "second"}).status_code == 201


def test_reservations_expire(served, ann, pool):
    made = ann.post("/v1/bindings", json={"requirements": [flavor("10 GB", count=2)], "seconds": 1, "scope": "public-project"})
    time.sleep(1.1)
    assert ann.get(made.headers["Location"]).json()["state"] == "expired"
    assert ann.post(f"{made.headers['Location']}/commit").json()["code"] == "binding.over"
    assert ann.post("/v1/match", json={"requirements": [flavor("10 GB", count=2)]}).json()["bound"]
    assert ann.get("/v1/quotas").json()["quotas"]["bindings"]["used"] == 0


def test_what_ended_long_ago_is_forgotten_and_nothing_else(served, ann, pool):
    def bound(then=None, seconds=900):
        made = ann.post("/v1/bindings", json={"requirements": [flavor()], "scope": "public-project", "seconds": seconds})
        if then:
            assert ann.post(f"{made.headers['Location']}/{then}").ok
        return made.json()["id"]

    committed, reserved, expired, released, again = bound("commit"), bound(), bound(seconds=10), bound(), bound("commit")
    ann.delete(f"/v1/bindings/{released}")
    later = ann.post(f"/v1/bindings/{again}/rebind").json()["id"]
    runtime, bindings = served.app.runtime, lambda: {one["id"] for one in ann.get("/v1/bindings").json()["bindings"]}
    runtime.db.transact(lambda session: purge(session, 30))
    assert bindings() == {committed, reserved, expired, released, again, later}
    with runtime.db.session() as session:
        old = now() - timedelta(days=31)
        session.execute(sa.update(Binding).where(Binding.id != reserved).values(created_at=old))
        session.execute(sa.update(Binding).where(Binding.id.in_((expired, released, again))).values(expires_at=old))
    assert runtime.db.transact(lambda session: purge(session, 30)) == 3 and bindings() == {committed, reserved, later}
    with runtime.db.session(reading=True) as session:
        held = set(session.scalars(sa.select(Claim.binding_id)))
    assert held == {committed, reserved, later}


def test_an_expired_binding_that_is_bound_again_counts_again(served, ann, pool):
    served.as_("root", "p0", "admin").put("/v1/quotas/p1", json={"bindings": 1})
    body = {"requirements": [flavor()], "scope": "public-project"}
    first = ann.post("/v1/bindings", json={**body, "seconds": 1}).headers["Location"]
    time.sleep(1.1)
    second = ann.post("/v1/bindings", json=body).headers["Location"]
    assert ann.post(f"{first}/rebind").json()["code"] == "quota.exceeded" and ann.get(first).json()["state"] == "expired"
    again = ann.post(f"{second}/rebind")
    assert again.status_code == 201 and ann.get(second).json()["state"] == "released", "in its own place"


def test_of_many_who_reserve_the_last_piece_at_once_one_gets_it(served, ann):
    body = {"name": "ip", "type": "Address", "scope": "public-project", "capacity": {"uses": 1},
            "capabilities": [{"name": "a", "type": "tosca:Attachment"}]}  # fmt: skip
    pool = ann.post("/v1/resource_pools", json=graffiti.POOL).json()["id"]
    ann.post("/v1/resources", json={**body, "pool": pool})
    wanted = {"requirements": [{"id": "a", "capability": "tosca:Attachment"}], "scope": "public-project"}
    together = threading.Barrier(4)

    def reserve(_):
        together.wait()
        return served.as_("ann", "p1", "architect").post("/v1/bindings", json=wanted).status_code

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(reserve, range(4))) == [201, 409, 409, 409]


def test_what_has_a_capacity_is_given_out_that_often(ann):
    body = {"name": "ip", "type": "Address", "scope": "public-project", "capacity": {"uses": 1},
            "capabilities": [{"name": "a", "type": "tosca:Attachment"}]}  # fmt: skip
    ann.post("/v1/resources", json=body)
    wanted = {"requirements": [{"id": "a", "capability": "tosca:Attachment"}], "scope": "public-project"}
    made = ann.post("/v1/bindings", json=wanted)
    assert made.status_code == 201, made.text
    assert "0 uses left" in ann.post("/v1/bindings", json=wanted).json()["detail"]
    resource = made.json()["chosen"]["a"]["resource"]
    assert "is bound by" in ann.delete(f"/v1/resources/{resource}").json()["detail"]


def test_what_is_bound_again_is_chosen_as_its_owner_sees_it(served, ann):
    body = {"name": "ip", "type": "Address", "capabilities": [{"name": "a", "type": "tosca:Attachment"}]}
    ann.post("/v1/resources", json={**body, "scope": "public-project"})
    made = ann.post("/v1/bindings", json={"requirements": [{"id": "a", "capability": "tosca:Attachment"}], "scope": "public-project"})
    root = served.as_("root", "p0", "admin")
    assert root.post("/v1/resources", json={**body, "name": "a hidden one", "price": 0}).status_code == 201
    again = root.post(f"{made.headers['Location']}/rebind")
    assert (again.status_code, again.json()["chosen"]["a"]["name"], again.json()["changes"]) == (201, "ip", [])


def test_what_is_bound_is_not_deleted_and_what_was_bound_is(served, ann):
    body = {"name": "ip", "type": "Address", "scope": "public-project", "capabilities": [{"name": "a", "type": "tosca:Attachment"}]}
    path = ann.post("/v1/resources", json=body).headers["Location"]
    wanted = {"requirements": [{"id": "a", "capability": "tosca:Attachment"}]}
    assert served.as_("bob", "p1").post("/v1/bindings", json={**wanted, "name": "bobs", "seconds": 2}).status_code == 201
    mine = ann.post("/v1/bindings", json={**wanted, "name": "anns"}).headers["Location"]
    told = ann.delete(path, headers={"If-Match": "*"})
    assert told.status_code == 409 and "is bound by anns, 1 that you may not see; release" in told.json()["detail"]
    ann.delete(mine)
    assert "is bound by 1 that you may not see" in ann.delete(path, headers={"If-Match": "*"}).json()["detail"]
    time.sleep(2.1)
    assert ann.delete(path, headers={"If-Match": "*"}).status_code == 204, "what has expired holds nothing"
