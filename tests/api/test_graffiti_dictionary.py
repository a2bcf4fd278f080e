"""The dictionary over HTTP: loading, inheritance with provenance, keys, isolation."""

import json

import pytest

from cloudos.graffiti import sources
from tests.api import graffiti


@pytest.fixture
def served(tmp_path, monkeypatch):
    yield from graffiti.serve(tmp_path, monkeypatch)


@pytest.fixture
def root(served):
    return served.as_("root", "p0", "admin")


def batch(*types, name="shop", **extra):
    return {"namespaces": [{"name": name}], "types": [{"kind": "capability", "namespace": name, **one} for one in types], **extra}


SIZE = {"type": "object", "properties": {"size": {"type": "integer", "minimum": 1}}}


def test_a_batch_is_loaded_once_and_then_the_same(root):
    body = {**graffiti.body_of(sources.load("tosca")), "scope": "public-cloud"}
    first, second = (root.post("/v1/dictionary", json=body).json() for _ in range(2))
    assert len(first["created"]) == len(body["types"]) + 1 and first["same"] == 0
    assert (second["created"], second["changed"], second["same"]) == ([], [], len(first["created"]))


def test_a_dry_run_stores_nothing(served):
    ann = served.as_()
    told = ann.post("/v1/dictionary", json=batch({"name": "a"}, dry_run=True)).json()
    assert told["created"] == ["shop", "shop/a"] and ann.get("/v1/types").json()["types"] == []


def test_children_may_come_before_their_parents(served):
    ann = served.as_()
    answer = ann.post("/v1/dictionary", json=batch({"name": "c", "derived_from": "b"}, {"name": "b", "derived_from": "a"}, {"name": "a"}))
    assert answer.json()["created"] == ["shop", "shop/a", "shop/b", "shop/c"]


@pytest.mark.parametrize("types, words", [
    ([{"name": "a", "derived_from": "Containr"}], "not a capability type of the dictionary"),
    ([{"name": "a", "derived_from": "b"}, {"name": "b", "derived_from": "a"}], "derive from each other"),
    ([{"name": "a", "schema": {"type": "nonsense"}}], "is not valid under any of the given schemas"),
    ([{"name": "a", "schema": SIZE}, {"name": "b", "derived_from": "a", "schema": {"properties": {"size": {"type": "string"}}}}],
     "may narrow a property, not change its type"),
    ([{"name": "a", "schema": SIZE}, {"name": "b", "derived_from": "a", "schema": {"properties": {"size": {"minimum": 0}}}}], "wider"),
    ([{"name": "a", "schema": {"properties": {"x": {"tosca:constraints": [{"bigger": 1}]}}}}], "is not an operator"),
    ([{"name": "a", "kind": "requirement"}], "names a capability type"),
])  # fmt: skip
def test_what_does_not_hold_together_is_refused_whole(served, types, words):
    ann = served.as_()
    answer = ann.post("/v1/dictionary", json=batch(*types, {"name": "good"}))
    assert (answer.status_code, answer.json()["code"]) == (422, "dictionary.invalid")
    assert words in json.dumps(answer.json()["errors"]), answer.text
    assert ann.get("/v1/types").json()["types"] == [] and ann.get("/v1/namespaces").json()["namespaces"] == []


def test_every_property_says_where_it_comes_from(served):
    ann = served.as_()
    narrower = {"properties": {"size": {"maximum": 9}, "colour": {"type": "string"}}, "required": ["size"]}
    ann.post("/v1/dictionary", json=batch({"name": "base", "schema": SIZE}, {"name": "mid", "derived_from": "base"},
                                          {"name": "leaf", "derived_from": "mid", "schema": narrower}))  # fmt: skip
    leaf = next(one for one in ann.get("/v1/types?name=leaf").json()["types"])
    found = ann.get(f"/v1/types/{leaf['id']}").json()
    assert found["ancestry"] == ["shop/leaf", "shop/mid", "shop/base"]
    size = found["derived_properties"]["size"]
    assert (size["from"], size["refines"], size["required"]) == ("shop/leaf", ["shop/base"], True)
    assert size["schema"] == {"type": "integer", "minimum": 1, "maximum": 9}
    check = ann.post(f"/v1/types/{leaf['id']}/check", json={"instance": {"size": 12}}).json()
    assert check == {"valid": False, "errors": [{"pointer": "/size", "message": "12 is greater than the maximum of 9"}]}


def test_a_type_that_others_derive_from_is_not_deleted(served):
    ann = served.as_()
    ann.post("/v1/dictionary", json=batch({"name": "base"}))
    ann.post("/v1/dictionary", json=batch({"name": "child", "derived_from": "shop/base"}, name="other"))
    base = ann.get("/v1/types?name=base").json()["types"][0]["id"]
    answer = ann.delete(f"/v1/types/{base}")
    assert answer.status_code == 409 and "other/child" in answer.json()["detail"]
    assert ann.delete("/v1/namespaces/shop").json()["code"] == "dictionary.in_use"
    assert ann.delete("/1/namespace/shop?include_descendants=true").status_code == 204
    assert ann.get("/v1/types").json()["types"] == []


def test_changes_need_the_present_version(served):
    ann = served.as_()
    made = ann.post("/v1/namespaces", json={"name": "shop", "title": "Shop"})
    path = made.headers["Location"]
    assert ann.put(path, json={"title": "x"}).status_code == 428
    assert ann.put(path, json={"title": "x"}, headers={"If-Match": '"old"'}).status_code == 412
    changed = ann.put(path, json={"title": "x"}, headers={"If-Match": made.headers["ETag"]})
    assert changed.json()["title"] == "x" and changed.headers["ETag"] != made.headers["ETag"]
    assert ann.post("/v1/namespaces", json={"name": "shop"}).status_code == 409


def test_names_of_projects_do_not_collide_nor_leak(served):
    ann, cid = served.as_("ann", "p1"), served.as_("cid", "p2")
    for caller, title in ((ann, "mine"), (cid, "yours")):
        assert caller.post("/v1/namespaces", json={"name": "shop", "title": title}).status_code == 201
    assert [one["title"] for one in cid.get("/v1/namespaces").json()["namespaces"]] == ["yours"]
    assert (
        cid.get(ann.get("/v1/namespaces/shop").request.path_url.replace("shop", ann.get("/v1/namespaces/shop").json()["id"])).status_code
        == 404
    )


def test_private_names_of_one_project_do_not_meet(served, root):
    callers = {user: served.as_(user, "p1", "architect") for user in ("ann", "bob")}
    made = {}
    for user, caller in callers.items():
        for scope in ("private-project", "private-cloud"):
            answer = caller.post("/v1/namespaces", json={"name": "shop", "title": f"{user} {scope}", "scope": scope})
            assert answer.status_code == 201, answer.text
        answer = caller.post("/v1/types", json={"kind": "capability", "namespace": "shop", "name": f"Of-{user}"})
        made[user] = answer.json()["id"]
    assert callers["ann"].post("/v1/namespaces", json={"name": "shop", "scope": "public-project"}).status_code == 201
    assert callers["bob"].post("/v1/namespaces", json={"name": "shop", "scope": "public-project"}).status_code == 409, "bob sees that one"
    for user, other in (("ann", "bob"), ("bob", "ann")):
        caller = callers[user]
        assert caller.get("/v1/namespaces/shop").json()["title"] == f"{user} private-project", "what is closest is meant"
        assert caller.get(f"/v1/types/{made[other]}").status_code == 404
        assert [one["name"] for one in caller.get("/v1/types", params={"namespace": "shop"}).json()["types"]] == [f"Of-{user}"]
        elsewhere = served.as_(user, "p2", "architect")
        assert elsewhere.get("/v1/namespaces/shop").json()["title"] == f"{user} private-cloud"
    assert served.as_("cid", "p1").get("/v1/namespaces/shop").json()["title"] is None, "the project's"


def test_what_is_loaded_for_others_means_theirs_and_not_ones_own(served, root):
    root.post("/v1/dictionary", json={**batch({"name": "Till"}), "scope": "public-cloud"})
    root.post("/v1/namespaces", json={"name": "shop"})
    answer = root.post("/v1/dictionary", json={**batch({"name": "Desk", "derived_from": "shop/Till"}), "scope": "public-cloud"})
    assert answer.status_code == 200, answer.text
    assert served.as_("ann", "p2").get("/v1/types", params={"reference": "Desk"}).json()["types"][0]["derived_from"] == "shop/Till"


def test_descendants_go_and_namesakes_of_others_stay(served, root):
    root.post("/v1/dictionary", json={**batch({"name": "Root"}, name="base"), "scope": "public-cloud"})
    root.post("/v1/dictionary", json={**batch({"name": "Heir", "derived_from": "base/Root"}, name="more"), "scope": "public-cloud"})
    ann = served.as_("ann", "p1")
    other = ann.post("/v1/dictionary", json=batch({"name": "Heir"}, {"name": "Own", "derived_from": "Heir"}, name="more"))
    assert other.status_code == 200, other.text
    path = root.get("/v1/namespaces/base")
    gone = root.delete("/v1/namespaces/base?include_descendants=true", headers={"If-Match": path.headers["ETag"]})
    assert gone.status_code == 204, gone.text
    assert [one["name"] for one in ann.get("/v1/types").json()["types"]] == ["Heir", "Own"]


def test_only_admins_load_for_everybody(served):
    answer = served.as_("eve", "p1", "architect").post("/v1/dictionary", json=batch({"name": "a"}, scope="public-cloud"))
    assert answer.json()["code"] == "auth.forbidden"


def test_quotas_hold(served, root):
    root.put("/v1/quotas/p1", json={"types": 2, "namespaces": 1})
    ann = served.as_()
    answer = ann.post("/v1/dictionary", json=batch({"name": "a"}, {"name": "b"}, {"name": "c"}))
    assert (answer.status_code, answer.json()["code"]) == (403, "quota.exceeded")
    assert ann.post("/v1/dictionary", json=batch({"name": "a"})).status_code == 200
    assert ann.post("/v1/namespaces", json={"name": "more"}).json()["code"] == "quota.exceeded"


METADEFS = {
    "namespace": "OS::Compute::Pinning", "display_name": "Pinning", "description": "d", "visibility": "public", "protected": True,
    "resource_type_associations": [{"name": "OS::Nova::Flavor", "prefix": "hw:"}, {"name": "OS::Glance::Image", "prefix": "hw_"},
                                   {"name": "OS::Cinder::Volume", "prefix": "hw_", "properties_target": "image"}],
    "properties": {"cpu_policy": {"title": "Policy", "type": "string", "enum": ["shared", "dedicated"]}},
    "objects": [{"name": "Limits", "description": "o", "properties": {"cpu_shares": {"type": "integer", "minimum": 1}}}],
}  # fmt: skip


def test_metadata_definitions_come_out_as_they_went_in_and_say_the_keys(served, root):
    assert root.post("/v1/dictionary", json={"metadefs": [METADEFS], "scope": "public-cloud"}).status_code == 200
    ann = served.as_()
    assert ann.get("/v1/namespaces/OS::Compute::Pinning/metadefs").json() == METADEFS
    keys = ann.get("/v1/keys/OS::Nova::Flavor").json()["keys"]
    assert [(one["key"], one["type"], one["target"]) for one in keys] == [
        ("hw:cpu_policy", "OS::Compute::Pinning/Pinning", None), ("hw:cpu_shares", "OS::Compute::Pinning/Limits", None)]  # fmt: skip
    volume = ann.get("/v1/keys/OS::Cinder::Volume?target=image").json()["keys"]
    assert [one["key"] for one in volume] == ["hw_cpu_policy", "hw_cpu_shares"]


def test_the_originals_paths_answer(served):
    ann = served.as_()
    assert ann.post("/1/namespace", json={"name": "shop"}).status_code == 201
    assert ann.post("/1/capability_type", json={"kind": "capability", "namespace": "shop", "name": "till"}).status_code == 201
    assert ann.post("/1/capability_type/batch", json=batch({"name": "desk", "derived_from": "till"})).status_code == 200
    assert [one["name"] for one in ann.get("/1/capability_type?namespace=shop&q=il").json()["types"]] == ["till"]
    assert [one["name"] for one in ann.get("/1/namespace/list").json()["namespaces"]] == ["shop"]
    assert ann.get("/1/resource_pool_list").json()["resource_pools"] == []


def test_a_namespace_is_itself_also_where_its_owner_has_another_of_the_name(served, root):
    public = {"scope": "public-cloud"}
    root.post("/v1/namespaces", json={"name": "shop", **public})
    made = root.post("/v1/types", json={"kind": "capability", "namespace": "shop", "name": "Till", **public}).json()
    space = root.get("/v1/namespaces/shop").json()["id"]
    root.post("/v1/namespaces", json={"name": "shop"})
    ann = served.as_("ann", "p1", "member")
    assert ann.get(f"/v1/types/{made['id']}").json()["ancestry"] == ["shop/Till"]
    assert [one["name"] for one in ann.get(f"/v1/namespaces/{space}/metadefs").json()["objects"]] == ["Till"]


def test_references_mean_what_they_mean_in_templates(served, root):
    root.post("/v1/namespaces", json={"name": "shop"})
    root.post("/v1/types", json={"kind": "capability", "namespace": "shop", "name": "Till", "aliases": ["till"]})
    for reference in ("shop/Till", "Till", "till"):
        found = root.get("/v1/types", params={"reference": reference}).json()["types"]
        assert [one["full_name"] for one in found] == ["shop/Till"]
    answer = root.get("/v1/types", params={"reference": "Tall"})
    assert (answer.status_code, answer.json()["code"]) == (422, "type.unknown") and "did you mean Till" in answer.json()["detail"]
