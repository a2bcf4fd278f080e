"""Binding over HTTP: reasons, joint feasibility, templates, profiles, drift."""


import pytest
import yaml

from cloudos import tosca
from cloudos.eve import given
from cloudos.eve.compiler.compile import compile_topology
from cloudos.eve.provider import Pool as Place
from cloudos.graffiti import matching
from tests.api import graffiti
from tests.api.graffiti import POOL, flavor


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


def test_the_best_is_chosen_and_every_rejection_has_its_reason(ann, pool):
    found = ann.post("/v1/match", json={"requirements": [flavor("2 GB")]}).json()
    one = found["requirements"][0]
    assert found["bound"] and one["chosen"]["name"] == "m1.small" and one["chosen"]["pool_name"] == "east"
    assert (one["matched"], one["rejected"]) == (2, 1)
    assert one["nearest"][0]["reasons"] == ["flavor m1.tiny: cloudos.openstack/Flavor.mem_size 512 MiB < 2 GB wanted"]
    assert [each["name"] for each in one["candidates"]] == ["m1.small", "m1.large"]
    assert found["uses"][pool["id"]] == {"instances": 1, "cores": 2, "ram": 2048}


def test_nothing_fits_and_says_why(ann, pool):
    answer = ann.post("/v1/bindings", json={"requirements": [flavor("64 GB")]})
    assert (answer.status_code, answer.json()["code"]) == (409, "binding.impossible")
    told = answer.json()["requirements"][0]
    assert told["reasons"] == [{"reason": "cloudos.openstack/Flavor.mem_size not >= 64 GB", "count": 3}]
    assert ann.get("/v1/bindings").json()["bindings"] == []


def test_quotas_of_the_pool_bound_what_fits_together(ann, pool):
    def match(count, mem="1 GB"):
        return ann.post("/v1/match", json={"requirements": [flavor(mem, count=count)]}).json()

    assert match(9)["bound"], "18 cores of small flavors are left"
    found = match(3, "10 GB")
    assert not found["bound"] and found["proven"] and "cores 24 > 18 left" in found["reasons"][0]


def test_residency_and_pools_bar_what_lies_elsewhere(ann, pool):
    def reasons(**policy):
        found = ann.post("/v1/match", json={"requirements": [flavor()], "policy": policy}).json()
        return found["bound"], [one["reason"] for one in found["requirements"][0]["reasons"]]

    assert reasons(residency={"countries": ["DE"]})[0]
    assert reasons(residency={"countries": ["FR"]}) == (
        False,
        ["pool east is in DE, not in FR", "cloudos.openstack/Flavor.mem_size not >= 1 GB"],
    )
    assert "pool east is not among those asked for" in reasons(pools=["west"])[1]


def test_residency_bars_what_is_nowhere_known(ann, pool):
    host = {"name": "f", "type": "cloudos.openstack/Flavor", "properties": {"mem_size": "1 GB", "num_cpus": 1}}
    body = {"name": "own", "type": "OS::Nova::Flavor", "scope": "public-project", "capabilities": [host], "region": "south", "price": 0}
    assert ann.post("/v1/resources", json=body).status_code == 201

    def own(**policy):
        found = ann.post("/v1/match", json={"requirements": [flavor("1 GB")], "policy": policy}).json()["requirements"][0]
        return any(one["name"] == "own" for one in found["candidates"]), [one["reason"] for one in found["reasons"]]

    assert own()[0] and own(pools=["east"])[0] and own(residency={"regions": ["south"]})[0]
    nobody = "it belongs to no pool, so nobody named its country"
    assert own(residency={"countries": ["DE"]}) == (False, ["cloudos.openstack/Flavor.mem_size not >= 1 GB", nobody])
    assert "region is south, not one of north" in own(residency={"regions": ["north"]})[1]


def test_not_all_was_tried_where_not_all_took_part(ann, pool, monkeypatch):
    body = {"requirements": [flavor("1 GB", count=3), flavor("1 GB", "db.flavor")], "rules": [{"kind": "different", "of": "resource",
            "members": ["web", "db"]}]}  # fmt: skip
    assert ann.post("/v1/match", json=body).json()["bound"]
    monkeypatch.setattr(matching, "MOST_OPTIONS", 1)
    found = ann.post("/v1/match", json=body).json()
    assert not found["bound"] and not found["proven"]
    assert found["reasons"][-1] == "of db.flavor, web.flavor only the 1 cheapest that fit took part"


def test_nodes_are_apart_with_all_that_they_need(served, ann, pool):
    served.cloud.regions = ["east", "west"]
    other = graffiti.discovered(served, ann, {**POOL, "name": "west", "region_id": "west"})
    needs = [one for node in ("web", "db") for one in (flavor("1 GB", f"{node}.flavor"),
             {"id": f"{node}.image", "node": node, "capability": "cloudos.openstack/Image"})]  # fmt: skip
    body = {"requirements": needs, "policy": {"span": "any"}, "rules": [{"kind": "different", "of": "pool", "members": ["web", "db"]}]}
    found = ann.post("/v1/match", json=body).json()
    assert found["bound"], found["reasons"]
    where = {one["id"]: one["chosen"]["pool"] for one in found["requirements"]}
    assert where["web.flavor"] == where["web.image"] != where["db.flavor"] == where["db.image"]
    assert set(where.values()) == {pool["id"], other["id"]}


def test_a_name_is_no_condition_on_the_property_of_that_name(ann, pool):
    text = """
tosca_definitions_version: tosca_simple_yaml_1_3
topology_template:
  node_templates:
    port:
      type: tosca.nodes.network.Port
      requirements:
        - link:
            node_filter: {properties: [{name: {equal: external}}]}
"""
    found = ann.post("/v1/match", json={"template": {"files": {"t.yaml": text}}, "explain": True}).json()
    assert "external not = false" in str(found["requirements"][0]["reasons"])


TEMPLATE = """\
tosca_definitions_version: tosca_simple_yaml_1_3
topology_template:
  inputs: {cpus: {type: integer, default: 2}}
  node_templates:
    web:
      type: tosca.nodes.Compute
      capabilities:
        host: {properties: {num_cpus: {get_input: cpus}, mem_size: 1 GB}}
        os: {properties: {distribution: debian}}
        scalable: {properties: {min_instances: 1, max_instances: 4, default_instances: 2}}
    app:
      type: tosca.nodes.SoftwareComponent
      requirements:
        - host: {node: web}
    batch:
      type: tosca.nodes.SoftwareComponent
      requirements:
        - host:
            capability: tosca.capabilities.Compute
            node_filter: {capabilities: [{host: {properties: [{num_cpus: {greater_or_equal: 8}}]}}]}
"""


def test_a_template_is_bound_by_what_it_leaves_open(ann, pool):
    made = ann.post("/v1/bindings", json={"template": {"files": {"main.yaml": TEMPLATE}, "reference": "focus:web@3"}, "name": "web"})
    assert made.status_code == 201, made.text
    chosen = {id_: one["name"] for id_, one in made.json()["chosen"].items()}
    assert chosen == {"web.flavor": "m1.small", "web.image": "debian-12", "batch.host": "m1.large"}
    document = yaml.safe_load(ann.get(f"{made.headers['Location']}/profile").text)
    assert document["kind"] == "resource_pool_binding" and document["template"]["reference"] == "focus:web@3"
    assert document["pools"] == {"default": {"pool": pool["id"]}} and document["placement"] == {"web": "default", "batch": "default"}
    assert {node: sorted(one) for node, one in document["choices"].items()} == {"web": ["flavor", "image"], "batch": ["host"]}
    assert document["choices"]["web"]["flavor"] == {"resource": made.json()["chosen"]["web.flavor"]["resource"], "id": "f2",
                                                    "type": "OS::Nova::Flavor", "name": "m1.small", "count": 2,
                                                    **({"region": pool["region_id"]} if pool["region_id"] else {})}  # fmt: skip
    assert given.mistakes(document) == [], "it is a profile for Eve"


def test_inputs_decide_and_a_wrong_template_is_told_with_its_lines(ann, pool):
    found = ann.post("/v1/match", json={"template": {"files": {"t.yaml": TEMPLATE}, "inputs": {"cpus": 8}}, "explain": False}).json()
    assert {one["id"]: one["chosen"]["name"] for one in found["requirements"]}["web.flavor"] == "m1.large"
    wrong = ann.post("/v1/match", json={"template": {"files": {"t.yaml": TEMPLATE.replace("num_cpus: {get", "num_cpu: {get")}}}).json()
    assert wrong["code"] == "template.invalid" and wrong["errors"][0]["pointer"].startswith("t.yaml:8:")


def test_drift_tells_what_changed_since(served, ann, pool):
    made = ann.post("/v1/bindings", json={"requirements": [flavor("2 GB")]})
    path = made.headers["Location"]
    assert ann.get(f"{path}/drift").json()["same"]
    served.cloud.flavors[1].ram = 4096
    ann.post(f"/v1/resource_pools/{pool['id']}/discover")
    served.work()
    drift = ann.get(f"{path}/drift").json()["drift"]
    assert [(one["what"], one["bound"], one["found"]) for one in drift] == [("properties.ram", "2048 MiB", "4096 MiB")]
    del served.cloud.flavors[1]
    ann.post(f"/v1/resource_pools/{pool['id']}/discover")
    served.work()
    assert [one["what"] for one in ann.get(f"{path}/drift").json()["drift"]] == ["gone"]
    again = ann.post(f"{path}/rebind").json()
    assert again["changes"] == [{"requirement": "web.flavor", "before": "m1.small", "after": "m1.large"}]


def test_one_pool_for_all_unless_the_policy_lets_them_apart(served, ann, pool):
    published = {"name": "archive", "type": "Store", "scope": "public-project", "capabilities": [{"name": "s", "type": "tosca:Attachment"}]}
    served.cloud.regions = ["east", "west"]
    served.cloud.flavors, kept = [], served.cloud.flavors
    served.cloud.volume_types = []
    other = ann.post("/v1/resource_pools", json={**POOL, "name": "west", "region_id": "west"}).json()
    assert ann.post("/v1/resources", json={**published, "pool": other["id"]}).status_code == 201
    wanted = [flavor("10 GB"), {"id": "store", "capability": "tosca:Attachment", "tags": [], "type": None}]
    del wanted[1]["type"]
    wanted[1]["node_filter"] = {"properties": {"name": "archive"}}
    found = ann.post("/v1/match", json={"requirements": wanted}).json()
    assert not found["bound"] and f"pool {pool['id']} has nothing for store" in found["reasons"]
    found = ann.post("/v1/match", json={"requirements": wanted, "policy": {"span": "any"}}).json()
    assert found["bound"], found["reasons"]
    apart = [{"kind": "same", "of": "pool", "members": ["web", "store"]}]
    assert not ann.post("/v1/match", json={"requirements": wanted, "policy": {"span": "any"}, "rules": apart}).json()["bound"]
    served.cloud.flavors = kept


@pytest.mark.parametrize(
    "body, words",
    [
        ({}, "nothing to bind"),
        ({"requirements": [{"id": "a", "capability": "tosca:Compute"}] * 2}, "there twice"),
        (
            {
                "requirements": [{"id": "a", "capability": "tosca:Compute"}],
                "rules": [{"kind": "same", "of": "zone", "members": ["a", "b"]}],
            },
            "rule for b",
        ),
    ],
)
def test_requests_that_mean_nothing_are_told(ann, body, words):
    answer = ann.post("/v1/match", json=body)
    assert answer.status_code == 400 and words in answer.json()["errors"][0]["message"]


def test_deprecated_types_are_warned_of(served, ann):
    old = {"kind": "capability", "namespace": "shop", "name": "old", "deprecated": {"reason": "too slow", "use": "shop/new"}}
    ann.post("/v1/dictionary", json={"namespaces": [{"name": "shop"}], "types": [old]})
    found = ann.post("/v1/match", json={"requirements": [{"id": "a", "capability": "old"}]}).json()
    assert found["warnings"] == ["shop/old is deprecated: too slow; use shop/new"]
    assert "you see no resource with capability shop/old" in found["requirements"][0]["reasons"][0]["reason"]


OPEN = """\
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [{file: "cloudos:openstack.yaml"}]
topology_template:
  node_templates:
    web:
      type: cloudos.nodes.Server
      capabilities:
        host: {properties: {num_cpus: 1}}
        scalable: {properties: {min_instances: 1, max_instances: 4, default_instances: 2}}
      requirements:
        - network: {relationship: {type: cloudos.relationships.ConnectsToNetwork, properties: {floating_ip: true, open_ports: [22]}}}
        - network: {node_filter: {properties: [{external: {equal: true}}]}}
        - flavor: {node_filter: {properties: [{name: {equal: m1.large}}]}}
        - key: {}
    db: {type: cloudos.nodes.Server, properties: {flavor: m1.tiny}, requirements: [{network: {node: cloudos.nodes.ExternalNetwork}}]}
    router: {type: cloudos.nodes.Router, requirements: [{gateway: {}}]}
    port: {type: cloudos.nodes.Port, requirements: [{binding: db}]}
    plain: {type: tosca.nodes.network.Port, requirements: [{binding: db}]}
    address: {type: cloudos.nodes.FloatingIP, requirements: [{port: port}]}
"""


def test_requirements_alone_are_bound_to_networks_that_exist(ann, pool):
    """Servers inside, what leads out outside; two of one name are told apart; what a type needs and a requirement asks for is one."""
    uses = ann.post("/v1/match", json={"template": {"files": {"main.yaml": OPEN}}}).json()["uses"]
    assert uses[pool["id"]]["floating_ips"] == 3, "two servers and an address; a router takes none"
    made = ann.post("/v1/bindings", json={"template": {"files": {"main.yaml": OPEN}}, "name": "open"})
    assert made.status_code == 201, made.text
    chosen = {id_: one["name"] for id_, one in made.json()["chosen"].items()}
    assert chosen == {
        "web.flavor": "m1.large", "web.image": "debian-12", "web.network": "private", "web.network-2": "public", "web.key": "mine",
        "web.external_network": "public", "db.flavor": "m1.small", "db.image": "debian-12", "db.network": "public",
        "router.gateway": "public", "port.link": "private", "plain.link": "private", "address.pool": "public",
    }  # fmt: skip
    assert made.json()["chosen"]["web.external_network"]["count"] == 2


def test_a_group_of_servers_claims_what_all_of_them_take(ann, pool):
    text = """\
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [{file: "cloudos:openstack.yaml"}]
topology_template:
  node_templates:
    web:
      type: cloudos.nodes.ServerGroup
      properties: {min_instances: 3, max_instances: 5}
      capabilities: {host: {properties: {num_cpus: 2}}}
"""
    found = ann.post("/v1/match", json={"template": {"files": {"main.yaml": text}}}).json()
    assert found["uses"][pool["id"]]["instances"] == 3 and found["uses"][pool["id"]]["cores"] == 6


def test_the_choices_of_a_binding_are_those_that_eve_takes(ann, pool, tmp_path):
    made = ann.post("/v1/bindings", json={"template": {"files": {"main.yaml": OPEN}}, "name": "open"})
    choices = yaml.safe_load(ann.get(f"{made.headers['Location']}/profile").text)["choices"]
    (tmp_path / "main.yaml").write_text(OPEN)
    report = tosca.load(tmp_path / "main.yaml", given.resolver(()), {})
    graph = compile_topology(report.template, {"default": Place("default", "openstack", {"cloud": "any"})}, choices=choices)
    assert {name: one.arguments["network_id"]["$attribute"][0] for name, one in graph.resources.items() if one.kind == "port"} == {
        "web_network_port": "network:name=n1", "web-2_network_port": "network:name=n1", "web_network-2_port": "network:name=n2",
        "web-2_network-2_port": "network:name=n2", "db_network_port": "network:name=n2", "port": "network:name=n1",
        "plain": "network:name=n1",
    }  # fmt: skip
    assert not {one.kind for one in graph.resources.values() if not one.existing} & {"network", "subnet", "flavor", "image", "keypair"}
