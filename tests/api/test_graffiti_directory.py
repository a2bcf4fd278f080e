"""Pools and resources over HTTP: log-in before saving, secrets kept, discovery, what vanishes, search."""

import importlib
import json
import re
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from openstack.compute.v2 import flavor

from cloudos.graffiti.models import Pool
from tests.api import graffiti
from tests.api.graffiti import POOL

TEMPLATE = """
tosca_definitions_version: tosca_simple_yaml_1_3
topology_template:
  node_templates:
    web:
      type: tosca.nodes.Compute
      capabilities: {host: {properties: {num_cpus: 6}}}
"""


@pytest.fixture
def served(tmp_path, monkeypatch):
    yield from graffiti.serve(tmp_path, monkeypatch)


@pytest.fixture
def ann(served):
    graffiti.load_standard(served)
    return served.as_("ann", "p1", "architect")


@pytest.mark.parametrize("change, words", [
    ({"secret": {"password": "wrong"}}, "refuses user demo"), ({"region_id": "west"}, "has no region west; it has east"),
    ({"type": "ec2"}, "no driver for pools of type ec2"),
])  # fmt: skip
def test_a_pool_that_does_not_let_in_is_not_saved(served, change, words):
    ann = served.as_("ann", "p1", "architect")
    answer = ann.post("/v1/resource_pools", json={**POOL, **change})
    assert (answer.status_code, answer.json()["code"]) == (422, "pool.login")
    assert words in answer.json()["detail"] and "the provider's own words" not in answer.text
    assert ann.get("/v1/resource_pools?state=all").json()["resource_pools"] == []


def test_the_secret_is_encrypted_and_never_returned(served, ann):
    pool = graffiti.discovered(served, ann)
    with served.app.runtime.db.session() as session:
        kept = session.scalar(sa.select(Pool.secret))
    assert b"right" not in kept
    answers = [ann.get("/v1/resource_pools"), ann.get(f"/1/resource_pool_list/{pool['id']}"), ann.get("/v1/jobs"), ann.get("/v1/audit")]
    assert not [answer.url for answer in answers if '"right"' in answer.text or "password" in answer.text]
    assert pool["region_id"] == "east" and pool["login"]["project_id"] == "cloudproject"


def test_tokens_are_for_services_and_outlive_the_pool(served, ann):
    pool = graffiti.discovered(served, ann)
    path = f"/v1/resource_pools/{pool['id']}"
    assert ann.post(f"{path}/token").json()["code"] == "pool.service_only"
    tag = ann.get(path).headers["ETag"]
    assert ann.delete(path, headers={"If-Match": tag}).status_code == 204
    assert ann.get("/v1/resource_pools").json()["resource_pools"] == []
    assert ann.get(path).json()["state"] == "deleted"
    assert ann.post(f"{path}/discover").json()["code"] == "pool.unusable"
    eve = served.as_("eve", "p1", "service", "reader")
    assert eve.post(f"{path}/token").json() == {
        "token": "the-token", "expires_at": "2030-01-01T00:00:00+00:00", "region_id": "east", "ca": None,
        "provider_url": POOL["provider_url"], "project_id": "cloudproject"}  # fmt: skip
    assert served.as_("eve", "p2", "service", "reader").post(f"{path}/token").status_code == 404


def test_a_kept_secret_goes_to_no_other_address(served, ann):
    pool = graffiti.discovered(served, ann)
    path = f"/v1/resource_pools/{pool['id']}"
    tag = {"If-Match": ann.get(path).headers["ETag"]}
    answer = ann.put(path, json={"provider_url": "https://192.0.2.66/v3"}, headers=tag)
    assert answer.status_code == 409 and "needs the secret too" in answer.json()["detail"]
    assert ann.put(path, json={"name": "East"}, headers=tag).json()["name"] == "East"
    assert ann.put(path, json={"name": "west"}, headers=tag).status_code == 412


def test_discovery_describes_in_the_words_of_the_dictionary(served, ann):
    pool = graffiti.discovered(served, ann)
    found = {one["name"]: one for one in ann.get("/v1/resources?limit=100").json()["resources"]}
    assert set(found) == {
        "m1.tiny",
        "m1.small",
        "m1.large",
        "debian-12",
        "broken",
        "private",
        "public",
        "fast",
        "nova",
        "ssd",
        "host-1",
        "mine",
    }
    large = {one["type"]: one["properties"] for one in found["m1.large"]["capabilities"]}
    assert large["cloudos.openstack/Flavor"]["mem_size"] == "16384 MiB"
    assert "os-traits/HW_CPU_X86_AVX2" in large and large["os-resource-classes/VGPU"] == {"total": 1}
    host = {one["name"]: one["properties"] for one in found["host-1"]["capabilities"]}
    assert host["VCPU"] == {"total": 16, "used": 4, "allocation_ratio": 2.0, "available": 28}
    assert found["broken"]["health"] == "queued"
    assert pool["quota"]["cores"] == {"limit": 20, "used": 2}


def test_what_vanished_is_marked_and_comes_back(served, ann):
    pool = graffiti.discovered(served, ann)
    path = f"/v1/resource_pools/{pool['id']}/discover"
    gone = served.cloud.flavors.pop(0)
    served.cloud.flavors[0] = flavor.Flavor(id="f2", name="m1.small", vcpus=4, ram=2048, disk=20, is_public=True, extra_specs={})

    def again():
        job = ann.post(path).json()["id"]
        served.work()
        return ann.get(f"/v1/jobs/{job}").json()["result"]["flavors"]

    assert again() == {"new": 0, "changed": 1, "same": 1, "vanished": 1}
    tiny = ann.get("/v1/resources?vanished=true&text=tiny").json()["resources"]
    assert [one["freshness"]["state"] for one in tiny] == ["vanished"]
    assert ann.get("/v1/resources?text=tiny").json()["resources"] == []
    served.cloud.flavors.append(gone)
    assert again() == {"new": 0, "changed": 1, "same": 2, "vanished": 0}
    assert [one["id"] for one in ann.get("/v1/resources?text=tiny").json()["resources"]] == [tiny[0]["id"]]


def test_what_may_not_be_listed_is_told_and_kept(served, ann):
    pool = graffiti.discovered(served, ann)
    served.cloud.forbidden.add("aggregates")
    job = ann.post(f"/v1/resource_pools/{pool['id']}/discover", json={"kinds": ["aggregates"]}).json()["id"]
    served.work()
    result = ann.get(f"/v1/jobs/{job}").json()["result"]
    assert "may not list aggregates" in result["aggregates"]["not_allowed"]
    assert len(ann.get("/v1/resources?type=OS::Nova::Aggregate").json()["resources"]) == 1


def test_without_dictionary_discovery_says_what_to_load(served):
    ann = served.as_("ann", "p1", "architect")
    pool = ann.post("/v1/resource_pools", json=POOL).json()["id"]
    job = ann.post(f"/v1/resource_pools/{pool}/discover").json()["id"]
    served.work()
    found = ann.get(f"/v1/jobs/{job}").json()
    assert found["state"] == "failed" and "cloudos graffiti load standard" in found["error"]


def test_search_with_filter_text_tags_facets_and_pages(served, ann):
    graffiti.discovered(served, ann)

    def search(**body):
        answer = ann.post("/v1/search", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    host = {"capabilities": {"host": {"properties": [{"mem_size": {"greater_or_equal": "1 GB"}}]}}}
    found = search(capability="tosca.capabilities.Compute", node_filter=host, sort="name", facets=["type", "num_cpus"])
    assert [one["name"] for one in found["resources"]] == ["m1.large", "m1.small"] and found["total"] == 2
    assert found["facets"]["num_cpus"] == [{"value": "2", "count": 1}, {"value": "8", "count": 1}]
    assert [one["name"] for one in search(capability="tosca:OperatingSystem", text="debi", tags=["lts"])["resources"]] == ["debian-12"]
    assert [one["name"] for one in search(capability="HW_CPU_X86")["resources"]] == ["host-1", "m1.large"], "derived traits count"
    names, marker = [], None
    while True:
        page = search(limit=5, sort="type,name", **({"marker": marker} if marker else {}))
        names += [one["name"] for one in page["resources"]]
        if not (marker := page["next_marker"]):
            break
    assert len(names) == len(set(names)) == page["total"] == 12


@pytest.mark.parametrize("body, code, words", [
    ({"capability": "tosca.capabilities.Comput"}, "type.unknown", "did you mean tosca.capabilities.Compute"),
    ({"node_filter": {"properties": {"x": {"bigger": 1}}}}, "filter.invalid", "/node_filter/properties/x/bigger"),
])  # fmt: skip
def test_wrong_questions_are_told(ann, body, code, words):
    problem = ann.post("/v1/search", json=body).json()
    assert problem["code"] == code and words in problem["detail"]


def test_publishing_by_hand(ann):
    body = {"name": "appliance", "type": "my.Appliance", "scope": "public-project", "tags": ["rack7"], "capacity": {"uses": 2},
            "capabilities": [{"name": "host", "type": "tosca:Compute", "properties": {"num_cpus": 64, "mem_size": "1 TiB"}}]}  # fmt: skip
    wrong = {**body, "capabilities": [{"name": "host", "type": "tosca:Compute", "properties": {"num_cpus": 0, "mem_size": 4}},
                                      {"name": "host", "type": "nonsense"}]}  # fmt: skip
    errors = {one["pointer"]: one["message"] for one in ann.post("/v1/resources", json=wrong).json()["errors"]}
    assert errors["/capabilities/0/properties/num_cpus"] == "0 is not >= 1" and "/capabilities/1/type" in errors
    assert "/capabilities" in errors and any("mem_size" in pointer for pointer in errors)
    made = ann.post("/v1/resources", json=body)
    assert made.status_code == 201, made.text
    path = made.headers["Location"]
    tag = {"If-Match": made.headers["ETag"]}
    assert ann.put(path, json={**body, "tags": ["rack8"]}, headers=tag).json()["tags"] == ["rack8"]
    assert [one["name"] for one in ann.get("/v1/resources?tag=rack8").json()["resources"]] == ["appliance"]
    assert ann.get("/v1/resources?tag=rack7").json()["resources"] == []
    assert ann.delete(path).status_code == 204 and ann.get(path).status_code == 404


def test_others_pools_and_resources_are_not_there(served, ann):
    pool = graffiti.discovered(served, ann, {**POOL, "scope": "private-project"})
    cid = served.as_("cid", "p2", "architect")
    assert cid.get(f"/v1/resource_pools/{pool['id']}").status_code == 404
    assert cid.get("/v1/resources").json()["resources"] == []
    assert cid.post("/v1/search", json={"facets": ["type", "tag", "name"]}).json()["facets"] == {"type": [], "tag": [], "name": []}
    one = ann.get("/v1/resources").json()["resources"][0]["id"]
    assert cid.get(f"/v1/resources/{one}").status_code == 404
    assert json.loads(cid.post("/v1/match", json={"requirements": [{"id": "a", "capability": "tosca:Compute"}]}).text)["bound"] is False


def test_the_driver_of_the_documentation_finds_what_templates_need(served, ann, tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "write-a-driver.md").read_text()
    text = re.search(r"```python\n# racks/__init__.py\n(.*?)```", page, re.DOTALL)[1]
    (tmp_path / "racks.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    served.app.runtime.extra.drivers = {"racks": importlib.import_module("racks").Racks}
    pool = {**POOL, "name": "cellar", "type": "racks", "provider_url": "https://192.0.2.9/", "region_id": None}
    refused = ann.post("/v1/resource_pools", json={key: value for key, value in pool.items() if value is not None})
    assert refused.json()["code"] == "pool.login" and "check the password" in refused.json()["detail"]
    pool = {key: value for key, value in pool.items() if value is not None} | {"secret": {"password": "open sesame"}}
    made = graffiti.discovered(served, ann, pool)
    assert (made["region_id"], made["quota"]) == ("cellar", {"instances": {"limit": 10, "used": 0}})
    wanted = {"files": {"t.yaml": TEMPLATE}, "entry": "t.yaml"}
    found = ann.post("/v1/match", json={"template": wanted}).json()
    chosen = {one["id"]: one["chosen"]["name"] for one in found["requirements"]}
    assert chosen == {"web.flavor": "rack 2", "web.image": "Debian 12"}
    sys.modules.pop("racks")
