"""Graffiti, served, with the fake cloud behind its driver; callers and documents for its tests."""

from __future__ import annotations

from functools import partial

from cloudos.graffiti import sources
from cloudos.graffiti.drivers.openstack import OpenStack
from cloudos.graffiti.service import SERVICE
from cloudos.graffiti.vault import Vault
from tests.api import kit
from tests.api.fake_cloud import Cloud

STANDARD = ("tosca", "os-traits", "os-resource-classes", "openstack")
POOL = {"name": "east", "provider_url": "https://192.0.2.5:5000/v3", "login": {"user_name": "demo", "project_name": "demo"},
        "secret": {"password": "right"}, "country": "DE", "scope": "public-project"}  # fmt: skip


def serve(tmp_path, monkeypatch, **groups):
    """The service; `served.cloud` is the cloud behind its driver. A generator, as fixtures are."""
    keys = tmp_path / "pool-keys"
    Vault(keys).add_key()
    groups.setdefault("pools", {})["key_file"] = keys
    for served in kit.serve(SERVICE, "cloudos.graffiti.service", tmp_path, monkeypatch, **groups):
        served.cloud = Cloud()
        served.app.runtime.extra.drivers = {"openstack": partial(OpenStack, connector=served.cloud.connect)}
        yield served


def body_of(batch):
    """A Batch as POST /v1/dictionary takes it."""
    return {"namespaces": [{"name": one.name, "title": one.title or "", "source": one.source, "extra": dict(one.extra),
                            "associations": [dict(each) for each in one.associations]} for one in batch.namespaces],
            "types": [{key: value for key, value in one.body().items() if value is not None} for one in batch.types]}  # fmt: skip


def load_standard(caller, scope="public-cloud"):
    """Load TOSCA's types, Placement's words and ours."""
    for source in STANDARD:
        answer = caller.post("/v1/dictionary", json={**body_of(sources.load(source)), "scope": scope})
        assert answer.status_code == 200, answer.text


def discovered(served, caller, pool=None):
    """Register the pool and discover it; returns it as it is then."""
    made = caller.post("/v1/resource_pools", json=pool or POOL)
    assert made.status_code == 201, made.text
    job = caller.post(f"/v1/resource_pools/{made.json()['id']}/discover")
    assert job.status_code == 202, job.text
    served.work()
    found = caller.get(f"/v1/jobs/{job.json()['id']}").json()
    assert found["state"] == "succeeded", found["error"]
    return caller.get(f"/v1/resource_pools/{made.json()['id']}").json()
