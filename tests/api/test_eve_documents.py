"""Eve and the documents of Focus: a topology becomes a design again, and what it was deployed from is kept."""

import pytest
import yaml

from cloudos.tosca.archive import META, meta, pack
from tests.api import eve
from tests.api.eve import design


@pytest.fixture
def worked(tmp_path, monkeypatch):
    """Eve and Focus with a worker."""
    for house in eve.house(tmp_path, monkeypatch):
        house.worker()
        yield house


def test_what_is_exported_is_a_design_that_makes_the_same(worked):
    house = worked
    path, job = house.deploy("shop", design("one", "two", most=3), inputs={"content": "told"})
    house.ended(job)
    house.done(f"{path}/scale", instances={"one": 3})
    there = house.files()
    answer = house.ann.get(f"{path}/export")
    assert (answer.headers["Content-Type"], 'filename="shop.csar"' in answer.headers["Content-Disposition"]) == ("application/zip", True)
    house.done(f"{path}/undeploy")
    assert house.ann.get(f"{path}/export").json()["code"] == "topology.inactive"
    house.store("kept", answer.content, media="application/zip")
    again = house.post("topologies", name="shop", design="kept")
    assert again.status_code == 202, again.text
    house.ended(again.json()["id"])
    assert house.files() == there and len(there) == 4, "pool, inputs and numbers are those of the export"
    assert house.done(f"{again.json()['resource']}/update", design="kept")["result"]["changed"] is False
    more = house.post("plans", name="x", design="kept", instances={"one": 2}).json()
    assert more["actions"] == {"create": 3}, "what the order says wins"


def test_a_binding_says_of_each_node_what_it_is_made_of(worked):
    """As Graffiti writes it, an order changes it, and an export says it."""
    house = worked
    chosen = {"one": {"content": {"id": "f1", "name": "small", "count": 1}}, "two": {"content": {"id": "f2", "name": "large"}}}
    binding = {"kind": "resource_pool_binding", "name": "shop", "binding": "1", "policy": {}, "expires_at": None,
               "pools": {"default": {"pool": "disk"}}, "placement": {"one": "default", "two": "default"}, "choices": chosen}  # fmt: skip
    house.store("bound", yaml.safe_dump(binding).encode())
    house.store("three", design("one", "two", "three"))
    answer = house.post("topologies", name="shop", design="three", profile="bound")
    assert answer.status_code == 202, answer.text
    path = answer.json()["resource"]
    house.ended(answer.json()["id"])
    assert house.files() == [("one", "small"), ("three", "one"), ("two", "large")]
    assert house.get(path)["choices"] == chosen and list(house.get(path)["pools"]) == ["default"]
    order = {"choices": {"two": {"content": {"name": "huge"}}}}
    plan = house.post("plans", topology=path.rpartition("/")[2], **order).json()
    assert plan["actions"] == {"change": 1, "keep": 2} and plan["choices"] == {**chosen, **order["choices"]}
    house.done(f"{path}/update", **order)
    job = house.done(f"{path}/update", inputs={"content": "new"}, choices={"two": {"colour": {"name": "red"}}})
    note = "node two: red, which is chosen for colour, is used by nothing; toy.nodes.File takes no such choice. It can take content"
    events = house.get(f"/v1/jobs/{job['id']}/events")["events"]
    assert [event["facts"] for event in events if event["kind"] == "note"] == [{"text": note}]
    there = house.files()
    assert there == [("one", "small"), ("three", "new"), ("two", "huge")], "what is not named stays"
    house.store("kept", house.ann.get(f"{path}/export").content, media="application/zip")
    house.done(f"{path}/undeploy")
    house.ended(house.post("topologies", name="again", design="kept").json()["id"])
    assert house.files() == there


def test_a_binding_of_an_earlier_shape_is_refused(worked):
    house = worked
    nodes = {"one": {"resource_pool_ref": "disk", "requirements": {"content": {"id": "f1", "name": "small"}}}}
    house.store("old", yaml.safe_dump({"kind": "resource_pool_binding", "nodes": nodes}).encode())
    house.store("single", design("one"))
    refused = house.post("topologies", name="shop", design="single", profile="old").json()
    assert refused["code"] == "profile.invalid" and "bind the template" in refused["detail"]


def test_focus_keeps_what_topologies_use_and_names_them(worked):
    house = worked
    focus = house.focus.as_("ann", "p1", "member")

    def deleted(name):
        document = focus.get("/v1/documents", params={"name": name}).json()["documents"][0]["id"]
        return focus.delete(f"/v1/documents/{document}", headers={"If-Match": "*"})

    house.store("values", yaml.safe_dump({"pools": {"here": {"pool": "disk"}}}).encode())
    house.store("two-files", design("one", "two"))
    answer = house.post("topologies", name="shop", design="two-files", profile="values")
    assert answer.status_code == 202, answer.text
    path = answer.json()["resource"]
    house.ended(answer.json()["id"])
    for name in ("two-files", "values"):
        refused = deleted(name)
        assert (refused.status_code, refused.json()["code"]) == (409, "document.in_use") and "topology shop" in refused.json()["detail"]
    house.store("other", design("one"))
    house.done(f"{path}/update", design="other")
    assert deleted("two-files").status_code == 204, "what an update has replaced is free"
    assert "topology shop" in deleted("other").json()["detail"]
    house.done(f"{path}/undeploy")
    assert [deleted(name).status_code for name in ("other", "values")] == [204, 204]


def test_an_order_names_what_is_put_in_the_place_of_a_node(worked):
    house = worked
    types = eve.TYPES.removesuffix("topology_template:\n").encode() + b"  Pair: {derived_from: tosca.nodes.Root}\n"
    head = b"tosca_definitions_version: tosca_simple_yaml_1_3\nimports: [types.yaml]\ntopology_template:\n  "
    files = {"types.yaml": types, "main.yaml": head + b"node_templates: {pair: {type: Pair, directives: [substitute]}}\n"}
    for name, most in (("a", 1), ("b", 2)):
        files[f"{name}.yaml"] = head + (f"substitution_mappings: {{node_type: Pair}}\n  node_templates: {{{name}: {{type: toy.nodes.File, "
                                        f"properties: {{most: {most}}}}}}}\n").encode()  # fmt: skip
    house.store("pair", pack({**files, META[0]: meta("main.yaml", files, "test")}), media="application/zip")
    refused = house.post("topologies", name="shop", design="pair", pool="disk").json()
    (error,) = refused["errors"]
    assert "several fit: a.yaml, b.yaml" in error["message"] and "substitutions: {pair: a.yaml}" in error["mend"]
    path, job = house.deploy("shop", design="pair", substitutions={"pair": "b.yaml"})
    house.ended(job)
    assert house.files() == [("pair.b", "empty")] and house.get(path)["substitutions"] == {"pair": "b.yaml"}
    assert [one["node"] for one in house.get(f"{path}/groups")["groups"]] == ["pair.b"]
    house.done(f"{path}/scale", instances={"pair.b": 2})
    house.store("kept", house.ann.get(f"{path}/export").content, media="application/zip")
    assert house.post("plans", name="x", design="kept").json()["actions"] == {"create": 2}
    house.done(f"{path}/update", substitutions={"pair": "a.yaml"})
    assert house.files() == [("pair.a", "empty")]
    house.done(f"{path}/undeploy")
    assert house.files() == []
