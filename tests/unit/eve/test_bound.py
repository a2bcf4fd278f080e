"""What exists and was chosen for a requirement that a template leaves open is used as a node of the template would be, and never made."""

import pytest

from cloudos.eve.engine.plan import make_plan
from cloudos.eve.engine.state import PRESENT, Entry, State
from cloudos.eve.provider import Pool
from cloudos.eve.verbs import text

WEB = """
    web:
      type: cloudos.nodes.Server
      properties: {image: debian, flavor: small}
      requirements:
        - network:
            node_filter: {properties: [{name: {equal: corporate}}]}
            relationship: {type: cloudos.relationships.ConnectsToNetwork, properties: {floating_ip: true, open_ports: [22, 80]}}
"""
DB = """
    db: {type: cloudos.nodes.Server, properties: {image: debian, flavor: small}, requirements: [{network: {}}]}
"""
CORPORATE = {"id": "n1", "name": "corporate", "resource": "r1"}
STORAGE = {"id": "n2", "name": "storage"}
OUTSIDE = {"id": "n9", "name": "public", "resource": "r9"}


def target(graph, name, argument):
    """What an argument of a resource leads to: (resource, attribute, what it is looked for by)."""
    found = graph.resources[name].arguments[argument]["$attribute"]
    return (*found, graph.resources[found[0]].arguments if graph.resources[found[0]].existing else None)


def ports(graph, server):
    return [one["port"]["$attribute"][0] for one in graph.resources[server].arguments["networks"]]


def made(graph):
    return {name for name, one in graph.resources.items() if not one.existing}


def deployed(graph):
    return State("shop", entries={name: Entry(one, PRESENT, {"id": name}) for name, one in graph.resources.items()})


def test_a_server_has_a_port_in_the_network_that_was_chosen_for_it(compiled):
    graph = compiled(WEB, choices={"web": {"network": CORPORATE, "external_network": OUTSIDE}})
    assert made(graph) == {"web", "web_network_port", "web_network_security", "web_network_floating_ip"}, "and no network"
    assert ports(graph, "web") == ["web_network_port"]
    assert target(graph, "web_network_port", "network_id") == ("network:name=n1", "id", {"name": "n1"})
    assert "fixed_ips" not in graph.resources["web_network_port"].arguments, "the cloud knows its subnets"
    assert [one["port_range_min"] for one in graph.resources["web_network_security"].arguments["rules"]] == [22, 80]
    assert graph.resources["web_network_port"].arguments["security_groups"] == [{"$attribute": ["web_network_security", "id"]}]
    assert target(graph, "web_network_floating_ip", "floating_network_id") == ("network:name=n9", "id", {"name": "n9"})


def test_a_floating_ip_is_of_the_only_external_network_where_nobody_says_which(compiled):
    graph = compiled(WEB, choices={"web": {"network": CORPORATE}})
    assert target(graph, "web_network_floating_ip", "floating_network_id")[2] == {"router:external": True}


def test_what_nobody_chose_for_stays_open(compiled):
    graph = compiled(WEB + DB, choices={"db": {"image": {"name": "other"}}})
    assert "networks" not in graph.resources["web"].arguments and made(graph) == {"web", "db"}


def test_two_servers_are_each_in_its_own_network(compiled):
    graph = compiled(WEB + DB, choices={"web": {"network": CORPORATE}, "db": {"network": STORAGE}})
    assert [target(graph, f"{name}_network_port", "network_id")[2] for name in ("web", "db")] == [{"name": "n1"}, {"name": "n2"}]
    assert (ports(graph, "web"), ports(graph, "db")) == (["web_network_port"], ["db_network_port"])


def test_one_server_is_in_two_networks_in_the_order_of_its_requirements(compiled):
    two = """
    lan: {type: cloudos.nodes.NetworkSegment}
    web:
      type: cloudos.nodes.ServerGroup
      properties: {image: debian, flavor: small, max_instances: 2}
      requirements:
        - network: {node_filter: {properties: [{name: {equal: corporate}}]}}
        - network: {node: lan}
        - network: {node_filter: {properties: [{name: {equal: storage}}]}}
    """
    choices = {"web": {"network": CORPORATE, "network-2": STORAGE}}
    graph = compiled(two, choices=choices, instances={"web": 2})
    assert ports(graph, "web") == ["web_network_port", "web_lan_port", "web_network-2_port"]
    assert ports(graph, "web-2") == ["web-2_network_port", "web-2_lan_port", "web-2_network-2_port"]
    assert target(graph, "web-2_network_port", "network_id")[2] == {"name": "n1"}
    assert target(graph, "web-2_network-2_port", "network_id")[2] == {"name": "n2"}
    first = two.replace("node: lan}", "node: lan, relationship: {type: cloudos.relationships.ConnectsToNetwork, properties: {order: -1}}}")
    assert ports(compiled(first, choices=choices), "web")[0] == "web_lan_port", "the relationship may say the order"


def test_a_node_of_the_template_may_be_called_like_the_requirement(compiled):
    graph = compiled("""
    network: {type: cloudos.nodes.NetworkSegment}
    web:
      type: cloudos.nodes.Server
      properties: {image: debian, flavor: small}
      requirements: [{network: network}, {network: {node_filter: {properties: [{name: {equal: corporate}}]}}}]
    """, choices={"web": {"network": CORPORATE}})  # fmt: skip
    assert ports(graph, "web") == ["web_network_port", "web_bound-network_port"]
    assert target(graph, "web_bound-network_port", "network_id")[2] == {"name": "n1"}


def test_a_segment_for_which_a_network_was_chosen_is_that_network_and_no_new_subnet(compiled):
    graph = compiled("lan: {type: cloudos.nodes.NetworkSegment}", choices={"lan": {"network": CORPORATE}})
    assert made(graph) == set() and graph.resources["lan"].arguments == {"name": "n1"}


@pytest.mark.parametrize(("said", "wanted"), [("", {}), ("properties: {ip_address: 10.0.0.7}, ", {"ip_address": "10.0.0.7"})])
def test_a_port_may_be_in_a_segment(compiled, said, wanted):
    graph = compiled(f"""
    lan: {{type: cloudos.nodes.NetworkSegment}}
    port: {{type: cloudos.nodes.Port, {said}requirements: [{{link: lan}}]}}
    """)
    assert target(graph, "port", "network_id")[:2] == ("lan", "id")
    assert graph.resources["port"].arguments["fixed_ips"] == [{"subnet_id": {"$attribute": ["lan_subnet", "id"]}, **wanted}]


def test_what_was_chosen_is_in_the_pool_of_its_node(compiled, pools):
    places = {**pools, "far": Pool("far", "openstack", {"cloud": "far"})}
    both = {name: {"network": CORPORATE} for name in ("web", "db")}
    graph = compiled(WEB + DB, places=places, placement={"db": "far"}, choices=both)
    assert {name: graph.resources[name].pool for name in ("network:name=n1", "network:name=n1@far", "db_network_port")} == {
        "network:name=n1": "default", "network:name=n1@far": "far", "db_network_port": "far"}  # fmt: skip


OTHERS = {
    "router": ("router: {type: cloudos.nodes.Router, requirements: [{gateway: {}}]}", {"gateway": OUTSIDE}),
    "fip": ("""
    web: {type: cloudos.nodes.Server, properties: {image: debian, flavor: small}}
    lan: {type: cloudos.nodes.Network}
    port: {type: cloudos.nodes.Port, requirements: [{link: lan}, {binding: web}]}
    fip: {type: cloudos.nodes.FloatingIP, requirements: [{port: port}]}
    """, {"pool": OUTSIDE}),
    "port": ("web: {type: tosca.nodes.Compute}\nport: {type: tosca.nodes.network.Port, requirements: [{binding: web}]}", {"link": OUTSIDE}),
    "our_port": ("our_port: {type: cloudos.nodes.Port, requirements: [{link: {node: cloudos.nodes.Network}}]}", {"link": OUTSIDE}),
    "lb": ("lb: {type: cloudos.nodes.LoadBalancer, properties: {image: i}, requirements: [{network: {}}]}", {"network": OUTSIDE}),
    "disk": ("disk: {type: cloudos.nodes.Volume, requirements: [{image: {}}]}", {"image": OUTSIDE}),
}  # fmt: skip
SEEN = {"router": ("router", "external_gateway_info", "network_id"), "fip": ("fip", "floating_network_id"),
        "port": ("port", "network_id"), "our_port": ("our_port", "network_id"), "lb": ("lb_network_port", "network_id"),
        "disk": ("disk", "imageRef")}  # fmt: skip


@pytest.mark.parametrize("node", OTHERS)
def test_other_requirements_take_what_was_chosen(compiled, node):
    nodes, choice = OTHERS[node]
    graph = compiled(nodes, choices={node: choice})
    name, *path = SEEN[node]
    found = graph.resources[name].arguments
    for key in path:
        found = found[key]
    thing = graph.resources[found["$attribute"][0]]
    assert thing.existing and thing.arguments == {"name": "n9"}


def test_a_server_has_the_key_the_flavor_and_the_group_that_its_requirements_are_bound_to(compiled):
    chosen = {name: {"id": f"{name}1", "name": name} for name in ("key", "flavor", "image", "placement", "volume")}
    graph = compiled("""
    web: {type: cloudos.nodes.Server, requirements: [{key: {}}, {flavor: {}}, {image: {}}, {placement: {}}, {volume: {}}]}
    """, choices={"web": chosen})  # fmt: skip
    assert [target(graph, "web", key)[2] for key in ("flavor", "image", "key_name")] == [
        {"name": "flavor1"}, {"name": "image1"}, {"name": "key1"}]  # fmt: skip
    assert graph.resources["web"].arguments["os:scheduler_hints"] == {"group": {"$attribute": ["server_group:name=placement1", "id"]}}
    assert target(graph, "web_volume_volume_attachment", "volume_id")[2] == {"name": "volume1"}


def test_a_guest_of_a_plain_host_is_in_the_network_that_its_port_is_bound_to(compiled):
    nodes, _ = OTHERS["port"]
    graph = compiled(nodes, places={"default": Pool("default", "libvirt", {}, {"image": "debian"})}, choices={"port": {"link": STORAGE}})
    assert graph.resources["web"].arguments["networks"] == [{"$attribute": ["network:name=n2", "id"]}]
    assert graph.resources["network:name=n2"].existing


def test_a_router_is_put_before_the_first_subnet_of_a_network_that_exists(compiled):
    graph = compiled("router: {type: cloudos.nodes.Router, requirements: [{segment: {}}]}", choices={"router": {"segment": CORPORATE}})
    assert target(graph, "router_segment_router_interface", "subnet_id")[:3] == ("network:name=n1", "subnets", "0")


def test_the_plan_tells_what_is_used_and_who_chose_it(compiled, pools):
    graph = compiled(WEB + DB, choices={"web": {"network": CORPORATE}, "db": {"network": CORPORATE}})
    plan = make_plan(State("shop"), graph, pools)
    assert "= uses    network corporate (bound by Graffiti) for web.network, db.network" in text(plan).splitlines()
    step = next(one for one in plan.to_json()["steps"] if one["name"] == "network:name=n1")
    assert (step["action"], step["reason"]) == ("use", "network corporate (bound by Graffiti) for web.network, db.network")
    chosen = make_plan(State("shop"), compiled(DB, choices={"db": {"network": STORAGE}}), pools)
    assert "= uses    network storage (chosen) for db.network" in text(chosen).splitlines()


def test_the_network_stays_when_all_of_the_topology_goes(compiled, pools):
    state = deployed(compiled(WEB, choices={"web": {"network": CORPORATE}}))
    plan = make_plan(state, compiled("lan: {type: cloudos.nodes.NetworkSegment}"), pools)
    gone = {name for name, step in plan.steps.items() if step.action == "delete"}
    assert gone == {"web", "web_network_port", "web_network_security", "web_network_floating_ip"}


def test_another_network_replaces_the_port_and_nothing_of_the_networks(compiled, pools):
    state = deployed(compiled(WEB, choices={"web": {"network": CORPORATE}}))
    assert make_plan(state, compiled(WEB, choices={"web": {"network": CORPORATE}}), pools).nothing
    plan = make_plan(state, compiled(WEB, choices={"web": {"network": STORAGE}}), pools)
    assert plan.steps["web_network_port"].action == "replace" and plan.steps["network:name=n2"].action == "use"
    assert not {step.resource.kind for step in plan.steps.values() if step.action in ("create", "delete")}


UNUSED = {
    "of a type that takes none such": ("    lan: {type: cloudos.nodes.NetworkSegment}", {"lan": {"flavor": STORAGE}},
        "node lan: storage, which is chosen for flavor, is used by nothing; cloudos.nodes.NetworkSegment takes no such choice. "
        "It can take network"),
    "of a node that says it itself": (DB, {"db": {"flavor": STORAGE}},
        "node db: storage, which is chosen for flavor, is used by nothing; what the template says of the node goes first. "
        "It can take availability_zone, flavor, image, network"),
    "for a requirement that is fulfilled": ("    lan: {type: cloudos.nodes.NetworkSegment}\n" + DB, {"db": {"network": STORAGE}},
        "node db: storage, which is chosen for network, is used by nothing; the template does not leave that requirement open. "
        "It can take availability_zone, external_network, flavor, image"),
    "of software": ("    app: {type: tosca.nodes.SoftwareComponent, requirements: [{host: {}}]}", {"app": {"host": STORAGE}},
        "node app: storage, which is chosen for host, is used by nothing; tosca.nodes.SoftwareComponent takes no such choice. "
        "It can take none"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNUSED)
def test_a_choice_that_nothing_uses_is_told(compiled, pools, case):
    nodes, choices, note = UNUSED[case]
    plan = make_plan(State("shop"), compiled(nodes, choices=choices), pools)
    assert plan.notes == plan.to_json()["notes"] == [note]
    assert f"Note: {note}" in text(plan).splitlines()


def test_what_is_used_or_says_the_same_or_is_of_nothing_is_not_told(compiled):
    group = "    group: {type: cloudos.nodes.ServerGroup, properties: {min_instances: 0, max_instances: 2}}"
    same = {"image": {"name": "debian"}, "flavor": {"id": "small", "name": "s"}}
    choices = {"web": {"network": CORPORATE, "external_network": OUTSIDE, **same}, "group": {"flavor": STORAGE, "nonsense": STORAGE}}
    assert compiled(WEB + group, choices=choices).notes == []
    assert len(compiled(WEB + group, choices=choices, instances={"group": 1}).notes) == 1
