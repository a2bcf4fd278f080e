"""Graffiti, served, with the fake cloud behind its driver; callers and documents for its tests."""

from __future__ import annotations

from functools import partial

import sqlalchemy as sa
from cryptography.fernet import Fernet

from cloudos.graffiti import sources
from cloudos.graffiti.drivers.openstack import OpenStack
from cloudos.graffiti.models import Edition, StoredNamespace, StoredType
from cloudos.graffiti.service import SERVICE
from tests.api import kit
from tests.api.fake_cloud import Cloud

KEPT: dict = {}
STANDARD = ("tosca", "os-traits", "os-resource-classes", "openstack")
POOL = {"name": "east", "provider_url": "https://192.0.2.5:5000/v3", "login": {"user_name": "demo", "project_name": "demo"},
        "secret": {"password": "right"}, "country": "DE", "scope": "public-project"}  # fmt: skip


def serve(tmp_path, monkeypatch, **groups):
    """The service; `served.cloud` is the cloud behind its driver. A generator, as fixtures are."""
    keys = tmp_path / "pool-keys"
    keys.write_bytes(Fernet.generate_key())
    groups.setdefault("vault", {})["key_file"] = keys
    for served in kit.serve(SERVICE, "cloudos.graffiti.service", tmp_path, monkeypatch, **groups):
        served.cloud = Cloud()
        served.app.runtime.extra.drivers = {"openstack": partial(OpenStack, connector=served.cloud.connect)}
        yield served


def body_of(batch):
    """A Batch as POST /v1/dictionary takes it."""
    return {"namespaces": [{"name": one.name, "title": one.title or "", "source": one.source, "extra": dict(one.extra),
                            "associations": [dict(each) for each in one.associations]} for one in batch.namespaces],
            "types": [{key: value for key, value in one.body().items() if value is not None} for one in batch.types]}  # fmt: skip


def load_standard(served):
    """TOSCA's types, Placement's words and ours, for everybody; loaded as an administrator would once, then copied."""
    models = (StoredNamespace, StoredType, Edition)
    if not KEPT:
        root = served.as_("root", "p0", "admin")
        for source in STANDARD:
            answer = root.post("/v1/dictionary", json={**body_of(sources.load(source)), "scope": "public-cloud"})
            assert answer.status_code == 200, answer.text
        with served.app.runtime.db.session() as session:
            KEPT.update({model: [dict(row) for row in session.execute(sa.select(model.__table__)).mappings()] for model in models})
        return
    with served.app.runtime.db.session() as session:
        for model in models:
            session.execute(sa.insert(model.__table__), KEPT[model])


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


def flavor(mem="1 GB", id_="web.flavor", **more):
    """A requirement of a flavor with at least so much memory."""
    host = {"cloudos.openstack/Flavor": {"properties": [{"mem_size": {"greater_or_equal": mem}}]}}
    return {"id": id_, "node": id_.split(".")[0], "capability": "cloudos.openstack/Flavor", "node_filter": {"capabilities": host}, **more}
